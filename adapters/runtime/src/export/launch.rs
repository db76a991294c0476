//! Starting a pipeline: the tasks that drive it.
//!
//! ```text
//!   one destination, one request in flight     several of either
//!   ┌──────────────────────────┐               ┌──────────┐ shipments ┌────────┐
//!   │ drive: flusher, exporter │               │ dispatch │ ────────▶ │ work … │ one each
//!   └──────────────────────────┘               └──────────┘           └────────┘
//! ```
//!
//! Each is a task of the runtime. A caller who takes the seat has all of them run on a
//! thread; only exporters that may block have threads of their own, which nobody takes.

use core::future::Future;
use core::pin::pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use throughline_core::{Entry, Heartbeats, Pipeline};

use crate::export::completion::Completing;
use crate::export::destinations::{Destination, Destinations};
use crate::export::dispatch::dispatch;
use crate::export::engine::{Engine, Goal, Seat, State};
use crate::export::fan_out::{Bounds, FanOut, Place};
use crate::export::operation::Listeners;
use crate::export::race::race;
use crate::export::transmission::FAR;
use crate::report::metrics::Names;
use crate::report::observe::ONLY;
use crate::setup::pipeline::Created;
use crate::{Diagnostic, PipelineOptions, Runtime, Thread, platform, suppressed};

/// Has the runtime drive a pipeline.
pub(crate) fn launch<R: Runtime>(
    created: Created,
    options: &PipelineOptions,
    runtime: R,
    destinations: Destinations<R>,
) -> Arc<Engine> {
    let Created { pipeline, flusher, waker, sampler, processors, tail } = created;
    let tail = tail.unwrap_or_else(|error| {
        options.diagnostics.say(&Diagnostic::TailRefused(error));
        None
    });
    let lanes = lanes(options, &destinations);
    let mut fan_out = (!lanes.is_empty())
        .then(|| FanOut::new(pipeline, options.flusher, lanes, platform::random()));
    for (index, destination) in destinations.iter().enumerate() {
        if let Some(lane) = fan_out.as_mut().and_then(|fan_out| fan_out.lane_mut(index)) {
            lane.discards = destination.discards();
        }
    }
    let fans_out = fan_out.is_some();
    let state = State::new(flusher, fan_out, heartbeats(pipeline, options));
    let (clock, timer) = (runtime.clone(), runtime.clone());
    let now = runtime.now();
    let origin = tail.as_ref().map_or(now, |tail| tail.origin(now));
    let taken = destinations.clone();
    let names = Arc::new(Names::new(destinations.iter().map(Destination::component)));
    let completing = |(index, destination): (usize, &dyn Destination<R>)| {
        let completion = destination.completion()?;
        Some(Completing { completion, endpoint: names.endpoint(index) })
    };
    let completions = destinations.iter().enumerate().filter_map(completing).collect();
    let engine = Arc::new(Engine {
        pipeline,
        waker,
        state: Mutex::new(state),
        changed: Condvar::new(),
        process: std::process::id(),
        origin,
        diagnostics: options.diagnostics.clone(),
        names,
        service: options.resource.get("service.name").map(Arc::from),
        listeners: Listeners::default(),
        sampler,
        processors,
        is_undriven: AtomicBool::new(false),
        has_panicked: AtomicBool::new(false),
        tail,
        watch: Mutex::default(),
        clock: options.clock,
        reports_leaks: AtomicBool::new(options.report_leaks),
        waits_at_shutdown: options.wait_at_shutdown,
        fans_out,
        apart: destinations.iter().map(|each| fans_out && each.may_block()).collect(),
        now: Box::new(move || clock.now()),
        discards: destinations.iter().all(Destination::discards),
        completions,
        time: Box::new(move |engine, goal, within, over| {
            // In a task, where a runtime that shuts down drops it instead of
            // having its timer used.
            let runtime = timer.clone();
            timer.spawn(async move {
                let reached = |state: &State| state.has_reached(goal);
                let sleep = pin!(runtime.sleep(within));
                race(pin!(engine.changed(reached)), sleep).await;
                engine.tell(&over);
            });
        }),
        is_busy: AtomicBool::new(false),
        take_over: Box::new(move |engine, seat, goal, deadline| {
            let driven =
                Thread::block_on(|thread| on_thread(&taken, engine, thread, seat, goal), deadline);
            // Without an event queue there is nothing to do but to let the
            // deadline pass, and to say so in the receipt.
            drop(driven);
        }),
    });
    in_background(&engine, &runtime, &destinations);
    engine
}

/// The lanes of several destinations, or of several requests in flight; none for one
/// batch after the other.
fn lanes<R: Runtime>(options: &PipelineOptions, destinations: &Destinations<R>) -> Vec<Bounds> {
    let asked = options.max_concurrent_exports.min(PipelineOptions::MOST_CONCURRENT);
    let lane = |destination: &dyn Destination<R>| Bounds {
        in_flight: asked.min(destination.max_concurrent_exports()).max(1),
        batches: options.max_destination_batches,
        bytes: options.max_destination_bytes,
    };
    let lanes: Vec<_> = destinations.iter().map(lane).collect();
    match lanes[..] {
        [Bounds { in_flight: 1, .. }] => Vec::new(),
        // The pipeline's own queue is before it, and fills when it is slow.
        [Bounds { in_flight, .. }] => vec![Bounds { in_flight, batches: 0, bytes: usize::MAX }],
        _ => lanes,
    }
}

fn in_background<R: Runtime>(engine: &Arc<Engine>, runtime: &R, destinations: &Destinations<R>) {
    let spawn = |work: crate::export::destinations::Work, place: Option<Place>| {
        let leaving = Leaving { engine: engine.clone(), place };
        runtime.spawn(async move {
            let _leaving = leaving;
            work.await;
        });
    };
    let seat = Seat::Background;
    if !engine.fans_out {
        for destination in destinations.iter() {
            spawn(destination.drive(engine.clone(), runtime, seat, None), Some(ONLY));
        }
        return;
    }
    for place in engine.places() {
        let Some(destination) = destinations.get(place.lane) else { continue };
        let on_own_thread = engine.is_apart(place) && {
            let (destinations, engine) = (destinations.clone(), engine.clone());
            let work = move |thread: Thread| {
                let work = destinations
                    .get(place.lane)
                    .map(|each| each.work_on(engine, &thread, place, None));
                async move {
                    if let Some(work) = work {
                        suppressed(work).await;
                    }
                }
            };
            has_thread(work).is_ok()
        };
        if !on_own_thread {
            // Without a thread of its own it works as the others do.
            let seat = (!engine.is_apart(place)).then_some(seat);
            spawn(destination.work(engine.clone(), runtime, place, seat), Some(place));
        }
    }
    spawn(Box::pin(dispatch(engine.clone(), runtime.clone(), seat, None)), None);
}

/// Runs a future on a thread of its own.
fn has_thread<F: Future<Output = ()>>(
    work: impl FnOnce(Thread) -> F + Send + 'static,
) -> io::Result<()> {
    let run = move || {
        let _ = Thread::block_on(work, Instant::now() + FAR);
    };
    std::thread::Builder::new().name("throughline-export".to_owned()).spawn(run).map(drop)
}

/// Drives on a plain thread, for a caller who took the seat.
async fn on_thread<R: Runtime>(
    destinations: &Destinations<R>,
    engine: Arc<Engine>,
    thread: Thread,
    seat: Seat,
    goal: Goal,
) {
    if !engine.fans_out {
        for destination in destinations.iter() {
            suppressed(destination.drive_on(engine.clone(), &thread, seat, goal)).await;
        }
        return;
    }
    for place in engine.places().filter(|place| !engine.is_apart(*place)) {
        if let Some(destination) = destinations.get(place.lane) {
            thread.spawn(destination.work_on(engine.clone(), &thread, place, Some(seat)));
        }
    }
    suppressed(dispatch(engine.clone(), thread, seat, Some(goal))).await;
    // No worker begins anything more, and what they have begun comes to its end.
    engine.with(|state| state.leave(seat));
    engine.changed(|state| !state.flights.are_of(seat)).await;
}

impl Engine {
    /// Whether this place has a thread of its own, whoever drives.
    pub(crate) fn is_apart(&self, place: Place) -> bool {
        self.apart.get(place.lane).copied().unwrap_or(false)
    }

    /// Every request that may be in flight.
    fn places(&self) -> impl Iterator<Item = Place> + use<> {
        self.lock_and(|state| state.fan_out.as_ref().map(FanOut::places)).into_iter().flatten()
    }
}

/// Tells that a background task is over, or was dropped with its runtime.
struct Leaving {
    engine: Arc<Engine>,
    /// Where it sends; `None` sends nothing itself.
    place: Option<Place>,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let is_over = self.engine.with(|state| {
            state.abandoned = true;
            // What a caller sends goes on, on its thread.
            if let Some(place) = self.place {
                let lost = state.flights.take_at(place);
                state.send_again(lost);
            }
            state.is_finished()
        });
        if is_over {
            return;
        }
        // Ordering: Relaxed, no value is read through it.
        self.engine.is_undriven.store(true, Ordering::Relaxed);
        if std::thread::panicking() {
            self.engine.driver_panicked();
        }
    }
}

fn heartbeats(
    pipeline: &'static Pipeline,
    options: &PipelineOptions,
) -> Option<Heartbeats<Vec<u8>, Vec<Entry>>> {
    // Not all the time, whatever is asked for.
    let after = options.heartbeat?.max(Duration::from_millis(1));
    let records = options.flusher.max_export_batch_size.clamp(1, MOST_RECORDS);
    let bytes = vec![0; (records * RECORD).min(options.max_batch_bytes.max(RECORD))];
    let entries = vec![Entry::default(); records];
    Some(Heartbeats::new(pipeline, after, Duration::ZERO, bytes, entries))
}

/// Room for the record of a live span, on average.
const RECORD: usize = 512;
/// Records of one batch, whatever a batch of spans holds; more come in several.
const MOST_RECORDS: usize = 8_192;
