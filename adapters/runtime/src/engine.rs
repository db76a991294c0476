//! A running pipeline: the flusher, who drives it, and who waits for it.

use core::future::Future;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Poll, Waker};
use core::time::Duration;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures_util::future::select;
use throughline_core::{Ledger, Pipeline, Ticket};

use crate::drive::{FAR, drive};
use crate::pipeline::{DriverWaker, StdFlusher, create};
use crate::{Context, Exporter, Outcome, PipelineOptions, Receipt, Runtime, Thread};

/// A running pipeline: its spans are exported in the background.
///
/// Cloning gives another handle of the same pipeline. Flush and shutdown return
/// by their deadline, from async or blocking code, whatever state the runtime or
/// the collector is in, and say in a [`Receipt`] what became of the spans. A
/// blocking call that finds nobody driving the flusher (it may itself block the
/// only thread of the runtime) drives it on its own thread, over sockets that
/// need no runtime.
#[derive(Clone)]
pub struct Telemetry {
    engine: Arc<Engine>,
}

pub(crate) struct Engine {
    pipeline: &'static Pipeline,
    waker: &'static DriverWaker,
    state: Mutex<State>,
    changed: Condvar,
    origin: Instant,
    now: Box<dyn Fn() -> Instant + Send + Sync>,
    sleep: Box<dyn Fn(Duration) -> Sleep + Send + Sync>,
    take_over: Box<TakeOver>,
}

type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;
type TakeOver = dyn Fn(Arc<Engine>, Seat, Goal, Instant) + Send + Sync;

pub(crate) struct State {
    pub(crate) flusher: StdFlusher,
    /// Who drives.
    pub(crate) seat: Seat,
    /// Callers who took the seat and have not left, the latest last.
    callers: Vec<u64>,
    /// How often a caller took the seat.
    pub(crate) taken_over: u64,
    /// The background task was dropped, with its runtime.
    abandoned: bool,
    waiting: Vec<Waker>,
}

/// Who drives the flusher: the background task, or a blocked caller.
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

impl Goal {
    pub(crate) fn is_reached(self, flusher: &StdFlusher) -> bool {
        match self {
            Goal::Served(ticket) => flusher.is_served(ticket),
            Goal::Finished => flusher.is_finished(),
        }
    }
}

impl Telemetry {
    /// Makes a pipeline and drives it on the runtime.
    ///
    /// It is isolated: spans go to it only below its [`context`](Self::context).
    pub fn start<R, E>(options: &PipelineOptions, runtime: R, exporter: E) -> Self
    where
        R: Runtime,
        E: Exporter<R> + Exporter<Thread>,
    {
        let (pipeline, flusher, waker) = create(options);
        let connection = exporter.connect(&runtime);
        let state = State {
            flusher,
            seat: Seat::Background,
            callers: Vec::new(),
            taken_over: 0,
            abandoned: false,
            waiting: Vec::new(),
        };
        let (clock, timer) = (runtime.clone(), runtime.clone());
        let engine = Arc::new(Engine {
            pipeline,
            waker,
            state: Mutex::new(state),
            changed: Condvar::new(),
            origin: runtime.now(),
            now: Box::new(move || clock.now()),
            sleep: Box::new(move |duration| Box::pin(timer.sleep(duration))),
            take_over: Box::new(move |engine, seat, goal, deadline| {
                let exporter = exporter.clone();
                let driven = Thread::block_on(
                    |thread| {
                        let connection = exporter.connect(&thread);
                        drive(engine, thread, connection, seat, move |f| goal.is_reached(f))
                    },
                    deadline,
                );
                // Without an event queue there is nothing to do but to let the
                // deadline pass, and to say so in the receipt.
                drop(driven);
            }),
        });
        let leaving = Leaving(engine.clone());
        let driven =
            drive(engine.clone(), runtime.clone(), connection, Seat::Background, |_| false);
        runtime.spawn(async move {
            let _leaving = leaving;
            driven.await;
        });
        Telemetry { engine }
    }

    /// The pipeline.
    pub fn pipeline(&self) -> &'static Pipeline {
        self.engine.pipeline
    }

    /// The current context, below which spans go to this pipeline.
    pub fn context(&self) -> Context {
        Context::current().with_pipeline(self.engine.pipeline)
    }

    /// What became of every span so far.
    pub fn ledger(&self) -> Ledger {
        self.engine.pipeline.ledger()
    }

    /// Sends everything that has ended by now.
    pub async fn flush(&self, within: Duration) -> Receipt {
        let (goal, within) = (self.engine.begin_flush(), within.min(FAR));
        self.engine.settle(goal, within).await
    }

    /// Sends everything that has ended by now, and blocks meanwhile.
    pub fn flush_blocking(&self, within: Duration) -> Receipt {
        let (goal, within) = (self.engine.begin_flush(), within.min(FAR));
        self.engine.settle_blocking(goal, within)
    }

    /// Sends everything that has ended by now and ends the pipeline: later spans
    /// are not recorded. A second call waits for the first.
    pub async fn shutdown(&self, within: Duration) -> Receipt {
        let within = within.min(FAR);
        let goal = self.engine.begin_shutdown(within);
        self.engine.settle(goal, within).await
    }

    /// As [`shutdown`](Self::shutdown), and blocks meanwhile.
    pub fn shutdown_blocking(&self, within: Duration) -> Receipt {
        let within = within.min(FAR);
        let goal = self.engine.begin_shutdown(within);
        self.engine.settle_blocking(goal, within)
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").field("pipeline", self.engine.pipeline).finish_non_exhaustive()
    }
}

impl Engine {
    /// The time on the flusher's clock.
    pub(crate) fn now(&self) -> Duration {
        (self.now)().saturating_duration_since(self.origin)
    }

    /// Looks at or changes the state, and wakes all who wait for a change.
    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        let waiting = core::mem::take(&mut state.waiting);
        drop(state);
        self.changed.notify_all();
        waiting.into_iter().for_each(Waker::wake);
        result
    }

    /// Completes once a condition holds.
    pub(crate) async fn changed(&self, holds: impl Fn(&State) -> bool) {
        core::future::poll_fn(|context| {
            let mut state = self.lock();
            if holds(&state) {
                return Poll::Ready(());
            }
            state.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Completes once the doorbell rings, or rang since the last look.
    pub(crate) async fn rung(&self) {
        core::future::poll_fn(|context| {
            self.waker.0.register(context.waker());
            if self.pipeline.bell().arm() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    fn begin_flush(&self) -> Goal {
        let ticket = self.with(|state| state.flusher.flush());
        self.pipeline.announce();
        Goal::Served(ticket)
    }

    fn begin_shutdown(&self, within: Duration) -> Goal {
        let deadline = self.now() + within;
        self.with(|state| state.flusher.shutdown(deadline));
        self.pipeline.announce();
        Goal::Finished
    }

    async fn settle(self: &Arc<Self>, goal: Goal, within: Duration) -> Receipt {
        let began = Instant::now();
        let reached = |state: &State| goal.is_reached(&state.flusher);
        let (is_reached, is_abandoned) = self.lock_and(|state| (reached(state), state.abandoned));
        if !is_reached {
            // The runtime may be gone, or not driven at the moment, and its timer
            // with it: a thread's clock always runs.
            let expired = self.watch(goal, began + within);
            let settled = pin!(self.changed(|state| {
                // Ordering: Relaxed; the lock is taken after it is set.
                reached(state) || expired.load(Ordering::Relaxed)
            }));
            if is_abandoned {
                settled.await;
            } else {
                select(settled, (self.sleep)(within)).await;
            }
        }
        self.conclude(goal, began)
    }

    /// Has a thread wait for the goal until the deadline, and take over when the
    /// driver is gone with its runtime. Says when that is over.
    fn watch(self: &Arc<Self>, goal: Goal, deadline: Instant) -> Arc<AtomicBool> {
        let expired = Arc::new(AtomicBool::new(false));
        let (engine, done) = (self.clone(), expired.clone());
        // Without a thread there is the runtime's timer.
        let _ = std::thread::Builder::new().name("throughline-flush".to_owned()).spawn(move || {
            engine.wait_until(goal, deadline);
            if engine.lock_and(|state| state.abandoned && !goal.is_reached(&state.flusher)) {
                engine.take_over(goal, deadline);
            }
            // Ordering: Relaxed, see `settle`.
            done.store(true, Ordering::Relaxed);
            engine.with(|_| ());
        });
        expired
    }

    fn settle_blocking(self: &Arc<Self>, goal: Goal, within: Duration) -> Receipt {
        let began = Instant::now();
        let deadline = began + within;
        // Whoever drives gets a moment. A driver that is in the middle of a
        // transmission gets half of the time, since what it sends would
        // otherwise be sent twice.
        let patience = began + (within / 4).min(PATIENCE);
        self.wait_until(goal, patience);
        if self.lock_and(|state| !state.abandoned && state.flusher.is_exporting()) {
            self.wait_until(goal, began + within / 2);
        }
        if !self.lock_and(|state| goal.is_reached(&state.flusher)) {
            self.take_over(goal, deadline);
        }
        self.conclude(goal, began)
    }

    fn wait_until(&self, goal: Goal, deadline: Instant) {
        let mut state = self.lock();
        while !goal.is_reached(&state.flusher) && !state.abandoned {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state =
                self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Drives the flusher on the current thread until the goal or the deadline.
    fn take_over(self: &Arc<Self>, goal: Goal, deadline: Instant) {
        let now = self.now();
        let (seat, caller) = self.with(|state| {
            state.taken_over += 1;
            let caller = state.taken_over;
            state.callers.push(caller);
            state.seat = Seat::Caller(caller);
            state.flusher.on_interrupted(now);
            (state.seat, caller)
        });
        (self.take_over)(self.clone(), seat, goal, deadline);
        let now = self.now();
        self.with(|state| {
            state.callers.retain(|other| *other != caller);
            if state.seat == seat {
                state.flusher.on_interrupted(now);
                // Not to the former one, who may have left meanwhile.
                state.seat = state.callers.last().map_or(Seat::Background, |c| Seat::Caller(*c));
            }
        });
    }

    /// Shutdown is over by its deadline whether or not it succeeded: what is left
    /// is counted as lost.
    fn conclude(&self, goal: Goal, began: Instant) -> Receipt {
        self.with(|state| {
            let outcome = if goal.is_reached(&state.flusher) {
                Outcome::Complete
            } else {
                Outcome::DeadlinePassed
            };
            if matches!(goal, Goal::Finished) {
                state.flusher.abandon();
            }
            Receipt {
                outcome,
                ledger: self.pipeline.ledger(),
                elapsed: began.elapsed(),
                failure: state.flusher.failing(),
            }
        })
    }

    fn lock_and<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells that the background task is over, or was dropped with its runtime.
struct Leaving(Arc<Engine>);

impl Drop for Leaving {
    fn drop(&mut self) {
        let now = self.0.now();
        self.0.with(|state| {
            state.abandoned = true;
            if state.seat == Seat::Background {
                state.flusher.on_interrupted(now);
            }
        });
    }
}

/// How long a blocking caller waits for the background task to do something.
const PATIENCE: Duration = Duration::from_millis(50);
