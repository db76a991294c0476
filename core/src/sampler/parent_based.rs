//! As the parent.

use core::fmt;

use super::{Additions, AlwaysOff, AlwaysOn, Decision, Sampler, SamplingParameters, Threshold};

/// Follows the decision of the parent; asks `root` where there is none.
///
/// Each of the four kinds of parents has a delegate of its own.
/// ([ParentBased](https://opentelemetry.io/docs/specs/otel/trace/sdk/#parentbased))
#[derive(Clone, Copy, Debug)]
pub struct ParentBased<
    Root,
    RemoteSampled = AlwaysOn,
    RemoteNotSampled = AlwaysOff,
    LocalSampled = AlwaysOn,
    LocalNotSampled = AlwaysOff,
> {
    /// Decides for a span without a parent.
    pub root: Root,
    /// Decides below a sampled span of another process.
    pub remote_sampled: RemoteSampled,
    /// Decides below an unsampled span of another process.
    pub remote_not_sampled: RemoteNotSampled,
    /// Decides below a sampled span of this process.
    pub local_sampled: LocalSampled,
    /// Decides below an unsampled span of this process.
    pub local_not_sampled: LocalNotSampled,
}

impl<Root> ParentBased<Root> {
    /// Follows every parent.
    pub const fn new(root: Root) -> Self {
        ParentBased {
            root,
            remote_sampled: AlwaysOn,
            remote_not_sampled: AlwaysOff,
            local_sampled: AlwaysOn,
            local_not_sampled: AlwaysOff,
        }
    }
}

impl<R, RS, RN, LS, LN> Sampler for ParentBased<R, RS, RN, LS, LN>
where
    R: Sampler,
    RS: Sampler,
    RN: Sampler,
    LS: Sampler,
    LN: Sampler,
{
    fn should_sample(&self, span: &SamplingParameters<'_>, adds: &mut Additions<'_>) -> Decision {
        let parent = span.parent;
        match (parent.is_valid(), parent.is_remote(), parent.is_sampled()) {
            (false, ..) => self.root.should_sample(span, adds),
            (true, true, true) => self.remote_sampled.should_sample(span, adds),
            (true, true, false) => self.remote_not_sampled.should_sample(span, adds),
            (true, false, true) => self.local_sampled.should_sample(span, adds),
            (true, false, false) => self.local_not_sampled.should_sample(span, adds),
        }
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ParentBased{root:")?;
        self.root.description(f)?;
        f.write_str(",remoteParentSampled:")?;
        self.remote_sampled.description(f)?;
        f.write_str(",remoteParentNotSampled:")?;
        self.remote_not_sampled.description(f)?;
        f.write_str(",localParentSampled:")?;
        self.local_sampled.description(f)?;
        f.write_str(",localParentNotSampled:")?;
        self.local_not_sampled.description(f)?;
        f.write_str("}")
    }

    fn follows_local_parent(&self) -> bool {
        self.local_sampled.constant() == Some(Decision::RecordAndSample)
            && self.local_not_sampled.constant() == Some(Decision::Drop)
    }

    fn all_follow_local_parents() -> bool {
        LS::common_decision() == Some(Decision::RecordAndSample)
            && LN::common_decision() == Some(Decision::Drop)
    }

    fn root_threshold(&self) -> Option<Threshold> {
        self.root.root_threshold()
    }

    fn decides_early(&self) -> bool {
        self.root.decides_early()
            && self.remote_sampled.decides_early()
            && self.remote_not_sampled.decides_early()
            && self.local_sampled.decides_early()
            && self.local_not_sampled.decides_early()
    }

    #[cfg(not(target_os = "none"))]
    fn never_panics(&self) -> bool {
        self.root.never_panics()
            && self.remote_sampled.never_panics()
            && self.remote_not_sampled.never_panics()
            && self.local_sampled.never_panics()
            && self.local_not_sampled.never_panics()
    }
}
