//! The few forms of protobuf that OTLP is made of, written and read in place.
//!
//! ([Encoding](https://protobuf.dev/programming-guides/encoding/))
//!
//! What is inlined always on hosts is left to the compiler on bare targets, where
//! a call costs less than code.

/// Wire type of a variable-length integer.
pub(crate) const VARINT: u8 = 0;
/// Wire type of eight bytes.
pub(crate) const I64: u8 = 1;
/// Wire type of a length and as many bytes.
pub(crate) const LEN: u8 = 2;
/// Wire type of four bytes.
pub(crate) const I32: u8 = 5;

/// The tag of a field whose number is below 16.
pub(crate) const fn tag(field: u8, wire_type: u8) -> u8 {
    assert!(field > 0 && field < 16);
    field << 3 | wire_type
}

/// The bytes that a number takes.
#[cfg_attr(not(target_os = "none"), inline(always))]
#[cfg_attr(target_os = "none", inline(never))]
pub(crate) const fn varint_len(value: u64) -> usize {
    // Nearly all lengths are below 128. For the rest, 9/64 is a little less than
    // 1/7, which comes out the same for up to 64 bits and needs no division.
    if value < 0x80 {
        return 1;
    }
    let highest = 63 - value.leading_zeros() as usize;
    (highest * 9 + 73) / 64
}

/// The bytes that a one-byte tag, a length and its content take.
#[cfg_attr(not(target_os = "none"), inline(always))]
pub(crate) const fn field_len(content: usize) -> usize {
    1 + varint_len(content as u64) + content
}

/// The bytes of a text field; an empty one is left out.
pub(crate) const fn text_len(text: &str) -> usize {
    if text.is_empty() { 0 } else { field_len(text.len()) }
}

/// The bytes of a number field; zero is left out.
pub(crate) fn count_len(count: u32) -> usize {
    if count == 0 { 0 } else { 1 + varint_len(count.into()) }
}

/// Hands a text field to `write`; an empty one is left out.
pub(crate) fn text(tag: u8, text: &str, write: &mut dyn FnMut(&[u8])) {
    if !text.is_empty() {
        header(tag, text.len(), write);
        write(text.as_bytes());
    }
}

/// Hands a tag and a length to `write`.
pub(crate) fn header(tag: u8, len: usize, write: &mut dyn FnMut(&[u8])) {
    let mut bytes = [0; 11];
    let mut out = Out::new(&mut bytes);
    out.header(tag, len);
    let end = 11 - out.left();
    write(bytes.get(..end).unwrap_or_default());
}

/// Lengths and numbers below this take one byte.
pub(crate) const ONE_BYTE: usize = 0x80;

/// Writes into memory whose size was computed beforehand; what is behind that may
/// be overwritten.
///
/// What does not fit is left out, with all that comes after it: a wrong
/// computation loses data instead of taking the program down, and debug builds
/// stop at it.
#[derive(Debug)]
pub(crate) struct Out<'a> {
    rest: &'a mut [u8],
}

impl<'a> Out<'a> {
    #[inline]
    pub(crate) fn new(buffer: &'a mut [u8]) -> Self {
        Out { rest: buffer }
    }

    /// The bytes that are not written yet.
    #[inline]
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next `len` bytes, to be filled.
    #[inline(always)]
    fn take(&mut self, len: usize) -> Option<&'a mut [u8]> {
        debug_assert!(len <= self.rest.len());
        let (taken, rest) = core::mem::take(&mut self.rest).split_at_mut_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    /// The next `N` bytes, to be filled.
    #[inline(always)]
    pub(crate) fn chunk<const N: usize>(&mut self) -> Option<&'a mut [u8; N]> {
        debug_assert!(N <= self.rest.len());
        let (chunk, rest) = core::mem::take(&mut self.rest).split_first_chunk_mut()?;
        self.rest = rest;
        Some(chunk)
    }

    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(crate) fn byte(&mut self, byte: u8) {
        if let Some(place) = self.chunk() {
            *place = [byte];
        }
    }

    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        if let Some(place) = self.take(bytes.len()) {
            copy(place, bytes);
        }
    }

    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(crate) fn varint(&mut self, mut value: u64) {
        while value >= ONE_BYTE as u64 {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }

    /// A one-byte tag and the length of the content that follows.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(crate) fn header(&mut self, tag: u8, content: usize) {
        // Nearly all lengths take one byte or two: one bound to check, one store.
        // Where code is dearer than calls, one way is enough.
        if cfg!(target_os = "none") {
            self.rest = Out::long_header(core::mem::take(&mut self.rest), tag, content);
        } else if content < ONE_BYTE {
            if let Some(header) = self.chunk() {
                *header = [tag, content as u8];
            }
        } else if content < ONE_BYTE * ONE_BYTE {
            if let Some(header) = self.chunk() {
                *header = [tag, content as u8 | 0x80, (content >> 7) as u8];
            }
        } else {
            self.rest = Out::long_header(core::mem::take(&mut self.rest), tag, content);
        }
    }

    /// By value, so that what writes stays in registers.
    #[cold]
    #[inline(never)]
    fn long_header(rest: &'a mut [u8], tag: u8, content: usize) -> &'a mut [u8] {
        let mut out = Out { rest };
        out.byte(tag);
        out.varint(content as u64);
        out.rest
    }

    /// A number field; zero is left out.
    pub(crate) fn count(&mut self, tag: u8, count: u32) {
        if count > 0 {
            self.byte(tag);
            self.varint(count.into());
        }
    }

    /// A one-byte tag, the length of the content, the content.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(crate) fn field(&mut self, tag: u8, content: &[u8]) {
        self.header(tag, content.len());
        self.bytes(content);
    }
}

/// Puts bytes at a place of constant size: no bound is left to check.
#[inline(always)]
pub(crate) fn put<const AT: usize, const N: usize>(to: &mut [u8], bytes: [u8; N]) {
    if let Some(place) = to.get_mut(AT..).and_then(|rest| rest.first_chunk_mut()) {
        *place = bytes;
    }
}

/// Puts bytes at a place that is inside, by what the compiler knows or the caller does.
#[inline(always)]
pub(crate) fn put_at<const N: usize>(to: &mut [u8], at: usize, bytes: [u8; N]) {
    if let Some(place) = to.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        *place = bytes;
    }
}

/// Copies as many bytes, without the call that `memcpy` is where they are few.
#[cfg(not(target_os = "none"))]
#[inline]
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    if to.len() != from.len() {
        return;
    }
    if from.len() <= SHORT { copy_short(to, from) } else { to.copy_from_slice(from) }
}

/// Copies as many bytes in steps: no call of `memcpy`, which asks first what it runs on.
#[inline(always)]
pub(crate) fn copy_in_steps(to: &mut [u8], from: &[u8]) {
    if to.len() != from.len() {
        return;
    }
    if from.len() <= SHORT {
        copy_short(to, from);
    } else if from.len() < 64 {
        steps::<SHORT>(to, from);
    } else {
        steps::<64>(to, from);
    }
}

/// As many bytes, at least a step. The last step ends where they do, and overlaps the one
/// before.
#[inline(always)]
fn steps<const STEP: usize>(to: &mut [u8], from: &[u8]) {
    let (steps, _) = to.as_chunks_mut::<STEP>();
    for (to, from) in steps.iter_mut().zip(from.as_chunks().0) {
        *to = *from;
    }
    if let (Some(to), Some(from)) = (to.last_chunk_mut::<STEP>(), from.last_chunk()) {
        *to = *from;
    }
}

/// Copies as many bytes, of which there are few.
///
/// Names, keys and values are mostly shorter than 32 bytes; two overlapping
/// moves of a half each copy those in fewer instructions than a call takes.
#[inline(always)]
pub(crate) fn copy_short(to: &mut [u8], from: &[u8]) {
    let len = from.len();
    if to.len() != len {
        return;
    }
    macro_rules! overlapping {
        ($half:literal) => {{
            let first: [u8; $half] = from[..$half].try_into().unwrap_or([0; $half]);
            let last: [u8; $half] = from[len - $half..].try_into().unwrap_or([0; $half]);
            to[..$half].copy_from_slice(&first);
            to[len - $half..].copy_from_slice(&last);
        }};
    }
    match len {
        0 => {}
        1..=3 => {
            // First, middle and last, of which some may be one.
            for at in [0, len / 2, len - 1] {
                to[at] = from[at];
            }
        }
        4..=7 => overlapping!(4),
        8..=15 => overlapping!(8),
        16..=SHORT => overlapping!(16),
        _ => debug_assert!(false, "not few"),
    }
}

/// What counts as few bytes.
pub(crate) const SHORT: usize = 32;

/// Copies as many bytes; the loop becomes a call of `memcpy`.
#[cfg(target_os = "none")]
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

/// One field of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Field<'a> {
    pub(crate) number: u32,
    pub(crate) payload: Payload<'a>,
    /// The whole field, tag included.
    pub(crate) whole: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Payload<'a> {
    Varint(u64),
    I64(u64),
    Len(&'a [u8]),
    I32(u32),
}

impl<'a> Payload<'a> {
    /// The content of a field with a length, or nothing.
    pub(crate) fn bytes(self) -> &'a [u8] {
        match self {
            Payload::Len(bytes) => bytes,
            _ => &[],
        }
    }

    pub(crate) fn text(self) -> &'a str {
        core::str::from_utf8(self.bytes()).unwrap_or_default()
    }

    pub(crate) fn number(self) -> u64 {
        match self {
            Payload::Varint(number) | Payload::I64(number) => number,
            Payload::I32(number) => number.into(),
            Payload::Len(_) => 0,
        }
    }
}

/// The fields of a message, as far as it is well-formed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Self {
        Fields { rest: message }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    #[cfg_attr(not(target_os = "none"), inline)]
    fn next(&mut self) -> Option<Field<'a>> {
        let start = self.rest;
        let mut rest = start;
        let key = read_varint(&mut rest)?;
        let payload = match (key & 7) as u8 {
            VARINT => Payload::Varint(read_varint(&mut rest)?),
            I64 => Payload::I64(u64::from_le_bytes(*read(&mut rest)?)),
            LEN => {
                let len = usize::try_from(read_varint(&mut rest)?).ok()?;
                let (content, after) = rest.split_at_checked(len)?;
                rest = after;
                Payload::Len(content)
            }
            I32 => Payload::I32(u32::from_le_bytes(*read(&mut rest)?)),
            _ => return None,
        };
        self.rest = rest;
        let whole = start.get(..start.len() - rest.len())?;
        Some(Field { number: (key >> 3) as u32, payload, whole })
    }
}

/// Takes a number from the front.
#[inline]
pub(crate) fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn read<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn the_length_of_a_number_is_what_writing_it_takes() {
        for shift in 0..64 {
            for value in [(1u64 << shift) - 1, 1 << shift, (1 << shift) + 1] {
                let mut buffer = [0; 10];
                let mut out = Out::new(&mut buffer);
                out.varint(value);
                let len = 10 - out.left();
                assert_eq!(len, varint_len(value), "{value}");
                let mut written = &buffer[..len];
                assert_eq!(read_varint(&mut written), Some(value));
                assert!(written.is_empty());
            }
        }
    }

    #[test]
    fn every_length_is_copied_whole() {
        let from: Vec<u8> = (0..100).collect();
        for len in 0..100 {
            let mut buffer = [0xee; 100];
            let mut out = Out::new(&mut buffer);
            out.bytes(&from[..len]);
            assert_eq!(out.left(), 100 - len);
            assert_eq!(&buffer[..len], &from[..len]);
            assert!(buffer[len..].iter().all(|byte| *byte == 0xee));
        }
    }

    #[test]
    fn every_length_is_copied_whole_in_steps() {
        let from: Vec<u8> = (0..400).map(|at| at as u8).collect();
        for len in 0..400 {
            let mut buffer = [0xee; 400];
            copy_in_steps(&mut buffer[..len], &from[..len]);
            assert_eq!(&buffer[..len], &from[..len]);
            assert!(buffer[len..].iter().all(|byte| *byte == 0xee));
        }
    }

    proptest::proptest! {
        #[test]
        fn reading_arbitrary_bytes_ends_and_never_panics(bytes: Vec<u8>) {
            let total: usize = Fields::of(&bytes).map(|field| field.whole.len()).sum();
            assert!(total <= bytes.len());
        }
    }
}
