//! Models of samplers that threads share: the bucket of a limited rate, and the
//! switch.
#![cfg(throughline_loom)]

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use throughline_core::{
    Additions, ComposableRateLimiting, ComposableSampler, Decision, Sampler, SamplerSwitch,
    SamplingParameters, SpanContext, SpanKind, TraceId,
};
use throughline_loom_tests::{Preemptions, join, model};

// Fails when a token is looked for and taken in two steps.
#[test]
fn two_threads_never_take_the_last_token_both() {
    model(Preemptions { quick: 3, full: 6 }, || {
        let sampler = Arc::new(ComposableRateLimiting::new(1, Duration::from_secs(1)));
        for _ in 1..sampler.burst() {
            assert!(accept(&sampler));
        }
        let threads = [sampler.clone(), sampler.clone()]
            .map(|sampler| thread::spawn(move || accept(&sampler)));
        let taken = threads.map(join);
        assert_eq!(taken.iter().filter(|taken| **taken).count(), 1);
        assert_eq!(sampler.refused(), 1);
    });
}

// Fails when the token of a thread is overwritten by that of another.
#[test]
fn a_token_that_is_taken_stays_taken() {
    model(Preemptions { quick: 3, full: 6 }, || {
        let sampler = Arc::new(ComposableRateLimiting::new(1, Duration::from_secs(1)));
        for _ in 2..sampler.burst() {
            assert!(accept(&sampler));
        }
        let threads = [sampler.clone(), sampler.clone()]
            .map(|sampler| thread::spawn(move || assert!(accept(&sampler))));
        threads.into_iter().for_each(join);
        assert!(!accept(&sampler));
    });
}

/// A switch that is set to the first of two samplers; the second has no setting yet.
fn two_samplers() -> (Arc<SamplerSwitch<Setting>>, &'static Setting, &'static Setting) {
    let [first, second] = [1, 0].map(|setting| {
        let made: &'static Setting = Box::leak(Box::new(Setting(AtomicUsize::new(setting))));
        made
    });
    (Arc::new(SamplerSwitch::new(first)), first, second)
}

// Fails when the exchange does not release, or the look does not acquire, what
// was written before the exchange.
#[test]
fn who_sees_another_sampler_sees_its_settings() {
    model(Preemptions { quick: 3, full: 6 }, || {
        let (switch, first, second) = two_samplers();
        let other = switch.clone();
        let changes = thread::spawn(move || {
            // Ordering: Relaxed; the exchange shall publish it.
            second.0.store(2, Ordering::Relaxed);
            other.exchange(second)
        });
        // Ordering: Relaxed, as above.
        assert_ne!(switch.current().0.load(Ordering::Relaxed), 0);
        let former = join(changes);
        assert!(core::ptr::eq(former, first) && core::ptr::eq(switch.current(), second));
    });
}

// Fails when the exchange does not acquire what was written before the former
// one.
#[test]
fn who_takes_a_sampler_out_sees_its_settings() {
    model(Preemptions { quick: 3, full: 6 }, || {
        let (switch, first, second) = two_samplers();
        let other = switch.clone();
        let changes = thread::spawn(move || {
            // Ordering: Relaxed; the exchange shall publish it.
            second.0.store(2, Ordering::Relaxed);
            other.exchange(second);
        });
        // Ordering: Relaxed, as above.
        assert_ne!(switch.exchange(first).0.load(Ordering::Relaxed), 0);
        join(changes);
    });
}

fn accept(sampler: &ComposableRateLimiting) -> bool {
    let parent = SpanContext::INVALID;
    let span = SamplingParameters::new(&parent, TraceId::INVALID, "", SpanKind::Internal);
    sampler.accept(&span, &mut |_, _| ())
}

struct Setting(AtomicUsize);

impl Sampler for Setting {
    fn should_sample(&self, _: &SamplingParameters<'_>, _: &mut Additions<'_>) -> Decision {
        Decision::Drop
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Setting")
    }
}
