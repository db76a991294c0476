//! Which spans are recorded: decided once, when a span begins.
//!
//! ([Sampling](https://opentelemetry.io/docs/specs/otel/trace/sdk/#sampling))

mod additions;
mod always;
mod always_record;
mod annotating;
mod composable;
mod composite;
mod contradiction;
mod otel_trace_state;
mod parameters;
mod parent_based;
mod parent_threshold;
mod pattern;
mod predicate;
mod probability;
mod randomness;
mod rate_limiting;
mod ratio;
mod rule_based;
mod switch;
mod threshold;
mod token_bucket;

use core::fmt;
use core::ops::Deref;

pub use additions::{Addition, Additions};
pub use always::{AlwaysOff, AlwaysOn};
pub use always_record::AlwaysRecord;
pub use annotating::ComposableAnnotating;
pub use composable::{AddAttribute, ComposableSampler, SamplingIntent};
pub use composite::CompositeSampler;
#[cfg(not(target_os = "none"))]
pub(crate) use contradiction::{Stays, without_untrue_threshold};
pub use otel_trace_state::OtelTraceState;
pub use parameters::SamplingParameters;
pub use parent_based::ParentBased;
pub use parent_threshold::ComposableParentThreshold;
pub(crate) use predicate::is_value_like;
pub use predicate::{
    AnySpan, Both, Either, Except, HasAttribute, HasKind, HasName, HasRoute, IsRoot, Picked,
    Predicate,
};
pub use probability::{
    ComposableAlwaysOff, ComposableAlwaysOn, ComposableProbability, ProbabilitySampler,
};
pub use randomness::Randomness;
pub use rate_limiting::ComposableRateLimiting;
pub use ratio::TraceIdRatioBased;
pub use rule_based::{ComposableRuleBased, NoRules, Rule, Rules, Then};
pub use switch::SamplerSwitch;
pub use threshold::Threshold;
pub(crate) use token_bucket::TokenBucket;

/// Decides about a span that begins. Called by many threads at once.
pub trait Sampler: Sync {
    /// The decision for one span, and what to add to it.
    /// ([ShouldSample](https://opentelemetry.io/docs/specs/otel/trace/sdk/#shouldsample))
    fn should_sample(&self, span: &SamplingParameters<'_>, adds: &mut Additions<'_>) -> Decision;

    /// The sampler's name and settings.
    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// The decision, if it is the same for every span.
    fn constant(&self) -> Option<Decision> {
        None
    }

    /// Whether a child of a local span always follows its parent, so that
    /// nobody needs to be asked.
    fn follows_local_parent(&self) -> bool {
        false
    }

    /// Whether all samplers of this type [follow local
    /// parents](Self::follows_local_parent), so that it stays so if one takes the place of
    /// another.
    fn all_follow_local_parents() -> bool
    where
        Self: Sized,
    {
        false
    }

    /// The decision, if it is the same for every span and for all samplers of this type.
    fn common_decision() -> Option<Decision>
    where
        Self: Sized,
    {
        None
    }

    /// The threshold of all spans without a parent, if it is the same one and
    /// known: then tail sampling can say how many a trace stands for that begins
    /// here, though its trace state has none.
    fn root_threshold(&self) -> Option<Threshold> {
        None
    }

    /// Whether the sampler goes by parent, trace id, trace state, name and kind
    /// alone, and adds at most a trace state. Then it is asked before the span has
    /// memory or attributes, and a span that is dropped costs next to nothing.
    fn decides_early(&self) -> bool {
        false
    }

    /// Whether none of its code can panic: then a pipeline calls it directly, and does not
    /// catch what it throws. For those of this crate that have no code of others inside.
    /// Bare targets, which catch nothing, do not have this.
    #[cfg(not(target_os = "none"))]
    fn never_panics(&self) -> bool {
        false
    }
}

/// What points to a sampler is one: a `Box`, an `Arc`, a reference.
impl<S> Sampler for S
where
    S: Deref<Target: Sampler> + Sync,
{
    fn should_sample(&self, span: &SamplingParameters<'_>, adds: &mut Additions<'_>) -> Decision {
        (**self).should_sample(span, adds)
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).description(f)
    }

    fn constant(&self) -> Option<Decision> {
        (**self).constant()
    }

    fn follows_local_parent(&self) -> bool {
        (**self).follows_local_parent()
    }

    fn root_threshold(&self) -> Option<Threshold> {
        (**self).root_threshold()
    }

    fn decides_early(&self) -> bool {
        (**self).decides_early()
    }

    #[cfg(not(target_os = "none"))]
    fn never_panics(&self) -> bool {
        (**self).never_panics()
    }
}

/// What happens with a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Neither recorded nor sampled; its context is still propagated.
    Drop,
    /// Recorded for processors and logs, not exported; the sampled flag is not
    /// set.
    RecordOnly,
    /// Recorded and exported; the sampled flag is set.
    RecordAndSample,
}

/// Shows a sampler by its description.
#[derive(Debug)]
pub struct Described<'a, S: ?Sized>(pub &'a S);

impl<S: Sampler + ?Sized> fmt::Display for Described<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.description(f)
    }
}
