//! What all who drive a pipeline and wait for it share.

use core::sync::atomic::AtomicBool;
use core::task::{Poll, Waker};
use core::time::Duration;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use throughline_core::{Entry, Heartbeats, Pipeline, Ticket};

use crate::anchor::{Anchor, FixedClock};
use crate::export::completion::Completing;
use crate::export::fan_out::{FanOut, Place};
use crate::export::flights::Flights;
use crate::export::operation::{Listeners, Operations};
use crate::processors::Rounds;
use crate::report::metrics::Names;
use crate::report::watch::Watch;
use crate::sampling::guarded_sampler::GuardedSampler;
use crate::setup::pipeline::{DriverWaker, StdFlusher};
use crate::{Diagnostic, Diagnostics, ExportOperation, TailSampler};

pub(crate) struct Engine {
    pub(crate) pipeline: &'static Pipeline,
    pub(crate) waker: &'static DriverWaker,
    pub(crate) state: Mutex<State>,
    pub(crate) changed: Condvar,
    /// The process that the pipeline belongs to, and not one forked from it.
    pub(crate) process: u32,
    pub(crate) origin: Instant,
    pub(crate) diagnostics: Diagnostics,
    pub(crate) names: Arc<Names>,
    /// Whose spans these are, by the resource.
    pub(crate) service: Option<Arc<str>>,
    pub(crate) listeners: Listeners,
    /// The sampler, if it may panic.
    pub(crate) sampler: Option<&'static GuardedSampler>,
    /// What flushes the processors, if there are any.
    pub(crate) processors: Option<&'static Rounds>,
    /// Whether a background task ended before the pipeline did. Apart from the state, as
    /// `watch` is.
    pub(crate) is_undriven: AtomicBool,
    /// Whether whoever drove panicked: what it had in hand may be neither settled nor queued.
    pub(crate) has_panicked: AtomicBool,
    /// What decides about traces that are over.
    pub(crate) tail: Option<TailSampler>,
    /// Apart from the state, which is locked while an exporter begins to send, and
    /// an exporter may ask for the health. Locked after the state, for moments.
    pub(crate) watch: Mutex<Watch>,
    /// Ticks are converted by this, if it is there.
    pub(crate) clock: Option<FixedClock>,
    /// Whether shutdown says on stderr which spans are still live.
    pub(crate) reports_leaks: AtomicBool,
    pub(crate) now: Box<dyn Fn() -> Instant + Send + Sync>,
    pub(crate) time: Box<Time>,
    /// Whether shutdown waits for what is in flight.
    pub(crate) waits_at_shutdown: bool,
    /// Whether batches go through [`FanOut`]. It never changes.
    pub(crate) fans_out: bool,
    /// Of each lane, whether it has threads of its own, since its exporter may block.
    pub(crate) apart: Vec<bool>,
    /// Whether the only exporter [discards](crate::Exporter::discards); of several, their
    /// lanes know.
    pub(crate) discards: bool,
    /// What exporters do besides sending, and where they send to.
    pub(crate) completions: Arc<[Completing]>,
    pub(crate) take_over: Box<TakeOver>,
    /// Whether there was a batch when the driver looked last.
    pub(crate) is_busy: AtomicBool,
}

/// Has the runtime set a flag after some time, unless the goal is reached first.
pub(crate) type Time = dyn Fn(Arc<Engine>, Goal, Duration, Arc<AtomicBool>) + Send + Sync;
pub(crate) type TakeOver = dyn Fn(Arc<Engine>, Seat, Goal, Instant) + Send + Sync;

pub(crate) struct State {
    pub(crate) flusher: StdFlusher,
    /// Where batches go that are not sent one at a time to one destination.
    pub(crate) fan_out: Option<FanOut>,
    pub(crate) heartbeats: Option<Heartbeats<Vec<u8>, Vec<Entry>>>,
    /// Who drives.
    pub(crate) seat: Seat,
    pub(crate) flights: Flights,
    /// Callers who took the seat and have not left, the latest last.
    pub(crate) callers: Vec<u64>,
    /// How often a caller took the seat.
    pub(crate) taken_over: u64,
    /// How often a caller asked whether somebody drives.
    pub(crate) asked: u64,
    /// The last of those questions that the driver answered.
    pub(crate) answered: u64,
    /// The background task was dropped, with its runtime.
    pub(crate) abandoned: bool,
    pub(crate) waiting: Vec<Waker>,
    /// Memory for those who wait while the former ones are woken.
    spare: Vec<Waker>,
    /// What is to be told once the lock is released.
    pub(crate) said: Vec<Diagnostic>,
    /// The most that `otel.sdk.processor.span.processed` has said: what was handed
    /// over and then abandoned at the end shall not make it fall.
    pub(crate) processed: u64,
    /// Of each exporter.
    pub(crate) operations: Vec<Operations>,
    /// Exports that have ended, to be told once the lock is released.
    pub(crate) ended: Vec<ExportOperation>,
}

/// Who drives the flusher: the background task, or a thread for a caller who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seat {
    Background,
    Caller(u64),
}

/// What a flush or shutdown waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    Served(Ticket),
    Finished,
}

impl State {
    pub(crate) fn new(
        flusher: StdFlusher,
        fan_out: Option<FanOut>,
        heartbeats: Option<Heartbeats<Vec<u8>, Vec<Entry>>>,
    ) -> Self {
        let exporters = fan_out.as_ref().map_or(1, |fan_out| fan_out.lanes().len());
        State {
            operations: (0..exporters).map(|_| Operations::default()).collect(),
            ended: Vec::new(),
            flusher,
            fan_out,
            heartbeats,
            seat: Seat::Background,
            flights: Flights::default(),
            callers: Vec::new(),
            taken_over: 0,
            asked: 0,
            answered: 0,
            abandoned: false,
            waiting: Vec::new(),
            spare: Vec::new(),
            said: Vec::new(),
            processed: 0,
        }
    }

    /// Whether this is what everybody who waits for it waits for.
    pub(crate) fn has_reached(&self, goal: Goal) -> bool {
        match goal {
            Goal::Served(ticket) => {
                let is_settled = |lanes: &FanOut| lanes.is_served(ticket);
                self.flusher.is_served(ticket) && self.fan_out.as_ref().is_none_or(is_settled)
            }
            Goal::Finished => self.is_finished(),
        }
    }

    /// Whether everything is settled, and nothing will come.
    pub(crate) fn is_finished(&self) -> bool {
        self.flusher.is_finished() && self.fan_out.as_ref().is_none_or(FanOut::is_finished)
    }

    /// Whether the one who should drive is the background task, which was dropped.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned && self.seat == Seat::Background
    }

    /// Whether whoever drives in this seat is there for nothing any more.
    pub(crate) fn is_done(&self, seat: Seat, goal: Option<Goal>) -> bool {
        goal.is_some_and(|goal| self.has_reached(goal)) || self.has_left(seat)
    }

    /// Whether this is a caller who waits for nothing any more.
    pub(crate) fn has_left(&self, seat: Seat) -> bool {
        matches!(seat, Seat::Caller(caller) if !self.callers.contains(&caller))
    }

    /// Gives the seat to a caller, if whoever has it cannot go on: it did not answer the
    /// question, and has no request under way for which the caller still has patience.
    ///
    /// One look and one change, under one lock: otherwise a request could begin in
    /// between, and be sent twice.
    pub(crate) fn take_seat(&mut self, question: u64, is_patient: bool) -> Option<Seat> {
        let is_driven = !self.is_abandoned() && self.answered >= question;
        // A caller has a thread of its own, where its requests go on whoever drives. What
        // the background task sends may stand still, with its runtime.
        let is_awaited = is_patient && self.flights.are_of(Seat::Background);
        if is_driven || is_awaited {
            return None;
        }
        let lost = self.flights.take(Seat::Background);
        self.send_again(lost);
        self.taken_over += 1;
        self.callers.push(self.taken_over);
        self.seat = Seat::Caller(self.taken_over);
        Some(self.seat)
    }

    /// What was sent from these places has no answer, and will have none.
    pub(crate) fn send_again(&mut self, places: Vec<Place>) {
        for place in places {
            match &mut self.fan_out {
                Some(fan_out) => fan_out.interrupt(|other| other == place),
                None => self.flusher.on_interrupted(Duration::ZERO),
            }
        }
    }

    /// A caller waits for nothing any more. The seat goes to the latest of those who do.
    pub(crate) fn leave(&mut self, seat: Seat) {
        self.callers.retain(|caller| Seat::Caller(*caller) != seat);
        if self.seat == seat {
            self.seat = self.callers.last().map_or(Seat::Background, |c| Seat::Caller(*c));
        }
    }

    /// Ends it by the deadline.
    pub(crate) fn shutdown(&mut self, deadline: Duration) {
        self.flusher.shutdown(deadline);
        if let Some(fan_out) = &mut self.fan_out {
            fan_out.shutdown(deadline);
        }
    }

    /// Ends it now.
    pub(crate) fn cut_short(&mut self) {
        self.flusher.cut_short();
        if let Some(fan_out) = &mut self.fan_out {
            fan_out.cut_short();
            self.flusher.settle(&fan_out.take_settled());
        }
    }

    /// Whether the end came before something was settled.
    pub(crate) fn is_cut_short(&self) -> bool {
        self.flusher.is_cut_short() || self.fan_out.as_ref().is_some_and(FanOut::is_cut_short)
    }
}

impl Engine {
    /// The time on the flusher's clock.
    pub(crate) fn now(&self) -> Duration {
        (self.now)().saturating_duration_since(self.origin)
    }

    /// What ticks are converted by.
    pub(crate) fn anchor(&self) -> Anchor {
        self.clock.map_or_else(Anchor::current, FixedClock::anchor)
    }

    /// Looks at or changes the state, and wakes all who wait for a change.
    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        let mut waiting = Vec::new();
        if !state.waiting.is_empty() {
            waiting = core::mem::take(&mut state.spare);
            core::mem::swap(&mut waiting, &mut state.waiting);
        }
        drop(state);
        self.changed.notify_all();
        if !waiting.is_empty() {
            // Not under the lock: a waker may drop a task, and that comes here.
            waiting.drain(..).for_each(Waker::wake);
            // The memory goes back, so that waiting again allocates nothing.
            self.lock().spare = waiting;
        }
        result
    }

    /// Completes once a condition holds.
    pub(crate) async fn changed(&self, holds: impl Fn(&State) -> bool) {
        self.changed_for(None, holds).await;
    }

    /// As [`changed`](Self::changed), for the driver in this seat: each look at
    /// the state shows that somebody polls it.
    pub(crate) async fn changed_for(&self, seat: Option<Seat>, holds: impl Fn(&State) -> bool) {
        core::future::poll_fn(|context| {
            let mut state = self.lock();
            if seat == Some(state.seat) {
                state.answered = state.asked;
            }
            if holds(&state) {
                return Poll::Ready(());
            }
            let waker = context.waker();
            if !state.waiting.iter().any(|other| other.will_wake(waker)) {
                state.waiting.push(waker.clone());
            }
            Poll::Pending
        })
        .await;
    }

    /// Completes once the doorbell rings, or rang since the last look; while one dozes,
    /// only for what cannot wait.
    pub(crate) async fn rung(&self, dozes: bool) {
        core::future::poll_fn(|context| {
            self.waker.0.register(context.waker());
            let bell = self.pipeline.bell();
            let is_quiet = if dozes { bell.doze() } else { bell.arm() };
            if is_quiet { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    /// Whether this is a copy of the process that the pipeline belongs to.
    pub(crate) fn is_forked(&self) -> bool {
        std::process::id() != self.process
    }

    pub(crate) fn lock_and<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock())
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
