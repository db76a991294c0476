//! Flushing and shutting down span processors, from every place of every runtime.

use core::time::Duration;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use throughline::exporters::Memory;
use throughline::{
    Builder, EndedSpan, Outcome, ProcessorError, ProcessorReport, Receipt, SpanProcessor, Telemetry,
};

use crate::conformance::TestRuntime;
use crate::flush::{LONG, Make, Matrix, at_once};
use crate::places::{Call, SPANS, What, settings, settle_with};

/// SP-1, SP-6 and PV-9: a flush and a shutdown of the pipeline are those of its processors, in
/// the order in which they were given, and a shutdown is told once.
/// ([ForceFlush](https://opentelemetry.io/docs/specs/otel/trace/sdk/#forceflush),
/// [Shutdown](https://opentelemetry.io/docs/specs/otel/trace/sdk/#shutdown))
pub fn processors_are_flushed_in_their_order_and_shut_down_once<R: TestRuntime>(
    matrix: Matrix<impl Make<R>>,
) {
    let make = *matrix.make();
    at_once(matrix.calls(), |call| {
        let calls = Calls::default();
        let processors = ["first", "second"].map(|name| Called::new(name, &calls));
        let (receipt, telemetry) = settle(make, call, processors, LONG);
        let name = format!("{call:?}: {receipt}");
        assert!(receipt.is_complete(), "{name}");
        assert_eq!(receipt.ledger().exported(), SPANS, "{name}");
        assert_eq!(results(&receipt), [("first", Ok(())), ("second", Ok(()))], "{name}");
        let flushed = ["first flush", "second flush"];
        let ended = ["first shutdown", "second shutdown"];
        match call.what {
            What::Flush => assert_eq!(calls.so_far(), flushed, "{name}"),
            What::Shutdown => assert_eq!(calls.so_far(), ended, "{name}"),
        }
        // The second one has the receipt of the first; a flush after it has nothing to do.
        for _ in 0..2 {
            let again = telemetry.shutdown_blocking(LONG);
            assert_eq!(results(&again), results(&receipt), "{name}");
        }
        assert_eq!(results(&telemetry.flush_blocking(LONG)), results(&receipt), "{name}");
        let all = calls.so_far();
        assert_eq!(all[all.len() - 2..], ended, "{name}");
        assert_eq!(all.iter().filter(|each| each.ends_with("shutdown")).count(), 2, "{name}");
    });
}

/// SP-8 and PV-8: the deadline wins, and who was not done is told. What the pipeline itself
/// sends does not wait for processors.
/// ([ForceFlush](https://opentelemetry.io/docs/specs/otel/trace/sdk/#forceflush-1))
pub fn a_processor_that_does_not_return_costs_the_deadline_and_no_span<R: TestRuntime>(
    matrix: Matrix<impl Make<R>>,
) {
    let make = *matrix.make();
    at_once(matrix.calls(), |call| {
        let (calls, gate) = (Calls::default(), Gate::default());
        let [first, hangs, last] = ["first", "hangs", "last"].map(|name| Called::new(name, &calls));
        let hangs = hangs.behind(&gate);
        let (receipt, _) = settle(make, call, [first, hangs, last], ENOUGH);
        gate.open();
        let name = format!("{call:?}: {receipt}");
        assert_eq!(receipt.outcome(), Outcome::DeadlinePassed, "{name}");
        assert_eq!(receipt.ledger().exported(), SPANS, "{name}");
        let late = Err(ProcessorError::Timeout);
        assert_eq!(results(&receipt), [("first", Ok(())), ("hangs", late), ("last", late)]);
    });
}

/// A deadline that is reached, since one of them hangs, and until which all else is done,
/// however busy the machine is.
const ENOUGH: Duration = Duration::from_millis(1_500);

fn settle<R: TestRuntime, const N: usize>(
    make: impl Make<R>,
    call: Call,
    processors: [Called; N],
    within: Duration,
) -> (Receipt, Telemetry) {
    let kept = Arc::new(OnceLock::new());
    let keep = kept.clone();
    let start = move |runtime| {
        let builder = processors.into_iter().fold(settings(), Builder::processor);
        let telemetry = builder.start(runtime, Memory::new());
        let _ = keep.set(telemetry.clone());
        telemetry
    };
    let receipt = settle_with(make, call, start, within);
    (receipt, kept.get().expect("it was started").clone())
}

/// Names of processors, and what became of them.
pub fn results(receipt: &Receipt) -> Vec<(&str, Result<(), ProcessorError>)> {
    receipt.processors().iter().map(|each: &ProcessorReport| (each.name(), each.result())).collect()
}

/// The calls of several processors, in their order.
#[derive(Clone, Debug, Default)]
pub struct Calls(Arc<Mutex<Vec<String>>>);

impl Calls {
    /// Those so far, by the processor's name and what was called.
    pub fn so_far(&self) -> Vec<String> {
        lock(&self.0).clone()
    }

    fn note(&self, name: &str, what: &str) {
        lock(&self.0).push(format!("{name} {what}"));
    }
}

/// A processor that notes when it is flushed and shut down.
#[derive(Debug)]
pub struct Called {
    name: &'static str,
    calls: Calls,
    gate: Option<Gate>,
    result: Result<(), ProcessorError>,
}

impl Called {
    /// One of this name.
    pub fn new(name: &'static str, calls: &Calls) -> Self {
        Called { name, calls: calls.clone(), gate: None, result: Ok(()) }
    }

    /// The same, which is flushed and shut down when the gate is open.
    #[must_use]
    pub fn behind(self, gate: &Gate) -> Self {
        Called { gate: Some(gate.clone()), ..self }
    }

    /// The same, which says this.
    #[must_use]
    pub fn saying(self, result: Result<(), ProcessorError>) -> Self {
        Called { result, ..self }
    }

    fn call(&self, what: &str) -> Result<(), ProcessorError> {
        if let Some(gate) = &self.gate {
            gate.pass();
        }
        self.calls.note(self.name, what);
        self.result
    }
}

impl SpanProcessor for Called {
    fn on_end(&self, _: &EndedSpan<'_>) {}

    fn force_flush(&self, _: Duration) -> Result<(), ProcessorError> {
        self.call("flush")
    }

    fn shutdown(&self, _: Duration) -> Result<(), ProcessorError> {
        self.call("shutdown")
    }

    fn name(&self) -> &str {
        self.name
    }
}

/// Where calls wait until it is opened. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Debug, Default)]
struct GateState {
    is_open: bool,
    waiting: usize,
}

impl Gate {
    /// Lets everybody pass.
    pub fn open(&self) {
        lock(&self.0.0).is_open = true;
        self.0.1.notify_all();
    }

    /// Waits until it is open.
    pub fn pass(&self) {
        let mut state = lock(&self.0.0);
        state.waiting += 1;
        self.0.1.notify_all();
        while !state.is_open {
            state = self.0.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting -= 1;
    }

    /// Waits until somebody waits at it.
    pub fn wait_for_one(&self) {
        let mut state = lock(&self.0.0);
        while state.waiting == 0 {
            state = self.0.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
