//! What a metrics SDK sees of a pipeline.

use core::time::Duration;
use std::collections::BTreeMap;

use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
use throughline_memory::Memory;
use throughline_runtime::{PipelineOptions, Span, Telemetry, Thread};

/// The values by metric and `error.type` or sampling result, and whether they only
/// grow.
fn collected(provider: &SdkMeterProvider, exporter: &InMemoryMetricExporter) -> Vec<Seen> {
    exporter.reset();
    provider.force_flush().expect("in memory");
    let mut seen = Vec::new();
    for resource in exporter.get_finished_metrics().expect("in memory") {
        for metric in resource.scope_metrics().flat_map(|scope| scope.metrics()) {
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
        let found: Vec<&Seen> =
            seen.iter().filter(|seen| seen.name == name && seen.attributes.len() != 1).collect();
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

    // Values are read anew each time.
    telemetry.context().scope(|| drop(Span::start(&CALLSITE, |_| ())));
    let seen = collected(&provider, &exporter);
    let started =
        seen.iter().find(|seen| seen.name == "otel.sdk.span.started" && seen.attributes.is_empty());
    assert_eq!(started.map(|seen| seen.value), Some(4));
}

static CALLSITE: throughline_core::Callsite =
    throughline_core::Callsite::new("work", &throughline_core::Scope::new("test", ""));
