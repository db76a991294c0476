//! Thresholds that are not true of a decision.

use super::{Additions, OtelTraceState, Randomness, SamplingParameters};
use crate::w3c::TraceStateBuf;

/// What the trace state says of the parent, as a sampler looks at it that is none of
/// probability: `th` stays where this holds.
///
/// ([General requirements](https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/#general-requirements))
#[derive(Clone, Copy)]
pub(crate) enum Stays {
    /// Never: the sampler decides by something else.
    Never,
    /// If the span has this decision, the parent's was the same, and the threshold agrees
    /// with both: then the span is as likely as its parent.
    AsParent(bool),
    /// If the threshold agrees with this decision.
    #[cfg(not(target_os = "none"))]
    Agrees(bool),
}

/// The trace state without its `th`, if that may not stay.
#[inline]
pub(crate) fn without_untrue_threshold(
    span: &SamplingParameters<'_>,
    stays: Stays,
) -> Option<TraceStateBuf> {
    // On bare targets, where code is dear, states go on as they came.
    if cfg!(target_os = "none") || span.trace_state.is_empty() {
        return None;
    }
    erase(span, stays)
}

/// As [`without_untrue_threshold`], for a sampler.
#[inline]
pub(super) fn erase_untrue_threshold(
    span: &SamplingParameters<'_>,
    adds: &mut Additions<'_>,
    stays: Stays,
) {
    if let Some(state) = without_untrue_threshold(span, stays) {
        adds.set_trace_state(&state);
    }
}

#[cold]
fn erase(span: &SamplingParameters<'_>, stays: Stays) -> Option<TraceStateBuf> {
    let state = OtelTraceState::of(span.trace_state);
    let is_above = state.threshold()?.keeps(Randomness::of(span.trace_id, span.trace_state));
    let is_true = match stays {
        Stays::Never => false,
        Stays::AsParent(decided) => is_above == decided && span.parent.is_sampled() == decided,
        #[cfg(not(target_os = "none"))]
        Stays::Agrees(decided) => is_above == decided,
    };
    if is_true { None } else { state.with_threshold(None) }
}
