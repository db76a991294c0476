//! `traceparent` and `tracestate`.

use throughline_core::Carry;
use throughline_core::w3c::{
    Setter, TRACEPARENT, TRACESTATE, TraceParent, TraceStateBuf, traceparent,
};
use throughline_runtime::{Context, SamplingState};

use crate::propagator::{AnyGetter, Propagator};

/// W3C Trace Context, level 2: `traceparent` and `tracestate`.
///
/// A broken `traceparent`, or a second one, begins a new trace, and its
/// `tracestate` is not read. Several `tracestate` headers are one list; a broken
/// one is an empty one. The random flag goes on as it came.
/// ([Trace Context](https://www.w3.org/TR/trace-context-2/))
#[derive(Clone, Copy, Debug, Default)]
pub struct TraceContext;

impl Propagator for TraceContext {
    fn extract(&self, context: Context, carrier: &dyn AnyGetter) -> Context {
        let (mut first, mut count) = (None, 0);
        carrier.for_each(TRACEPARENT, &mut |value| {
            first.get_or_insert(value);
            count += 1;
        });
        // Two parents cannot both be right, and neither can be told from the other.
        let parent = first.filter(|_| count == 1).and_then(|value| traceparent::parse(value).ok());
        let Some(span) = parent else { return context };
        let states = carrier.all(TRACESTATE);
        let carried = context.carried();
        if states.is_empty() && carried.is_empty() {
            return context.below_remote(span, Default::default());
        }
        let state = TraceStateBuf::from_headers(states).unwrap_or_default();
        let carried = carried
            .with_sampling_state(span.trace_id(), SamplingState::InFlags)
            .with_trace_state(&state);
        context.below_remote(span, carried)
    }

    fn inject(&self, context: &Context, carrier: &mut dyn Setter) {
        let span = context.span_context();
        if !span.is_valid() {
            return;
        }
        carrier.set(TRACEPARENT, TraceParent::new(&span).as_str());
        let state = context.carried().trace_state();
        if !state.is_empty() {
            carrier.set(TRACESTATE, state.as_str());
        }
    }

    fn fields(&self) -> &[&'static str] {
        &[TRACEPARENT, TRACESTATE]
    }
}
