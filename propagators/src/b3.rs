//! B3, the headers of Zipkin.
//!
//! ```text
//!   b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90
//!       └ trace id, 16 or 32 digits      └ span id        │ └ parent, ignored
//!                                                         └ 1, 0, d, or left out: defer
//!   b3: 0                                                   the decision alone
//! ```
//!
//! Rules: [B3 propagation](https://github.com/openzipkin/b3-propagation) and
//! [B3 Requirements](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#b3-requirements).

use throughline_core::w3c::{Setter, TraceStateBuf};
use throughline_core::{Carry, SpanContext, SpanId, TraceFlags, TraceId};
use throughline_runtime::{Carried, Context, SamplingState};

use crate::hex::{padded, trimmed};
use crate::propagator::{AnyGetter, Propagator};

/// B3: the single header `b3`, or several `x-b3-*`.
///
/// Both forms read either: the single header first, and if it is missing or
/// malformed the others. The debug flag, and a decision that was left to others,
/// go on as they came. A message that says `0` without naming a trace is handled
/// without recording anything, and says so to the next.
///
/// The id of the parent's parent is never sent, and a received span id is the
/// parent's, never one's own. A trace id of 16 digits has zeros on its left.
#[derive(Clone, Copy, Debug)]
pub struct B3 {
    is_multi: bool,
}

impl B3 {
    /// Writes the header `b3`.
    pub const fn single() -> Self {
        B3 { is_multi: false }
    }

    /// Writes the headers `x-b3-traceid`, `x-b3-spanid` and `x-b3-sampled`, or
    /// `x-b3-flags` for a trace under debug.
    pub const fn multi() -> Self {
        B3 { is_multi: true }
    }
}

impl Default for B3 {
    fn default() -> Self {
        B3::single()
    }
}

impl Propagator for B3 {
    fn extract(&self, context: Context, carrier: &dyn AnyGetter) -> Context {
        let single = carrier.first(B3_SINGLE).and_then(Received::single);
        match single.or_else(|| Received::multi(carrier)) {
            Some(received) => received.applied(context),
            None => context,
        }
    }

    fn inject(&self, context: &Context, carrier: &mut dyn Setter) {
        let span = context.span_context();
        let state = context.carried().sampling_state(span.trace_id());
        if !span.is_valid() {
            if state == SamplingState::Denied {
                carrier.set(if self.is_multi { SAMPLED } else { B3_SINGLE }, "0");
            }
            return;
        }
        let decision = match state {
            SamplingState::Debug => Some(Decision::Debug),
            _ if span.is_sampled() => Some(Decision::Accept),
            SamplingState::Deferred => None,
            _ => Some(Decision::Deny),
        };
        let (trace, id) = (span.trace_id().to_hex(), span.span_id().to_hex());
        if self.is_multi {
            carrier.set(TRACE_ID, text(&trace));
            carrier.set(SPAN_ID, text(&id));
            match decision {
                Some(Decision::Debug) => carrier.set(FLAGS, "1"),
                Some(other) => carrier.set(SAMPLED, other.as_str()),
                None => {}
            }
        } else {
            let mut value = *b"                                -                - ";
            value[..32].copy_from_slice(&trace);
            value[33..49].copy_from_slice(&id);
            let length = match decision {
                Some(decision) => {
                    value[50] = decision.as_str().as_bytes()[0];
                    51
                }
                None => 49,
            };
            carrier.set(B3_SINGLE, text(&value[..length]));
        }
    }

    fn fields(&self) -> &[&'static str] {
        if self.is_multi { &[TRACE_ID, SPAN_ID, SAMPLED, FLAGS] } else { &[B3_SINGLE] }
    }
}

/// What the headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Received {
    ids: Option<(TraceId, SpanId)>,
    decision: Option<Decision>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Accept,
    Deny,
    Debug,
}

impl Decision {
    fn single(value: &[u8]) -> Option<Self> {
        match value {
            b"1" => Some(Decision::Accept),
            b"0" => Some(Decision::Deny),
            b"d" => Some(Decision::Debug),
            _ => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Decision::Accept => "1",
            Decision::Deny => "0",
            Decision::Debug => "d",
        }
    }
}

impl Received {
    fn single(value: &[u8]) -> Option<Self> {
        let value = trimmed(value);
        if let Some(decision) = Decision::single(value) {
            return Some(Received { ids: None, decision: Some(decision) });
        }
        let mut parts = value.split(|byte| *byte == b'-');
        let ids = Some(ids(parts.next()?, parts.next()?)?);
        let decision = match parts.next() {
            Some(state) => Some(Decision::single(state)?),
            None => None,
        };
        if let Some(parent) = parts.next() {
            SpanId::from_hex(parent)?;
        }
        parts.next().is_none().then_some(Received { ids, decision })
    }

    fn multi(carrier: &dyn AnyGetter) -> Option<Self> {
        let is_debug = carrier.first(FLAGS).is_some_and(|value| trimmed(value) == b"1");
        let decision = match carrier.first(SAMPLED).map(trimmed) {
            // Debug implies it.
            _ if is_debug => Some(Decision::Debug),
            Some(b"1" | b"true") => Some(Decision::Accept),
            Some(b"0" | b"false") => Some(Decision::Deny),
            Some(_) => return None,
            None => None,
        };
        let ids = match (carrier.first(TRACE_ID), carrier.first(SPAN_ID)) {
            (Some(trace), Some(span)) => Some(ids(trimmed(trace), trimmed(span))?),
            (None, None) if decision.is_some() => None,
            _ => return None,
        };
        Some(Received { ids, decision })
    }

    fn applied(self, context: Context) -> Context {
        let Some((trace, span)) = self.ids else { return self.decided(context) };
        let is_sampled = matches!(self.decision, Some(Decision::Accept | Decision::Debug));
        let state = match self.decision {
            Some(Decision::Debug) => SamplingState::Debug,
            Some(_) => SamplingState::InFlags,
            None => SamplingState::Deferred,
        };
        let span = SpanContext::remote(trace, span, TraceFlags::NONE.with_sampled(is_sampled));
        of_sender(&context, span, state)
    }

    /// The decision alone, which a trace that is named already does not need.
    fn decided(self, context: Context) -> Context {
        if context.span_context().is_valid() {
            return context;
        }
        let with = |state| {
            let carried = context.carried().with_sampling_state(TraceId::INVALID, state);
            context.clone().with_carried(carried)
        };
        match self.decision {
            Some(Decision::Debug) => with(SamplingState::Debug),
            Some(Decision::Deny) => with(SamplingState::Denied).suppressed(),
            Some(Decision::Accept) | None => context,
        }
    }
}

/// The context below the span of the sender. Where another propagator has read
/// the same span, what it knows of it stays: the random flag, the trace state.
pub(crate) fn of_sender(context: &Context, span: SpanContext, state: SamplingState) -> Context {
    let known = context.span_context();
    if (known.trace_id(), known.span_id()) == (span.trace_id(), span.span_id()) {
        if state != SamplingState::Debug {
            return context.clone();
        }
        let carried = context.carried().with_sampling_state(span.trace_id(), state);
        let flags = known.trace_flags().with_sampled(true);
        return context
            .below_remote(SpanContext::remote(span.trace_id(), span.span_id(), flags), carried);
    }
    let carried = context.carried();
    if state == SamplingState::InFlags && carried.is_empty() {
        return context.below_remote(span, Carried::default());
    }
    let carried =
        carried.with_sampling_state(span.trace_id(), state).with_trace_state(&TraceStateBuf::new());
    context.below_remote(span, carried)
}

fn ids(trace: &[u8], span: &[u8]) -> Option<(TraceId, SpanId)> {
    let is_lower = |digits: &[u8]| !digits.iter().any(u8::is_ascii_uppercase);
    let trace = match trace.len() {
        16 | 32 if is_lower(trace) => TraceId::from_bytes(padded(trace)?),
        _ => return None,
    };
    let span = SpanId::from_hex(span)?;
    (trace.is_valid() && span.is_valid()).then_some((trace, span))
}

/// The text of digits and dashes.
fn text(ascii: &[u8]) -> &str {
    core::str::from_utf8(ascii).unwrap_or_default()
}

const B3_SINGLE: &str = "b3";
const TRACE_ID: &str = "x-b3-traceid";
const SPAN_ID: &str = "x-b3-spanid";
const SAMPLED: &str = "x-b3-sampled";
const FLAGS: &str = "x-b3-flags";
