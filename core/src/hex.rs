//! Lower-case hexadecimal, eight bytes at a time in one register.
//!
//! A table look-up per byte costs two to three times as much as spreading the
//! nibbles of a `u32` over a `u64` and adding `'0'` or `'a' - 10` to all lanes
//! at once; ids are written for every log line and every outgoing request.

/// The 16 digits of a number.
#[inline]
pub(crate) const fn encode_8(number: u64) -> [u8; 16] {
    let (high, low) = (spread((number >> 32) as u32), spread(number as u32));
    ((high as u128) << 64 | low as u128).to_be_bytes()
}

/// The 32 digits of two numbers.
#[inline]
pub(crate) const fn encode_16([high, low]: [u64; 2]) -> [u8; 32] {
    let mut digits = [0; 32];
    let (left, right) = digits.split_at_mut(16);
    left.copy_from_slice(&encode_8(high));
    right.copy_from_slice(&encode_8(low));
    digits
}

/// The bytes written as exactly `2 * N` lower-case digits.
pub(crate) fn decode<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    let mut invalid = 0;
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let (high, low) = (VALUES[pair[0] as usize], VALUES[pair[1] as usize]);
        invalid |= high | low;
        *byte = (high << 4) | (low & 0x0f);
    }
    (invalid & NOT_A_DIGIT == 0).then_some(bytes)
}

/// Digits are ASCII, so they are always text.
pub(crate) fn as_str(digits: &[u8]) -> &str {
    core::str::from_utf8(digits).unwrap_or_default()
}

/// Eight nibbles become eight ASCII digits, the most significant first.
#[inline]
const fn spread(nibbles: u32) -> u64 {
    let mut x = nibbles as u64;
    x = ((x << 16) | x) & 0x0000_ffff_0000_ffff;
    x = ((x << 8) | x) & 0x00ff_00ff_00ff_00ff;
    x = ((x << 4) | x) & 0x0f0f_0f0f_0f0f_0f0f;
    // 1 in each lane whose nibble is 10 or more: 6 carries it into bit 4.
    let letters = ((x + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    x + 0x3030_3030_3030_3030 + letters * (b'a' - b'0' - 10) as u64
}

const NOT_A_DIGIT: u8 = 0x80;

const VALUES: [u8; 256] = {
    let mut values = [NOT_A_DIGIT; 256];
    let mut digit = 0;
    while digit < 16 {
        values[b"0123456789abcdef"[digit] as usize] = digit as u8;
        digit += 1;
    }
    values
};
