//! Samplers that say how much is to be kept, and leave it to another to decide.

use core::fmt;

use super::{SamplingParameters, Threshold};
use crate::Value;
use crate::w3c::TraceStateBuf;

/// A sampler that says how much of what is like a span is to be kept, and does
/// not see which one it is.
///
/// Such samplers combine into others. [`CompositeSampler`](super::CompositeSampler)
/// compares what the outermost one says with the randomness of the trace.
/// ([ComposableSampler](https://opentelemetry.io/docs/specs/otel/trace/sdk/#composablesampler))
pub trait ComposableSampler: Sync {
    /// How much of what is like this span is to be kept. It must not depend on
    /// the randomness of the trace, or counts are no longer true: for that
    /// reason the span has no trace id here.
    /// ([GetSamplingIntent](https://opentelemetry.io/docs/specs/otel/trace/sdk/#getsamplingintent))
    fn sampling_intent(&self, span: &SamplingParameters<'_>) -> SamplingIntent;

    /// The sampler's name and settings.
    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// The span is among those that are kept: sets its attributes, and has the
    /// last word. Where it says no, the span is dropped, and no count stands
    /// for it.
    ///
    /// A sampler with others inside hands it on to the one whose intent it gave.
    fn accept(&self, span: &SamplingParameters<'_>, attributes: &mut AddAttribute<'_>) -> bool {
        let _ = (span, attributes);
        true
    }

    /// The trace state of the span and all below, `None` to leave it as it is.
    /// What it says in the member `ot` is not heard.
    ///
    /// A sampler with others inside hands it on to the one whose intent it gave.
    fn trace_state(
        &self,
        span: &SamplingParameters<'_>,
        is_sampled: bool,
    ) -> Option<TraceStateBuf> {
        let _ = (span, is_sampled);
        None
    }

    /// As [`Sampler::follows_local_parent`](super::Sampler::follows_local_parent).
    fn follows_local_parent(&self) -> bool {
        false
    }

    /// As [`Sampler::all_follow_local_parents`](super::Sampler::all_follow_local_parents).
    fn all_follow_local_parents() -> bool
    where
        Self: Sized,
    {
        false
    }

    /// As [`Sampler::decides_early`](super::Sampler::decides_early): goes by
    /// parent, trace state, name and kind alone, and adds no attributes.
    fn decides_early(&self) -> bool {
        false
    }

    /// As [`Sampler::never_panics`](super::Sampler::never_panics).
    #[cfg(not(target_os = "none"))]
    fn never_panics(&self) -> bool {
        false
    }
}

/// Sets an attribute of a span, instead of a former one with the same key.
pub type AddAttribute<'a> = dyn FnMut(&str, &Value<'_>) + 'a;

/// How much is to be kept.
/// ([SamplingIntent](https://opentelemetry.io/docs/specs/otel/trace/sdk/#getsamplingintent))
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SamplingIntent {
    /// The threshold of what is kept, `None` for nothing.
    pub threshold: Option<Threshold>,
    /// Whether spans that are kept stand for [so
    /// many](Threshold::adjusted_count) as the threshold says.
    pub is_count_reliable: bool,
}

impl SamplingIntent {
    /// Keeps nothing.
    pub const NOTHING: Self = SamplingIntent { threshold: None, is_count_reliable: false };

    /// Keeps by this threshold, and counts by it.
    pub const fn reliable(threshold: Threshold) -> Self {
        SamplingIntent { threshold: Some(threshold), is_count_reliable: true }
    }

    /// Keeps by this threshold, for how many others is not known: the trace's
    /// randomness is not what decides.
    pub const fn unreliable(threshold: Threshold) -> Self {
        SamplingIntent { threshold: Some(threshold), is_count_reliable: false }
    }
}

/// What points to a sampler is one.
impl<S> ComposableSampler for S
where
    S: core::ops::Deref<Target: ComposableSampler> + Sync,
{
    fn sampling_intent(&self, span: &SamplingParameters<'_>) -> SamplingIntent {
        (**self).sampling_intent(span)
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).description(f)
    }

    fn accept(&self, span: &SamplingParameters<'_>, attributes: &mut AddAttribute<'_>) -> bool {
        (**self).accept(span, attributes)
    }

    fn trace_state(
        &self,
        span: &SamplingParameters<'_>,
        is_sampled: bool,
    ) -> Option<TraceStateBuf> {
        (**self).trace_state(span, is_sampled)
    }

    fn follows_local_parent(&self) -> bool {
        (**self).follows_local_parent()
    }

    fn decides_early(&self) -> bool {
        (**self).decides_early()
    }

    #[cfg(not(target_os = "none"))]
    fn never_panics(&self) -> bool {
        (**self).never_panics()
    }
}

/// Shows a composable sampler by its description.
pub(super) struct Composable<'a, S: ?Sized>(pub(super) &'a S);

impl<S: ComposableSampler + ?Sized> fmt::Display for Composable<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.description(f)
    }
}
