//! What a program has that chooses nothing.

use throughline_core::w3c::{BAGGAGE, Setter, TRACEPARENT, TRACESTATE};
use throughline_runtime::Context;

use crate::propagator::{AnyGetter, Propagator};
use crate::{Baggage, TraceContext};

/// Trace context and baggage of W3C, in this order: the default.
/// ([Global propagators](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#global-propagators))
#[derive(Clone, Copy, Debug, Default)]
pub struct Standard;

impl Propagator for Standard {
    fn extract(&self, context: Context, carrier: &dyn AnyGetter) -> Context {
        Baggage.extract(TraceContext.extract(context, carrier), carrier)
    }

    fn inject(&self, context: &Context, carrier: &mut dyn Setter) {
        TraceContext.inject(context, carrier);
        Baggage.inject(context, carrier);
    }

    fn fields(&self) -> &[&'static str] {
        &[TRACEPARENT, TRACESTATE, BAGGAGE]
    }
}
