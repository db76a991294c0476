//! The same for every span.

use core::fmt;

use super::{Additions, Decision, Sampler, SamplingParameters, Threshold};

/// Records every span.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlwaysOn;

/// Records no span.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlwaysOff;

impl Sampler for AlwaysOn {
    fn should_sample(&self, _: &SamplingParameters<'_>, _: &mut Additions<'_>) -> Decision {
        Decision::RecordAndSample
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AlwaysOnSampler")
    }

    fn constant(&self) -> Option<Decision> {
        Some(Decision::RecordAndSample)
    }

    fn root_threshold(&self) -> Option<Threshold> {
        Some(Threshold::ALWAYS)
    }

    fn decides_early(&self) -> bool {
        true
    }

    fn never_panics(&self) -> bool {
        true
    }
}

impl Sampler for AlwaysOff {
    fn should_sample(&self, _: &SamplingParameters<'_>, _: &mut Additions<'_>) -> Decision {
        Decision::Drop
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AlwaysOffSampler")
    }

    fn constant(&self) -> Option<Decision> {
        Some(Decision::Drop)
    }

    fn decides_early(&self) -> bool {
        true
    }

    fn never_panics(&self) -> bool {
        true
    }
}
