//! Flush and shutdown of span processors: what one that fails, hangs or calls back costs. What
//! holds at every place of every runtime is in `src/processor_calls.rs`.

use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::{Arc, Mutex, OnceLock};

use throughline::exporters::Memory;
use throughline::{
    Builder, Diagnostic, Diagnostics, EndedSpan, EndingSpan, Outcome, ProcessorError, Receipt,
    SpanProcessor, StartedSpan, Telemetry, Thread, builder, span,
};
use throughline_tests::flush::{LONG, SHORT};
use throughline_tests::places::{block_on, watched};
use throughline_tests::processor_calls::{Called, Calls, Gate, results};

fn start(builder: Builder) -> Telemetry {
    builder.start(Thread::start().expect("a thread"), Memory::new())
}

fn work(telemetry: &Telemetry) {
    telemetry.context().scope(|| span!("work").end());
}

/// SP-1 and PV-8 ([ForceFlush](https://opentelemetry.io/docs/specs/otel/trace/sdk/#forceflush)).
#[test]
fn what_a_processor_could_not_do_is_in_the_receipt_and_told_once() {
    let (calls, said) = (Calls::default(), Arc::new(Mutex::new(Vec::new())));
    let told = said.clone();
    let diagnostics =
        Diagnostics::to(move |what| told.lock().expect("no panic").push(what.clone()));
    let failed = Err(ProcessorError::Failed("the disk is full"));
    let telemetry = start(
        builder()
            .diagnostics(diagnostics)
            .processor(Called::new("failing", &calls).saying(failed))
            .processor(Panicking)
            .processor(Called::new("slow", &calls).saying(Err(ProcessorError::Timeout)))
            .processor(Called::new("last", &calls)),
    );
    work(&telemetry);
    let expected = [
        ("failing", failed),
        ("panicking", Err(ProcessorError::Panicked)),
        ("slow", Err(ProcessorError::Timeout)),
        ("last", Ok(())),
    ];
    for receipt in [telemetry.flush_blocking(LONG), telemetry.shutdown_blocking(LONG)] {
        assert_eq!(results(&receipt), expected);
        // One says itself that the time was not enough; the spans are exported all the same.
        assert_eq!(receipt.outcome(), Outcome::DeadlinePassed, "{receipt}");
        assert_eq!((receipt.ledger().exported(), receipt.failure()), (1, None), "{receipt}");
        let text = receipt.to_string();
        assert!(text.contains("the span processor failing: the disk is full"), "{text}");
    }
    let failure = Diagnostic::ProcessorFailed {
        processor: "failing".to_owned(),
        error: ProcessorError::Failed("the disk is full"),
    };
    let panic = Diagnostic::ProcessorPanicked {
        processor: "panicking".to_owned(),
        problem: "while it flushes".to_owned(),
    };
    assert_eq!(said.lock().expect("no panic")[..], [failure, panic]);
}

/// Fails at each occasion.
struct Panicking;

impl SpanProcessor for Panicking {
    fn on_end(&self, _: &EndedSpan<'_>) {}

    fn force_flush(&self, _: Duration) -> Result<(), ProcessorError> {
        panic!("while it flushes");
    }

    fn name(&self) -> &str {
        "panicking"
    }
}

/// SP-6: what holds spans back needs only to be flushed.
/// ([Shutdown](https://opentelemetry.io/docs/specs/otel/trace/sdk/#shutdown-1))
#[test]
fn a_shutdown_is_a_flush_if_a_processor_does_not_say_otherwise() {
    #[derive(Default)]
    struct Counting(Arc<AtomicUsize>);
    impl SpanProcessor for Counting {
        fn on_end(&self, _: &EndedSpan<'_>) {}
        fn force_flush(&self, within: Duration) -> Result<(), ProcessorError> {
            assert!(!within.is_zero() && within <= LONG);
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }
    let flushes = Arc::new(AtomicUsize::new(0));
    // By a pointer, as by itself.
    let telemetry = start(builder().processor(Box::new(Counting(flushes.clone()))));
    assert!(telemetry.flush_blocking(LONG).is_complete());
    assert!(telemetry.shutdown_blocking(LONG).is_complete());
    assert_eq!(flushes.load(Ordering::Relaxed), 2);
}

/// Waits in each call about a span, and notes them.
struct Slow {
    calls: Called,
    noted: Arc<Mutex<Vec<&'static str>>>,
    gate: Gate,
}

impl Slow {
    fn note(&self, what: &'static str) {
        self.noted.lock().expect("no panic").push(what);
    }
}

impl SpanProcessor for Slow {
    fn on_start(&self, _: &mut StartedSpan<'_>) {
        self.note("start");
    }

    fn on_ending(&self, _: &mut EndingSpan<'_>) {
        self.gate.pass();
        self.note("ending");
    }

    fn on_end(&self, _: &EndedSpan<'_>) {
        self.note("end");
    }

    fn shutdown(&self, within: Duration) -> Result<(), ProcessorError> {
        self.note("shutdown");
        self.calls.shutdown(within)
    }

    fn name(&self) -> &str {
        "slow"
    }
}

/// SP-6: after Shutdown nothing else is called, and it waits for what is.
/// ([Shutdown](https://opentelemetry.io/docs/specs/otel/trace/sdk/#shutdown-1))
#[test]
fn a_processor_is_shut_down_when_no_call_about_a_span_is_under_way() {
    watched("a shutdown behind a call", || {
        let (calls, gate, noted) = (Calls::default(), Gate::default(), Arc::default());
        let calls = Called::new("slow", &calls);
        let slow = Slow { calls, noted: Arc::clone(&noted), gate: gate.clone() };
        let telemetry = start(builder().processor(slow));
        let ending = {
            let telemetry = telemetry.clone();
            std::thread::spawn(move || work(&telemetry))
        };
        gate.wait_for_one();
        let receipt = telemetry.shutdown_blocking(SHORT);
        assert_eq!(results(&receipt), [("slow", Err(ProcessorError::Timeout))]);
        gate.open();
        ending.join().expect("no panic");
        let receipt = telemetry.shutdown_blocking(LONG);
        assert_eq!(results(&receipt), [("slow", Ok(()))]);
        let noted = noted.lock().expect("no panic");
        // The shutdown may come between the two calls about the end.
        assert_eq!(
            (noted[..2].to_vec(), noted.last()),
            (vec!["start", "ending"], Some(&"shutdown"))
        );
    });
}

/// One thread waits in the processor, however many flushes wait for it.
#[test]
fn a_flush_that_hangs_holds_up_others_and_not_the_shutdown() {
    watched("a flush that hangs", || {
        let (calls, gate) = (Calls::default(), Gate::default());
        let hanging = Hanging { gate: gate.clone(), entered: Arc::default() };
        let entered = hanging.entered.clone();
        let telemetry = start(builder().processor(hanging).processor(Called::new("other", &calls)));
        for _ in 0..3 {
            let receipt = telemetry.flush_blocking(SHORT);
            let late = Err(ProcessorError::Timeout);
            assert_eq!(results(&receipt), [("hanging", late), ("other", late)]);
        }
        assert_eq!(entered.load(Ordering::Relaxed), 1);
        let receipt = telemetry.shutdown_blocking(Duration::from_secs(4));
        assert_eq!(results(&receipt), [("hanging", Ok(())), ("other", Ok(()))]);
        gate.open();
        assert_eq!(calls.so_far(), ["other shutdown"]);
    });
}

/// Its flush waits at a gate.
struct Hanging {
    gate: Gate,
    entered: Arc<AtomicUsize>,
}

impl SpanProcessor for Hanging {
    fn on_end(&self, _: &EndedSpan<'_>) {}

    fn force_flush(&self, _: Duration) -> Result<(), ProcessorError> {
        self.entered.fetch_add(1, Ordering::Relaxed);
        self.gate.pass();
        Ok(())
    }

    fn shutdown(&self, _: Duration) -> Result<(), ProcessorError> {
        Ok(())
    }

    fn name(&self) -> &str {
        "hanging"
    }
}

/// A round that began before a span ended says nothing about it.
#[test]
fn a_flush_behind_another_one_covers_what_ended_between_them() {
    watched("two flushes", || {
        let gate = Gate::default();
        let holding = Holding { gate: gate.clone(), held: Arc::default(), passed: Arc::default() };
        let (held, passed) = (holding.held.clone(), holding.passed.clone());
        let telemetry = start(builder().processor(holding));
        work(&telemetry);
        let mut first = Box::pin(telemetry.flush(LONG));
        assert!(poll_once(first.as_mut()).is_pending());
        gate.wait_for_one();
        work(&telemetry);
        let mut second = Box::pin(telemetry.flush(LONG));
        assert!(poll_once(second.as_mut()).is_pending());
        gate.open();
        let receipt = block_on(second);
        assert!(receipt.is_complete(), "{receipt}");
        assert_eq!(held.load(Ordering::Relaxed), 0);
        assert_eq!(passed.load(Ordering::Relaxed), 2);
        assert!(block_on(first).is_complete());
    });
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Counts what it holds back, and passes on what there was when it was asked.
struct Holding {
    gate: Gate,
    held: Arc<AtomicUsize>,
    passed: Arc<AtomicUsize>,
}

impl SpanProcessor for Holding {
    fn on_end(&self, _: &EndedSpan<'_>) {
        self.held.fetch_add(1, Ordering::Relaxed);
    }

    fn force_flush(&self, _: Duration) -> Result<(), ProcessorError> {
        let held = self.held.swap(0, Ordering::Relaxed);
        self.gate.pass();
        self.passed.fetch_add(held, Ordering::Relaxed);
        Ok(())
    }
}

/// It would wait for itself.
#[test]
fn a_processor_that_flushes_its_own_pipeline_is_told_so_at_once() {
    watched("a processor that calls back", || {
        let calling = Calling::default();
        let telemetry = start(builder().processor(calling.clone()));
        calling.0.get_or_init(|| telemetry.clone());
        let receipt = telemetry.flush_blocking(LONG);
        assert!(receipt.is_complete(), "{receipt}");
        let receipt = telemetry.shutdown_blocking(LONG);
        assert!(receipt.is_complete(), "{receipt}");
        let inner = calling.1.lock().expect("no panic");
        assert_eq!(inner.len(), 4);
        for receipt in &*inner {
            assert_eq!(receipt.outcome(), Outcome::DeadlinePassed, "{receipt}");
        }
    });
}

/// SP-2: a processor may have a pipeline of its own behind it.
/// ([Span processor](https://opentelemetry.io/docs/specs/otel/trace/sdk/#span-processor))
#[test]
fn a_processor_may_flush_and_end_a_pipeline_of_its_own() {
    struct Handing(Telemetry);
    impl SpanProcessor for Handing {
        fn on_end(&self, _: &EndedSpan<'_>) {}
        fn force_flush(&self, within: Duration) -> Result<(), ProcessorError> {
            let receipt = self.0.flush_blocking(within);
            receipt.is_complete().then_some(()).ok_or(ProcessorError::Timeout)
        }
        fn shutdown(&self, within: Duration) -> Result<(), ProcessorError> {
            let receipt = self.0.shutdown_blocking(within);
            receipt.is_complete().then_some(()).ok_or(ProcessorError::Timeout)
        }
    }
    watched("a pipeline behind a processor", || {
        let calls = Calls::default();
        let behind = start(builder().processor(Called::new("behind", &calls)));
        let telemetry = start(builder().processor(Handing(behind.clone())));
        work(&behind);
        let receipt = telemetry.flush_blocking(LONG);
        assert!(receipt.is_complete(), "{receipt}");
        assert_eq!(behind.ledger().exported(), 1);
        let receipt = telemetry.shutdown_blocking(LONG);
        assert!(receipt.is_complete(), "{receipt}");
        assert!(behind.pipeline().is_closed());
        assert_eq!(calls.so_far(), ["behind flush", "behind shutdown"]);
    });
}

#[derive(Clone, Default)]
struct Calling(Arc<OnceLock<Telemetry>>, Arc<Mutex<Vec<Receipt>>>);

impl SpanProcessor for Calling {
    fn on_end(&self, _: &EndedSpan<'_>) {}

    fn force_flush(&self, _: Duration) -> Result<(), ProcessorError> {
        let telemetry = self.0.get().expect("it is there");
        let receipts = [telemetry.flush_blocking(LONG), telemetry.shutdown_blocking(LONG)];
        self.1.lock().expect("no panic").extend(receipts);
        Ok(())
    }
}

/// As [`wait_at_shutdown`](throughline::PipelineOptions::wait_at_shutdown) says.
#[test]
fn where_a_shutdown_waits_for_nothing_processors_are_shut_down_behind_it() {
    watched("a shutdown that does not wait", || {
        let (calls, gate) = (Calls::default(), Gate::default());
        let telemetry = start(
            builder().wait_at_shutdown(false).processor(Called::new("it", &calls).behind(&gate)),
        );
        let receipt = telemetry.shutdown_blocking(LONG);
        assert_eq!(receipt.outcome(), Outcome::Complete, "{receipt}");
        assert!(receipt.processors().is_empty());
        gate.wait_for_one();
        gate.open();
    });
}
