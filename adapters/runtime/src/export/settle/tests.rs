//! When a batch is sent twice, and when it is not: on a runtime whose tasks run when the
//! test says so, with an exporter that answers when the test says so.

use core::future::{Future, pending, poll_fn};
use core::pin::Pin;
use core::task::{Context as TaskContext, Poll, Waker};
use core::time::Duration;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use throughline_core::{Accepted, Batch, Callsite, ExportError, Failure, Scope, SpanExporter};

use crate::export::engine::{Engine, State};
use crate::export::fan_out::Place;
use crate::{
    Context, Exporter, Outcome, PipelineOptions, Receipt, Runtime, Span, Telemetry, ThreadStream,
};

/// What the seat is about: others wait for a request of a caller, whose thread goes on.
#[test]
fn a_request_of_a_caller_is_awaited_by_others_when_the_runtime_is_gone() {
    let stage = Stage::new(PipelineOptions::default());
    stage.runtime.end();
    stage.end_a_span();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| stage.telemetry.flush_blocking(LONG));
        stage.exporter.wait_for(1);
        // The deadline is one that is reached: there is no answer yet.
        let second = stage.telemetry.flush_blocking(SHORT);
        assert_eq!(second.outcome(), Outcome::DeadlinePassed, "{second}");
        assert_eq!(stage.exporter.begun(), 1);
        stage.exporter.answer(1);
        let first = first.join().expect("no panic");
        assert_eq!((first.outcome(), first.ledger().exported()), (Outcome::Complete, 1));
    });
    assert_eq!(stage.exporter.begun(), 1);
}

#[test]
fn a_request_goes_on_after_the_deadline_of_the_caller_who_began_it() {
    let stage = Stage::new(PipelineOptions::default());
    stage.end_a_span();
    // Nobody runs the runtime, so the caller drives.
    let receipt = stage.flush_until_a_request_begins();
    assert_eq!((receipt.outcome(), stage.exporter.begun()), (Outcome::DeadlinePassed, 1));
    stage.exporter.answer(1);
    let receipt = stage.telemetry.flush_blocking(LONG);
    assert_eq!((receipt.outcome(), receipt.ledger().exported()), (Outcome::Complete, 1));
    assert_eq!(stage.exporter.begun(), 1);
}

#[test]
fn the_runtime_goes_on_behind_the_request_of_a_caller_who_has_left() {
    let stage = Stage::new(PipelineOptions::default());
    stage.end_a_span();
    let receipt = stage.flush_until_a_request_begins();
    assert_eq!((receipt.outcome(), stage.exporter.begun()), (Outcome::DeadlinePassed, 1));
    stage.end_a_span();
    stage.exporter.answer(2);
    // It waits for the answer that comes to the caller's thread, and sends what is new.
    let receipt = stage.flush_on_runtime();
    assert_eq!((receipt.outcome(), receipt.ledger().exported()), (Outcome::Complete, 2));
    assert_eq!(stage.exporter.begun(), 2);
}

/// Between the look at who drives and the change of that, the driver got on.
#[test]
fn a_request_that_begins_while_a_caller_makes_up_its_mind_is_not_sent_twice() {
    let stage = Stage::new(PipelineOptions::default());
    stage.end_a_span();
    // The first look at the clock by the caller is before it takes the seat.
    stage.runtime.at_the_next_look(stage.telemetry.engine.clone());
    let receipt = stage.flush_until_a_request_begins();
    assert_eq!((receipt.outcome(), stage.exporter.begun()), (Outcome::DeadlinePassed, 1));
    stage.exporter.answer(1);
    let receipt = stage.flush_on_runtime();
    assert_eq!((receipt.outcome(), receipt.ledger().exported()), (Outcome::Complete, 1));
    assert_eq!(stage.exporter.begun(), 1);
}

#[test]
fn a_driver_that_begins_in_time_keeps_the_seat() {
    let stage = Stage::new(PipelineOptions::default());
    stage.end_a_span();
    let engine = &stage.telemetry.engine;
    let ask = || {
        engine.with(|state| {
            state.asked += 1;
            state.asked
        })
    };
    let question = ask();
    engine.with(|state| state.flusher.flush());
    stage.runtime.turn();
    assert_eq!(stage.exporter.begun(), 1);
    assert_eq!(engine.with(|state| state.take_seat(question, false)), None, "it answered");
    let question = ask();
    assert_eq!(engine.with(|state| state.take_seat(question, true)), None, "it is awaited");
}

/// Here a batch is sent again: its runtime is gone, with the request.
#[test]
fn a_request_that_was_dropped_with_its_runtime_is_sent_again() {
    let stage = Stage::new(PipelineOptions::default());
    stage.end_a_span();
    stage.telemetry.engine.with(|state| state.flusher.flush());
    stage.runtime.turn();
    assert_eq!(stage.exporter.begun(), 1);
    stage.runtime.end();
    stage.exporter.answer(2);
    let receipt = stage.telemetry.flush_blocking(LONG);
    assert_eq!((receipt.outcome(), receipt.ledger().exported()), (Outcome::Complete, 1));
    assert_eq!(stage.exporter.begun(), 2);
}

#[test]
fn a_request_that_stands_still_is_awaited_for_a_part_of_the_time() {
    let millis = |within, timeout: Option<u64>| {
        let within = Duration::from_millis(within);
        super::patience_with_request(within, timeout.map(Duration::from_millis)).as_millis()
    };
    assert_eq!(millis(6_000, Some(10_000)), 3_000);
    assert_eq!(millis(6_000, None), 3_000);
    assert_eq!(millis(60_000, Some(10_000)), 10_000);
    // All that such a flush has: it sends nothing twice.
    assert_eq!(millis(500, Some(10_000)), 500);
    assert_eq!(millis(60_000, Some(0)), 500);
}

/// And here: its runtime polls it no more, for a part of the time that the caller has.
#[test]
fn a_request_that_stands_still_with_its_runtime_is_sent_again() {
    let mut options = PipelineOptions::default();
    // The caller waits as long as that, or half a second.
    options.flusher.export_timeout = Some(Duration::from_millis(1));
    let stage = Stage::new(options);
    stage.end_a_span();
    stage.telemetry.engine.with(|state| state.flusher.flush());
    stage.runtime.turn();
    stage.exporter.answer(2);
    let receipt = stage.telemetry.flush_blocking(LONG);
    assert_eq!((receipt.outcome(), receipt.ledger().exported()), (Outcome::Complete, 1));
    assert_eq!(stage.exporter.begun(), 2);
    // What comes back too late is nobody's.
    stage.runtime.turn();
    assert_eq!(stage.telemetry.ledger().exported(), 1);
}

#[test]
fn of_several_requests_those_go_on_that_a_flush_does_not_wait_for() {
    let mut options = PipelineOptions { max_concurrent_exports: 2, ..PipelineOptions::default() };
    options.flusher.max_export_batch_size = 1;
    let stage = Stage::new(options);
    stage.end_a_span();
    std::thread::scope(|scope| {
        let flush = scope.spawn(|| stage.telemetry.flush_blocking(LONG));
        stage.exporter.wait_for(1);
        stage.end_a_span();
        stage.telemetry.pipeline().announce();
        stage.exporter.wait_for(2);
        stage.exporter.answer(1);
        let receipt = flush.join().expect("no panic");
        assert_eq!((receipt.outcome(), receipt.ledger().exported()), (Outcome::Complete, 1));
    });
    // The seat is the runtime's again, and the second request is not.
    (0..3).for_each(|_| stage.runtime.turn());
    assert_eq!(stage.exporter.begun(), 2);
    stage.exporter.answer(2);
    let receipt = stage.flush_on_runtime();
    assert_eq!((receipt.outcome(), receipt.ledger().exported()), (Outcome::Complete, 2));
    assert_eq!(stage.exporter.begun(), 2);
}

/// Who has the seat hears of a request that another one began, and repeats it in time.
#[test]
fn with_several_requests_one_that_fails_behind_another_driver_is_repeated_by_that() {
    let mut options = PipelineOptions { max_concurrent_exports: 2, ..PipelineOptions::default() };
    options.flusher.retry.initial_delay = Duration::from_millis(400);
    let stage = Stage::new(options);
    stage.end_a_span();
    let receipt = stage.flush_until_a_request_begins();
    assert_eq!((receipt.outcome(), stage.exporter.begun()), (Outcome::DeadlinePassed, 1));
    // The seat is the runtime's again.
    (0..3).for_each(|_| stage.runtime.turn());
    stage.exporter.fail(1);
    let first = Place { lane: 0, slot: 0 };
    let is_sending =
        |state: &mut State| state.fan_out.as_ref().is_some_and(|lanes| lanes.is_sending(first));
    while stage.telemetry.engine.with(is_sending) {
        std::thread::yield_now();
    }
    lock(&stage.runtime.sleeps).clear();
    (0..3).for_each(|_| stage.runtime.turn());
    let until_then = Duration::from_millis(100)..Duration::from_secs(1);
    assert!(lock(&stage.runtime.sleeps).iter().any(|time| until_then.contains(time)));
    stage.runtime.advance(Duration::from_secs(1));
    (0..3).for_each(|_| stage.runtime.turn());
    assert_eq!(stage.exporter.begun(), 2);
    stage.exporter.answer(2);
    let receipt = stage.flush_on_runtime();
    assert_eq!((receipt.outcome(), receipt.ledger().exported()), (Outcome::Complete, 1));
}

#[test]
fn with_several_requests_a_flush_does_not_wait_for_what_ended_after_it() {
    let mut options = PipelineOptions { max_concurrent_exports: 2, ..PipelineOptions::default() };
    options.flusher.max_export_batch_size = 1;
    let stage = Stage::new(options);
    let engine = &stage.telemetry.engine;
    stage.end_a_span();
    let goal = engine.begin_flush();
    stage.end_a_span();
    (0..9).for_each(|_| stage.runtime.turn());
    assert_eq!(stage.exporter.begun(), 2);
    stage.exporter.answer(1);
    (0..9).for_each(|_| stage.runtime.turn());
    assert_eq!(stage.telemetry.ledger().exported(), 1);
    assert!(engine.lock_and(|state| state.has_reached(goal)), "it waits for the second");
}

/// A pipeline, and what drives it.
struct Stage {
    runtime: Held,
    exporter: Told,
    telemetry: Telemetry,
}

impl Stage {
    fn new(options: PipelineOptions) -> Self {
        let (runtime, exporter) = (Held::default(), Told::default());
        let telemetry = Telemetry::start(&options, runtime.clone(), exporter.clone());
        Stage { runtime, exporter, telemetry }
    }

    fn end_a_span(&self) {
        let context = Context::current().with_pipeline(self.telemetry.pipeline());
        context.scope(|| Span::start(&CALLSITE, |_| ()).end());
    }

    /// Flushes, with deadlines that pass, until a caller drives.
    fn flush_until_a_request_begins(&self) -> Receipt {
        loop {
            let receipt = self.telemetry.flush_blocking(SHORT);
            if self.exporter.begun() > 0 {
                return receipt;
            }
        }
    }

    /// Flushes while the runtime runs.
    fn flush_on_runtime(&self) -> Receipt {
        let mut flush = core::pin::pin!(self.telemetry.flush(LONG));
        let mut task = TaskContext::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(receipt) = flush.as_mut().poll(&mut task) {
                return receipt;
            }
            self.runtime.turn();
            std::thread::yield_now();
        }
    }
}

/// A runtime that runs its tasks when it is told to, and whose time stands still until then.
#[derive(Clone)]
struct Held {
    tasks: Arc<Mutex<Vec<Task>>>,
    next_look: Arc<Mutex<Option<Arc<Engine>>>>,
    now: Arc<Mutex<Instant>>,
    /// Those that were asked for. None is ever over.
    sleeps: Arc<Mutex<Vec<Duration>>>,
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Held {
    /// Polls every task once.
    fn turn(&self) {
        let mut tasks = core::mem::take(&mut *lock(&self.tasks));
        let mut task = TaskContext::from_waker(Waker::noop());
        tasks.retain_mut(|each| each.as_mut().poll(&mut task).is_pending());
        lock(&self.tasks).append(&mut tasks);
    }

    /// Drops every task.
    fn end(&self) {
        let tasks = core::mem::take(&mut *lock(&self.tasks));
        drop(tasks);
    }

    fn advance(&self, by: Duration) {
        *lock(&self.now) += by;
    }

    /// Polls every task when somebody looks at the clock who has not locked the state.
    fn at_the_next_look(&self, engine: Arc<Engine>) {
        *lock(&self.next_look) = Some(engine);
    }
}

impl Default for Held {
    fn default() -> Self {
        Held {
            tasks: Arc::default(),
            next_look: Arc::default(),
            now: Arc::new(Mutex::new(Instant::now())),
            sleeps: Arc::default(),
        }
    }
}

impl Runtime for Held {
    type Stream = ThreadStream;

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        lock(&self.tasks).push(Box::pin(task));
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send + 'static {
        lock(&self.sleeps).push(time);
        pending()
    }

    fn now(&self) -> Instant {
        let engine = lock(&self.next_look).take();
        if let Some(engine) = engine {
            let is_free = engine.state.try_lock().is_ok();
            if is_free {
                self.turn();
            } else {
                self.at_the_next_look(engine);
            }
        }
        *lock(&self.now)
    }

    fn connect(
        &self,
        _: &str,
        _: u16,
    ) -> impl Future<Output = io::Result<ThreadStream>> + Send + 'static {
        pending()
    }
}

/// An exporter that answers as many requests as it is told to, in the order in which they
/// began. Clones share that.
#[derive(Clone, Default)]
struct Told(Arc<(Mutex<Requests>, Condvar)>);

#[derive(Default)]
struct Requests {
    begun: u64,
    /// So many of the answers are that the same may pass later.
    failed: u64,
    answered: u64,
    wakers: Vec<Waker>,
}

impl Told {
    /// Answers this many of all requests.
    fn answer(&self, requests: u64) {
        let mut state = self.requests();
        state.answered = requests;
        let wakers = core::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Answers this many of all requests, that they may pass later.
    fn fail(&self, requests: u64) {
        self.requests().failed = requests;
        self.answer(requests);
    }

    fn begun(&self) -> u64 {
        self.requests().begun
    }

    fn wait_for(&self, requests: u64) {
        let mut state = self.requests();
        while state.begun < requests {
            state = self.0.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        lock(&self.0.0)
    }
}

impl<R: Runtime> Exporter<R> for Told {
    type Connection = Told;

    fn connect(&self, _: &R) -> Told {
        self.clone()
    }
}

impl SpanExporter for Told {
    type Sending = Pin<Box<dyn Future<Output = Result<Accepted, ExportError>> + Send>>;

    fn export(&mut self, _: &Batch<'_>) -> Self::Sending {
        let mut state = self.requests();
        state.begun += 1;
        let mine = state.begun;
        drop(state);
        self.0.1.notify_all();
        let told = self.clone();
        Box::pin(poll_fn(move |task| {
            let mut state = told.requests();
            if mine <= state.failed {
                let failure = Failure::Timeout;
                return Poll::Ready(Err(ExportError::Retry { after: None, failure }));
            }
            if mine <= state.answered {
                return Poll::Ready(Ok(Accepted::default()));
            }
            state.wakers.push(task.waker().clone());
            Poll::Pending
        }))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

static CALLSITE: Callsite = Callsite::new("work", &Scope::new("", ""));

/// A deadline that is not reached.
const LONG: Duration = Duration::from_secs(60);
/// One that is.
const SHORT: Duration = Duration::from_millis(200);
