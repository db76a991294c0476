//! Percent-encoding, as the values of `baggage` use it.
//!
//! Rules: [W3C Baggage, value](https://www.w3.org/TR/baggage/#value) and
//! [RFC 3986, section 2.1](https://www.rfc-editor.org/rfc/rfc3986#section-2.1).

use core::fmt::{self, Write};

use super::AsciiSet;

/// Percent-encoded text, read as what it stands for.
///
/// Sequences that are not UTF-8 read as U+FFFD, one for each maximal part of a
/// character; a `%` without two hexadecimal digits stands for itself.
/// ([value](https://www.w3.org/TR/baggage/#value))
///
/// ```text
///   DF%2028 → DF 28      %C3%A4 → ä      %C3( → U+FFFD (      50% → 50%
/// ```
#[derive(Clone, Copy, Default)]
pub struct Decoded<'a>(&'a str);

impl<'a> Decoded<'a> {
    /// Reads this text.
    pub const fn new(encoded: &'a str) -> Self {
        Decoded(encoded)
    }

    /// The text as it is encoded.
    pub const fn encoded(&self) -> &'a str {
        self.0
    }

    /// The text itself where nothing in it is encoded, to be used as it is.
    pub fn as_str(&self) -> Option<&'a str> {
        (!self.0.as_bytes().contains(&b'%')).then_some(self.0)
    }

    /// The characters.
    pub fn chars(&self) -> DecodedChars<'a> {
        DecodedChars(DecodedBytes(self.0.as_bytes()))
    }

    /// Writes the text, into a `heapless::String` for example.
    ///
    /// # Errors
    ///
    /// That of `out`, when it is full; it then holds the first characters.
    pub fn write_to(&self, out: &mut (impl Write + ?Sized)) -> fmt::Result {
        match self.as_str() {
            Some(text) => out.write_str(text),
            None => self.chars().try_for_each(|c| out.write_char(c)),
        }
    }
}

impl PartialEq<str> for Decoded<'_> {
    fn eq(&self, text: &str) -> bool {
        self.chars().eq(text.chars())
    }
}

impl PartialEq<&str> for Decoded<'_> {
    fn eq(&self, text: &&str) -> bool {
        *self == **text
    }
}

/// Equal when they stand for the same text, however it is encoded.
impl PartialEq for Decoded<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.chars().eq(other.chars())
    }
}

impl Eq for Decoded<'_> {}

impl fmt::Display for Decoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_str() {
            Some(text) => f.pad(text),
            None => self.write_to(f),
        }
    }
}

impl fmt::Debug for Decoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        self.chars().flat_map(char::escape_debug).try_for_each(|c| f.write_char(c))?;
        f.write_char('"')
    }
}

/// The characters of a [`Decoded`] text.
///
/// ([value](https://www.w3.org/TR/baggage/#value))
#[derive(Clone, Debug)]
pub struct DecodedChars<'a>(DecodedBytes<'a>);

impl Iterator for DecodedChars<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let first = self.0.next()?;
        // Table 3-7 of the Unicode standard: how many bytes follow, and the
        // range of the first of them; the others are 0x80 to 0xbf.
        let (following, mut range) = match first {
            0x00..=0x7f => return Some(first as char),
            0xc2..=0xdf => (1, 0x80..=0xbf),
            0xe0 => (2, 0xa0..=0xbf),
            0xed => (2, 0x80..=0x9f),
            0xe1..=0xef => (2, 0x80..=0xbf),
            0xf0 => (3, 0x90..=0xbf),
            0xf1..=0xf3 => (3, 0x80..=0xbf),
            0xf4 => (3, 0x80..=0x8f),
            _ => return Some(char::REPLACEMENT_CHARACTER),
        };
        let mut code = u32::from(first) & (0x3f >> following);
        for _ in 0..following {
            let mut ahead = self.0.clone();
            match ahead.next() {
                Some(byte) if range.contains(&byte) => code = code << 6 | u32::from(byte & 0x3f),
                // What does not continue this character may begin another.
                _ => return Some(char::REPLACEMENT_CHARACTER),
            }
            self.0 = ahead;
            range = 0x80..=0xbf;
        }
        Some(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // At most twelve bytes, `%F0%9F%A6%80`, make one character.
        (self.0.0.len().div_ceil(12), Some(self.0.0.len()))
    }
}

#[derive(Clone, Debug)]
struct DecodedBytes<'a>(&'a [u8]);

impl Iterator for DecodedBytes<'_> {
    type Item = u8;

    #[inline]
    fn next(&mut self) -> Option<u8> {
        if let [b'%', high, low, rest @ ..] = self.0
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            self.0 = rest;
            return Some(high << 4 | low);
        }
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }
}

/// Text, written percent-encoded.
///
/// Everything that may not stand in a value as it is becomes `%` and two
/// upper-case digits for each byte of its UTF-8: controls, white space, `"`,
/// `,`, `;`, `\`, what is not ASCII, and `%` itself.
/// ([value](https://www.w3.org/TR/baggage/#value))
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Encoded<'a>(&'a str);

impl<'a> Encoded<'a> {
    /// Encodes this text.
    pub const fn new(text: &'a str) -> Self {
        Encoded(text)
    }

    /// The bytes that it takes when encoded: those of the text, and two more
    /// for each that is encoded.
    pub fn len(&self) -> usize {
        self.0.bytes().map(|byte| if PLAIN.contains(byte) { 1 } else { 3 }).sum()
    }

    /// Whether the text is empty.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes the encoded text, into a `heapless::String` for example.
    ///
    /// # Errors
    ///
    /// That of `out`, when it is full.
    pub fn write_to(&self, out: &mut (impl Write + ?Sized)) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.bytes().position(|byte| !PLAIN.contains(byte)) {
            // All bytes before are ASCII, so `at` is where a character begins.
            let (plain, encoded) = rest.split_at_checked(at).unwrap_or_default();
            out.write_str(plain)?;
            let mut chars = encoded.chars();
            let first = chars.next().unwrap_or_default();
            for byte in first.encode_utf8(&mut [0; 4]).bytes() {
                out.write_char('%')?;
                out.write_char(DIGITS[usize::from(byte >> 4)] as char)?;
                out.write_char(DIGITS[usize::from(byte & 0x0f)] as char)?;
            }
            rest = chars.as_str();
        }
        out.write_str(rest)
    }
}

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f)
    }
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

const DIGITS: &[u8; 16] = b"0123456789ABCDEF";

/// What may stand in a value on the wire.
/// ([baggage-octet](https://www.w3.org/TR/baggage/#definition))
pub(super) const BAGGAGE_OCTET: AsciiSet = AsciiSet::range(b'!', b'~').without(b"\",;\\");

/// What stands for itself in a value.
const PLAIN: AsciiSet = BAGGAGE_OCTET.without(b"%");

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::{String, ToString};
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// WB-2 ([value](https://www.w3.org/TR/baggage/#value)).
    #[test]
    fn exactly_the_legal_characters_stand_for_themselves() {
        for byte in 0..=0x7fu8 {
            let legal =
                matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e);
            let text = (byte as char).to_string();
            let expected =
                if legal && byte != b'%' { text.clone() } else { format!("%{byte:02X}") };
            assert_eq!(Encoded::new(&text).to_string(), expected);
            assert_eq!(BAGGAGE_OCTET.contains(byte), legal);
        }
    }

    #[test]
    fn text_is_encoded_byte_by_byte() {
        assert_eq!(Encoded::new("DF 28").to_string(), "DF%2028");
        assert_eq!(Encoded::new("a=b+c").to_string(), "a=b+c");
        assert_eq!(Encoded::new("ä€🦀").to_string(), "%C3%A4%E2%82%AC%F0%9F%A6%80");
        assert_eq!(Encoded::new("50%").to_string(), "50%25");
        assert!(Encoded::new("").is_empty());
    }

    #[test]
    fn both_cases_of_digits_are_decoded() {
        assert_eq!(Decoded::new("%c3%A4%e2%82%ac"), "ä€");
        assert_eq!(
            Decoded::new("%09%20%22%27%3B%3Dasdf%21%40%23%24%25%5E%26%2A%28%29"),
            "\t \"';=asdf!@#$%^&*()"
        );
    }

    #[test]
    fn bytes_that_are_not_utf_8_become_replacement_characters() {
        assert_eq!(Decoded::new("a%FFb"), "a\u{fffd}b");
        assert_eq!(Decoded::new("%C3("), "\u{fffd}(");
        assert_eq!(Decoded::new("%E2%82"), "\u{fffd}");
        assert_eq!(Decoded::new("%E2%82%E2%82%AC"), "\u{fffd}€");
        assert_eq!(Decoded::new("%C0%80"), "\u{fffd}\u{fffd}");
        assert_eq!(Decoded::new("%ED%A0%80"), "\u{fffd}\u{fffd}\u{fffd}");
    }

    #[test]
    fn a_percent_sign_without_two_digits_stands_for_itself() {
        for text in ["%", "50%", "%4", "%zz", "%%", "%2%"] {
            assert_eq!(Decoded::new(text), text);
        }
        assert_eq!(Decoded::new("%%20"), "% ");
        assert_eq!(Decoded::new("a+b"), "a+b");
    }

    #[test]
    fn text_without_an_encoded_character_is_borrowed() {
        assert_eq!(Decoded::new("alice").as_str(), Some("alice"));
        assert_eq!(Decoded::new("DF%2028").as_str(), None);
        assert_eq!(Decoded::new("DF%2028").encoded(), "DF%2028");
        assert_eq!(Decoded::new("%61"), Decoded::new("a"));
        assert_eq!(format!("{:?}", Decoded::new("a%22%0A")), r#""a\"\n""#);
    }

    #[test]
    fn a_full_buffer_is_an_error_and_holds_the_beginning() {
        let mut buffer = heapless::String::<3>::new();
        assert!(Decoded::new("%C3%A4%C3%A4").write_to(&mut buffer).is_err());
        assert_eq!(buffer, "ä");
        let mut buffer = heapless::String::<4>::new();
        assert!(Decoded::new("%C3%A4%C3%A4").write_to(&mut buffer).is_ok());
        assert_eq!(buffer, "ää");
        assert!(Encoded::new("ä").write_to(&mut heapless::String::<5>::new()).is_err());
    }

    proptest! {
        #[test]
        fn any_text_survives_encoding(text: String) {
            let encoded = Encoded::new(&text).to_string();
            prop_assert!(BAGGAGE_OCTET.contains_all(encoded.as_bytes()));
            prop_assert_eq!(Encoded::new(&text).len(), encoded.len());
            prop_assert_eq!(Decoded::new(&encoded), text.as_str());
        }

        #[test]
        fn any_bytes_decode_as_the_standard_library_does(
            bytes in prop::collection::vec(
                prop_oneof![any::<u8>(), 0x80..0xc0u8, 0xe0..0xf8u8], 0..24,
            ),
        ) {
            let encoded: String = bytes.iter().map(|byte| format!("%{byte:02x}")).collect();
            let expected = String::from_utf8_lossy(&bytes);
            let decoded = Decoded::new(&encoded);
            prop_assert_eq!(decoded.to_string(), expected);
            let (low, high) = decoded.chars().size_hint();
            let count = decoded.chars().count();
            prop_assert!(low <= count && Some(count) <= high);
        }

        #[test]
        fn arbitrary_text_never_panics(text in "[%0-9a-fA-Fä\u{0}-\u{7f}]{0,40}") {
            let _ = Decoded::new(&text).chars().collect::<Vec<_>>();
        }
    }
}
