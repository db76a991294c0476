//! The same for every span.

use core::fmt;

use super::contradiction::{Stays, erase_untrue_threshold};
use super::{Additions, Decision, Sampler, SamplingParameters, Threshold};

/// Records every span.
///
/// A `th` of the trace state stays where the parent was sampled by it; else it is erased, as
/// it is not by it that the span is.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlwaysOn;

/// Records no span. A `th` of the trace state stays where the parent was dropped by it.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlwaysOff;

impl Sampler for AlwaysOn {
    fn should_sample(&self, span: &SamplingParameters<'_>, adds: &mut Additions<'_>) -> Decision {
        erase_untrue_threshold(span, adds, Stays::AsParent(true));
        Decision::RecordAndSample
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AlwaysOnSampler")
    }

    fn constant(&self) -> Option<Decision> {
        Some(Decision::RecordAndSample)
    }

    fn common_decision() -> Option<Decision> {
        Some(Decision::RecordAndSample)
    }

    fn root_threshold(&self) -> Option<Threshold> {
        Some(Threshold::ALWAYS)
    }

    fn decides_early(&self) -> bool {
        true
    }

    #[cfg(not(target_os = "none"))]
    fn never_panics(&self) -> bool {
        true
    }
}

impl Sampler for AlwaysOff {
    fn should_sample(&self, span: &SamplingParameters<'_>, adds: &mut Additions<'_>) -> Decision {
        erase_untrue_threshold(span, adds, Stays::AsParent(false));
        Decision::Drop
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AlwaysOffSampler")
    }

    fn constant(&self) -> Option<Decision> {
        Some(Decision::Drop)
    }

    fn common_decision() -> Option<Decision> {
        Some(Decision::Drop)
    }

    fn decides_early(&self) -> bool {
        true
    }

    #[cfg(not(target_os = "none"))]
    fn never_panics(&self) -> bool {
        true
    }
}
