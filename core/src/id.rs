//! Trace and span identifiers.
//!
//! Rules: [OpenTelemetry, SpanContext](https://opentelemetry.io/docs/specs/otel/trace/api/#spancontext)
//! and [W3C Trace Context, trace-id](https://www.w3.org/TR/trace-context-2/#trace-id).

use core::fmt;

use crate::hex;

// Both are kept as whole words, not as arrays of bytes: words are stored, loaded
// and compared in one step, and a load never waits for several smaller stores.

/// Names a whole trace: 16 bytes, valid when at least one is not zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct TraceId([u64; 2]);

/// Names one span of a trace: 8 bytes, valid when at least one is not zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct SpanId(u64);

impl TraceId {
    /// The invalid id, all zeros.
    pub const INVALID: TraceId = TraceId([0; 2]);

    /// The id with these bytes, most significant first.
    #[inline]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        let whole = u128::from_be_bytes(bytes);
        TraceId([(whole >> 64) as u64, whole as u64])
    }

    /// The id with these halves, the more significant one first.
    #[inline]
    pub(crate) const fn from_halves(halves: [u64; 2]) -> Self {
        TraceId(halves)
    }

    /// The more and the less significant half.
    #[inline]
    pub(crate) const fn halves(self) -> [u64; 2] {
        self.0
    }

    /// The id's bytes, most significant first.
    #[inline]
    pub const fn to_bytes(self) -> [u8; 16] {
        ((self.0[0] as u128) << 64 | self.0[1] as u128).to_be_bytes()
    }

    /// Whether any byte is not zero.
    #[inline]
    pub const fn is_valid(self) -> bool {
        self.0[0] | self.0[1] != 0
    }

    /// The 32 lower-case hexadecimal digits of the id.
    #[inline]
    pub const fn to_hex(self) -> [u8; 32] {
        hex::encode_16(self.0)
    }

    /// The id written as exactly 32 lower-case hexadecimal digits.
    pub fn from_hex(digits: &[u8]) -> Option<Self> {
        Some(Self::from_bytes(hex::decode(digits)?))
    }

    /// The right-most 56 bits, which W3C Trace Context level 2 promises to be
    /// uniformly random when the random flag is set.
    pub const fn randomness(self) -> u64 {
        self.0[1] & 0x00ff_ffff_ffff_ffff
    }
}

impl SpanId {
    /// The invalid id, all zeros.
    pub const INVALID: SpanId = SpanId(0);

    /// The id with these bytes, most significant first.
    #[inline]
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        SpanId(u64::from_be_bytes(bytes))
    }

    /// The id that is this number.
    #[inline]
    pub(crate) const fn from_number(number: u64) -> Self {
        SpanId(number)
    }

    /// The id as a number.
    #[inline]
    pub(crate) const fn number(self) -> u64 {
        self.0
    }

    /// The id's bytes, most significant first.
    #[inline]
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// Whether any byte is not zero.
    #[inline]
    pub const fn is_valid(self) -> bool {
        self.0 != 0
    }

    /// The 16 lower-case hexadecimal digits of the id.
    #[inline]
    pub const fn to_hex(self) -> [u8; 16] {
        hex::encode_8(self.0)
    }

    /// The id written as exactly 16 lower-case hexadecimal digits.
    pub fn from_hex(digits: &[u8]) -> Option<Self> {
        Some(Self::from_bytes(hex::decode(digits)?))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(hex::as_str(&self.to_hex()))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(hex::as_str(&self.to_hex()))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceId({self})")
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpanId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips_and_keeps_leading_zeros() {
        let id = TraceId::from_bytes([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xff]);
        assert_eq!(&id.to_hex(), b"000102030405060708090a0b0c0d0eff");
        assert_eq!(TraceId::from_hex(&id.to_hex()), Some(id));
        let id = SpanId::from_bytes([0xa0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(&id.to_hex(), b"a000000000000001");
        assert_eq!(SpanId::from_hex(&id.to_hex()), Some(id));
    }

    #[test]
    fn upper_case_and_wrong_lengths_are_refused() {
        assert_eq!(SpanId::from_hex(b"A000000000000001"), None);
        assert_eq!(SpanId::from_hex(b"a00000000000001"), None);
        assert_eq!(SpanId::from_hex(b"a0000000000000010"), None);
    }

    #[test]
    fn randomness_is_the_low_56_bits() {
        let id = TraceId::from_bytes([0xff; 16]);
        assert_eq!(id.randomness(), (1 << 56) - 1);
    }
}
