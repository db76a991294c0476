//! A running pipeline: the flusher, who drives it, and who waits for it.

use core::panic::AssertUnwindSafe;
use core::pin::pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Poll, Waker};
use core::time::Duration;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Instant;

use throughline_core::tail::TailStats;
use throughline_core::{Entry, ExportError, Failure, Heartbeats, Ledger, Pipeline, Ticket};

use crate::clock::{Anchor, FixedClock};
use crate::drive::{FAR, drive, is_exporting_here};
use crate::metrics::Names;
use crate::operation::{Listeners, Operations};
use crate::pipeline::{DriverWaker, StdFlusher, create};
use crate::race::race;
use crate::watch::Watch;
use crate::{
    Completion, Context, Diagnostic, Diagnostics, ExportOperation, Exporter, LiveSpans, Outcome,
    PipelineOptions, Receipt, Runtime, Thread, suppressed,
};

/// A running pipeline: its spans are exported in the background.
///
/// It belongs to the process that made it: in a child that was forked off,
/// flush and shutdown return at once ([`Outcome::Forked`]) and the child's copy
/// of the parent's spans is never sent. A child that is to be traced makes a
/// pipeline of its own.
///
/// Cloning gives another handle of the same pipeline. Flush and shutdown return
/// by their deadline, from async or blocking code, whatever state the runtime or
/// the collector is in, and say in a [`Receipt`] what became of the spans. A
/// blocking call that finds nobody driving the flusher (it may itself block the
/// only thread of the runtime) drives it on its own thread, over sockets that
/// need no runtime.
#[derive(Clone)]
pub struct Telemetry {
    pub(crate) engine: Arc<Engine>,
}

pub(crate) struct Engine {
    pub(crate) pipeline: &'static Pipeline,
    waker: &'static DriverWaker,
    state: Mutex<State>,
    changed: Condvar,
    /// The process that the pipeline belongs to, and not one forked from it.
    process: u32,
    origin: Instant,
    pub(crate) diagnostics: Diagnostics,
    pub(crate) names: Arc<Names>,
    pub(crate) listeners: Listeners,
    /// Apart from the state, which is locked while an exporter begins to send, and
    /// an exporter may ask for the health. Locked after the state, for moments.
    pub(crate) watch: Mutex<Watch>,
    /// Ticks are converted by this, if it is there.
    clock: Option<FixedClock>,
    /// Whether shutdown says on stderr which spans are still live.
    reports_leaks: AtomicBool,
    now: Box<dyn Fn() -> Instant + Send + Sync>,
    time: Box<Time>,
    completion: Option<Arc<dyn Completion>>,
    take_over: Box<TakeOver>,
}

/// Has the runtime set a flag after some time, unless the goal is reached first.
type Time = dyn Fn(Arc<Engine>, Goal, Duration, Arc<AtomicBool>) + Send + Sync;
type TakeOver = dyn Fn(Arc<Engine>, Seat, Goal, Instant) + Send + Sync;

pub(crate) struct State {
    pub(crate) flusher: StdFlusher,
    pub(crate) heartbeats: Option<Heartbeats<Vec<u8>, Vec<Entry>>>,
    /// Who drives.
    pub(crate) seat: Seat,
    /// Callers who took the seat and have not left, the latest last.
    callers: Vec<u64>,
    /// How often a caller took the seat.
    pub(crate) taken_over: u64,
    /// How often a caller asked whether somebody drives.
    asked: u64,
    /// The last of those questions that the driver answered.
    answered: u64,
    /// The background task was dropped, with its runtime.
    abandoned: bool,
    waiting: Vec<Waker>,
    /// What is to be told once the lock is released.
    pub(crate) said: Vec<Diagnostic>,
    /// The most that `otel.sdk.processor.span.processed` has said: what was handed
    /// over and then abandoned at the end shall not make it fall.
    pub(crate) processed: u64,
    pub(crate) operations: Operations,
    /// Exports that have ended, to be told once the lock is released.
    pub(crate) ended: Vec<ExportOperation>,
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
    ///
    /// # Panics
    ///
    /// If [`MAX_PIPELINES`](throughline_core::tail::MAX_PIPELINES) others that are
    /// not shut down share its tail sampler.
    pub fn start<R, E>(options: &PipelineOptions, runtime: R, exporter: E) -> Self
    where
        R: Runtime,
        E: Exporter<R> + Exporter<Thread>,
    {
        let (pipeline, flusher, waker) = create(options);
        let connection = exporter.connect(&runtime);
        let completion = Exporter::<R>::completion(&exporter);
        let state = State {
            flusher,
            heartbeats: heartbeats(pipeline, options),
            seat: Seat::Background,
            callers: Vec::new(),
            taken_over: 0,
            asked: 0,
            answered: 0,
            abandoned: false,
            waiting: Vec::new(),
            said: Vec::new(),
            processed: 0,
            operations: Operations::default(),
            ended: Vec::new(),
        };
        let component = <E as Exporter<R>>::component(&exporter);
        let (clock, timer) = (runtime.clone(), runtime.clone());
        let now = runtime.now();
        let origin = options.tail.as_ref().map_or(now, |tail| tail.origin(now));
        let engine = Arc::new(Engine {
            pipeline,
            waker,
            state: Mutex::new(state),
            changed: Condvar::new(),
            process: std::process::id(),
            origin,
            diagnostics: options.diagnostics.clone(),
            names: Arc::new(Names::new(component)),
            listeners: Listeners::default(),
            watch: Mutex::default(),
            clock: options.clock,
            reports_leaks: AtomicBool::new(options.report_leaks),
            now: Box::new(move || clock.now()),
            completion,
            time: Box::new(move |engine, goal, within, over| {
                // In a task, where a runtime that shuts down drops it instead of
                // having its timer used.
                let runtime = timer.clone();
                timer.spawn(async move {
                    let reached = |state: &State| goal.is_reached(&state.flusher);
                    let sleep = pin!(runtime.sleep(within));
                    race(pin!(engine.changed(reached)), sleep).await;
                    engine.tell(&over);
                });
            }),
            take_over: Box::new(move |engine, seat, goal, deadline| {
                let exporter = exporter.clone();
                let driven = Thread::block_on(
                    |thread| {
                        let connection = exporter.connect(&thread);
                        suppressed(drive(engine, thread, connection, seat, move |f| {
                            goal.is_reached(f)
                        }))
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

    /// The spans that are under way now. It may be asked at any time, on any
    /// thread, in a panic hook too; nobody is stopped meanwhile.
    pub fn live_spans(&self) -> LiveSpans {
        LiveSpans::of(self.engine.pipeline)
    }

    /// Prints the [live spans](Self::live_spans) on stderr, the 100 oldest of them.
    pub fn dump_live_spans(&self) {
        let spans = self.live_spans();
        spans.print(format_args!("{} live spans", spans.len()));
    }

    /// What tail sampling decided so far, if there is any.
    pub fn tail_stats(&self) -> Option<TailStats> {
        self.engine.lock_and(|state| state.flusher.tail().as_ref().map(|tail| tail.book().stats()))
    }

    /// Sends everything that has ended by now. Tail sampling decides everything
    /// that waits, whether or not it is over; what follows goes by the decision.
    ///
    /// While it waits, a thread watches the deadline, since the runtime whose
    /// task drives the pipeline may not be running.
    pub async fn flush(&self, within: Duration) -> Receipt {
        if let Some(receipt) = self.engine.refuse() {
            return receipt;
        }
        let (goal, within) = (self.engine.begin_flush(), within.min(FAR));
        self.engine.settle(goal, within).await
    }

    /// Sends everything that has ended by now, and blocks meanwhile.
    pub fn flush_blocking(&self, within: Duration) -> Receipt {
        if let Some(receipt) = self.engine.refuse() {
            return receipt;
        }
        let (goal, within) = (self.engine.begin_flush(), within.min(FAR));
        self.engine.settle_blocking(goal, within)
    }

    /// Sends everything that has ended by now and ends the pipeline: later spans
    /// are not recorded. A second call waits for the first.
    pub async fn shutdown(&self, within: Duration) -> Receipt {
        if let Some(receipt) = self.engine.refuse_shutdown() {
            return receipt;
        }
        let within = within.min(FAR);
        let goal = self.engine.begin_shutdown(within);
        self.engine.settle(goal, within).await
    }

    /// As [`shutdown`](Self::shutdown), and blocks meanwhile.
    pub fn shutdown_blocking(&self, within: Duration) -> Receipt {
        if let Some(receipt) = self.engine.refuse_shutdown() {
            return receipt;
        }
        let within = within.min(FAR);
        let goal = self.engine.begin_shutdown(within);
        self.engine.settle_blocking(goal, within)
    }

    /// Flushes in the panic hook, for programs that end when they panic: what had
    /// ended by then leaves before the process does. Spans that the panic
    /// itself ends come later, when it unwinds, if it does.
    ///
    /// The hook that was installed before runs first. Every panic of the process
    /// then waits for the collector, up to the deadline, also one that is caught.
    ///
    /// # Panics
    ///
    /// If the current thread is panicking.
    pub fn flush_on_panic(&self, within: Duration) {
        let (telemetry, former) = (self.clone(), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |info| {
            former(info);
            telemetry.flush_blocking(within);
        }));
    }

    /// [Prints](Self::dump_live_spans) in the panic hook which spans are live, after
    /// the hook that was installed before: also at a panic that is caught.
    ///
    /// # Panics
    ///
    /// If the current thread is panicking.
    pub fn dump_on_panic(&self) {
        let (telemetry, former) = (self.clone(), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |info| {
            former(info);
            telemetry.dump_live_spans();
        }));
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

    /// What ticks are converted by.
    pub(crate) fn anchor(&self) -> Anchor {
        self.clock.map_or_else(Anchor::current, FixedClock::anchor)
    }

    /// Looks at or changes the state, and wakes all who wait for a change.
    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        let mut waiting = core::mem::take(&mut state.waiting);
        drop(state);
        self.changed.notify_all();
        if !waiting.is_empty() {
            // Not under the lock: a waker may drop a task, and that comes here.
            waiting.drain(..).for_each(Waker::wake);
            let mut state = self.lock();
            // The memory goes back, so that waiting again allocates nothing.
            if state.waiting.is_empty() {
                state.waiting = waiting;
            }
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

    /// Completes once the doorbell rings, or rang since the last look.
    pub(crate) async fn rung(&self) {
        core::future::poll_fn(|context| {
            self.waker.0.register(context.waker());
            if self.pipeline.bell().arm() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    /// Whether this is a copy of the process that the pipeline belongs to.
    pub(crate) fn is_forked(&self) -> bool {
        std::process::id() != self.process
    }

    /// The receipt of a call that must touch nothing.
    fn refuse(&self) -> Option<Receipt> {
        // A fork copies neither the threads that drive nor the state of a lock
        // that one of them may hold.
        let outcome = if self.is_forked() {
            Outcome::Forked
        } else if is_exporting_here() {
            // The exporter itself calls, perhaps in a panic hook: this thread
            // drives, and cannot wait for itself.
            Outcome::DeadlinePassed
        } else {
            return None;
        };
        let (ledger, elapsed) = (self.pipeline.ledger(), Duration::ZERO);
        Some(Receipt { outcome, ledger, elapsed, ..Receipt::nothing() })
    }

    fn refuse_shutdown(&self) -> Option<Receipt> {
        let refused = self.refuse();
        if refused.is_some_and(|receipt| receipt.outcome == Outcome::Forked) {
            // The copy of this process, whose spans nobody would take.
            self.pipeline.close();
        }
        refused
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
        if !self.lock_and(|state| goal.is_reached(&state.flusher)) {
            let over = Arc::new(AtomicBool::new(false));
            // The deadline on the runtime's own clock, which tests may have paused.
            (self.time)(self.clone(), goal, within, over.clone());
            // Nothing says whether that runtime still exists, or is driven by
            // anybody, while this future is polled: a thread's clock always runs.
            self.watch(goal, began + within, over.clone());
            self.changed(|state| {
                // Ordering: Relaxed; the lock is taken after it is set.
                goal.is_reached(&state.flusher) || over.load(Ordering::Relaxed)
            })
            .await;
        }
        let mut receipt = self.conclude(goal, began);
        if let Some(completion) = self.completion.clone() {
            let done: Arc<Done> = Arc::default();
            let (engine, told) = (self.clone(), done.clone());
            let wait = move || {
                let result = completed(completion, goal, began + within);
                *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                engine.with(|_| ());
            };
            let thread = std::thread::Builder::new().name("throughline-complete".to_owned());
            // Without a thread there is nothing that may block.
            if thread.spawn(wait).is_ok() {
                let is_done = || done.lock().unwrap_or_else(PoisonError::into_inner).is_some();
                self.changed(|_| is_done()).await;
                let result = done.lock().unwrap_or_else(PoisonError::into_inner).take();
                receipt.complete(result.flatten());
            }
        }
        receipt
    }

    /// Has a thread attend to the goal, and say when that is over.
    fn watch(self: &Arc<Self>, goal: Goal, deadline: Instant, over: Arc<AtomicBool>) {
        let (engine, done) = (self.clone(), over.clone());
        let attend = move || {
            engine.attend(goal, deadline, &done);
            engine.tell(&done);
        };
        let thread = std::thread::Builder::new().name("throughline-flush".to_owned());
        if thread.spawn(attend).is_err() {
            // Without a thread: blocking is better than never coming back.
            self.attend(goal, deadline, &over);
            self.tell(&over);
        }
    }

    fn settle_blocking(self: &Arc<Self>, goal: Goal, within: Duration) -> Receipt {
        let began = Instant::now();
        self.attend(goal, began + within, &AtomicBool::new(false));
        let mut receipt = self.conclude(goal, began);
        if let Some(completion) = self.completion.clone() {
            receipt.complete(completed(completion, goal, began + within));
        }
        receipt
    }

    /// Blocks until the goal is reached, the deadline has passed, or it is over
    /// for another reason; drives the flusher itself if nobody else does.
    fn attend(self: &Arc<Self>, goal: Goal, deadline: Instant, over: &AtomicBool) {
        let began = Instant::now();
        let within = deadline.saturating_duration_since(began);
        let mut patience = (within / 4).min(PATIENCE);
        loop {
            let question = self.with(|state| {
                state.asked += 1;
                state.asked
            });
            let next = Instant::now() + patience;
            self.wait_until(goal, next.min(deadline), over);
            let (is_over, is_driven, is_exporting) = self.lock_and(|state| {
                // Ordering: Relaxed; the lock is taken after it is set.
                let is_over = goal.is_reached(&state.flusher) || over.load(Ordering::Relaxed);
                let is_driven = !state.abandoned && state.answered >= question;
                (is_over, is_driven, !state.abandoned && state.flusher.is_exporting())
            });
            if is_over || Instant::now() >= deadline {
                return;
            }
            // What a driver is sending would be sent twice: one that does not
            // answer may be in the middle of other work, so it gets half of the
            // time.
            let is_awaited = is_exporting && Instant::now() < began + within / 2;
            if !is_driven && !is_awaited {
                return self.take_over(goal, deadline);
            }
            patience = (2 * patience).min(LONGEST);
        }
    }

    fn wait_until(&self, goal: Goal, deadline: Instant, over: &AtomicBool) {
        let mut state = self.lock();
        // Ordering: Relaxed, as in `attend`.
        while !goal.is_reached(&state.flusher) && !state.abandoned && !over.load(Ordering::Relaxed)
        {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state =
                self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Sets the flag, for all who wait for it.
    fn tell(&self, over: &AtomicBool) {
        // Ordering: Relaxed; whoever looks takes the lock after it.
        self.with(|_| over.store(true, Ordering::Relaxed));
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
        let mut receipt = self.with(|state| {
            let in_time = match goal {
                Goal::Served(ticket) => state.flusher.is_served(ticket),
                Goal::Finished => {
                    state.flusher.cut_short();
                    !state.flusher.is_cut_short()
                }
            };
            Receipt {
                outcome: if in_time { Outcome::Complete } else { Outcome::DeadlinePassed },
                ledger: self.pipeline.ledger(),
                elapsed: began.elapsed(),
                failure: state.flusher.failing(),
                ..Receipt::nothing()
            }
        });
        if matches!(goal, Goal::Finished) {
            self.report_leaks(&mut receipt);
        }
        receipt
    }

    fn report_leaks(&self, receipt: &mut Receipt) {
        if self.pipeline.live_count() == 0 {
            return;
        }
        let leaked = LiveSpans::of(self.pipeline);
        (receipt.leaked, receipt.oldest_leaked) = (leaked.len(), leaked.iter().next().copied());
        // Ordering: Relaxed, no value is read through it.
        if !leaked.is_empty() && self.reports_leaks.swap(false, Ordering::Relaxed) {
            leaked.print(format_args!("{} spans still live at shutdown", leaked.len()));
        }
    }

    fn lock_and<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock())
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn heartbeats(
    pipeline: &'static Pipeline,
    options: &PipelineOptions,
) -> Option<Heartbeats<Vec<u8>, Vec<Entry>>> {
    // Not all the time, whatever is asked for.
    let after = options.heartbeat?.max(Duration::from_millis(1));
    let records = options.flusher.max_export_batch_size.max(1);
    let bytes = vec![0; (records * RECORD).min(options.max_batch_bytes.max(RECORD))];
    let entries = vec![Entry::default(); records];
    Some(Heartbeats::new(pipeline, after, Duration::ZERO, bytes, entries))
}

/// Room for the record of a live span, on average.
const RECORD: usize = 512;

/// What the exporter said when it completed its work; the outer one says that there is an
/// answer, the inner one that it came in time.
type Done = Mutex<Option<Option<Result<(), ExportError>>>>;

/// Has the exporter complete its work on a thread, and waits for it until the deadline.
fn completed(
    completion: Arc<dyn Completion>,
    goal: Goal,
    deadline: Instant,
) -> Option<Result<(), ExportError>> {
    let within = deadline.saturating_duration_since(Instant::now());
    let (tell, told) = mpsc::channel();
    let work = move || {
        let complete = || match goal {
            Goal::Served(_) => completion.force_flush(),
            Goal::Finished => completion.shutdown(within),
        };
        let result = std::panic::catch_unwind(AssertUnwindSafe(complete));
        // Nobody may be waiting any more.
        let _ = tell.send(result.unwrap_or(Err(ExportError::Permanent(Failure::Panicked))));
    };
    let thread = std::thread::Builder::new().name("throughline-exporter".to_owned());
    thread.spawn(move || Context::empty().suppressed().scope(work)).ok()?;
    told.recv_timeout(within).ok()
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

/// How long a caller waits for an answer of whoever drives, at first.
const PATIENCE: Duration = Duration::from_millis(50);

/// How often it asks again at least.
const LONGEST: Duration = Duration::from_secs(1);
