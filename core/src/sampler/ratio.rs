//! A part of the traces, by their ids.

use core::fmt;

use super::contradiction::{Stays, erase_untrue_threshold};
use super::{Additions, Decision, Sampler, SamplingParameters};

/// Records a fixed part of the traces, as a function of the trace id alone.
///
/// A trace is kept when the last eight bytes of its id without the lowest bit, as a
/// number divided by 2⁶³, are below the ratio: the rule of the Go and Rust SDKs, so
/// that services of all three agree about a trace, and a larger ratio keeps all that a
/// smaller one keeps. The
/// specification discourages it except as the root of [`ParentBased`](super::ParentBased);
/// it knows nothing of thresholds, and erases the `th` of a parent.
/// ([TraceIdRatioBased](https://opentelemetry.io/docs/specs/otel/trace/sdk/#traceidratiobased))
#[derive(Clone, Copy, Debug)]
pub struct TraceIdRatioBased {
    ratio: f64,
    bound: u64,
}

impl TraceIdRatioBased {
    /// Keeps this part of the traces; a ratio outside of 0 to 1, or not a
    /// number, becomes the nearest end (not a number: 0).
    pub const fn new(ratio: f64) -> Self {
        let ratio = if ratio >= 1.0 {
            1.0
        } else if ratio > 0.0 {
            ratio
        } else {
            0.0
        };
        TraceIdRatioBased { ratio, bound: (ratio * (1u64 << 63) as f64) as u64 }
    }
}

impl Sampler for TraceIdRatioBased {
    fn should_sample(&self, span: &SamplingParameters<'_>, adds: &mut Additions<'_>) -> Decision {
        erase_untrue_threshold(span, adds, Stays::Never);
        let [_, low] = span.trace_id.halves();
        if low >> 1 < self.bound { Decision::RecordAndSample } else { Decision::Drop }
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceIdRatioBased{{{:.6}}}", self.ratio)
    }

    fn decides_early(&self) -> bool {
        true
    }

    #[cfg(not(target_os = "none"))]
    fn never_panics(&self) -> bool {
        true
    }
}
