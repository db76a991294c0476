//! A sampler that is exchanged while the program runs.

use core::fmt;

use super::{Additions, Decision, Described, Sampler, SamplingParameters};
use crate::sync::{StaticRef, const_fn};

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
/// A pipeline asks only once whether its sampler [decides
/// early](Sampler::decides_early). The switch says what its first sampler says;
/// one that decides late, after a first one that decides early, sees no
/// attributes, and what it adds besides the trace state is not heard.
pub struct SamplerSwitch<S: 'static> {
    current: StaticRef<S>,
    first: &'static S,
}

impl<S: Sampler> SamplerSwitch<S> {
    const_fn! {
        /// Asks this one to begin with.
        pub fn new(first: &'static S) -> Self {
            SamplerSwitch { current: StaticRef::new(first), first }
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

    fn decides_early(&self) -> bool {
        self.first.decides_early()
    }
}

impl<S: Sampler> fmt::Debug for SamplerSwitch<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SamplerSwitch({})", Described(self.current()))
    }
}
