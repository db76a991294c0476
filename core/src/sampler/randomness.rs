//! What decides whether a trace is kept: 56 bits that all its services know.

use core::fmt;

use super::OtelTraceState;
use super::threshold::ONE;
use crate::w3c::TraceState;
use crate::{TraceId, hex};

/// The randomness of a trace, 56 bits.
///
/// It is the explicit one of the trace state (`rv`), or else the right-most 56
/// bits of the trace id, which are presumed to be random even where the random
/// flag is not set.
/// ([Randomness value](https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/#randomness-value-rv),
/// [presumption](https://opentelemetry.io/docs/specs/otel/trace/sdk/#presumption-of-traceid-randomness))
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Randomness(u64);

impl Randomness {
    /// The right-most 56 bits of this number.
    pub const fn new(bits: u64) -> Self {
        Randomness(bits & (ONE - 1))
    }

    /// The randomness of a trace with this state.
    pub fn of(trace_id: TraceId, trace_state: TraceState<'_>) -> Self {
        let explicit = OtelTraceState::of(trace_state).randomness();
        explicit.unwrap_or(Randomness(trace_id.randomness()))
    }

    /// The randomness that this text is: exactly 14 lower-case hexadecimal
    /// digits.
    /// ([Explicit randomness value](https://opentelemetry.io/docs/specs/otel/trace/tracestate-handling/#explicit-randomness-value-rv))
    pub fn parse(text: &str) -> Option<Self> {
        let [a, b, c, d, e, f, g] = hex::decode(text.as_bytes())?;
        Some(Randomness(u64::from_be_bytes([0, a, b, c, d, e, f, g])))
    }

    /// The randomness as a number below 2⁵⁶.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// The value of `rv`: 14 digits.
impl fmt::Display for Randomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = hex::encode_8(self.0);
        f.pad(hex::as_str(digits.get(2..).unwrap_or_default()))
    }
}

impl fmt::Debug for Randomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Randomness({self})")
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    const TRACE: TraceId = TraceId::from_bytes([0x11; 16]);

    /// PRB-2
    /// ([Randomness value](https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/#randomness-value-rv)).
    #[test]
    fn the_explicit_one_wins_over_the_trace_id() {
        let of = |state| Randomness::of(TRACE, TraceState::parse(state).unwrap()).to_string();
        assert_eq!(of(""), "11111111111111");
        assert_eq!(of("ot=th:8;rv:6e6d1a75832a2f"), "6e6d1a75832a2f");
        assert_eq!(of("ot=th:8;rv:6E6D1A75832A2F"), "11111111111111");
        assert_eq!(of("other=rv:6e6d1a75832a2f"), "11111111111111");
    }

    #[test]
    fn a_text_has_exactly_14_lower_case_digits() {
        assert_eq!(Randomness::parse("00000000000001"), Some(Randomness::new(1)));
        for text in ["", "0000000000001", "000000000000001", "0000000000000A", "0000000000000g"] {
            assert_eq!(Randomness::parse(text), None, "{text}");
        }
    }
}
