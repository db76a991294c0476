//! What throughline counts about itself, as OpenTelemetry metrics.
//!
//! ```text
//!   a metrics SDK of the program's choice ──▶ its exporter
//!        ▲  asks when it collects
//!   observable instruments (this crate)
//!        ▲  Telemetry::metrics
//!   the ledger of a pipeline (throughline-core)
//! ```
//!
//! Nothing is counted twice: the instruments read the ledger when the SDK collects,
//! and cost nothing in between. The histogram of [`ExportOperation`]s alone is told of each
//! export when it ends. Names and attributes are those of [`SdkMetrics`].
//! Without an SDK, [`Telemetry::metrics`] gives the same numbers.
//!
//! ```
//! use throughline_memory::Memory;
//! use throughline_runtime::{PipelineOptions, Telemetry, Thread};
//!
//! # fn main() -> std::io::Result<()> {
//! let telemetry =
//!     Telemetry::start(&PipelineOptions::default(), Thread::start()?, Memory::new());
//! // With the provider that the program has set globally, or one of its own:
//! throughline_metrics::observe(&telemetry, &*opentelemetry::global::meter_provider());
//! # Ok(())
//! # }
//! ```
//!
//! Of a program that has throughline's feature `metrics` this crate is
//! `throughline::metrics`.

#![forbid(unsafe_code)]

use opentelemetry::metrics::{AsyncInstrument, Meter, MeterProvider};
use opentelemetry::{InstrumentationScope, KeyValue, Value as Theirs};
use throughline_core::Value;
use throughline_runtime::{ExportOperation, MetricPoint, SdkMetric, SdkMetrics, Telemetry};

/// Makes an observable instrument for each metric of [`SdkMetrics`], which reads
/// this pipeline for as long as the provider lives, also after its shutdown; and a
/// histogram of how long its exports take, from now on.
///
/// To be called once for a pipeline and a provider: a second call makes a second set
/// of instruments, and what an SDK does with values that are observed twice is
/// its own affair. The global provider is
/// `&*opentelemetry::global::meter_provider()`, after the program has set it.
///
/// ([Self-observability](https://opentelemetry.io/docs/specs/otel/self-observability/))
pub fn observe(telemetry: &Telemetry, provider: &(impl MeterProvider + ?Sized)) {
    let scope = InstrumentationScope::builder(SCOPE).with_version(env!("CARGO_PKG_VERSION"));
    let meter = provider.meter_with_scope(scope.build());
    for metric in SdkMetric::ALL.into_iter().chain(SdkMetric::TAIL) {
        observe_one(&meter, metric, telemetry.clone());
    }
    let durations = meter
        .f64_histogram(ExportOperation::NAME)
        .with_description(ExportOperation::DESCRIPTION)
        .with_unit(ExportOperation::UNIT)
        .with_boundaries(ExportOperation::BOUNDS.to_vec())
        .build();
    telemetry.on_export(move |operation| {
        operation.with_attributes(|attributes| {
            durations.record(operation.duration().as_secs_f64(), &all_theirs(attributes));
        });
    });
}

fn observe_one(meter: &Meter, metric: SdkMetric, telemetry: Telemetry) {
    if metric.is_monotonic() {
        meter
            .u64_observable_counter(metric.name())
            .with_description(metric.description())
            .with_unit(metric.unit())
            .with_callback(move |instrument| {
                tell(&telemetry.metrics(), metric, |value, attributes| {
                    instrument.observe(value, attributes);
                });
            })
            .build();
    } else {
        meter
            .i64_observable_up_down_counter(metric.name())
            .with_description(metric.description())
            .with_unit(metric.unit())
            .with_callback(move |instrument: &dyn AsyncInstrument<i64>| {
                tell(&telemetry.metrics(), metric, |value, attributes| {
                    instrument.observe(i64::try_from(value).unwrap_or(i64::MAX), attributes);
                });
            })
            .build();
    }
}

fn tell(metrics: &SdkMetrics, metric: SdkMetric, mut observe: impl FnMut(u64, &[KeyValue])) {
    for MetricPoint { value, attributes, .. } in metrics.points_of(metric) {
        observe(value, &all_theirs(&attributes));
    }
}

fn all_theirs(attributes: &[(&'static str, Value<'_>)]) -> Vec<KeyValue> {
    attributes.iter().map(|(key, value)| KeyValue::new(*key, theirs(value))).collect()
}

/// Points carry texts and numbers alone.
fn theirs(value: &Value<'_>) -> Theirs {
    match value {
        Value::Str(text) => Theirs::from((*text).to_owned()),
        Value::I64(number) => Theirs::from(*number),
        other => Theirs::from(format!("{other:?}")),
    }
}

const SCOPE: &str = "throughline";
