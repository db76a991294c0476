//! Attributes that say by which sampler a span was kept.

use core::fmt;

use super::composable::{AddAttribute, Composable};
use super::{ComposableSampler, SamplingIntent, SamplingParameters};
use crate::Value;
use crate::w3c::TraceStateBuf;

/// Adds attributes to the spans that another sampler keeps.
/// ([ComposableAnnotating](https://opentelemetry.io/docs/specs/otel/trace/sdk/#composableannotating))
#[derive(Clone, Copy, Debug)]
pub struct ComposableAnnotating<S> {
    attributes: &'static [(&'static str, Value<'static>)],
    sampler: S,
}

impl<S: ComposableSampler> ComposableAnnotating<S> {
    /// Adds these attributes to what the sampler keeps.
    pub const fn new(attributes: &'static [(&'static str, Value<'static>)], sampler: S) -> Self {
        ComposableAnnotating { attributes, sampler }
    }
}

impl<S: ComposableSampler> ComposableSampler for ComposableAnnotating<S> {
    fn sampling_intent(&self, span: &SamplingParameters<'_>) -> SamplingIntent {
        self.sampler.sampling_intent(span)
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ComposableAnnotating{{{},[", Composable(&self.sampler))?;
        for (i, (key, _)) in self.attributes.iter().enumerate() {
            write!(f, "{}{key}", if i == 0 { "" } else { "," })?;
        }
        f.write_str("]}")
    }

    fn accept(&self, span: &SamplingParameters<'_>, attributes: &mut AddAttribute<'_>) -> bool {
        let is_accepted = self.sampler.accept(span, attributes);
        if is_accepted {
            self.attributes.iter().for_each(|(key, value)| attributes(key, value));
        }
        is_accepted
    }

    fn trace_state(
        &self,
        span: &SamplingParameters<'_>,
        is_sampled: bool,
    ) -> Option<TraceStateBuf> {
        self.sampler.trace_state(span, is_sampled)
    }

    #[cfg(not(target_os = "none"))]
    fn never_panics(&self) -> bool {
        self.sampler.never_panics()
    }
}
