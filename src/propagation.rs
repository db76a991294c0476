//! Contexts in and out of messages, by the W3C headers.

use throughline_core::Carry;
use throughline_core::w3c::{self, Getter, Setter};
use throughline_runtime::{Carried, Context};

/// The context of a message that came in: `traceparent`, `tracestate` and
/// `baggage`.
///
/// It never fails: what is missing or malformed is as if it had not been sent,
/// by the rules of [W3C Trace Context](https://www.w3.org/TR/trace-context-2/)
/// and [W3C Baggage](https://www.w3.org/TR/baggage/).
pub fn extract(carrier: &(impl Getter + ?Sized)) -> Context {
    let has = |name| carrier.get_all(name).next().is_some();
    if has(w3c::TRACESTATE) || has(w3c::BAGGAGE) {
        return extract_carried(carrier);
    }
    Context::remote(w3c::extract_span_context(carrier).unwrap_or_default(), Carried::default())
}

/// Apart, since most messages bring neither header and it takes 12 KiB of stack.
#[inline(never)]
fn extract_carried(carrier: &(impl Getter + ?Sized)) -> Context {
    let (span, trace_state) = w3c::extract(carrier).unwrap_or_default();
    let (baggage, _) = w3c::extract_baggage::<8192>(carrier);
    Context::remote(span, Carried::new(trace_state, &baggage))
}

/// Writes the context into a message that goes out.
///
/// A context without a valid span writes no `traceparent`; baggage goes out
/// either way. It works whether or not the trace is sampled, and without a
/// pipeline.
pub fn inject(context: &Context, carrier: &mut (impl Setter + ?Sized)) {
    let carried = context.carried();
    let span = context.span_context();
    if span.is_valid() {
        w3c::inject(&span, carried.trace_state(), carrier);
    }
    let baggage = carried.baggage();
    if !baggage.is_empty() {
        carrier.set(w3c::BAGGAGE, baggage.as_str());
    }
}
