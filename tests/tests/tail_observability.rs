//! What a pipeline says about itself while it samples at the tail.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::mpsc;

use throughline::exporters::{Discard, Memory};
use throughline::tail::{AnyTrace, Failed};
use throughline::{
    Diagnostic, Diagnostics, DropReason, HealthState, SdkMetric, SdkMetrics, TailSampler,
    TailSampling, Telemetry, Thread, Value, builder, span,
};

const LONG: Duration = Duration::from_secs(20);

fn keeps_failures() -> TailSampler {
    TailSampling::new().keep(Failed).build().expect("one condition")
}

fn trace(telemetry: &Telemetry, fails: bool) {
    telemetry.context().scope(|| {
        span!("root").in_scope(|| {
            if fails {
                throughline::CurrentSpan::set_status(throughline::StatusCode::Error, "");
            }
        });
    });
}

/// The values by metric and what tells them apart, without the names of components.
fn points(telemetry: &Telemetry) -> BTreeMap<String, u64> {
    let metrics = telemetry.metrics();
    let points = metrics.points().map(|point| {
        let attributes = point.attributes.iter().filter(|(key, _)| !key.contains("component"));
        let attributes = attributes.map(|(_, value)| match value {
            Value::Str(text) => (*text).to_owned(),
            other => format!("{other:?}"),
        });
        (format!("{} {}", point.metric.name(), attributes.collect::<Vec<_>>().join(" ")), point)
    });
    points.map(|(name, point)| (name.trim_end().to_owned(), point.value)).collect()
}

/// OBS-5: `error.type` is for failures alone
/// ([SDK metrics](https://opentelemetry.io/docs/specs/semconv/otel/sdk-metrics/)).
#[test]
fn what_tail_sampling_drops_is_no_loss_but_processed() {
    let settings = builder().tail(&keeps_failures()).diagnostics(Diagnostics::stderr(None));
    let telemetry = settings.start(Thread::start().expect("a thread"), Memory::new());
    (0..100).for_each(|_| trace(&telemetry, false));
    trace(&telemetry, true);
    assert!(telemetry.flush_blocking(LONG).is_complete());
    assert_eq!(telemetry.ledger().dropped(DropReason::TailSampledOut), 100);
    let health = telemetry.health();
    assert_eq!((health.lost(), health.state()), (0, HealthState::Ok), "{health}");
    let points = points(&telemetry);
    assert_eq!(points["otel.sdk.processor.span.processed"], 101);
    assert!(!points.keys().any(|name| name.contains("tail_sampled_out")), "{points:?}");
}

#[test]
fn the_counts_of_tail_sampling_are_metrics() {
    let tail = TailSampling::new().keep(Failed).sample(AnyTrace, 1.0).build();
    let tail = tail.expect("one condition");
    let settings = builder().tail(&tail).diagnostics(Diagnostics::stderr(None));
    let telemetry = settings.start(Thread::start().expect("a thread"), Discard);
    trace(&telemetry, true);
    (0..2).for_each(|_| trace(&telemetry, false));
    assert!(telemetry.flush_blocking(LONG).is_complete());
    let points = points(&telemetry);
    assert_eq!(points["throughline.tail.trace.decided kept I64(0)"], 1);
    assert_eq!(points["throughline.tail.trace.decided kept I64(1)"], 2);
    assert_eq!(points["throughline.tail.trace.decided dropped"], 0);
    assert_eq!(points["throughline.tail.trace.failed kept"], 1);
    assert_eq!(points["throughline.tail.trace.failed dropped"], 0);
    assert_eq!(points["throughline.tail.trace.undecided"], 0);
    assert_eq!(points["throughline.tail.trace.forced early"], 0);
    assert_eq!(points["throughline.tail.trace.forced flush"], tail.stats().decided_by_flush);
}

/// OBS-9: it is a component of its own
/// ([otel.component.name](https://opentelemetry.io/docs/specs/semconv/otel/sdk-metrics/)).
#[test]
fn pipelines_that_share_a_tail_sampler_tell_the_same_series() {
    let tail = keeps_failures();
    let start = || {
        let settings = builder().tail(&tail).diagnostics(Diagnostics::stderr(None));
        settings.start(Thread::start().expect("a thread"), Discard)
    };
    let telemetries = [start(), start()];
    for telemetry in &telemetries {
        trace(telemetry, true);
        assert!(telemetry.flush_blocking(LONG).is_complete());
    }
    let [first, second] = telemetries.each_ref().map(Telemetry::metrics);
    let series = |metrics: &SdkMetrics| -> BTreeMap<String, u64> {
        let tail = metrics.points().filter(|point| SdkMetric::TAIL.contains(&point.metric));
        tail.map(|p| (format!("{} {:?}", p.metric.name(), p.attributes), p.value)).collect()
    };
    assert_eq!(series(&first), series(&second));
    assert!(series(&first).keys().all(|series| series.contains("TailSampler/")), "{first:?}");
    assert_eq!(tail.stats().traces_kept, 2);
}

#[test]
fn a_buffer_that_is_too_small_is_told_once() {
    let tail = TailSampling::new().keep(Failed).max_bytes(4_096).max_traces(2);
    let tail = tail.decision_time(LONG).build().expect("one condition");
    let (sender, told) = mpsc::channel();
    let tell = move |diagnostic: &Diagnostic| {
        // The test may be over.
        let _ = sender.send(diagnostic.clone());
    };
    let settings = builder().tail(&tail).diagnostics(Diagnostics::to(tell));
    let telemetry = settings.start(Thread::start().expect("a thread"), Discard);
    for _ in 0..2 {
        // Each has a child that ends first, and waits for its root.
        let begun = || {
            let root = span!("root");
            root.context().scope(|| drop(span!("child")));
            root
        };
        let roots: Vec<_> = telemetry.context().scope(|| (0..20).map(|_| begun()).collect());
        assert!(telemetry.flush_blocking(LONG).is_complete());
        drop(roots);
    }
    assert!(telemetry.shutdown_blocking(LONG).is_complete());
    assert!(tail.stats().decided_early > 0);
    let told: Vec<_> = told.try_iter().collect();
    assert!(matches!(told[..], [Diagnostic::TailDecidesEarly { traces: 1.. }]), "{told:?}");
}
