//! All that take part.

use crate::emit::Emit;
use crate::fastrace::Fastrace;
use crate::figures::*;
use crate::floor::Floor;
use crate::opentelemetry::OpenTelemetry;
use crate::system::System;
use crate::throughline::Throughline;
use crate::tracing_opentelemetry::TracingOpenTelemetry;
use crate::tracing_registry::TracingRegistry;
use crate::tracing_throughline::TracingThroughline;

/// Everybody, in the order of their turns.
pub(crate) fn all() -> Vec<Box<dyn System>> {
    let names = [FLOOR, THROUGHLINE].into_iter().chain(PEERS);
    names.filter_map(one).collect()
}

/// The one of that name, at most once in a process: some are global.
pub(crate) fn one(name: &str) -> Option<Box<dyn System>> {
    Some(match name {
        FLOOR => Box::new(Floor::new()),
        THROUGHLINE => Box::new(Throughline::new()),
        FASTRACE => Box::new(Fastrace::new()),
        OPENTELEMETRY => Box::new(OpenTelemetry::new()),
        TRACING_OPENTELEMETRY => Box::new(TracingOpenTelemetry::new()),
        TRACING_THROUGHLINE => Box::new(TracingThroughline::new()),
        TRACING_REGISTRY => Box::new(TracingRegistry::new()),
        EMIT => Box::new(Emit::new()),
        _ => return None,
    })
}
