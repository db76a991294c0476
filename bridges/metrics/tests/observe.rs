//! What a metrics SDK sees of a pipeline.

use core::time::Duration;
use std::collections::BTreeMap;

use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
use throughline_core::tail::Failed;
use throughline_memory::Memory;
use throughline_runtime::{
    ExportOperation, PipelineOptions, Span, TailSampler, TailSampling, Telemetry, Thread,
};

/// The values by metric and `error.type` or sampling result, and whether they only
/// grow.
fn collected(provider: &SdkMeterProvider, exporter: &InMemoryMetricExporter) -> Vec<Seen> {
    exporter.reset();
    provider.force_flush().expect("in memory");
    let mut seen = Vec::new();
    for resource in exporter.get_finished_metrics().expect("in memory") {
        for metric in resource.scope_metrics().flat_map(|scope| scope.metrics()) {
            if metric.name() == ExportOperation::NAME {
                assert_eq!(metric.unit(), "s");
                continue;
            }
            assert_eq!(metric.unit(), "{span}");
            let mut add = |value, is_monotonic, attributes| {
                let attributes: BTreeMap<String, String> = attributes;
                seen.push(Seen { name: metric.name().to_owned(), value, is_monotonic, attributes });
            };
            match metric.data() {
                AggregatedMetrics::U64(MetricData::Sum(sum)) => sum.data_points().for_each(|p| {
                    add(p.value() as i64, sum.is_monotonic(), texts(p.attributes()));
                }),
                AggregatedMetrics::I64(MetricData::Sum(sum)) => sum.data_points().for_each(|p| {
                    add(p.value(), sum.is_monotonic(), texts(p.attributes()));
                }),
                other => panic!("{}: {other:?}", metric.name()),
            }
        }
    }
    seen
}

#[derive(Debug)]
struct Seen {
    name: String,
    value: i64,
    is_monotonic: bool,
    attributes: BTreeMap<String, String>,
}

fn texts<'a>(
    attributes: impl Iterator<Item = &'a opentelemetry::KeyValue>,
) -> BTreeMap<String, String> {
    attributes.map(|pair| (pair.key.to_string(), pair.value.to_string())).collect()
}

/// OBS-1, OBS-4 to OBS-7: names, kinds and values by the conventions
/// ([SDK metrics](https://opentelemetry.io/docs/specs/semconv/otel/sdk-metrics/)).
#[test]
fn a_provider_reads_the_ledger_under_the_names_of_the_conventions() {
    let telemetry = Telemetry::start(
        &PipelineOptions::default(),
        Thread::start().expect("a thread"),
        Memory::new(),
    );
    let exporter = InMemoryMetricExporter::default();
    let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter.clone()).build();
    throughline_metrics::observe(&telemetry, &provider);

    for _ in 0..3 {
        let context = telemetry.context();
        context.scope(|| drop(Span::start(&CALLSITE, |_| ())));
    }
    assert!(telemetry.flush_blocking(Duration::from_secs(10)).is_complete());
    let seen = collected(&provider, &exporter);
    let value = |name: &str| {
        let found: Vec<&Seen> = seen.iter().filter(|seen| seen.name == name).collect();
        assert_eq!(found.len(), 1, "{name}: {seen:?}");
        (found[0].value, found[0].is_monotonic)
    };
    assert_eq!(value("otel.sdk.span.started"), (3, true));
    assert_eq!(value("otel.sdk.span.live"), (0, false));
    assert_eq!(value("otel.sdk.processor.span.queue.size"), (0, false));
    assert!(value("otel.sdk.processor.span.queue.capacity").0 >= 2_048);
    assert_eq!(value("otel.sdk.processor.span.processed"), (3, true));
    assert_eq!(value("otel.sdk.exporter.span.inflight"), (0, false));
    assert_eq!(value("otel.sdk.exporter.span.exported"), (3, true));
    let processed = seen.iter().find(|seen| seen.name == "otel.sdk.processor.span.processed");
    let attributes = &processed.expect("it was found above").attributes;
    assert_eq!(attributes["otel.component.type"], "batching_span_processor");
    assert!(attributes["otel.component.name"].starts_with("batching_span_processor/"));

    let started = seen.iter().find(|seen| seen.name == "otel.sdk.span.started");
    let attributes = &started.expect("it was found above").attributes;
    assert_eq!(attributes["otel.span.parent.origin"], "none");
    assert_eq!(attributes["otel.span.sampling_result"], "RECORD_AND_SAMPLE");

    // Values are read anew each time.
    telemetry.context().scope(|| drop(Span::start(&CALLSITE, |_| ())));
    let seen = collected(&provider, &exporter);
    let started = seen.iter().find(|seen| seen.name == "otel.sdk.span.started");
    assert_eq!(started.map(|seen| seen.value), Some(4));
}

/// OBS-8: a histogram in seconds
/// ([SDK metrics](https://opentelemetry.io/docs/specs/semconv/otel/sdk-metrics/)).
#[test]
fn a_provider_has_a_histogram_of_how_long_exports_take() {
    let telemetry = Telemetry::start(
        &PipelineOptions::default(),
        Thread::start().expect("a thread"),
        Memory::new(),
    );
    let exporter = InMemoryMetricExporter::default();
    let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter.clone()).build();
    throughline_metrics::observe(&telemetry, &provider);
    // Told after the instrument, which came first.
    let (sender, told) = std::sync::mpsc::channel();
    telemetry.on_export(move |operation| {
        let _ = sender.send(operation.duration().as_secs_f64());
    });
    let mut total = 0.0;
    for _ in 0..2 {
        telemetry.context().scope(|| drop(Span::start(&CALLSITE, |_| ())));
        assert!(telemetry.flush_blocking(Duration::from_secs(10)).is_complete());
        total += told.recv_timeout(Duration::from_secs(10)).expect("it has ended");
    }
    provider.force_flush().expect("in memory");
    let collected = exporter.get_finished_metrics().expect("in memory");
    let all = collected.iter().flat_map(|resource| resource.scope_metrics());
    let metric = all.flat_map(|scope| scope.metrics()).find(|m| m.name() == ExportOperation::NAME);
    let metric = metric.expect("it is there");
    let AggregatedMetrics::F64(MetricData::Histogram(histogram)) = metric.data() else {
        panic!("{:?}", metric.data());
    };
    let points: Vec<_> = histogram.data_points().collect();
    let [point] = &points[..] else { panic!("both ended alike: {points:?}") };
    assert_eq!((metric.unit(), point.count(), point.sum()), ("s", 2, total));
    assert_eq!(point.bounds().collect::<Vec<_>>(), ExportOperation::BOUNDS);
    let attributes = texts(point.attributes());
    assert_eq!(
        attributes.keys().collect::<Vec<_>>(),
        ["otel.component.name", "otel.component.type"]
    );
}

static CALLSITE: throughline_core::Callsite =
    throughline_core::Callsite::new("work", &throughline_core::Scope::new("test", ""));

#[test]
fn a_provider_reads_what_tail_sampling_decided() {
    let tail = TailSampling::new().keep(Failed).build().expect("one condition");
    let mut options = PipelineOptions::default();
    options.tail = Some(tail);
    let telemetry = Telemetry::start(&options, Thread::start().expect("a thread"), Memory::new());
    let exporter = InMemoryMetricExporter::default();
    let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter.clone()).build();
    throughline_metrics::observe(&telemetry, &provider);
    telemetry.context().scope(|| drop(Span::start(&CALLSITE, |_| ())));
    assert!(telemetry.flush_blocking(Duration::from_secs(10)).is_complete());
    provider.force_flush().expect("in memory");
    let collected = exporter.get_finished_metrics().expect("in memory");
    let all = collected.iter().flat_map(|resource| resource.scope_metrics());
    let mut all = all.flat_map(|scope| scope.metrics());
    let decided = all.find(|metric| metric.name() == "throughline.tail.trace.decided");
    let decided = decided.expect("it is there");
    assert_eq!(decided.unit(), "{trace}");
    let AggregatedMetrics::U64(MetricData::Sum(sum)) = decided.data() else {
        panic!("{:?}", decided.data());
    };
    let points: Vec<_> = sum.data_points().collect();
    let [point] = &points[..] else { panic!("nothing was kept: {points:?}") };
    assert_eq!(texts(point.attributes())["throughline.tail.decision"], "dropped");
    assert!(sum.is_monotonic() && point.value() == 1);
}

/// OBS-9: what pipelines share is a component of its own, and its series is one
/// ([otel.component.name](https://opentelemetry.io/docs/specs/semconv/otel/sdk-metrics/)).
#[test]
fn a_tail_sampler_that_pipelines_share_is_counted_once() {
    let tail = TailSampling::new().keep(Failed).build().expect("one condition");
    let exporter = InMemoryMetricExporter::default();
    let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter.clone()).build();
    let start = |tail: &TailSampler| {
        let mut options = PipelineOptions::default();
        options.tail = Some(tail.clone());
        let thread = Thread::start().expect("a thread");
        let telemetry = Telemetry::start(&options, thread, Memory::new());
        throughline_metrics::observe(&telemetry, &provider);
        for _ in 0..3 {
            telemetry.context().scope(|| drop(Span::start(&CALLSITE, |_| ())));
        }
        assert!(telemetry.flush_blocking(Duration::from_secs(10)).is_complete());
        telemetry
    };
    let mut telemetries: Vec<Telemetry> = (0..2).map(|_| start(&tail)).collect();
    let decided = || -> BTreeMap<String, u64> {
        exporter.reset();
        provider.force_flush().expect("in memory");
        let collected = exporter.get_finished_metrics().expect("in memory");
        let all = collected.iter().flat_map(|resource| resource.scope_metrics());
        let all = all.flat_map(|scope| scope.metrics());
        let mut decided = BTreeMap::new();
        for metric in all.filter(|metric| metric.name() == "throughline.tail.trace.decided") {
            let AggregatedMetrics::U64(MetricData::Sum(sum)) = metric.data() else {
                panic!("{:?}", metric.data());
            };
            for point in sum.data_points() {
                let mut attributes = texts(point.attributes());
                let name = attributes.remove("otel.component.name").expect("it has a name");
                assert_eq!(name.split('/').next(), Some(&*attributes["otel.component.type"]));
                assert!(decided.insert(name, point.value()).is_none(), "{decided:?}");
            }
        }
        decided
    };
    // The sum over all pipelines, as a backend makes it.
    assert_eq!(tail.stats().traces_dropped, 6);
    assert_eq!(decided().into_values().collect::<Vec<_>>(), [6]);
    // Another one is another component.
    let other = TailSampling::new().keep(Failed).build().expect("one condition");
    telemetries.push(start(&other));
    let both = decided();
    assert_eq!((both.len(), both.values().sum::<u64>()), (2, 9));
}
