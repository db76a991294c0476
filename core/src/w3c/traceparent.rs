//! The `traceparent` header, read and written at fixed offsets.
//!
//! ```text
//!   0  3                                36               53 55
//!   00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01[-what a higher version adds]
//!   ││ └ trace-id                       └ parent-id      └ trace-flags
//!   └┴ version
//! ```
//!
//! Rules: [traceparent header](https://www.w3.org/TR/trace-context-2/#traceparent-header).

use core::fmt;

use super::trim_ows;
use crate::{SpanContext, SpanId, TraceFlags, TraceId, wire};

/// Reads a `traceparent` header.
///
/// The result is valid and remote. Of the flags, sampled and random are kept as
/// received and the others cleared. White space around the header is ignored.
/// A higher version than 00 is read as far as 00 reaches; what is sent onwards
/// is version 00.
/// ([Versioning of traceparent](https://www.w3.org/TR/trace-context-2/#versioning-of-traceparent))
///
/// # Errors
///
/// Any [`TraceParentError`]; the header is then to be ignored, with its
/// `tracestate`, and a new trace begun.
#[inline]
pub fn parse(header: &[u8]) -> Result<SpanContext, TraceParentError> {
    let (header, rest) =
        trim_ows(header).split_first_chunk::<LENGTH>().ok_or(TraceParentError::Length)?;
    // Version and flags in one register, behind zeros.
    let zero = b'0';
    let [first, second, ..] = *header;
    let outer = [zero, zero, zero, zero, first, second, header[53], header[54]];
    let (outer, is_valid) = decode_4(outer);
    let version = outer >> 8;
    if !is_valid {
        let (_, has_version) = decode_4([zero, zero, zero, zero, zero, zero, first, second]);
        let flags = TraceParentError::TraceFlags;
        return Err(if has_version { flags } else { TraceParentError::Version });
    }
    if version == 0xff {
        return Err(TraceParentError::Version);
    }
    if header[2] != b'-' || header[35] != b'-' || header[52] != b'-' {
        return Err(TraceParentError::Delimiter);
    }
    match rest.first() {
        None => {}
        Some(_) if version == 0 => return Err(TraceParentError::Length),
        Some(b'-') => {}
        Some(_) => return Err(TraceParentError::Delimiter),
    }
    let trace_id = match (decode_8(header, 3), decode_8(header, 19)) {
        (Some(0), Some(0)) | (None, _) | (_, None) => return Err(TraceParentError::TraceId),
        (Some(high), Some(low)) => TraceId::from_halves([high, low]),
    };
    let parent_id = match decode_8(header, 36) {
        Some(0) | None => return Err(TraceParentError::ParentId),
        Some(id) => SpanId::from_number(id),
    };
    Ok(SpanContext::remote(trace_id, parent_id, TraceFlags::from_bits(outer as u8)))
}

/// Writes a `traceparent` header of version 00.
///
/// An invalid context is written as it is, all zeros; receivers ignore it.
/// ([version-format](https://www.w3.org/TR/trace-context-2/#version-format))
#[inline]
pub fn write(context: &SpanContext) -> [u8; 55] {
    let mut header = *b"00-                                -                -0 ";
    wire::put::<3, _>(&mut header, context.trace_id().to_hex());
    wire::put::<36, _>(&mut header, context.span_id().to_hex());
    // Only the two low bits exist, so one decimal digit tells them.
    header[54] = b'0' + context.trace_flags().to_bits();
    header
}

/// A `traceparent` header of version 00, ready to send.
///
/// ([version-format](https://www.w3.org/TR/trace-context-2/#version-format))
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceParent([u8; LENGTH]);

impl TraceParent {
    /// The header of this context, as [`write()`] writes it.
    #[inline]
    pub fn new(context: &SpanContext) -> Self {
        TraceParent(write(context))
    }

    /// The header's 55 characters.
    #[inline]
    pub fn as_str(&self) -> &str {
        // SAFETY: `write` alone makes the bytes: digits, letters and dashes.
        unsafe { core::str::from_utf8_unchecked(&self.0) }
    }

    /// The header's 55 bytes.
    #[inline]
    pub const fn as_bytes(&self) -> &[u8; 55] {
        &self.0
    }
}

impl From<&SpanContext> for TraceParent {
    fn from(context: &SpanContext) -> Self {
        TraceParent::new(context)
    }
}

impl AsRef<str> for TraceParent {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<[u8]> for TraceParent {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceParent({self})")
    }
}

/// Why a `traceparent` header is ignored.
/// ([traceparent header](https://www.w3.org/TR/trace-context-2/#traceparent-header))
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TraceParentError {
    /// It has fewer than 55 characters, or more although its version is 00.
    Length,
    /// The version is not two lower-case hexadecimal digits, or is `ff`.
    Version,
    /// A dash is missing between two fields, or after the flags of a higher
    /// version that continues.
    Delimiter,
    /// The trace id is not lower-case hexadecimal, or all zeros.
    TraceId,
    /// The parent id is not lower-case hexadecimal, or all zeros.
    ParentId,
    /// The flags are not lower-case hexadecimal.
    TraceFlags,
}

impl fmt::Display for TraceParentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "traceparent is not 55 characters long",
            Self::Version => "traceparent version is not usable",
            Self::Delimiter => "traceparent lacks a dash between two fields",
            Self::TraceId => "traceparent trace-id is not valid",
            Self::ParentId => "traceparent parent-id is not valid",
            Self::TraceFlags => "traceparent trace-flags are not hexadecimal",
        })
    }
}

impl core::error::Error for TraceParentError {}

/// The eight bytes written as 16 lower-case digits at `at`.
#[cfg_attr(not(target_os = "none"), inline(always))]
fn decode_8(header: &[u8; LENGTH], at: usize) -> Option<u64> {
    let (digits, _) = header.get(at..)?.as_chunks();
    let [high, low, ..] = digits else { return None };
    let ((high, high_is_valid), (low, low_is_valid)) = (decode_4(*high), decode_4(*low));
    (high_is_valid & low_is_valid).then_some(u64::from(high) << 32 | u64::from(low))
}

/// The four bytes written as eight digits, and whether all are lower-case ones.
/// All lanes of a register are judged and read at once: with a look-up per digit
/// the whole header takes twice as long.
#[cfg_attr(not(target_os = "none"), inline(always))]
const fn decode_4(digits: [u8; 8]) -> (u32, bool) {
    const LANES: u64 = 0x0101_0101_0101_0101;
    const TOP: u64 = 0x80 * LANES;
    let x = u64::from_be_bytes(digits);
    // Adding carries into the top bit of each lane from a bound upwards. No
    // lane overflows into the next unless its own top bit is set already, which
    // is never valid.
    let decimal = x.wrapping_add((0x80 - b'0' as u64) * LANES)
        & !x.wrapping_add((0x80 - (b'9' as u64 + 1)) * LANES);
    let letter = x.wrapping_add((0x80 - b'a' as u64) * LANES)
        & !x.wrapping_add((0x80 - (b'f' as u64 + 1)) * LANES);
    let is_valid = (decimal | letter) & !x & TOP == TOP;
    // Letters, and no decimal digit, have bit 6; `a` ends in 1 and stands for 10.
    let mut nibbles = (x & (0x0f * LANES)) + ((x >> 6) & LANES) * 9;
    nibbles = (nibbles | nibbles >> 4) & 0x00ff_00ff_00ff_00ff;
    nibbles = (nibbles | nibbles >> 8) & 0x0000_ffff_0000_ffff;
    ((nibbles | nibbles >> 16) as u32, is_valid)
}

const LENGTH: usize = 55;

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::ToString;

    use proptest::prelude::*;

    use super::*;
    use crate::hex;

    const TRACE: &str = "12345678901234567890123456789012";
    const PARENT: &str = "1234567890123456";

    fn read(header: &str) -> Result<SpanContext, TraceParentError> {
        parse(header.as_bytes())
    }

    fn read_parts(version: &str, trace: &str, parent: &str, flags: &str) -> Option<SpanContext> {
        read(&format!("{version}-{trace}-{parent}-{flags}")).ok()
    }

    /// TP-1 ([Traceparent header](https://www.w3.org/TR/trace-context-2/#traceparent-header)).
    #[test]
    fn a_version_00_header_is_read_and_is_remote() {
        let context = read("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
        assert_eq!(context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(context.span_id().to_string(), "b7ad6b7169203331");
        assert!(context.is_sampled() && context.is_remote() && context.is_valid());
    }

    #[test]
    fn version_00_with_anything_after_the_flags_is_refused() {
        for tail in [".", "-", "-what-the-future-will-be-like", "0", "\0"] {
            let header = format!("00-{TRACE}-{PARENT}-01{tail}");
            assert_eq!(read(&header), Err(TraceParentError::Length), "{header}");
        }
    }

    /// TP-5 ([Versioning](https://www.w3.org/TR/trace-context-2/#versioning-of-traceparent)).
    #[test]
    fn a_higher_version_is_read_and_sent_as_version_00() {
        for version in ["01", "cc", "fe"] {
            for tail in ["", "-", "-what-the-future-will-be-like"] {
                let context = read(&format!("{version}-{TRACE}-{PARENT}-01{tail}")).unwrap();
                let sent = TraceParent::new(&context);
                assert_eq!(sent.as_str(), format!("00-{TRACE}-{PARENT}-01"));
            }
        }
    }

    /// TP-5 ([Versioning](https://www.w3.org/TR/trace-context-2/#versioning-of-traceparent)).
    #[test]
    fn a_higher_version_must_end_or_continue_with_a_dash_after_the_flags() {
        for tail in [".what-the-future-will-be-like", "1", " x"] {
            let header = format!("cc-{TRACE}-{PARENT}-01{tail}");
            assert_eq!(read(&header), Err(TraceParentError::Delimiter), "{header}");
        }
        let short = format!("cc-{TRACE}-{PARENT}-1");
        assert_eq!(read(&short), Err(TraceParentError::Length));
    }

    #[test]
    fn version_ff_is_refused() {
        let header = format!("ff-{TRACE}-{PARENT}-01");
        assert_eq!(read(&header), Err(TraceParentError::Version));
        assert!(read(&format!("{header}-more")).is_err());
    }

    #[test]
    fn a_version_of_other_than_two_hex_digits_is_refused() {
        for version in [".0", "0.", "000", "0000", "0", "", "CC", "0-", "é"] {
            assert_eq!(read_parts(version, TRACE, PARENT, "01"), None, "{version}");
        }
    }

    /// TP-3 ([trace-id](https://www.w3.org/TR/trace-context-2/#trace-id)).
    #[test]
    fn an_all_zero_id_is_refused() {
        let zeros = "0".repeat(32);
        let header = format!("00-{zeros}-{PARENT}-01");
        assert_eq!(read(&header), Err(TraceParentError::TraceId));
        let header = format!("00-{TRACE}-{}-01", &zeros[..16]);
        assert_eq!(read(&header), Err(TraceParentError::ParentId));
    }

    /// TP-3 ([trace-id](https://www.w3.org/TR/trace-context-2/#trace-id)).
    #[test]
    fn a_trace_id_with_a_bad_character_or_length_is_refused() {
        for trace in [
            ".2345678901234567890123456789012",
            "1234567890123456789012345678901.",
            "123456789012345678901234567890123",
            "1234567890123456789012345678901",
            "1234567890123456789012345678901A",
            "1234567890123456789012345678901g",
            "",
        ] {
            assert_eq!(read_parts("00", trace, PARENT, "01"), None, "{trace}");
            assert_eq!(read_parts("cc", trace, PARENT, "01"), None, "{trace}");
        }
    }

    #[test]
    fn a_parent_id_with_a_bad_character_or_length_is_refused() {
        for parent in [
            ".234567890123456",
            "123456789012345.",
            "12345678901234567",
            "123456789012345",
            "123456789012345F",
            "",
        ] {
            assert_eq!(read_parts("00", TRACE, parent, "01"), None, "{parent}");
            assert_eq!(read_parts("cc", TRACE, parent, "01"), None, "{parent}");
        }
    }

    #[test]
    fn flags_with_a_bad_character_or_length_are_refused() {
        for flags in [".0", "0.", "001", "1", "0A", "", "0"] {
            assert_eq!(read_parts("00", TRACE, PARENT, flags), None, "{flags}");
        }
    }

    #[test]
    fn every_dash_must_be_where_it_belongs() {
        let header = format!("00-{TRACE}-{PARENT}-01");
        for at in [2, 35, 52] {
            for other in [b'_', b'0', b' '] {
                let mut header = header.clone().into_bytes();
                header[at] = other;
                assert_eq!(parse(&header), Err(TraceParentError::Delimiter));
            }
        }
    }

    #[test]
    fn spaces_and_tabs_around_the_header_are_ignored() {
        let header = format!("00-{TRACE}-{PARENT}-01");
        for (before, after) in [(" ", ""), ("\t", ""), ("", " "), ("", "\t"), ("\t ", " \t")] {
            assert!(read(&format!("{before}{header}{after}")).is_ok());
        }
        assert!(read(&format!("\n{header}")).is_err());
        assert!(read(&format!("00- {}-{PARENT}-01", &TRACE[1..])).is_err());
    }

    /// TP-12 ([Random flag](https://www.w3.org/TR/trace-context-2/#random-trace-id-flag)).
    #[test]
    fn sampled_and_random_are_kept_by_bit_and_no_other_flag_is_sent() {
        for bits in 0..=255u8 {
            let context = read_parts("00", TRACE, PARENT, &format!("{bits:02x}")).unwrap();
            assert_eq!(context.is_sampled(), bits & 1 != 0);
            assert_eq!(context.trace_flags().is_random(), bits & 2 != 0);
            let sent = TraceParent::new(&context).to_string();
            assert_eq!(sent, format!("00-{TRACE}-{PARENT}-{:02x}", bits & 3));
        }
    }

    #[test]
    fn errors_say_what_is_wrong_in_lower_case() {
        let error: &dyn core::error::Error = &TraceParentError::TraceId;
        assert_eq!(error.to_string(), "traceparent trace-id is not valid");
    }

    #[test]
    fn digits_are_judged_and_read_alike_in_every_lane() {
        for lane in 0..8 {
            for byte in 0..=255u8 {
                let mut digits = *b"0f9a1b2c";
                digits[lane] = byte;
                let (bytes, is_valid) = decode_4(digits);
                let expected = hex::decode(&digits).map(u32::from_be_bytes);
                assert_eq!(is_valid.then_some(bytes), expected, "{byte:#x} in lane {lane}");
            }
        }
    }

    proptest! {
        #[test]
        fn digits_are_read_as_the_table_reads_them(
            digits in prop::array::uniform8(prop_oneof![any::<u8>(), b'/'..b';', b'`'..b'h']),
        ) {
            let (bytes, is_valid) = decode_4(digits);
            let expected = hex::decode(&digits).map(u32::from_be_bytes);
            prop_assert_eq!(is_valid.then_some(bytes), expected);
        }

        #[test]
        fn arbitrary_bytes_never_panic_and_never_yield_an_invalid_context(
            bytes in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            if let Ok(context) = parse(&bytes) {
                prop_assert!(context.is_valid() && context.is_remote());
            }
        }

        #[test]
        fn one_changed_byte_never_panics(at in 0..60usize, byte: u8) {
            let mut header = format!("00-{TRACE}-{PARENT}-01-more").into_bytes();
            header[at] = byte;
            let _ = parse(&header);
            let _ = parse(&header[..at]);
        }

        #[test]
        fn what_is_written_is_read_back(
            trace in any::<[u8; 16]>(), span in any::<[u8; 8]>(), bits: u8,
        ) {
            let (trace, span) = (TraceId::from_bytes(trace), SpanId::from_bytes(span));
            prop_assume!(trace.is_valid() && span.is_valid());
            let context = SpanContext::remote(trace, span, TraceFlags::from_bits(bits));
            prop_assert_eq!(parse(&write(&context)), Ok(context));
        }
    }
}
