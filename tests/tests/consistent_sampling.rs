//! What is kept by samplers, and what the kept ones stand for: counted over
//! traces of fixed seeds.

use core::time::Duration;
use std::sync::Barrier;
use std::thread;

use proptest::prelude::*;
use throughline::w3c::TraceStateBuf;
use throughline::{
    Additions, ComposableParentThreshold, ComposableProbability, ComposableRateLimiting,
    ComposableSampler, CompositeSampler, Decision, OtelTraceState, ProbabilitySampler, Sampler,
    SamplingParameters, SpanContext, SpanId, SpanKind, TraceFlags, TraceId, TraceIdRatioBased,
};
use throughline_core::{Addition, IdGenerator, Platform};
use throughline_tests::simulation::Virtual;

/// A trace that is above every threshold.
const TRACE: TraceId = TraceId::from_bytes([0xff; 16]);
/// What a root has for a parent.
const ROOT: SpanContext = SpanContext::INVALID;

/// What a span's context says to the next service.
#[derive(Clone, Debug)]
struct Seen {
    context: SpanContext,
    state: TraceStateBuf,
}

impl Seen {
    /// What a service knows of a trace that begins in it.
    fn nothing() -> Self {
        Seen { context: SpanContext::INVALID, state: TraceStateBuf::new() }
    }

    fn is_kept(&self) -> bool {
        self.context.is_sampled()
    }

    /// How many spans it stands for, if it was kept and tells.
    fn adjusted_count(&self) -> Option<f64> {
        let threshold = OtelTraceState::of(self.state.as_trace_state()).threshold();
        threshold.filter(|_| self.is_kept()).map(|threshold| threshold.adjusted_count())
    }

    /// A span of another service below this one, or the root of the trace.
    fn below(&self, trace: TraceId, sampler: &impl Sampler) -> Seen {
        let mut state = self.state.clone();
        let mut known =
            SamplingParameters::new(&self.context, trace, "span", SpanKind::Server).on::<Virtual>();
        known.trace_state = self.state.as_trace_state();
        let mut add = |addition: Addition<'_>| {
            if let Addition::TraceState(changed) = addition {
                state = changed.clone();
            }
        };
        let decision = sampler.should_sample(&known, &mut Additions::new(&mut add));
        let flags = TraceFlags::RANDOM.with_sampled(decision == Decision::RecordAndSample);
        Seen { context: SpanContext::remote(trace, SpanId::from_bytes([1; 8]), flags), state }
    }
}

/// Ids of traces, the same ones for the same seed.
fn traces(seed: u64, count: usize) -> impl Iterator<Item = TraceId> {
    let ids = IdGenerator::new(seed);
    (0..count).map(move |_| ids.trace_id())
}

/// How many of so many new traces are kept, and for how many these stand.
fn roots(sampler: &impl Sampler, seed: u64, count: usize) -> (f64, f64) {
    let (mut kept, mut stands_for) = (0, 0.0);
    let mut add = |addition: Addition<'_>| {
        if let Addition::TraceState(state) = addition {
            let threshold = OtelTraceState::of(state.as_trace_state()).threshold();
            stands_for += threshold.expect("a kept root tells").adjusted_count();
        }
    };
    for trace in traces(seed, count) {
        let parent = SpanContext::INVALID;
        let span = SamplingParameters::new(&parent, trace, "span", SpanKind::Server);
        let decision = sampler.should_sample(&span, &mut Additions::new(&mut add));
        kept += usize::from(decision == Decision::RecordAndSample);
    }
    (kept as f64, stands_for)
}

/// Four deviations of a count with this expectation; of 10,000 fair counts one
/// is outside.
fn assert_near(count: f64, expected: f64, deviation: f64, what: &str) {
    let off = (count - expected) / deviation.max(f64::MIN_POSITIVE);
    assert!(off.abs() <= 4.0, "{what}: {count}, not {expected}: {off:.1} deviations off");
}

#[test]
fn the_kept_fraction_is_the_ratio_from_a_8192nd_to_all() {
    for exponent in 0..=13 {
        let ratio = 0.5_f64.powi(exponent);
        // As many as make 512 kept ones.
        let count = (1 << 17).max(512 << exponent);
        for seed in [1, 2] {
            let all = count as f64;
            let deviation = (all * ratio * (1.0 - ratio)).sqrt();
            let (kept, stands_for) = roots(&ProbabilitySampler::new(ratio), seed, count);
            assert_near(kept, all * ratio, deviation, &format!("kept of 2^-{exponent}"));
            let what = format!("adjusted counts of 2^-{exponent}");
            assert_near(stands_for, all, deviation / ratio, &what);
            let (kept, _) = roots(&TraceIdRatioBased::new(ratio), seed, count);
            assert_near(kept, all * ratio, deviation, &format!("kept of 2^-{exponent} by id"));
        }
    }
}

#[test]
fn adjusted_counts_are_true_for_ratios_that_thresholds_round() {
    for ratio in [0.9, 1.0 / 3.0, 0.1, 0.037, 0.001] {
        let sampler = ProbabilitySampler::new(ratio);
        let count = 1 << 18;
        let (_, stands_for) = roots(&sampler, 3, count);
        let deviation = (count as f64 * (1.0 - ratio) / ratio).sqrt();
        assert_near(stands_for, count as f64, deviation, &format!("adjusted counts of {ratio}"));
    }
}

/// PRB-1, PRB-2
/// ([Independent threshold](https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/#independent-parentchild-threshold)):
/// a front end keeps a quarter; behind it one service goes by its own half, one
/// by its own sixteenth, and one by its parent.
#[test]
fn services_of_different_rates_agree_and_each_count_is_true() {
    let front = CompositeSampler::new(ComposableProbability::new(0.25));
    let generous = ProbabilitySampler::new(0.5);
    let sparing = CompositeSampler::new(ComposableProbability::new(1.0 / 16.0));
    let following =
        CompositeSampler::new(ComposableParentThreshold::new(ComposableProbability::new(1.0)));
    let count = 1 << 17;
    let mut sums = [0.0; 4];
    for trace in traces(4, count) {
        let parent = Seen::nothing().below(trace, &front);
        let by_half = parent.below(trace, &generous);
        let by_sixteenth = parent.below(trace, &sparing);
        let by_parent = parent.below(trace, &following);
        assert!(!parent.is_kept() || by_half.is_kept(), "{trace}: the larger ratio keeps more");
        assert!(!by_sixteenth.is_kept() || parent.is_kept(), "{trace}: the smaller keeps less");
        assert_eq!(by_parent.is_kept(), parent.is_kept(), "{trace}");
        assert_eq!(by_parent.state, parent.state, "{trace}");
        // Two services on, with the smallest ratio between.
        assert_eq!(by_sixteenth.below(trace, &generous).is_kept(), by_half.is_kept(), "{trace}");
        for (sum, span) in sums.iter_mut().zip([&parent, &by_half, &by_sixteenth, &by_parent]) {
            *sum += span.adjusted_count().unwrap_or(0.0);
            assert_eq!(span.adjusted_count().is_some(), span.is_kept(), "{trace}");
        }
    }
    for (sum, ratio) in sums.into_iter().zip([0.25, 0.5, 1.0 / 16.0, 0.25]) {
        let deviation = (f64::from(count as u32) * (1.0 - ratio) / ratio).sqrt();
        assert_near(sum, count as f64, deviation, &format!("the sum at {ratio}"));
    }
}

/// PRB-7
/// ([Parent-based threshold](https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/#parent-based-threshold)):
/// where none came in, none is invented.
#[test]
fn a_parent_without_a_count_is_followed_and_counts_stay_unknown() {
    let following =
        CompositeSampler::new(ComposableParentThreshold::new(ComposableProbability::new(1.0)));
    let trace = TraceId::from_bytes([0x88; 16]);
    for (flags, state, kept, after) in [
        (TraceFlags::SAMPLED, "", true, ""),
        (TraceFlags::SAMPLED, "vendor=1", true, "vendor=1"),
        (TraceFlags::NONE, "", false, ""),
        (TraceFlags::SAMPLED, "ot=th:8", true, "ot=th:8"),
        (TraceFlags::NONE, "ot=th:c", false, ""),
        // What contradicts the flag is erased, and the flag holds.
        (TraceFlags::SAMPLED, "ot=th:c", true, ""),
        (TraceFlags::NONE, "ot=th:8", false, ""),
        // The explicit randomness holds instead of the id, and stays.
        (TraceFlags::SAMPLED, "ot=th:c;rv:d0000000000000", true, "ot=th:c;rv:d0000000000000"),
        (TraceFlags::NONE, "ot=th:c;rv:10000000000000", false, "ot=rv:10000000000000"),
        (TraceFlags::SAMPLED, "ot=th:Z;a:b", true, "ot=a:b"),
    ] {
        let parent = Seen {
            context: SpanContext::remote(trace, SpanId::from_bytes([2; 8]), flags),
            state: TraceStateBuf::from_headers([state.as_bytes()]).expect("a valid state"),
        };
        let child = parent.below(trace, &following);
        assert_eq!((child.is_kept(), child.state.as_str()), (kept, after), "{flags} {state}");
    }
}

proptest! {
    #[test]
    fn what_a_ratio_keeps_a_larger_one_keeps(
        trace in any::<[u8; 16]>(),
        explicit in proptest::option::of(0..1u64 << 56),
        ratios in [0.0..=1.0_f64, 0.0..=1.0_f64],
    ) {
        let trace = TraceId::from_bytes(trace);
        let rv = explicit.map(|rv| format!("ot=rv:{rv:014x}")).unwrap_or_default();
        let state = TraceStateBuf::from_headers([rv.as_bytes()]).expect("a valid state");
        let parent = Seen {
            context: SpanContext::remote(trace, SpanId::from_bytes([2; 8]), TraceFlags::NONE),
            state,
        };
        let [low, high] = [ratios[0].min(ratios[1]), ratios[0].max(ratios[1])]
            .map(|ratio| parent.below(trace, &ProbabilitySampler::new(ratio)));
        prop_assert!(!low.is_kept() || high.is_kept());
        for seen in [low, high] {
            let ot = OtelTraceState::of(seen.state.as_trace_state());
            prop_assert_eq!(ot.randomness().map(|rv| rv.get()), explicit);
            prop_assert_eq!(ot.threshold().is_some(), seen.is_kept());
        }
    }
}

/// Keeps what comes at these many spans per second for so long, on a clock that
/// is a number; returns what came, what was kept when, and the sum of counts.
fn flood(
    limit: &'static ComposableRateLimiting,
    seed: u64,
    rates: &[(u64, u64)],
) -> (usize, Vec<u64>, f64) {
    let sampler = CompositeSampler::new(limit);
    let ids = IdGenerator::new(seed);
    let (mut came, mut kept, mut stands_for) = (0, Vec::new(), 0.0);
    for &(per_second, millis) in rates {
        let end = Virtual::ticks() + millis * 1_000_000;
        let apart = 1_000_000_000 / per_second;
        while Virtual::ticks() < end {
            // Uneven, the mean being what it should.
            Virtual::set_ticks(Virtual::ticks() + 1 + ids.next() % (2 * apart));
            let span = Seen::nothing().below(ids.trace_id(), &sampler);
            came += 1;
            if span.is_kept() {
                kept.push(Virtual::ticks());
                stands_for += span.adjusted_count().expect("kept spans tell");
            }
        }
    }
    (came, kept, stands_for)
}

fn limit(spans: u32) -> &'static ComposableRateLimiting {
    Box::leak(Box::new(ComposableRateLimiting::new(spans, Duration::from_secs(1))))
}

#[test]
fn below_its_rate_a_limit_keeps_all() {
    let limit = limit(100);
    let (came, kept, stands_for) = flood(limit, 5, &[(50, 60_000)]);
    assert_eq!((kept.len(), stands_for as usize), (came, came));
}

#[test]
fn a_limit_holds_in_every_interval_and_counts_are_true() {
    for (spans, rates) in [
        (100, &[(1_000, 60_000)][..]),
        (100, &[(100_000, 10_000)]),
        (10, &[(20_000, 30_000)]),
        (100, &[(50, 5_000), (5_000, 5_000), (100, 5_000), (50_000, 5_000), (10, 5_000)]),
    ] {
        let limit = limit(spans);
        let (came, kept, stands_for) = flood(limit, 6, rates);
        let refused = limit.refused();
        assert!(refused * 1_000 <= came as u64, "{refused} of {came} at {spans}, {rates:?}");
        for (i, first) in kept.iter().enumerate() {
            for (j, last) in kept.iter().enumerate().skip(i) {
                let share = u64::from(spans) * (last - first) / 1_000_000_000;
                let most = u64::from(limit.burst()) + share;
                assert!((j - i + 1) as u64 <= most, "{spans}, {rates:?}: {i} to {j}");
            }
        }
        // Each kept span stands for `count`; the variance of the sum is the sum of
        // count * (count - 1), about came * came / kept.
        let deviation = came as f64 / (kept.len() as f64).sqrt() * 1.5;
        assert_near(stands_for, came as f64, deviation, &format!("{spans}, {rates:?}"));
        assert!((stands_for / came as f64 - 1.0).abs() < 0.25, "{stands_for} of {came}");
    }
}

#[test]
fn in_a_steady_flood_as_much_is_kept_as_the_limit_allows() {
    let (_, kept, _) = flood(limit(100), 7, &[(10_000, 60_000)]);
    assert!((5_950..=6_100).contains(&kept.len()), "{}", kept.len());
}

#[test]
fn many_threads_together_keep_what_the_bucket_holds() {
    let limit = limit(1_000);
    let sampler = CompositeSampler::new(limit);
    // The clock stands still, and the trace is above every threshold.
    let work = || (0..2_000).filter(|_| Seen::nothing().below(TRACE, &sampler).is_kept()).count();
    let kept: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert_eq!(kept, 1_000);
    assert_eq!(limit.refused(), 15_000);
}

/// That there is a token, all of them saw; that it is taken, one of them.
#[test]
fn of_many_threads_that_see_the_last_token_one_takes_it() {
    let limit = limit(1);
    let begins = || SamplingParameters::new(&ROOT, TRACE, "span", SpanKind::Server).on::<Virtual>();
    let take = || limit.accept(&begins(), &mut |_, _| ());
    assert!((1..limit.burst()).all(|_| take()));
    let together = Barrier::new(8);
    let taken: usize = thread::scope(|scope| {
        let work = || {
            let intent = limit.sampling_intent(&begins());
            together.wait();
            assert!(intent.threshold.is_some(), "each sees the last token");
            usize::from(take())
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert_eq!((taken, limit.refused()), (1, 7));
}

#[test]
fn a_limit_of_nothing_keeps_nothing() {
    let limit = limit(0);
    assert!(
        !Seen::nothing()
            .below(TraceId::from_bytes([0xff; 16]), &CompositeSampler::new(limit))
            .is_kept()
    );
    let parent = SpanContext::INVALID;
    let span = SamplingParameters::new(&parent, TraceId::INVALID, "", SpanKind::Internal);
    assert_eq!(limit.sampling_intent(&span).threshold, None);
}
