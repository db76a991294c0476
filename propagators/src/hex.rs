//! Ids that other systems write with fewer digits.

/// The bytes of 1 to `2 * N` hexadecimal digits of any letter case, as if there
/// were zeros on their left.
/// ([Trace id format](https://www.w3.org/TR/trace-context-2/#interoperating-with-existing-systems-which-use-shorter-identifiers))
pub(crate) fn padded<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.is_empty() || digits.len() > 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (i, digit) in digits.iter().rev().enumerate() {
        let value = char::from(*digit).to_digit(16)? as u8;
        bytes[N - 1 - i / 2] |= value << (4 * (i % 2));
    }
    Some(bytes)
}

/// As HTTP parsers hand values out, with the white space around them.
pub(crate) fn trimmed(value: &[u8]) -> &[u8] {
    value.trim_ascii()
}
