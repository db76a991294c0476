//! A sampler of the program's own, which may panic.

use core::fmt;
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::{Arc, OnceLock};

use throughline_core::{Additions, Decision, Pipeline, Sampler, SamplingParameters, Threshold};

use crate::report::notice::Notice;

/// Asks a sampler, and catches what it throws: the span is dropped then, and the program goes
/// on. Told once.
/// ([ERR-4](https://opentelemetry.io/docs/specs/otel/error-handling/#guidance))
pub(crate) struct GuardedSampler {
    sampler: Arc<dyn Sampler + Send + Sync>,
    panicked: Notice,
    /// Whose driver is to be woken, so that it tells.
    pipeline: OnceLock<&'static Pipeline>,
}

impl GuardedSampler {
    pub(crate) fn new(sampler: Arc<dyn Sampler + Send + Sync>) -> Self {
        GuardedSampler { sampler, panicked: Notice::new(), pipeline: OnceLock::new() }
    }

    /// It is asked about the spans of this one.
    pub(crate) fn belongs_to(&self, pipeline: &'static Pipeline) {
        let _ = self.pipeline.set(pipeline);
    }

    /// Whether it is to be told now that the sampler panicked.
    pub(crate) fn take_panicked(&self) -> bool {
        self.panicked.take()
    }

    fn ask<T>(&self, question: impl FnOnce(&Arc<dyn Sampler + Send + Sync>) -> T) -> Option<T> {
        let ask = || question(&self.sampler);
        let answer = catch_unwind(AssertUnwindSafe(ask));
        if answer.is_err()
            && self.panicked.note()
            && let Some(pipeline) = self.pipeline.get()
        {
            pipeline.announce();
        }
        answer.ok()
    }
}

impl Sampler for GuardedSampler {
    fn should_sample(&self, span: &SamplingParameters<'_>, adds: &mut Additions<'_>) -> Decision {
        self.ask(|sampler| sampler.should_sample(span, adds)).unwrap_or(Decision::Drop)
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ask(|sampler| sampler.description(f)).unwrap_or(Ok(()))
    }

    fn constant(&self) -> Option<Decision> {
        self.ask(|sampler| sampler.constant()).flatten()
    }

    fn follows_local_parent(&self) -> bool {
        self.ask(|sampler| sampler.follows_local_parent()).unwrap_or(false)
    }

    fn root_threshold(&self) -> Option<Threshold> {
        self.ask(|sampler| sampler.root_threshold()).flatten()
    }

    fn decides_early(&self) -> bool {
        self.ask(|sampler| sampler.decides_early()).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use throughline_core::{AlwaysOn, Described, ParentBased, ProbabilitySampler};

    use super::*;
    use crate::setup::pipeline::create;
    use crate::{Diagnostics, PipelineOptions};

    /// Keeps everything, but panics when it is asked for anything else.
    struct Faulty;

    impl Sampler for Faulty {
        fn should_sample(&self, _: &SamplingParameters<'_>, _: &mut Additions<'_>) -> Decision {
            Decision::RecordAndSample
        }

        fn description(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("in the description")
        }

        fn decides_early(&self) -> bool {
            panic!("in a question")
        }
    }

    fn guarded(sampler: impl Sampler + Send + 'static) -> GuardedSampler {
        GuardedSampler::new(Arc::new(sampler))
    }

    #[test]
    fn a_guarded_sampler_says_what_it_said() {
        let sampler = ParentBased::new(AlwaysOn);
        let described = Described(&sampler).to_string();
        let guarded = guarded(sampler);
        assert!(guarded.follows_local_parent() && guarded.decides_early());
        assert_eq!(guarded.root_threshold(), Some(Threshold::ALWAYS));
        assert_eq!(Described(&guarded).to_string(), described);
        assert!(!guarded.take_panicked());
    }

    /// ERR-4
    /// ([Error handling](https://opentelemetry.io/docs/specs/otel/error-handling/#guidance)).
    #[test]
    fn every_question_may_panic() {
        let guarded = guarded(ParentBased::new(Faulty));
        assert!(!guarded.decides_early());
        assert!(guarded.take_panicked());
        assert_eq!(Described(&guarded).to_string(), "ParentBased{root:");
        assert!(!guarded.take_panicked());
    }

    #[test]
    fn only_code_of_others_is_guarded() {
        let is_guarded = |sampler: Arc<dyn Sampler + Send + Sync>| {
            let diagnostics = Diagnostics::stderr(None);
            let options = PipelineOptions { sampler, diagnostics, ..PipelineOptions::default() };
            create(&options).sampler.is_some()
        };
        assert!(!is_guarded(Arc::new(ParentBased::new(ProbabilitySampler::new(0.5)))));
        assert!(is_guarded(Arc::new(ParentBased::new(Faulty))));
    }
}
