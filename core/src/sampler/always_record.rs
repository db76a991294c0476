//! Everything is recorded, whatever is exported.

use core::fmt;

use super::{Additions, Decision, Described, Sampler, SamplingParameters, Threshold};

/// Records what another sampler drops, for processors and logs; what is exported
/// stays as that one decides.
/// ([AlwaysRecord](https://opentelemetry.io/docs/specs/otel/trace/sdk/#alwaysrecord))
#[derive(Clone, Copy, Debug)]
pub struct AlwaysRecord<S> {
    root: S,
}

impl<S: Sampler> AlwaysRecord<S> {
    /// Records what this one drops.
    pub const fn new(root: S) -> Self {
        AlwaysRecord { root }
    }
}

impl<S: Sampler> Sampler for AlwaysRecord<S> {
    fn should_sample(&self, span: &SamplingParameters<'_>, adds: &mut Additions<'_>) -> Decision {
        recorded(self.root.should_sample(span, adds))
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlwaysRecord{{{}}}", Described(&self.root))
    }

    fn constant(&self) -> Option<Decision> {
        self.root.constant().map(recorded)
    }

    fn root_threshold(&self) -> Option<Threshold> {
        self.root.root_threshold()
    }

    fn decides_early(&self) -> bool {
        self.root.decides_early()
    }

    #[cfg(not(target_os = "none"))]
    fn never_panics(&self) -> bool {
        self.root.never_panics()
    }
}

fn recorded(decision: Decision) -> Decision {
    if decision == Decision::Drop { Decision::RecordOnly } else { decision }
}
