//! `tracing` with throughline's layer.
//!
//! Tuning: none. The layer is that of [`TracingLayer::new`], the pipelines are those of
//! [`crate::throughline`]. The subscriber is a scoped one, since the process has one global
//! one and `tracing-opentelemetry` is that: a look into a thread-local more for each
//! operation.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use ::throughline::tracing::TracingLayer;
use ::throughline::{AlwaysOff, Context, Telemetry, Thread};
use ::tracing::dispatcher::{self, Dispatch};
use ::tracing::info_span;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;

use crate::figures::TRACING_THROUGHLINE;
use crate::scenario::Scenario;
use crate::stopwatch::{Stopwatch, repeat};
use crate::system::{End, Load, System, Traces};
use crate::throughline::{Discard, Encode};
use crate::tracing;

pub(crate) struct TracingThroughline {
    dispatch: Dispatch,
    discarding: Telemetry,
    encoding: Telemetry,
    refusing: Telemetry,
    path: String,
    digits: String,
}

impl TracingThroughline {
    pub(crate) fn new() -> Self {
        let thread = || Thread::start().expect("the system gives a thread");
        TracingThroughline {
            dispatch: Dispatch::new(registry().with(tracing::filter()).with(TracingLayer::new())),
            discarding: ::throughline::builder().start(thread(), Discard),
            encoding: ::throughline::builder()
                .max_queue_size(2 * Scenario::TotalCpu.operations() as usize)
                .start(thread(), Encode::default()),
            refusing: ::throughline::builder().sampler(AlwaysOff).start(thread(), Discard),
            path: "/orders/1234".to_owned(),
            digits: String::with_capacity(64),
        }
    }

    fn telemetry(&self, scenario: Scenario) -> &Telemetry {
        match scenario {
            Scenario::TotalCpu => &self.encoding,
            Scenario::UnsampledRoot | Scenario::Unsampled => &self.refusing,
            _ => &self.discarding,
        }
    }
}

impl System for TracingThroughline {
    fn name(&self) -> &'static str {
        TRACING_THROUGHLINE
    }

    fn run(&mut self, scenario: Scenario, operations: u32, watch: &mut Stopwatch) -> bool {
        let (path, digits, dispatch) =
            (self.path.clone(), &mut String::new(), self.dispatch.clone());
        core::mem::swap(digits, &mut self.digits);
        let context = self.telemetry(scenario).context();
        let work = || match scenario {
            Scenario::UnsampledRoot => {
                watch.time(|| repeat(operations, || tracing::child()));
                true
            }
            Scenario::Unsampled => {
                info_span!("root")
                    .in_scope(|| watch.time(|| repeat(operations, || tracing::child())));
                true
            }
            Scenario::LogFields => info_span!("root").in_scope(|| {
                watch.time(|| repeat(operations, || log_fields(digits)));
                true
            }),
            _ => tracing::run(scenario, operations, watch, &path),
        };
        let known = dispatcher::with_default(&dispatch, || context.scope(work));
        core::mem::swap(digits, &mut self.digits);
        known
    }

    fn traces(&self, load: Load, end: End) -> Option<Traces> {
        let context = self.telemetry(end.scenario()).context();
        let (dispatch, traces) = (self.dispatch.clone(), tracing::traces(load, self.path.clone()));
        Some(Arc::new(move |children| {
            dispatcher::with_default(&dispatch, || context.scope(|| traces(children)));
        }))
    }

    fn settle(&mut self, scenario: Scenario) {
        let receipt = self.telemetry(scenario).flush_blocking(Duration::from_secs(10));
        assert!(receipt.is_complete(), "{receipt}");
    }

    fn dropped(&self) -> Option<u64> {
        let dropped = |telemetry: &Telemetry| telemetry.ledger().dropped_total();
        Some(dropped(&self.discarding) + dropped(&self.encoding))
    }
}

/// The ids of the current span, as digits.
fn log_fields(digits: &mut String) -> std::fmt::Result {
    let span = Context::current().span_context();
    digits.clear();
    write!(digits, "{}{}", span.trace_id(), span.span_id())
}
