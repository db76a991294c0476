//! `tracing` with the bare registry of `tracing-subscriber`: spans exist, and
//! nobody looks at them.
//!
//! Tuning: none. It is a scoped subscriber, since the process has one global one
//! and `tracing-opentelemetry` is that: a look into a thread-local more for each
//! operation.

use std::sync::Arc;

use ::tracing::dispatcher::{self, Dispatch};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;

use crate::figures::TRACING_REGISTRY;
use crate::scenario::Scenario;
use crate::stopwatch::Stopwatch;
use crate::system::{End, Load, System, Traces};
use crate::tracing;

pub(crate) struct TracingRegistry {
    dispatch: Dispatch,
    path: String,
}

impl TracingRegistry {
    pub(crate) fn new() -> Self {
        TracingRegistry {
            dispatch: Dispatch::new(registry().with(tracing::filter())),
            path: "/orders/1234".to_owned(),
        }
    }
}

impl System for TracingRegistry {
    fn name(&self) -> &'static str {
        TRACING_REGISTRY
    }

    fn run(&mut self, scenario: Scenario, operations: u32, watch: &mut Stopwatch) -> bool {
        scenario != Scenario::TotalCpu
            && dispatcher::with_default(&self.dispatch, || {
                tracing::run(scenario, operations, watch, &self.path)
            })
    }

    fn traces(&self, load: Load, _: End) -> Option<Traces> {
        let (dispatch, traces) = (self.dispatch.clone(), tracing::traces(load, self.path.clone()));
        Some(Arc::new(move |children| {
            dispatcher::with_default(&dispatch, || traces(children));
        }))
    }

    fn is_exported(&self) -> bool {
        false
    }
}
