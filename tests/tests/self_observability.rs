//! What a pipeline says about itself: to a handler, to a probe, as metrics.

use core::future::{Future, pending, ready};
use core::pin::Pin;
use core::sync::atomic::{AtomicU8, Ordering};
use core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, mpsc};

use throughline::{
    Additions, Builder, Carried, Context, Decision, Diagnostic, Diagnostics, DropReason,
    ExportOperation, Exporter, HealthState, Retry, Runtime, Sampler, SamplingParameters, SdkMetric,
    SpanContext, SpanId, Telemetry, Thread, TraceFlags, TraceId, builder, span,
};
use throughline_core::{Accepted, Batch, ExportError, Failure, SpanExporter};
use throughline_runtime::ThreadStream;

const LONG: Duration = Duration::from_secs(30);

/// Answers as it is told, which may change at any time.
#[derive(Clone, Default)]
struct Moody(Arc<AtomicU8>);

const ACCEPTS: u8 = 0;
const FAILS: u8 = 1;
const HANGS: u8 = 2;
const REJECTS: u8 = 3;

impl Moody {
    fn now(&self, mood: u8) {
        // Ordering: Relaxed, no value is read through it.
        self.0.store(mood, Ordering::Relaxed);
    }
}

impl<R: Runtime> Exporter<R> for Moody {
    type Connection = Moody;

    fn connect(&self, _: &R) -> Moody {
        self.clone()
    }
}

impl SpanExporter for Moody {
    type Sending = Pin<Box<dyn Future<Output = Result<Accepted, ExportError>> + Send>>;

    fn export(&mut self, batch: &Batch<'_>) -> Self::Sending {
        match self.0.load(Ordering::Relaxed) {
            FAILS => Box::pin(ready(Err(ExportError::Permanent(Failure::Http(401))))),
            HANGS => Box::pin(pending()),
            REJECTS => {
                let rejected = batch.len() as u64;
                Box::pin(ready(Ok(Accepted { rejected })))
            }
            _ => Box::pin(ready(Ok(Accepted::default()))),
        }
    }
}

/// A pipeline whose handler sends what it is told.
fn start(settings: Builder) -> (Telemetry, Moody, mpsc::Receiver<Diagnostic>) {
    start_on(Thread::start().expect("a thread"), settings)
}

fn start_on(
    runtime: impl Runtime,
    settings: Builder,
) -> (Telemetry, Moody, mpsc::Receiver<Diagnostic>) {
    let (sender, told) = mpsc::channel();
    let tell = move |diagnostic: &Diagnostic| {
        // The test may be over.
        let _ = sender.send(diagnostic.clone());
    };
    let exporter = Moody::default();
    let settings = settings.diagnostics(Diagnostics::to(tell));
    let telemetry = settings.start(runtime, exporter.clone());
    (telemetry, exporter, told)
}

/// A runtime that is blocked for good: only who flushes drives the pipeline.
#[derive(Clone)]
struct Blocked;

impl Runtime for Blocked {
    type Stream = ThreadStream;

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        core::mem::forget(task);
    }

    fn sleep(&self, _: Duration) -> impl Future<Output = ()> + Send + 'static {
        pending()
    }

    fn connect(
        &self,
        _: &str,
        _: u16,
    ) -> impl Future<Output = io::Result<ThreadStream>> + Send + 'static {
        pending()
    }
}

fn export_one(telemetry: &Telemetry) {
    telemetry.context().scope(|| span!("work").in_scope(|| ()));
    assert!(telemetry.flush_blocking(LONG).is_complete());
}

/// ERR-6, ERR-7: a handler of the user's own, told once per change
/// ([Error handling](https://opentelemetry.io/docs/specs/otel/error-handling/#configuring-error-handlers)).
#[test]
fn failing_exports_are_told_once_and_so_is_their_end() {
    let (telemetry, exporter, told) = start(builder());
    export_one(&telemetry);
    exporter.now(FAILS);
    for _ in 0..3 {
        export_one(&telemetry);
    }
    let error = ExportError::Permanent(Failure::Http(401));
    match told.recv_timeout(LONG) {
        Ok(Diagnostic::ExportFailing { error: told, detail: None, .. }) => assert_eq!(told, error),
        other => panic!("{other:?}"),
    }
    exporter.now(ACCEPTS);
    export_one(&telemetry);
    export_one(&telemetry);
    // The next thing that is said: three failures were said once.
    match told.recv_timeout(LONG) {
        Ok(Diagnostic::ExportRecovered { lost: 3, .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn health_follows_what_becomes_of_the_spans() {
    let (telemetry, exporter, _told) = start(builder());
    assert_eq!(telemetry.health().state(), HealthState::Ok);
    assert_eq!(telemetry.health().last_failure(), None);
    exporter.now(FAILS);
    export_one(&telemetry);
    let health = telemetry.health();
    assert_eq!((health.state(), health.lost(), health.is_ok()), (HealthState::Failing, 1, false));
    let failure = ExportError::Permanent(Failure::Http(401));
    assert_eq!(health.last_failure().map(|(failed, _)| failed.error()), Some(failure));
    assert!(health.to_string().starts_with("failing for "), "{health}");
    exporter.now(ACCEPTS);
    export_one(&telemetry);
    let health = telemetry.health();
    assert_eq!((health.state(), health.queue_fill()), (HealthState::Ok, 0.0));
    // When it was is still worth knowing.
    assert_eq!(health.last_failure().map(|(failed, _)| failed.error()), Some(failure));
    telemetry.shutdown_blocking(LONG);
    assert_eq!(telemetry.health().state(), HealthState::Stopped);
}

/// What happened is there for a program, for people, and without a diagnostic that was missed.
#[test]
fn a_receipt_and_the_health_say_why_a_transmission_failed() {
    let mut once = Retry::new();
    once.max_repetitions = 0;
    let limit = Some(Duration::from_millis(1));
    let (telemetry, exporter, _told) = start(builder().export_timeout(limit).retry(once));
    exporter.now(HANGS);
    telemetry.context().scope(|| span!("work").in_scope(|| ()));
    let receipt = telemetry.flush_blocking(LONG);
    let failed = receipt.failure().expect("it failed");
    assert_eq!(failed.error(), ExportError::Retry { after: None, failure: Failure::Timeout });
    assert_eq!(failed.error_type(), "timeout");
    assert_eq!(failed.detail(), Some("the export timeout is 1ms"));
    let line = "no answer in time (the export timeout is 1ms); it may pass later";
    assert_eq!(failed.to_string(), line);
    assert!(receipt.to_string().ends_with(&format!(" + in flight 0; {line}")), "{receipt}");
    let health = telemetry.health();
    assert_eq!(health.last_failure().map(|(last, _)| last), Some(failed));
    assert!(health.to_string().ends_with(&format!(" ago: {line}")), "{health}");
    exporter.now(ACCEPTS);
    telemetry.context().scope(|| span!("work").in_scope(|| ()));
    assert_eq!(telemetry.shutdown_blocking(LONG).failure(), None);
    assert!(telemetry.health().last_failure().is_some(), "when it was is still worth knowing");
}

/// BSP-9: said when loss starts
/// ([Non-blocking and memory](https://opentelemetry.io/docs/specs/otel/performance/#trade-off-between-non-blocking-and-memory-consumption)).
#[test]
fn spans_for_which_there_is_no_room_degrade_the_health_and_are_told_once() {
    let (telemetry, _exporter, told) = start_on(Blocked, builder().max_live_spans(1));
    telemetry.context().scope(|| {
        span!("held").in_scope(|| {
            for _ in 0..5 {
                span!("no room").in_scope(|| ());
            }
        });
    });
    assert!(telemetry.flush_blocking(LONG).is_complete());
    let reason = DropReason::LiveTableFull;
    assert_eq!(told.try_recv(), Ok(Diagnostic::LosingSpans { reason, lost: 5 }));
    assert_eq!(told.try_recv(), Err(mpsc::TryRecvError::Empty));
    assert_eq!(telemetry.health().state(), HealthState::Degraded);
    assert_eq!(telemetry.health().lost(), 5);
}

/// OTLP-11, OBS-7: rejected spans are failed ones, and are not sent again
/// ([Partial success](https://opentelemetry.io/docs/specs/otlp/#partial-success)).
#[test]
fn spans_that_the_receiver_rejects_are_told_and_counted_as_rejected() {
    let (telemetry, exporter, told) = start(builder());
    exporter.now(REJECTS);
    export_one(&telemetry);
    export_one(&telemetry);
    let told = told.recv_timeout(LONG);
    let reason = DropReason::Rejected;
    assert!(
        matches!(told, Ok(Diagnostic::LosingSpans { reason: why, .. }) if why == reason),
        "{told:?}"
    );
    let points = points(&telemetry);
    assert_eq!(
        points["otel.sdk.exporter.span.exported"],
        [("".to_owned(), 0), ("rejected".to_owned(), 2)]
    );
    assert_eq!(points["otel.sdk.processor.span.processed"], [("".to_owned(), 2)]);
}

/// Values of each metric, by `error.type` or the sampling result.
fn points(telemetry: &Telemetry) -> BTreeMap<&'static str, Vec<(String, u64)>> {
    let metrics = telemetry.metrics();
    let mut values: BTreeMap<&str, Vec<(String, u64)>> = BTreeMap::new();
    for point in metrics.points() {
        let kinds = ["error.type", "otel.span.sampling_result"];
        let kind = point.attributes.iter().find(|(key, _)| kinds.contains(key));
        let kind = kind.map_or("", |(_, value)| text_of(value)).to_owned();
        values.entry(point.metric.name()).or_default().push((kind, point.value));
    }
    values
}

fn text_of<'a>(value: &throughline::Value<'a>) -> &'a str {
    match value {
        throughline::Value::Str(text) => text,
        other => panic!("{other:?}"),
    }
}

/// OBS-2, OBS-4 to OBS-7
/// ([SDK metrics](https://opentelemetry.io/docs/specs/semconv/otel/sdk-metrics/)).
#[test]
fn the_ledger_has_the_names_of_the_conventions_and_adds_up() {
    let (telemetry, exporter, _told) = start(builder().max_export_batch_size(2));
    export_one(&telemetry);
    exporter.now(FAILS);
    export_one(&telemetry);
    exporter.now(HANGS);
    telemetry.context().scope(|| {
        span!("taken").in_scope(|| ());
        span!("taken too").in_scope(|| ());
    });
    assert!(!telemetry.flush_blocking(Duration::from_millis(200)).is_complete());
    let values = points(&telemetry);
    let one = |value| vec![(String::new(), value)];
    assert_eq!(values["otel.sdk.span.started"], [("RECORD_AND_SAMPLE".to_owned(), 4)]);
    assert_eq!(values["otel.sdk.span.live"], one(0));
    assert_eq!(values["otel.sdk.exporter.span.inflight"], one(2));
    // Counted when it is handed over, whatever comes of it.
    assert_eq!(values["otel.sdk.processor.span.processed"], one(4));
    let exported = &values["otel.sdk.exporter.span.exported"];
    assert_eq!(exported, &[("".to_owned(), 1), ("export_failed".to_owned(), 1)]);
    assert_eq!(values.len(), SdkMetric::ALL.len());
    telemetry.shutdown_blocking(Duration::ZERO);
    let values = points(&telemetry);
    assert_eq!(values["otel.sdk.exporter.span.inflight"], one(0));
    // A counter does not fall, though two of them were abandoned.
    let processed = &values["otel.sdk.processor.span.processed"];
    assert_eq!(processed, &[("".to_owned(), 4), ("abandoned".to_owned(), 2)]);
}

/// OBS-4: the queue, in the spans of 512 bytes by which it was configured
/// ([SDK metrics](https://opentelemetry.io/docs/specs/semconv/otel/sdk-metrics/)).
#[test]
fn the_queue_fills_up_to_its_capacity() {
    let (telemetry, exporter, _told) = start(builder().max_queue_size(2_048));
    exporter.now(HANGS);
    telemetry.context().scope(|| {
        while telemetry.ledger().dropped(DropReason::QueueFull) == 0 {
            span!("work", text = "x".repeat(200)).in_scope(|| ());
        }
    });
    let values = points(&telemetry);
    let size = values["otel.sdk.processor.span.queue.size"][0].1;
    let capacity = values["otel.sdk.processor.span.queue.capacity"][0].1;
    assert!(size <= capacity && size * 10 > capacity * 8, "{size} of {capacity}");
    assert!(capacity >= 2_048);
    assert_eq!(telemetry.health().state(), HealthState::Degraded);
    telemetry.shutdown_blocking(Duration::ZERO);
}

/// An exporter that asks, in the middle of beginning to send, how its own pipeline
/// fares.
#[derive(Clone, Default)]
struct Curious(Arc<std::sync::OnceLock<Telemetry>>, Arc<AtomicU8>);

impl<R: Runtime> Exporter<R> for Curious {
    type Connection = Curious;

    fn connect(&self, _: &R) -> Curious {
        self.clone()
    }
}

impl SpanExporter for Curious {
    type Sending = core::future::Ready<Result<Accepted, ExportError>>;

    fn export(&mut self, _: &Batch<'_>) -> Self::Sending {
        if let Some(telemetry) = self.0.get() {
            let is_ok = telemetry.health().is_ok();
            let points = telemetry.metrics().points().count();
            self.1.store(u8::from(is_ok && points >= SdkMetric::ALL.len()), Ordering::Relaxed);
        }
        ready(Ok(Accepted::default()))
    }
}

#[test]
fn an_exporter_may_ask_how_its_own_pipeline_fares() {
    let exporter = Curious::default();
    let telemetry = builder().start(Thread::start().expect("a thread"), exporter.clone());
    assert!(exporter.0.set(telemetry.clone()).is_ok());
    export_one(&telemetry);
    assert_eq!(exporter.1.load(Ordering::Relaxed), 1);
}

/// ERR-4: what panics in a handler stays there
/// ([Guidance](https://opentelemetry.io/docs/specs/otel/error-handling/#guidance)).
#[test]
fn a_handler_that_panics_leaves_the_pipeline_working() {
    let exporter = Moody::default();
    let settings = builder().diagnostics(Diagnostics::to(|_| panic!("as the test wants")));
    let telemetry = settings.start(Thread::start().expect("a thread"), exporter.clone());
    exporter.now(FAILS);
    export_one(&telemetry);
    exporter.now(ACCEPTS);
    export_one(&telemetry);
    export_one(&telemetry);
    assert_eq!(telemetry.ledger().exported(), 2);
}

/// OBS-2: where parents are, and what the sampler decided, of all spans
/// ([SDK metrics](https://opentelemetry.io/docs/specs/semconv/otel/sdk-metrics/)).
#[test]
fn spans_that_began_are_told_apart_by_their_parents_origin_and_the_decision() {
    let (telemetry, ..) = start(builder().sampler(Picky));
    let remote = |flags| {
        let (trace, span) = (TraceId::from_bytes([1; 16]), SpanId::from_bytes([2; 8]));
        let context = Context::remote(SpanContext::remote(trace, span, flags), Carried::default());
        context.with_pipeline(telemetry.pipeline())
    };
    let begin = || span!("work").in_scope(|| span!("child").in_scope(|| ()));
    telemetry.context().scope(begin);
    remote(TraceFlags::SAMPLED).scope(begin);
    remote(TraceFlags::NONE).scope(|| {
        span!("unsampled").in_scope(|| {
            span!("dropped").in_scope(|| ());
            span!("recorded").in_scope(|| ());
        });
    });
    let expected = [
        ("none RECORD_AND_SAMPLE", 1),
        ("local DROP", 1),
        ("local RECORD_ONLY", 1),
        ("local RECORD_AND_SAMPLE", 2),
        ("remote DROP", 1),
        ("remote RECORD_AND_SAMPLE", 1),
    ];
    let metrics = telemetry.metrics();
    let found = metrics.points_of(SdkMetric::SpanStarted).into_iter().map(|point| {
        let texts: Vec<_> = point.attributes.iter().map(|(_, text)| text_of(text)).collect();
        (texts.join(" "), point.value)
    });
    assert_eq!(found.collect::<Vec<_>>(), expected.map(|(what, n)| (what.to_owned(), n)));
    assert_eq!((telemetry.ledger().started(), telemetry.ledger().unsampled()), (5, 2));
    // What is only recorded goes to nobody, and has been processed.
    assert!(telemetry.flush_blocking(LONG).is_complete());
    assert_eq!(points(&telemetry)["otel.sdk.processor.span.processed"], [("".to_owned(), 5)]);
}

/// Decides by the name.
#[derive(Debug)]
struct Picky;

impl Sampler for Picky {
    fn should_sample(&self, known: &SamplingParameters<'_>, _: &mut Additions<'_>) -> Decision {
        match known.name {
            "recorded" => Decision::RecordOnly,
            "dropped" | "unsampled" => Decision::Drop,
            _ => Decision::RecordAndSample,
        }
    }

    fn description(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Picky")
    }
}

/// OBS-8: one duration per export, after its last attempt, told once
/// ([SDK metrics](https://opentelemetry.io/docs/specs/semconv/otel/sdk-metrics/)).
#[test]
fn each_export_has_one_duration_and_says_how_it_ended() {
    let (telemetry, exporter, _told) = start(builder());
    let (sender, ended) = mpsc::channel();
    telemetry.on_export(|_| panic!("as the test wants"));
    telemetry.on_export(move |operation: &ExportOperation| {
        let _ = sender.send((operation.error_type(), operation.duration()));
    });
    export_one(&telemetry);
    assert_eq!(ended.recv_timeout(LONG).map(|(why, _)| why), Ok(None));
    exporter.now(FAILS);
    export_one(&telemetry);
    assert_eq!(ended.recv_timeout(LONG).map(|(why, _)| why), Ok(Some("401".into())));
    exporter.now(REJECTS);
    export_one(&telemetry);
    assert_eq!(ended.recv_timeout(LONG).map(|(why, _)| why), Ok(Some("rejected".into())));
    exporter.now(HANGS);
    telemetry.context().scope(|| span!("work").in_scope(|| ()));
    assert!(!telemetry.shutdown_blocking(Duration::from_millis(100)).is_complete());
    assert_eq!(ended.recv_timeout(LONG).map(|(why, _)| why), Ok(Some("abandoned".into())));
    let metrics = telemetry.metrics();
    let mut counts: Vec<_> = metrics.export_durations().iter().map(|all| all.count()).collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 1, 1, 1]);
    assert!(ended.try_recv().is_err());
}
