//! The one that decides for composable samplers.

use core::fmt;

use super::composable::Composable;
use super::{
    Additions, ComposableSampler, Decision, OtelTraceState, Randomness, Sampler, SamplingIntent,
    SamplingParameters, Threshold,
};
use crate::TraceId;

/// Decides by what a [`ComposableSampler`] says, and keeps `th` in the trace
/// state true.
///
/// A span is kept when the [`Randomness`] of its trace is not below the
/// threshold. Then `th` is the threshold, if the count is reliable; in every
/// other case there is none. `rv` stays as it is.
///
/// ```
/// use throughline_core::{ComposableParentThreshold, ComposableProbability, CompositeSampler};
///
/// let sampler =
///     CompositeSampler::new(ComposableParentThreshold::new(ComposableProbability::new(0.05)));
/// # let _ = sampler;
/// ```
///
/// ([CompositeSampler](https://opentelemetry.io/docs/specs/otel/trace/sdk/#compositesampler))
#[derive(Clone, Copy, Debug)]
pub struct CompositeSampler<S> {
    sampler: S,
}

impl<S: ComposableSampler> CompositeSampler<S> {
    /// Decides by what this sampler says.
    pub const fn new(sampler: S) -> Self {
        CompositeSampler { sampler }
    }
}

impl<S: ComposableSampler> Sampler for CompositeSampler<S> {
    fn should_sample(&self, span: &SamplingParameters<'_>, adds: &mut Additions<'_>) -> Decision {
        decide(&self.sampler, span, adds)
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CompositeSampler{{{}}}", Composable(&self.sampler))
    }

    fn follows_local_parent(&self) -> bool {
        self.sampler.follows_local_parent()
    }

    fn all_follow_local_parents() -> bool {
        S::all_follow_local_parents()
    }

    fn decides_early(&self) -> bool {
        self.sampler.decides_early()
    }

    #[cfg(not(target_os = "none"))]
    fn never_panics(&self) -> bool {
        self.sampler.never_panics()
    }
}

/// The decision about a span, of which the sampler says how much of its like is
/// to be kept.
pub(super) fn decide<S: ComposableSampler + ?Sized>(
    sampler: &S,
    span: &SamplingParameters<'_>,
    adds: &mut Additions<'_>,
) -> Decision {
    // Which trace it is would tell the sampler its randomness.
    let asked = SamplingParameters { trace_id: TraceId::INVALID, ..*span };
    let intent = sampler.sampling_intent(&asked);
    let is_sampled = is_kept(intent, span)
        && sampler.accept(&asked, &mut |key, value| adds.set_attribute(key, *value));
    let written = intent.threshold.filter(|_| is_sampled && intent.is_count_reliable);
    match sampler.trace_state(&asked, is_sampled) {
        None => {
            if let Some(state) = OtelTraceState::of(span.trace_state).with_threshold(written) {
                adds.set_trace_state(&state);
            }
        }
        Some(changed) => {
            // `ot` is not the sampler's: it is put back first.
            let own = match span.trace_state.get("ot") {
                Some(own) => changed.insert("ot", own).unwrap_or_default(),
                None => changed.remove("ot"),
            };
            let state = OtelTraceState::of(own.as_trace_state()).with_threshold(written);
            adds.set_trace_state(&state.unwrap_or(own));
        }
    }
    if is_sampled { Decision::RecordAndSample } else { Decision::Drop }
}

fn is_kept(intent: SamplingIntent, span: &SamplingParameters<'_>) -> bool {
    let Some(threshold) = intent.threshold else { return false };
    if threshold == Threshold::ALWAYS {
        return true;
    }
    if !intent.is_count_reliable {
        return threshold.keeps(Randomness::new(span.random()));
    }
    let is_random = !span.parent.is_valid() || span.parent.trace_flags().is_random();
    if !is_random && OtelTraceState::of(span.trace_state).randomness().is_none() {
        span.presume_randomness();
    }
    threshold.keeps(Randomness::of(span.trace_id, span.trace_state))
}
