//! As the parent, with its count.

use core::fmt;

use super::composable::{AddAttribute, Composable};
use super::{
    ComposableSampler, OtelTraceState, Randomness, SamplingIntent, SamplingParameters, Threshold,
};
use crate::w3c::TraceStateBuf;

/// Keeps what the parent kept, and for as many; asks `root` where there is no
/// parent.
///
/// The parent's `th` holds, unless it contradicts the parent's sampled flag:
/// then, and where there is none, the flag decides and the count is not known.
/// ([ComposableParentThreshold](https://opentelemetry.io/docs/specs/otel/trace/sdk/#composableparentthreshold),
/// [consistency](https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/#general-requirements))
#[derive(Clone, Copy, Debug)]
pub struct ComposableParentThreshold<Root> {
    root: Root,
}

impl<Root: ComposableSampler> ComposableParentThreshold<Root> {
    /// Asks this one about spans without a parent.
    pub const fn new(root: Root) -> Self {
        ComposableParentThreshold { root }
    }
}

impl<Root: ComposableSampler> ComposableSampler for ComposableParentThreshold<Root> {
    fn sampling_intent(&self, span: &SamplingParameters<'_>) -> SamplingIntent {
        let parent = span.parent;
        if !parent.is_valid() {
            return self.root.sampling_intent(span);
        }
        let randomness = Randomness::of(parent.trace_id(), span.trace_state);
        match OtelTraceState::of(span.trace_state).threshold() {
            Some(threshold) if threshold.keeps(randomness) == parent.is_sampled() => {
                SamplingIntent::reliable(threshold)
            }
            _ if parent.is_sampled() => SamplingIntent::unreliable(Threshold::ALWAYS),
            _ => SamplingIntent::NOTHING,
        }
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ComposableParentThreshold{{{}}}", Composable(&self.root))
    }

    fn accept(&self, span: &SamplingParameters<'_>, attributes: &mut AddAttribute<'_>) -> bool {
        span.parent.is_valid() || self.root.accept(span, attributes)
    }

    fn trace_state(
        &self,
        span: &SamplingParameters<'_>,
        is_sampled: bool,
    ) -> Option<TraceStateBuf> {
        if span.parent.is_valid() { None } else { self.root.trace_state(span, is_sampled) }
    }

    /// What a local parent carries, it was given by this very sampler.
    fn follows_local_parent(&self) -> bool {
        true
    }

    fn all_follow_local_parents() -> bool {
        true
    }

    fn decides_early(&self) -> bool {
        self.root.decides_early()
    }

    #[cfg(not(target_os = "none"))]
    fn never_panics(&self) -> bool {
        self.root.never_panics()
    }
}
