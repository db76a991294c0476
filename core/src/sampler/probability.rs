//! A part of the traces, the same for all services.

use core::fmt;

use super::composite::decide;
use super::{
    Additions, ComposableSampler, Decision, Sampler, SamplingIntent, SamplingParameters, Threshold,
};

/// Keeps a fixed part of the traces, the same ones as every other consistent
/// sampler of the same or a higher ratio, in this service or another; whatever
/// the parent's flag says.
///
/// The threshold is rounded to four significant hexadecimal digits, and `th` in
/// the trace state of each span that is kept.
/// ([ProbabilitySampler](https://opentelemetry.io/docs/specs/otel/trace/sdk/#probabilitysampler))
#[derive(Clone, Copy, Debug)]
pub struct ProbabilitySampler(ComposableProbability);

impl ProbabilitySampler {
    /// Keeps this part. Above 1 it is 1; below 2⁻⁵⁶, or not a number, nothing.
    pub const fn new(ratio: f64) -> Self {
        ProbabilitySampler(ComposableProbability::new(ratio))
    }
}

impl Sampler for ProbabilitySampler {
    fn should_sample(&self, span: &SamplingParameters<'_>, adds: &mut Additions<'_>) -> Decision {
        decide(&self.0, span, adds)
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProbabilitySampler{{{:.6}}}", self.0.ratio)
    }

    fn decides_early(&self) -> bool {
        true
    }

    #[cfg(not(target_os = "none"))]
    fn never_panics(&self) -> bool {
        true
    }
}

/// A fixed part.
/// ([ComposableProbability](https://opentelemetry.io/docs/specs/otel/trace/sdk/#composableprobability))
#[derive(Clone, Copy, Debug)]
pub struct ComposableProbability {
    ratio: f64,
    threshold: Option<Threshold>,
}

impl ComposableProbability {
    /// This part. Above 1 it is 1; below 2⁻⁵⁶, or not a number, nothing.
    pub const fn new(ratio: f64) -> Self {
        let threshold = Threshold::from_probability(ratio);
        let ratio = match threshold {
            Some(_) if ratio < 1.0 => ratio,
            Some(_) => 1.0,
            None => 0.0,
        };
        ComposableProbability { ratio, threshold }
    }
}

impl ComposableSampler for ComposableProbability {
    fn sampling_intent(&self, _: &SamplingParameters<'_>) -> SamplingIntent {
        self.threshold.map_or(SamplingIntent::NOTHING, SamplingIntent::reliable)
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ComposableProbability{{{:.6}}}", self.ratio)
    }

    fn decides_early(&self) -> bool {
        true
    }

    #[cfg(not(target_os = "none"))]
    fn never_panics(&self) -> bool {
        true
    }
}

/// Everything, each span standing for itself.
/// ([ComposableAlwaysOn](https://opentelemetry.io/docs/specs/otel/trace/sdk/#composablealwayson))
#[derive(Clone, Copy, Debug, Default)]
pub struct ComposableAlwaysOn;

impl ComposableSampler for ComposableAlwaysOn {
    fn sampling_intent(&self, _: &SamplingParameters<'_>) -> SamplingIntent {
        SamplingIntent::reliable(Threshold::ALWAYS)
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ComposableAlwaysOn")
    }

    fn decides_early(&self) -> bool {
        true
    }

    #[cfg(not(target_os = "none"))]
    fn never_panics(&self) -> bool {
        true
    }
}

/// Nothing.
/// ([ComposableAlwaysOff](https://opentelemetry.io/docs/specs/otel/trace/sdk/#composablealwaysoff))
#[derive(Clone, Copy, Debug, Default)]
pub struct ComposableAlwaysOff;

impl ComposableSampler for ComposableAlwaysOff {
    fn sampling_intent(&self, _: &SamplingParameters<'_>) -> SamplingIntent {
        SamplingIntent::NOTHING
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ComposableAlwaysOff")
    }

    fn decides_early(&self) -> bool {
        true
    }

    #[cfg(not(target_os = "none"))]
    fn never_panics(&self) -> bool {
        true
    }
}
