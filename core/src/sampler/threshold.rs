//! How much of what happens is kept, as a number of 56 bits.

use core::fmt;

use super::Randomness;
use crate::hex;

/// The rejection threshold of consistent probability sampling, 56 bits: of 2⁵⁶
/// equally likely traces so many are left out.
///
/// A span is kept when the [`Randomness`] of its trace is not below the
/// threshold of its sampler. Whoever has the lower threshold keeps all that
/// those with a higher one keep, so services may sample at different rates.
///
/// ```
/// use throughline_core::Threshold;
///
/// let quarter = Threshold::from_probability(0.25).unwrap();
/// assert_eq!(quarter.to_string(), "c");
/// assert_eq!(quarter.adjusted_count(), 4.0);
/// ```
///
/// ([Rejection threshold](https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/#rejection-threshold-th))
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Threshold(u64);

impl Threshold {
    /// Keeps everything: `th:0`.
    pub const ALWAYS: Threshold = Threshold(0);

    /// The threshold that is this number, if it is below 2⁵⁶.
    pub const fn new(threshold: u64) -> Option<Self> {
        if threshold < ONE { Some(Threshold(threshold)) } else { None }
    }

    /// Keeps this part, to four significant hexadecimal digits, which is what
    /// the specification recommends.
    ///
    /// `None` below 2⁻⁵⁶ and for what is not a number: to keep nothing is not a
    /// probability. More than 1 is 1.
    /// ([Converting](https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/#converting-floating-point-probability-to-threshold-value))
    pub const fn from_probability(probability: f64) -> Option<Self> {
        Self::from_probability_with_precision(probability, PRECISION)
    }

    /// Keeps this part, to 1 to 14 significant hexadecimal digits; leading `f`
    /// digits do not count as significant. A precision outside of that is the
    /// nearest end.
    pub const fn from_probability_with_precision(probability: f64, digits: u32) -> Option<Self> {
        if probability >= 1.0 {
            return Some(Threshold::ALWAYS);
        }
        if probability < 1.0 / ONE as f64 || probability.is_nan() {
            return None;
        }
        // A product with a power of two is exact; what it has behind the point is
        // rounded here, since there is no `round` without a standard library.
        let exact = probability * ONE as f64;
        let whole = exact as u64;
        let kept = whole + (exact - whole as f64 >= 0.5) as u64;
        Some(Threshold(ONE - kept).rounded(digits))
    }

    /// The nearest threshold with so many significant digits, 1 to 14.
    pub(super) const fn rounded(self, digits: u32) -> Self {
        if self.0 == 0 {
            return self;
        }
        let digits = if digits == 0 { 1 } else { digits };
        // The leading zeros of what is kept are the leading `f` digits of the
        // threshold, as the specification counts them.
        let leading = (ONE - self.0).leading_zeros() - (u64::BITS - BITS);
        let digits = digits.saturating_add(leading / 4);
        if digits >= DIGITS {
            return self;
        }
        let shift = 4 * (DIGITS - digits);
        let rounded = (self.0 + (1 << (shift - 1))) >> shift << shift;
        // What is nearly nothing does not become nothing.
        let most = ONE - (1 << shift);
        Threshold(if rounded > most { most } else { rounded })
    }

    /// The threshold that this text is: 1 to 14 lower-case hexadecimal digits,
    /// of which trailing zeros may be missing.
    /// ([Sampling threshold value](https://opentelemetry.io/docs/specs/otel/trace/tracestate-handling/#sampling-threshold-value-th))
    pub fn parse(text: &str) -> Option<Self> {
        let mut digits = *b"0000000000000000";
        let room = digits.get_mut(2..2 + text.len())?;
        if text.is_empty() {
            return None;
        }
        room.copy_from_slice(text.as_bytes());
        Some(Threshold(u64::from_be_bytes(hex::decode(&digits)?)))
    }

    /// The threshold as a number below 2⁵⁶.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whether a trace of this randomness is kept.
    /// ([Decision algorithm](https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/#decision-algorithm))
    pub const fn keeps(self, randomness: Randomness) -> bool {
        randomness.get() >= self.0
    }

    /// The part that is kept, from 2⁻⁵⁶ to 1.
    pub fn probability(self) -> f64 {
        (ONE - self.0) as f64 / ONE as f64
    }

    /// How many spans that began a kept one stands for, from 1 to 2⁵⁶.
    /// ([Adjusted count](https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/#converting-threshold-to-an-adjusted-count-sampling-rate))
    pub fn adjusted_count(self) -> f64 {
        ONE as f64 / (ONE - self.0) as f64
    }
}

/// The value of `th`: without trailing zeros, `0` for everything.
impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = hex::encode_8(self.0);
        let digits = hex::as_str(digits.get(2..).unwrap_or_default()).trim_end_matches('0');
        f.pad(if digits.is_empty() { "0" } else { digits })
    }
}

impl fmt::Debug for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Threshold({self})")
    }
}

/// Randomness and thresholds have so many bits,
pub(super) const BITS: u32 = 56;
/// or hexadecimal digits.
pub(super) const DIGITS: u32 = BITS / 4;
/// What all is, when nothing is left out.
pub(super) const ONE: u64 = 1 << BITS;
/// [The recommended precision](https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/#converting-floating-point-probability-to-threshold-value).
pub(super) const PRECISION: u32 = 4;

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use proptest::prelude::*;

    use super::*;

    /// PRB-4
    /// ([Algorithms](https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/#algorithms)).
    #[test]
    fn the_table_of_the_specification_holds() {
        for (one_in, texts) in [
            (1, ["0", "0", "0"]),
            (2, ["8", "8", "8"]),
            (3, ["aab", "aaab", "aaaab"]),
            (4, ["c", "c", "c"]),
            (5, ["ccd", "cccd", "ccccd"]),
            (8, ["e", "e", "e"]),
            (10, ["e66", "e666", "e6666"]),
            (16, ["f", "f", "f"]),
            (100, ["fd71", "fd70a", "fd70a4"]),
            (1_000, ["ffbe7", "ffbe77", "ffbe76d"]),
            (10_000, ["fff972", "fff9724", "fff97247"]),
            (100_000, ["ffff584", "ffff583a", "ffff583a5"]),
            (1_000_000, ["ffffef4", "ffffef39", "ffffef391"]),
        ] {
            for (digits, text) in (3..).zip(texts) {
                let probability = 1.0 / f64::from(one_in);
                let made = Threshold::from_probability_with_precision(probability, digits);
                assert_eq!(made.unwrap().to_string(), text, "1 in {one_in}, {digits} digits");
            }
        }
    }

    /// PRB-2
    /// ([Rejection threshold](https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/#rejection-threshold-th)).
    #[test]
    fn the_actual_probabilities_are_those_of_the_specification() {
        for (text, probability, count) in [
            ("0", 1.0, 1.0),
            ("8", 0.5, 2.0),
            ("aaab", 0.333_328_247_070_312_5, 3.000_045_777_065_69),
            ("c", 0.25, 4.0),
            ("fd70a", 0.010_000_228_881_835_938, 99.997_711_234_026_33),
            ("ffffef39", 1.000_007_614_493_37e-6, 999_992.385_564_61),
        ] {
            let threshold = Threshold::parse(text).unwrap();
            assert!((threshold.probability() / probability - 1.0).abs() < 1e-12, "{text}");
            assert!((threshold.adjusted_count() / count - 1.0).abs() < 1e-12, "{text}");
        }
    }

    /// PRB-1, PRB-6
    /// ([Sampling probability](https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/#sampling-probability)).
    #[test]
    fn the_ends_of_the_range_are_kept_apart_from_nothing() {
        let smallest = 1.0 / ONE as f64;
        assert_eq!(Threshold::from_probability(smallest).unwrap().get(), ONE - 1);
        assert_eq!(Threshold::from_probability(smallest / 2.0), None);
        assert_eq!(Threshold::from_probability(0.0), None);
        assert_eq!(Threshold::from_probability(f64::NAN), None);
        assert_eq!(Threshold::from_probability(7.0), Some(Threshold::ALWAYS));
        let coarse = Threshold::from_probability_with_precision(1.0 - 1e-16, 0);
        assert_eq!(coarse, Some(Threshold::ALWAYS));
        assert_eq!(Threshold::new(ONE), None);
        let rounded_up = Threshold(0xff_ffff_f800_0000).rounded(1);
        assert!(rounded_up.get() < ONE, "{rounded_up}");
    }

    #[test]
    fn a_text_is_1_to_14_lower_case_digits() {
        assert_eq!(Threshold::parse("c").unwrap().get(), 0xc0_0000_0000_0000);
        assert_eq!(Threshold::parse("00000000000001").unwrap().get(), 1);
        for text in ["", "C", "g", "-1", "000000000000000", "0 "] {
            assert_eq!(Threshold::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(number in 0..ONE) {
            let threshold = Threshold::new(number).unwrap();
            prop_assert_eq!(Threshold::parse(&threshold.to_string()), Some(threshold));
        }

        #[test]
        fn a_probability_is_kept_to_four_digits(exponent in 0.0..44.0_f64) {
            let probability = 0.5_f64.powf(exponent);
            let threshold = Threshold::from_probability(probability).unwrap();
            // Four digits of 16, of which the first may be as small as 1, and half
            // a digit at most is rounded.
            let error = (threshold.probability() / probability - 1.0).abs();
            prop_assert!(error <= 0.5 / 4096.0, "{} for {}", threshold, probability);
        }

        #[test]
        fn a_larger_probability_never_has_a_larger_threshold(a in 0.0..1.0_f64, b in 0.0..1.0_f64) {
            let (low, high) = (a.min(b), a.max(b));
            if let Some(low) = Threshold::from_probability(low) {
                prop_assert!(Threshold::from_probability(high).unwrap() <= low);
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*") {
            if let Some(threshold) = Threshold::parse(&text) {
                prop_assert!(threshold.get() < ONE && text.len() <= 14);
            }
        }
    }
}
