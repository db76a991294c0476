//! A sampler that is exchanged while the program runs.

use core::fmt;

use super::{
    AddAttribute, Additions, ComposableSampler, Decision, Sampler, SamplingIntent,
    SamplingParameters,
};
use crate::sync::{StaticRef, const_fn};
use crate::w3c::TraceStateBuf;

/// Asks a sampler that can be exchanged at any time, by any thread.
///
/// To ask costs one load: nobody locks or waits. What a change does not touch are
/// traces under way, if the switch is the root of a
/// [`ParentBased`](super::ParentBased) sampler, where it is asked about new
/// traces only.
///
/// ```
/// use throughline_core::{ParentBased, ProbabilitySampler, SamplerSwitch};
///
/// static USUAL: ProbabilitySampler = ProbabilitySampler::new(0.01);
/// static ALL: ProbabilitySampler = ProbabilitySampler::new(1.0);
/// static SWITCH: SamplerSwitch<ProbabilitySampler> = SamplerSwitch::new(&USUAL);
///
/// let sampler = ParentBased::new(&SWITCH);
/// // Later, when something is to be looked into:
/// let former = SWITCH.exchange(&ALL);
/// # let (_, _) = (sampler, former);
/// ```
///
/// Where the samplers are of several types or made at run time, the type is a
/// `Box<dyn Sampler + Send>`, which is leaked. A former sampler cannot be freed,
/// because a thread may be asking it; it may be used again. What changes every
/// few seconds for months is a setting that belongs inside a sampler.
///
/// Each time that a span begins, a pipeline asks whether the present sampler [decides
/// early](Sampler::decides_early). So one that decides by attributes sees them, also if it
/// takes the place of one that does without; a span that begins at the very moment of the
/// exchange may be decided without. (On bare targets a pipeline asks only once: what the first
/// sampler says holds.)
///
/// What a pipeline asks once is answered if no exchange makes it untrue: that children
/// [follow local parents](Sampler::follows_local_parent), if all samplers of the type `S` say
/// so; the [threshold of roots](Sampler::root_threshold) is not known.
///
/// It is a [`ComposableSampler`] too, if its samplers are, for example below
/// [`ComposableParentThreshold`](super::ComposableParentThreshold). An exchange between a
/// sampler's intent and the decision has the last word with the next one.
pub struct SamplerSwitch<S: 'static> {
    current: StaticRef<S>,
}

impl<S> SamplerSwitch<S> {
    const_fn! {
        /// Asks this one to begin with.
        pub fn new(first: &'static S) -> Self {
            SamplerSwitch { current: StaticRef::new(first) }
        }
    }

    /// Asks this one from now on, and returns the former one.
    pub fn exchange(&self, next: &'static S) -> &'static S {
        self.current.exchange(next)
    }

    /// The sampler that is asked.
    pub fn current(&self) -> &'static S {
        self.current.get()
    }
}

impl<S: Sampler> Sampler for SamplerSwitch<S> {
    fn should_sample(&self, span: &SamplingParameters<'_>, adds: &mut Additions<'_>) -> Decision {
        self.current().should_sample(span, adds)
    }

    /// That of the sampler which is asked now.
    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.current().description(f)
    }

    fn follows_local_parent(&self) -> bool {
        S::all_follow_local_parents()
    }

    fn all_follow_local_parents() -> bool {
        S::all_follow_local_parents()
    }

    fn decides_early(&self) -> bool {
        self.current().decides_early()
    }
}

impl<S: ComposableSampler> ComposableSampler for SamplerSwitch<S> {
    fn sampling_intent(&self, span: &SamplingParameters<'_>) -> SamplingIntent {
        self.current().sampling_intent(span)
    }

    /// That of the sampler which is asked now.
    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.current().description(f)
    }

    fn accept(&self, span: &SamplingParameters<'_>, attributes: &mut AddAttribute<'_>) -> bool {
        self.current().accept(span, attributes)
    }

    fn trace_state(
        &self,
        span: &SamplingParameters<'_>,
        is_sampled: bool,
    ) -> Option<TraceStateBuf> {
        self.current().trace_state(span, is_sampled)
    }

    fn follows_local_parent(&self) -> bool {
        S::all_follow_local_parents()
    }

    fn all_follow_local_parents() -> bool {
        S::all_follow_local_parents()
    }

    fn decides_early(&self) -> bool {
        self.current().decides_early()
    }
}

impl<S> fmt::Debug for SamplerSwitch<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SamplerSwitch").finish_non_exhaustive()
    }
}
