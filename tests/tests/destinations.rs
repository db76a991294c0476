//! Several destinations and several requests in flight: what does not depend on the
//! runtime. What holds on each is mounted with its flush matrix.

use core::future::{Future, pending, ready};
use core::pin::Pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::collections::HashSet;
use std::io::{self, Write};
use std::sync::{Arc, Barrier, Mutex, mpsc};

use throughline::exporters::{Console, Memory};
use throughline::{
    Destinations, Diagnostic, Diagnostics, DropReason, Exporter, HealthState, Outcome, Runtime,
    SdkMetric, SpanId, Telemetry, Thread, Tokio, Value, span,
};
use throughline_core::{Accepted, Batch, ExportError, Failure, SpanExporter};
use throughline_runtime::Completion;
use throughline_tests::flush::{LONG, SHORT};
use throughline_tests::places::{SPANS, make_spans, settings, tokio_runtime, watched};
use throughline_tests::scripted::{Script, Scripted, Switched};

type Sending = Pin<Box<dyn Future<Output = Result<Accepted, ExportError>> + Send>>;

/// Answers when so many requests are in flight at once, and notes the most there were.
#[derive(Clone)]
struct Meeting {
    needed: usize,
    takes: usize,
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    met: Arc<AtomicUsize>,
    taken: Arc<Mutex<Vec<SpanId>>>,
}

impl Meeting {
    fn of(needed: usize) -> Self {
        Meeting {
            needed,
            takes: usize::MAX,
            now: Arc::default(),
            most: Arc::default(),
            met: Arc::default(),
            taken: Arc::default(),
        }
    }
}

impl<R: Runtime> Exporter<R> for Meeting {
    type Connection = Meeting;

    fn connect(&self, _: &R) -> Meeting {
        self.clone()
    }

    fn max_concurrent_exports(&self) -> usize {
        self.takes
    }
}

impl SpanExporter for Meeting {
    type Sending = Sending;

    fn export(&mut self, batch: &Batch<'_>) -> Sending {
        let ids: Vec<SpanId> = batch.spans().map(|(_, span)| span.span_id()).collect();
        let this = self.clone();
        // Ordering: SeqCst throughout, a test need not be fast.
        let now = this.now.fetch_add(1, Ordering::SeqCst) + 1;
        this.most.fetch_max(now, Ordering::SeqCst);
        if now == this.needed {
            this.met.store(1, Ordering::SeqCst);
        }
        Box::pin(async move {
            core::future::poll_fn(|context| {
                if this.met.load(Ordering::SeqCst) == 1 {
                    return core::task::Poll::Ready(());
                }
                context.waker().wake_by_ref();
                core::task::Poll::Pending
            })
            .await;
            this.taken.lock().expect("no panic").extend(ids);
            this.now.fetch_sub(1, Ordering::SeqCst);
            Ok(Accepted::default())
        })
    }
}

/// OTLP-13: as many requests as are configured, and no more, are in flight
/// ([OTLP/gRPC](https://opentelemetry.io/docs/specs/otlp/#otlpgrpc-concurrent-requests),
/// [OTLP/HTTP](https://opentelemetry.io/docs/specs/otlp/#otlphttp-concurrent-requests)).
#[test]
fn as_many_requests_as_are_configured_are_in_flight_at_once() {
    for workers in [0, 2] {
        watched("requests in flight", move || {
            let runtime = tokio_runtime(workers);
            runtime.block_on(async {
                let exporter = Meeting::of(4);
                let settings = settings().max_export_batch_size(1).max_concurrent_exports(4);
                let tokio = Tokio::current().expect("inside");
                let telemetry = settings.start(tokio, exporter.clone());
                let made: HashSet<_> = make_spans(&telemetry).into_iter().collect();
                // It would never answer if fewer were in flight.
                let receipt = telemetry.flush(LONG).await;
                assert!(receipt.is_complete(), "{receipt}");
                assert_eq!(exporter.most.load(Ordering::SeqCst), 4);
                let taken = exporter.taken.lock().expect("no panic").clone();
                assert_eq!(taken.len() as u64, SPANS, "something was sent twice");
                assert_eq!(taken.into_iter().collect::<HashSet<_>>(), made);
                assert_eq!(receipt.destinations().len(), 1);
                // Each request is an export of its own.
                let metrics = telemetry.metrics();
                let [durations] = metrics.export_durations() else { panic!("all ended alike") };
                assert_eq!(durations.count(), SPANS);
            });
        });
    }
}

/// EXP-1: what an exporter expects of concurrency is kept
/// ([Span exporter](https://opentelemetry.io/docs/specs/otel/trace/sdk/#span-exporter)).
#[test]
fn an_exporter_that_takes_one_request_at_a_time_gets_no_more() {
    watched("one at a time", || {
        let exporters = [1, 2].map(|takes| Meeting { takes, ..Meeting::of(takes) });
        let [one, two] = exporters.clone();
        let settings = settings().max_export_batch_size(1).max_concurrent_exports(8);
        let destinations = Destinations::to(one).and(two);
        let telemetry = settings.start_to(Thread::start().expect("a thread"), destinations);
        make_spans(&telemetry);
        let receipt = telemetry.flush_blocking(LONG);
        assert!(receipt.is_complete(), "{receipt}");
        let most = exporters.map(|exporter| exporter.most.load(Ordering::SeqCst));
        assert_eq!(most, [1, 2]);
    });
}

/// OTLP-13: one by default, and then the order is kept
/// ([Concurrent requests](https://opentelemetry.io/docs/specs/otlp/#otlphttp-concurrent-requests)).
#[test]
fn with_one_request_in_flight_each_destination_has_the_spans_in_their_order() {
    watched("the order", || {
        let exporters = [Meeting::of(1), Meeting::of(1)];
        let [first, second] = exporters.clone();
        let destinations = Destinations::to(first).and(second);
        let thread = Thread::start().expect("a thread");
        let telemetry = settings().max_export_batch_size(2).start_to(thread, destinations);
        let made = make_spans(&telemetry);
        let receipt = telemetry.flush_blocking(LONG);
        assert!(receipt.is_complete(), "{receipt}");
        for exporter in exporters {
            assert_eq!(*exporter.taken.lock().expect("no panic"), made);
            assert_eq!(exporter.most.load(Ordering::SeqCst), 1);
        }
    });
}

/// OTLP-13: the wait at shutdown can be switched off
/// ([Concurrent requests](https://opentelemetry.io/docs/specs/otlp/#otlphttp-concurrent-requests)).
#[test]
fn a_shutdown_that_shall_not_wait_does_not_wait_for_an_hour() {
    const HOUR: Duration = Duration::from_secs(3_600);
    for requests in [1, 3] {
        watched("a shutdown that waits", move || {
            let settings = settings().wait_at_shutdown(false).max_concurrent_exports(requests);
            let thread = Thread::start().expect("a thread");
            let telemetry = settings.start(thread, Scripted(Script::Hangs));
            make_spans(&telemetry);
            assert!(!telemetry.flush_blocking(SHORT).is_complete());
            let receipt = telemetry.shutdown_blocking(HOUR);
            assert_eq!(receipt.outcome(), Outcome::DeadlinePassed, "{receipt}");
            assert_eq!(receipt.ledger().dropped(DropReason::Abandoned), SPANS, "{receipt}");
            assert_eq!(receipt.ledger().in_flight(), 0, "{receipt}");
        });
    }
}

/// A writer that blocks until the test lets it go.
struct Stalled(Arc<Barrier>, bool);

impl Write for Stalled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !core::mem::replace(&mut self.1, true) {
            // Once to say that it blocks, and once to go on.
            self.0.wait();
            self.0.wait();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// OTLP-14 ([Multi-destination exporting](https://opentelemetry.io/docs/specs/otlp/#multi-destination-exporting)).
#[test]
fn a_console_that_blocks_on_its_pipe_holds_up_neither_the_collector_nor_the_only_thread() {
    watched("a console that blocks", || {
        let (barrier, memory) = (Arc::new(Barrier::new(2)), Memory::new());
        let runtime = tokio_runtime(0);
        runtime.block_on(async {
            let console = Console::json(Stalled(barrier.clone(), false));
            let destinations = Destinations::to(console).and(memory.clone());
            let tokio = Tokio::current().expect("inside");
            let telemetry = settings().start_to(tokio, destinations);
            make_spans(&telemetry);
            for flush in [telemetry.flush(SHORT).await, telemetry.flush_blocking(SHORT)] {
                assert_eq!(flush.outcome(), Outcome::DeadlinePassed, "{flush}");
            }
            barrier.wait();
            assert_eq!(memory.spans().len() as u64, SPANS);
            barrier.wait();
            let receipt = telemetry.shutdown(LONG).await;
            assert!(receipt.is_complete(), "{receipt}");
            assert_eq!(receipt.destinations()[0].ledger().exported(), SPANS, "{receipt}");
        });
    });
}

/// Whoever took the seat is told that the workers are done.
#[test]
fn a_call_that_blocks_the_only_thread_returns_when_everything_is_settled() {
    const HOUR: Duration = Duration::from_secs(3_600);
    watched("a call that blocks the only thread", || {
        let runtime = tokio_runtime(0);
        runtime.block_on(async {
            let memories = [Memory::new(), Memory::new()];
            let [first, second] = memories.clone();
            let tokio = Tokio::current().expect("inside");
            let telemetry = settings().start_to(tokio, Destinations::to(first).and(second));
            for times in 1..=2 {
                make_spans(&telemetry);
                let receipt = telemetry.flush_blocking(HOUR);
                assert!(receipt.is_complete(), "{receipt}");
                for memory in &memories {
                    assert_eq!(memory.spans().len() as u64, times * SPANS, "{receipt}");
                }
            }
            let receipt = telemetry.shutdown_blocking(HOUR);
            assert!(receipt.is_complete(), "{receipt}");
        });
    });
}

#[test]
fn an_exporter_that_panics_costs_its_own_destination_its_batch() {
    for script in [Script::PanicsAtOnce, Script::PanicsWhileSending] {
        let memory = Memory::new();
        let destinations = Destinations::to(Scripted(script)).and(memory.clone());
        let telemetry = settings().start_to(Thread::start().expect("a thread"), destinations);
        make_spans(&telemetry);
        let receipt = telemetry.flush_blocking(LONG);
        assert!(receipt.is_complete(), "{receipt}");
        let failed = receipt.failure().expect("one of them");
        assert_eq!(failed.error(), ExportError::Permanent(Failure::Panicked));
        assert!(failed.detail().is_some_and(|text| text.contains("as the test wants")), "{failed}");
        assert_eq!(failed.endpoint(), None);
        let [panicked, took] = receipt.destinations() else { panic!("two: {receipt}") };
        assert_eq!((panicked.failing(), took.failing()), (Some(failed), None), "{receipt}");
        assert_eq!(panicked.last_failure().map(|(last, _)| last), Some(failed), "{receipt}");
        assert_eq!(panicked.ledger().dropped(DropReason::ExportFailed), SPANS, "{receipt}");
        assert_eq!(took.ledger().exported(), SPANS, "{receipt}");
        assert_eq!((receipt.ledger().exported(), memory.spans().len() as u64), (SPANS, SPANS));
        let last = telemetry.shutdown_blocking(LONG);
        assert!(last.is_complete(), "{last}");
    }
}

/// OTLP-14: own queue, counted for itself
/// ([Multi-destination exporting](https://opentelemetry.io/docs/specs/otlp/#multi-destination-exporting)).
#[test]
fn what_the_queue_of_a_destination_cannot_hold_is_lost_and_told_for_it_alone() {
    watched("a full queue", || {
        let (tell, told) = mpsc::channel();
        let say = move |what: &Diagnostic| tell.send(what.clone()).unwrap_or_default();
        let (switched, memory) = (Switched::default(), Memory::new());
        let settings = settings().max_export_batch_size(1).destination_queue(2, usize::MAX);
        let telemetry = settings.diagnostics(Diagnostics::to(say)).start_to(
            Thread::start().expect("a thread"),
            Destinations::to(switched.clone()).and(memory.clone()),
        );
        for spans in 1..=SPANS {
            span!(parent: &telemetry.context(), "work").end();
            let receipt = telemetry.flush_blocking(Duration::from_millis(20));
            assert!(!receipt.is_complete(), "{receipt}");
            while (memory.spans().len() as u64) < spans {
                std::thread::yield_now();
            }
        }
        let what = Diagnostic::LosingSpans { reason: DropReason::QueueFull, lost: 1 };
        let said = told.recv_timeout(LONG).expect("it is told");
        let Diagnostic::Destination { name, what: about } = &said else { panic!("{said:?}") };
        assert!(name.contains("Switched"), "{name}");
        assert_eq!(**about, what);
        assert!(said.to_string().starts_with(&format!("{name}: spans are being lost")), "{said}");
        let health = telemetry.health();
        assert_eq!(health.state(), HealthState::Degraded, "{health}");
        let states: Vec<_> = health.destinations().iter().map(|each| each.state()).collect();
        assert_eq!(states, [HealthState::Degraded, HealthState::Ok], "{health}");
        // One on its way, and two that wait.
        let values = exported(&telemetry);
        assert_eq!(values, [(0, Some(("queue_full".to_owned(), SPANS - 3))), (SPANS, None)]);
        let in_flight = telemetry.metrics().points_of(SdkMetric::InFlight).len();
        assert_eq!(in_flight, 2, "one value for each");
        assert_eq!(telemetry.ledger().dropped_total(), 0, "the other one took them");
        let receipt = telemetry.shutdown_blocking(SHORT);
        assert_eq!(receipt.ledger().exported(), SPANS, "{receipt}");
        let hung = receipt.destinations()[0].ledger();
        assert_eq!(hung.dropped(DropReason::Abandoned), 3, "{receipt}");
        assert_eq!(hung.in_flight(), 0, "{receipt}");
    });
}

/// What `otel.sdk.exporter.span.exported` says of each exporter: delivered, and the loss.
fn exported(telemetry: &Telemetry) -> Vec<(u64, Option<(String, u64)>)> {
    let metrics = telemetry.metrics();
    let mut values: Vec<(u64, Option<(String, u64)>)> = Vec::new();
    let mut names = HashSet::new();
    for point in metrics.points_of(SdkMetric::Exported) {
        let attribute = |key: &str| {
            let found = point.attributes.iter().find(|(name, _)| *name == key);
            found.map(|(_, value)| match value {
                Value::Str(text) => (*text).to_owned(),
                other => panic!("{other:?}"),
            })
        };
        match attribute("error.type") {
            None => {
                assert!(names.insert(attribute("otel.component.name")), "two of one name");
                values.push((point.value, None));
            }
            Some(kind) => values.last_mut().expect("one before").1 = Some((kind, point.value)),
        }
    }
    values
}

/// Tells when it is flushed and shut down.
#[derive(Clone)]
struct Completing(Arc<Mutex<Vec<&'static str>>>);

impl<R: Runtime> Exporter<R> for Completing {
    type Connection = Completing;

    fn connect(&self, _: &R) -> Completing {
        self.clone()
    }

    fn completion(&self) -> Option<Arc<dyn Completion>> {
        Some(Arc::new(self.clone()))
    }
}

impl SpanExporter for Completing {
    type Sending = Sending;

    fn export(&mut self, _: &Batch<'_>) -> Sending {
        Box::pin(ready(Ok(Accepted::default())))
    }
}

impl Completion for Completing {
    fn force_flush(&self) -> Result<(), ExportError> {
        self.0.lock().expect("no panic").push("flush");
        Ok(())
    }

    fn shutdown(&self, _: Duration) -> Result<(), ExportError> {
        self.0.lock().expect("no panic").push("shutdown");
        Err(ExportError::Permanent(Failure::Exporter))
    }
}

#[test]
fn every_exporter_completes_its_work_at_a_flush_and_at_the_end() {
    let calls = [(); 2].map(|()| Arc::new(Mutex::new(Vec::new())));
    let [first, second] = calls.clone().map(Completing);
    let destinations = Destinations::to(first).and(second);
    let telemetry = settings().start_to(Thread::start().expect("a thread"), destinations);
    make_spans(&telemetry);
    assert!(telemetry.flush_blocking(LONG).is_complete());
    let receipt = telemetry.shutdown_blocking(LONG);
    assert_eq!(
        receipt.failure().map(|failed| failed.error()),
        Some(ExportError::Permanent(Failure::Exporter)),
        "{receipt}"
    );
    for calls in calls {
        assert_eq!(*calls.lock().expect("no panic"), ["flush", "shutdown"]);
    }
}

#[test]
fn records_of_live_spans_go_to_every_destination() {
    watched("heartbeats", || {
        let memories = [Memory::new(), Memory::new()];
        let [first, second] = memories.clone();
        let settings = settings().heartbeat(Duration::from_millis(5));
        let telemetry = settings
            .start_to(Thread::start().expect("a thread"), Destinations::to(first).and(second));
        let held = span!(parent: &telemetry.context(), "held");
        for memory in &memories {
            while memory.heartbeats().is_empty() {
                std::thread::yield_now();
            }
        }
        held.end();
        let receipt = telemetry.shutdown_blocking(LONG);
        assert!(receipt.is_complete(), "{receipt}");
        assert_eq!((receipt.ledger().started(), receipt.ledger().exported()), (1, 1));
        assert!(receipt.ledger().heartbeats() > 0, "{receipt}");
        assert!(memories.iter().all(|memory| memory.spans().len() == 1));
    });
}

/// Hangs, and tells when its transmission was dropped.
#[derive(Clone)]
struct Dropped(mpsc::Sender<()>);

impl<R: Runtime> Exporter<R> for Dropped {
    type Connection = Dropped;

    fn connect(&self, _: &R) -> Dropped {
        self.clone()
    }
}

impl SpanExporter for Dropped {
    type Sending = Sending;

    fn export(&mut self, _: &Batch<'_>) -> Sending {
        struct Tell(mpsc::Sender<()>);
        impl Drop for Tell {
            fn drop(&mut self) {
                let _ = self.0.send(());
            }
        }
        let tell = Tell(self.0.clone());
        Box::pin(async move {
            let _tell = tell;
            pending().await
        })
    }
}

#[test]
fn after_shutdown_no_transmission_goes_on() {
    watched("transmissions after the end", || {
        let (tell, told) = mpsc::channel();
        let settings = settings().max_export_batch_size(1).max_concurrent_exports(3);
        let telemetry = settings.start(Thread::start().expect("a thread"), Dropped(tell));
        make_spans(&telemetry);
        let receipt = telemetry.shutdown_blocking(SHORT);
        assert_eq!(receipt.ledger().dropped(DropReason::Abandoned), SPANS, "{receipt}");
        for _ in 0..3 {
            told.recv_timeout(LONG).expect("each of them is dropped");
        }
    });
}
