//! Ids, flags and trace state, in both directions.

use core::str::FromStr;

use opentelemetry::trace::{self as theirs, TraceState};
use throughline_core::w3c::{self, TraceStateBuf};
use throughline_core::{SpanContext, SpanId, TraceFlags, TraceId};

/// Their form of a span's identity.
pub(crate) fn to_theirs(span: &SpanContext, state: w3c::TraceState<'_>) -> theirs::SpanContext {
    theirs::SpanContext::new(
        theirs::TraceId::from_bytes(span.trace_id().to_bytes()),
        theirs::SpanId::from_bytes(span.span_id().to_bytes()),
        theirs::TraceFlags::new(span.trace_flags().to_bits()),
        span.is_remote(),
        state_to_theirs(state),
    )
}

/// Our form of a span's identity, without its trace state.
pub(crate) fn to_ours(span: &theirs::SpanContext) -> SpanContext {
    let make = if span.is_remote() { SpanContext::remote } else { SpanContext::new };
    make(
        TraceId::from_bytes(span.trace_id().to_bytes()),
        SpanId::from_bytes(span.span_id().to_bytes()),
        TraceFlags::from_bits(span.trace_flags().to_u8()),
    )
}

/// Our form of a trace state; one that is not well-formed by the recommendation is
/// none, as if it had been received.
pub(crate) fn state_to_ours(span: &theirs::SpanContext) -> TraceStateBuf {
    // The text allocates; nearly all spans have none.
    if *span.trace_state() == TraceState::NONE {
        return TraceStateBuf::new();
    }
    let text = span.trace_state().header();
    TraceStateBuf::from_headers([text.as_bytes()]).unwrap_or_default()
}

fn state_to_theirs(state: w3c::TraceState<'_>) -> TraceState {
    if state.is_empty() {
        return TraceState::NONE;
    }
    TraceState::from_str(state.as_str()).unwrap_or_else(|_| {
        // Level 2 allows keys that they refuse: the others stay, in their order.
        let members: Vec<_> = state.members().collect();
        members
            .into_iter()
            .rev()
            .fold(TraceState::NONE, |kept, (key, value)| kept.insert(key, value).unwrap_or(kept))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SC-7, SC-8 and SC-9 of [SpanContext](https://opentelemetry.io/docs/specs/otel/trace/api/#spancontext).
    #[test]
    fn an_identity_is_the_same_there_and_back() {
        let state = TraceStateBuf::from_headers([b"congo=t61rc,rojo=1".as_slice()]).expect("valid");
        let flags = TraceFlags::SAMPLED | TraceFlags::RANDOM;
        let (trace, span) = (TraceId::from_bytes([7; 16]), SpanId::from_bytes([9; 8]));
        for ours in [SpanContext::new(trace, span, flags), SpanContext::remote(trace, span, flags)]
        {
            let theirs = to_theirs(&ours, state.as_trace_state());
            assert_eq!(theirs.trace_id().to_string(), trace.to_string());
            assert_eq!(theirs.trace_flags().to_u8(), 0x03);
            assert_eq!(theirs.trace_state().header(), "congo=t61rc,rojo=1");
            assert_eq!(to_ours(&theirs), ours);
            assert_eq!(state_to_ours(&theirs).as_str(), state.as_str());
        }
        let odd = theirs::SpanContext::new(
            theirs::TraceId::from(1),
            theirs::SpanId::from(1),
            theirs::TraceFlags::new(0xff),
            false,
            TraceState::NONE,
        );
        assert_eq!(to_ours(&odd).trace_flags().to_bits(), 0x03);
    }

    #[test]
    fn members_that_the_other_side_refuses_take_no_others_with_them() {
        // Valid by level 2, in which the first letter of a key may be a digit.
        let text = "a=1,0rojo@x@y=2,b=3";
        let state = TraceStateBuf::from_headers([text.as_bytes()]).expect("valid");
        let theirs = state_to_theirs(state.as_trace_state());
        assert_eq!((theirs.get("a"), theirs.get("b")), (Some("1"), Some("3")));
    }
}
