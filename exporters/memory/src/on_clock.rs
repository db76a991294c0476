//! Samplers that count the time of a virtual clock.
//!
//! A sampler asks its [place](SamplingParameters::on) for the time. Here it is asked in
//! another one, whose time is what the clock shows, so that neither the sampler nor the
//! way of a span knows of it.

use core::cell::Cell;
use core::fmt;
use std::sync::Arc;

use throughline_core::{
    Additions, Decision, Local, Pipeline, Platform, Sampler, SamplingParameters, Seed, Threshold,
};
use throughline_runtime::Std;

use crate::VirtualClock;

/// A sampler whose time is that of the clock.
pub(crate) struct OnClock {
    pub(crate) sampler: Arc<dyn Sampler + Send + Sync>,
    pub(crate) clock: VirtualClock,
}

impl Sampler for OnClock {
    fn should_sample(&self, span: &SamplingParameters<'_>, adds: &mut Additions<'_>) -> Decision {
        // A sampler may make spans itself, in a capture with another clock.
        let outside = SHOWN.replace(self.clock.unix_nanos());
        let decision = self.sampler.should_sample(&span.on::<Virtual>(), adds);
        SHOWN.set(outside);
        decision
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sampler.description(f)
    }

    fn constant(&self) -> Option<Decision> {
        self.sampler.constant()
    }

    fn follows_local_parent(&self) -> bool {
        self.sampler.follows_local_parent()
    }

    fn root_threshold(&self) -> Option<Threshold> {
        self.sampler.root_threshold()
    }

    fn decides_early(&self) -> bool {
        self.sampler.decides_early()
    }
}

/// Threads, with the time of the clock of the sampler that is asked.
#[derive(Debug)]
enum Virtual {}

impl Platform for Virtual {
    type Carried = ();

    fn ticks() -> u64 {
        Std::ticks()
    }

    fn monotonic_nanos() -> u64 {
        SHOWN.get()
    }

    fn on_presumed_randomness() {
        Std::on_presumed_randomness();
    }

    fn with_local<R>(use_it: impl FnOnce(&Local<Self>) -> R) -> R {
        LOCAL.with(use_it)
    }

    fn seed() -> Seed {
        Std::seed()
    }

    fn default_pipeline() -> Option<&'static Pipeline> {
        None
    }
}

thread_local! {
    static SHOWN: Cell<u64> = const { Cell::new(0) };
    static LOCAL: Local<Virtual> = const { Local::new() };
}
