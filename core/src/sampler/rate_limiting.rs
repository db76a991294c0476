//! So many spans per time, and still counts that are true.

use core::fmt;
use core::time::Duration;

use super::composable::AddAttribute;
use super::threshold::{ONE, PRECISION};
use super::token_bucket::TokenBucket;
use super::{ComposableSampler, SamplingIntent, SamplingParameters, Threshold};
use crate::sync::{AtomicUsize, Ordering, const_fn};

/// Keeps at most so many spans per time, true under any number of threads.
///
/// A token bucket is the limit. Above half its level everything is kept; below,
/// the threshold rises with every token that is gone, by 16 powers of two in all,
/// until what is kept is what flows in:
///
/// ```text
///   level     empty  one token                      half              full
///   kept        0    2⁻¹⁶ ──────── doubles ────────▶ 1 ─────────────────▶
/// ```
///
/// The threshold is chosen by the level alone, before anybody knows which trace
/// it is, so each span that is kept stands for as many as `th` says, and the sum
/// of adjusted counts is right on average. A limit that cut traces off when the
/// bucket is empty would have no count to tell. That is still the last resort:
/// what finds less than one token is dropped and [counted](Self::refused). Even
/// when the load jumps to thousands of times the limit, that is less than one
/// span in a thousand; from 65,536 times the limit on it is the rule.
///
/// It is meant for roots, under
/// [`ComposableParentThreshold`](super::ComposableParentThreshold): asked for
/// several spans of a trace, it keeps parts of traces. It costs one load for
/// what is dropped and one exchange for what is kept. The time is that of the
/// [platform](SamplingParameters::monotonic_nanos).
///
/// The specification has no sampler that limits rates.
#[derive(Debug)]
pub struct ComposableRateLimiting {
    bucket: TokenBucket,
    spans: u32,
    per: Duration,
    refused: AtomicUsize,
}

impl ComposableRateLimiting {
    const_fn! {
        /// Keeps at most so many spans in this time on average.
        ///
        /// In any time `t` these are at most [`burst`](Self::burst) + `spans` ·
        /// `t` / `per`. A time of more than some years, or shorter than what the
        /// clock tells apart, is rounded to that.
        pub fn new(spans: u32, per: Duration) -> Self {
            let burst = burst(spans);
            let bucket = TokenBucket::new(burst, spans, per);
            ComposableRateLimiting { bucket, spans, per, refused: AtomicUsize::new(0) }
        }
    }

    /// How many may be kept at once after a silence: what is kept in the time
    /// given, and at least 16, with fewer of which nothing could be regulated.
    pub const fn burst(&self) -> u32 {
        burst(self.spans)
    }

    /// The number of spans that found the bucket empty. No adjusted count stands
    /// for them. It wraps on 32-bit targets.
    pub fn refused(&self) -> u64 {
        // Ordering: Relaxed, no value is read through it.
        self.refused.load(Ordering::Relaxed) as u64
    }

    /// The threshold at this time; none, and a refusal counted, where the bucket
    /// is empty.
    pub(crate) fn threshold_at(&self, nanos: u64) -> Option<Threshold> {
        if self.spans == 0 {
            return None;
        }
        let threshold = self.threshold(self.bucket.level(nanos));
        if threshold.is_none() {
            self.refuse();
        }
        threshold
    }

    /// Takes a token for what is kept. If others took the last ones in the
    /// meantime, that is a refusal.
    pub(crate) fn take_at(&self, nanos: u64) -> bool {
        let is_taken = self.bucket.take(nanos);
        if !is_taken {
            self.refuse();
        }
        is_taken
    }

    fn refuse(&self) {
        // Ordering: Relaxed, no value is read through it.
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// The threshold at this level of the bucket; none below a token.
    fn threshold(&self, level: usize) -> Option<Threshold> {
        let (one, half) = (self.bucket.interval(), self.bucket.size() / 2);
        if level >= half {
            return Some(Threshold::ALWAYS);
        }
        if level < one {
            return None;
        }
        // How far below half, in powers of two of which 16 bits are behind the
        // point. Between two powers the probability falls in a straight line.
        let below = (half - level) as u128 * u128::from(OCTAVES << 16) / (half - one) as u128;
        let power = ONE >> (below >> 16);
        let kept = power - (power >> 17) * (below as u64 & 0xffff);
        Threshold::new(ONE - kept).map(|threshold| threshold.rounded(PRECISION))
    }
}

impl ComposableSampler for ComposableRateLimiting {
    fn sampling_intent(&self, span: &SamplingParameters<'_>) -> SamplingIntent {
        if self.spans == 0 {
            return SamplingIntent::NOTHING;
        }
        let threshold = self.threshold_at(span.monotonic_nanos());
        threshold.map_or(SamplingIntent::NOTHING, SamplingIntent::reliable)
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ComposableRateLimiting{{{} per {:?}}}", self.spans, self.per)
    }

    fn accept(&self, span: &SamplingParameters<'_>, _: &mut AddAttribute<'_>) -> bool {
        self.take_at(span.monotonic_nanos())
    }

    fn decides_early(&self) -> bool {
        true
    }

    #[cfg(not(target_os = "none"))]
    fn never_panics(&self) -> bool {
        true
    }
}

const fn burst(spans: u32) -> u32 {
    if spans < MIN_BURST { MIN_BURST } else { spans }
}

/// With fewer tokens, one of them would change the threshold by more than a few
/// powers of two.
const MIN_BURST: u32 = 16;
/// From half the bucket down to one token, the probability falls by so many
/// powers of two. More would make each token a larger step, and estimates worse.
const OCTAVES: u64 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_rises_steadily_as_the_bucket_empties() {
        for spans in [1, 16, 100, 5_000] {
            let sampler = ComposableRateLimiting::new(spans, Duration::from_secs(1));
            let (size, one) = (sampler.bucket.size(), sampler.bucket.interval());
            assert_eq!(sampler.threshold(size), Some(Threshold::ALWAYS));
            assert_eq!(sampler.threshold(size / 2), Some(Threshold::ALWAYS));
            assert_eq!(sampler.threshold(one - 1), None);
            let lowest = sampler.threshold(one).unwrap();
            assert_eq!(lowest.probability(), 1.0 / 65_536.0);
            let step = (size / 1_000).max(1);
            let levels = (one..=size).step_by(step);
            let thresholds: std::vec::Vec<_> =
                levels.map(|level| sampler.threshold(level).unwrap()).collect();
            assert!(thresholds.is_sorted_by(|a, b| a >= b), "{spans}");
        }
    }

    #[test]
    fn between_powers_of_two_the_probability_is_in_between() {
        let sampler = ComposableRateLimiting::new(1_000, Duration::from_secs(1));
        let (half, one) = (sampler.bucket.size() / 2, sampler.bucket.interval());
        let at = |octaves: f64| {
            let level = half - ((half - one) as f64 * octaves / 16.0) as usize;
            sampler.threshold(level).unwrap().probability()
        };
        for (octaves, probability) in [(0.5, 0.75), (1.0, 0.5), (1.5, 0.375), (10.0, 1.0 / 1024.0)]
        {
            assert!((at(octaves) / probability - 1.0).abs() < 1e-3, "{octaves}: {}", at(octaves));
        }
    }
}
