//! Which spans are recorded: decided once, when a span begins.
//!
//! ([Sampling](https://opentelemetry.io/docs/specs/otel/trace/sdk/#sampling))

mod additions;
mod always;
mod parameters;
mod parent_based;
mod ratio;

use core::fmt;

pub use additions::{Addition, Additions};
pub use always::{AlwaysOff, AlwaysOn};
pub use parameters::SamplingParameters;
pub use parent_based::ParentBased;
pub use ratio::TraceIdRatioBased;

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

    /// Whether the sampler goes by parent, trace id, name and kind alone, and
    /// adds nothing. Then it is asked before the span has memory or attributes,
    /// and a span that is dropped costs next to nothing.
    fn decides_early(&self) -> bool {
        false
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
