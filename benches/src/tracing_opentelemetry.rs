//! `tracing` with `tracing-opentelemetry` on the opentelemetry_sdk's batch
//! processor.
//!
//! Tuning: all that its documentation offers against cost: neither source
//! locations nor threads, levels, targets or inactivity are recorded. It is the
//! global subscriber; where another provider is needed (total CPU, unsampled
//! spans), a scoped one. The providers are those of [`crate::opentelemetry`].

use std::fmt::Write;
use std::sync::Arc;

use ::opentelemetry::trace::{TraceContextExt, TracerProvider};
use ::tracing::dispatcher::{self, Dispatch};
use ::tracing::{Span, info_span};
use ::tracing_opentelemetry::OpenTelemetrySpanExt;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;

use crate::figures::TRACING_OPENTELEMETRY;
use crate::opentelemetry;
use crate::scenario::Scenario;
use crate::stopwatch::{Stopwatch, repeat};
use crate::system::{End, Load, System, Traces};
use crate::tracing;

pub(crate) struct TracingOpenTelemetry {
    discarding: SdkTracerProvider,
    encoding: SdkTracerProvider,
    encoding_dispatch: Dispatch,
    refusing_dispatch: Dispatch,
    path: String,
    digits: String,
}

impl TracingOpenTelemetry {
    pub(crate) fn new() -> Self {
        let discarding = opentelemetry::discarding();
        let encoding = opentelemetry::encoding();
        dispatcher::set_global_default(dispatch(&discarding)).expect("it is the only one");
        TracingOpenTelemetry {
            encoding_dispatch: dispatch(&encoding),
            refusing_dispatch: dispatch(&opentelemetry::refusing()),
            discarding,
            encoding,
            path: "/orders/1234".to_owned(),
            digits: String::with_capacity(64),
        }
    }
}

fn dispatch(provider: &SdkTracerProvider) -> Dispatch {
    let layer = ::tracing_opentelemetry::layer()
        .with_location(false)
        .with_tracked_inactivity(false)
        .with_threads(false)
        .with_level(false)
        .with_target(false)
        .with_tracer(provider.tracer("benches"));
    Dispatch::new(registry().with(tracing::filter()).with(layer))
}

impl System for TracingOpenTelemetry {
    fn name(&self) -> &'static str {
        TRACING_OPENTELEMETRY
    }

    fn run(&mut self, scenario: Scenario, operations: u32, watch: &mut Stopwatch) -> bool {
        match scenario {
            Scenario::TotalCpu => dispatcher::with_default(&self.encoding_dispatch, || {
                tracing::run(scenario, operations, watch, &self.path)
            }),
            Scenario::UnsampledRoot => dispatcher::with_default(&self.refusing_dispatch, || {
                watch.time(|| repeat(operations, || tracing::child()));
                true
            }),
            Scenario::Unsampled => dispatcher::with_default(&self.refusing_dispatch, || {
                info_span!("root")
                    .in_scope(|| watch.time(|| repeat(operations, || tracing::child())));
                true
            }),
            Scenario::LogFields => info_span!("root").in_scope(|| {
                watch.time(|| repeat(operations, || log_fields(&mut self.digits)));
                true
            }),
            _ => tracing::run(scenario, operations, watch, &self.path),
        }
    }

    fn traces(&self, load: Load, end: End) -> Option<Traces> {
        let traces = tracing::traces(load, self.path.clone());
        let dispatch = self.encoding_dispatch.clone();
        Some(match end {
            End::Discarded => traces,
            End::Encoded => Arc::new(move |children| {
                dispatcher::with_default(&dispatch, || traces(children));
            }),
        })
    }

    fn settle(&mut self, scenario: Scenario) {
        let is_encoding = scenario == Scenario::TotalCpu;
        let provider = if is_encoding { &self.encoding } else { &self.discarding };
        provider.force_flush().expect("the exporter never fails");
    }
}

/// The ids of the current span, as digits.
fn log_fields(digits: &mut String) -> std::fmt::Result {
    let context = Span::current().context();
    let span = context.span();
    let (trace_id, span_id) = (span.span_context().trace_id(), span.span_context().span_id());
    digits.clear();
    write!(digits, "{trace_id}{span_id}")
}
