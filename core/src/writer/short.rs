//! The ways of adding that most attributes and events take. Not on bare targets, where code
//! is dearer than calls, and one way is enough.

use super::Writer;
use crate::body::{Attributes, Body, EventConstants, LONGEST_VALUE};
use crate::live::INLINE;
use crate::wire::{self, Out};
use crate::{Key, SpanKind, Value, value};

impl Writer<'_> {
    /// Adds a text whose key is not there yet.
    // What makes no call keeps all in registers, and has none to save.
    #[inline(never)]
    pub(crate) fn add_str(mut self, key: &Key, text: &str) {
        if text.len() > wire::SHORT || !self.add_short_str(key, text) {
            self.add_long_str(key, text);
        }
    }

    /// Adds a number whose key is not there yet.
    #[inline(never)]
    pub(crate) fn add_i64(mut self, key: &Key, number: i64) {
        if !self.add_short_i64(key, number) {
            self.add_long_i64(key, number);
        }
    }

    /// Adds a truth value whose key is not there yet.
    #[inline(never)]
    pub(crate) fn add_bool(mut self, key: &Key, is_true: bool) {
        if !self.add_short_bool(key, is_true) {
            self.add_attribute(key.as_str(), &Value::Bool(is_true));
        }
    }

    /// Adds a number whose key is not there yet.
    #[inline(never)]
    pub(crate) fn add_f64(mut self, key: &Key, number: f64) {
        if !self.add_short_f64(key, number) {
            self.add_attribute(key.as_str(), &Value::F64(number));
        }
    }

    /// As [`add_distinct`](Self::add_distinct), of a value that the compiler knows: so it knows
    /// nearly all that is written, and writes it where this is called.
    #[inline(always)]
    pub(crate) fn add_constant(mut self, key: &Key, value: Value<'_>) {
        let is_added = match value {
            Value::Str(text) if text.len() <= wire::SHORT => self.add_short_str(key, text),
            Value::I64(number) => self.add_short_i64(key, number),
            Value::F64(number) => self.add_short_f64(key, number),
            Value::Bool(is_true) => self.add_short_bool(key, is_true),
            _ => false,
        };
        if !is_added {
            self.add_distinct(key, value);
        }
    }

    #[inline(always)]
    fn add_short_str(&mut self, key: &Key, text: &str) -> bool {
        let count = self.short_attribute_count();
        let Some((body, bytes)) = self.inline_record() else { return false };
        put_str::<SHORT_STR>((body, bytes), key, text, count).is_some()
    }

    #[inline(never)]
    fn add_long_str(mut self, key: &Key, text: &str) {
        let limits = self.limits();
        let is_whole = text.len() <= limits.attribute_value_length as usize;
        let count = if is_whole { limits.attribute_count } else { 0 };
        if put_str::<LONGEST_VALUE>(self.record(), key, text, count).is_none() {
            self.add_attribute(key.as_str(), &Value::Str(text));
        }
    }

    #[inline(always)]
    fn add_short_i64(&mut self, key: &Key, number: i64) -> bool {
        let count = self.short_attribute_count();
        let Some((body, bytes)) = self.inline_record() else { return false };
        put_i64((body, bytes), key, number, count).is_some()
    }

    #[inline(never)]
    fn add_long_i64(mut self, key: &Key, number: i64) {
        let count = self.limits().attribute_count;
        let len = 1 + wire::varint_len(number as u64);
        let head = [value::ENTRY_VALUE, len as u8, value::INT];
        let (body, bytes) = self.record();
        match body.add_short::<11, 3>(bytes, &key.field, head, len, count) {
            Some([_, place @ ..]) => Out::new(place).varint(number as u64),
            None => self.add_attribute(key.as_str(), &Value::I64(number)),
        }
    }

    #[inline(always)]
    fn add_short_bool(&mut self, key: &Key, is_true: bool) -> bool {
        let count = self.short_attribute_count();
        let Some((body, bytes)) = self.inline_record() else { return false };
        put_bool((body, bytes), key, is_true, count).is_some()
    }

    #[inline(always)]
    fn add_short_f64(&mut self, key: &Key, number: f64) -> bool {
        let count = self.short_attribute_count();
        let Some((body, bytes)) = self.inline_record() else { return false };
        put_f64((body, bytes), key, number, count).is_some()
    }

    /// Adds an attribute whose key is not there yet.
    #[cold]
    pub(crate) fn add_attribute(mut self, key: &str, value: &Value<'_>) {
        let limits = self.limits();
        if self.write(|body, bytes| body.add_attribute(bytes, key, value, limits)).is_err() {
            self.cut_attribute(key, value);
        }
    }

    /// Adds an event without attributes.
    #[inline(never)]
    pub(super) fn add_bare_event(mut self, name: &str, time: u64) {
        if !self.add_short_event(name, time) {
            self.add_event_with(name, time, &[], EventConstants::NONE);
        }
    }

    #[inline(always)]
    fn add_short_event(&mut self, name: &str, time: u64) -> bool {
        let limits = self.limits();
        let Some((body, bytes)) = self.inline_record() else { return false };
        body.add_short_event(bytes, name, time, limits).is_some()
    }

    /// As [`add_event`](Self::add_event), with attributes that are encoded already.
    pub(crate) fn add_event_with(
        mut self,
        name: &str,
        time: u64,
        attributes: &Attributes<'_>,
        constants: &EventConstants,
    ) {
        let limits = self.limits();
        let (body, bytes) = self.record();
        let all = (attributes, constants);
        if body.add_plain_event(bytes, name, time, all, limits).is_none() {
            self.add_event_of(name, time, [attributes, constants.attributes]);
        }
    }

    pub(crate) fn set_kind(&mut self, kind: SpanKind) {
        self.slot.set_kind(kind);
    }

    #[inline(always)]
    fn short_attribute_count(&self) -> u32 {
        self.slot.pipeline().short_attribute_count()
    }

    /// The record, if it has not outgrown its slot.
    #[inline(always)]
    fn inline_record(&mut self) -> Option<(&mut Body, &mut [u8; INLINE])> {
        // SAFETY: as in `record`.
        unsafe { self.slot.inline_record_mut() }
    }
}

#[inline(always)]
fn put_str<const MAX: usize>(
    (body, bytes): (&mut Body, &mut [u8]),
    key: &Key,
    text: &str,
    attribute_count: u32,
) -> Option<()> {
    // Both lengths at once, of the value and of the text; what is too long is refused below.
    let head = u32::from_le_bytes([value::ENTRY_VALUE, 2, value::STRING, 0]);
    let head = head.wrapping_add((text.len() as u32).wrapping_mul(0x0100_0100)).to_le_bytes();
    let len = 2 + text.len();
    let value = body.add_short::<MAX, 4>(bytes, &key.field, head, len, attribute_count)?;
    wire::copy_in_steps(value.get_mut(2..len)?, text.as_bytes());
    Some(())
}

/// Most numbers take three bytes at most, in groups of seven bits.
#[inline(always)]
fn put_i64(
    (body, bytes): (&mut Body, &mut [u8]),
    key: &Key,
    number: i64,
    attribute_count: u32,
) -> Option<()> {
    let group = |at: u32| (number as u64 >> (7 * at) & 0x7f) << (8 * at);
    let (len, groups) = match number {
        0..0x80 => (1, group(0)),
        0x80..0x4000 => (2, group(0) | group(1) | 0x80),
        0x4000..0x20_0000 => (3, group(0) | group(1) | group(2) | 0x8080),
        _ => return None,
    };
    let [tag, len, int] = [value::ENTRY_VALUE, 1 + len, value::INT].map(u64::from);
    let head = (tag | len << 8 | int << 16 | groups << 24).to_le_bytes();
    let value = body.add_short::<6, 8>(bytes, &key.field, head, len as usize, attribute_count);
    value.map(|_| ())
}

#[inline(always)]
fn put_bool(
    (body, bytes): (&mut Body, &mut [u8]),
    key: &Key,
    is_true: bool,
    attribute_count: u32,
) -> Option<()> {
    let head = [value::ENTRY_VALUE, 2, value::BOOL, u8::from(is_true)];
    body.add_short::<2, 4>(bytes, &key.field, head, 2, attribute_count).map(|_| ())
}

#[inline(always)]
fn put_f64(
    (body, bytes): (&mut Body, &mut [u8]),
    key: &Key,
    number: f64,
    attribute_count: u32,
) -> Option<()> {
    let mut head = [0; 11];
    wire::put::<0, _>(&mut head, [value::ENTRY_VALUE, 9, value::DOUBLE]);
    wire::put::<3, _>(&mut head, number.to_le_bytes());
    body.add_short::<9, 11>(bytes, &key.field, head, 9, attribute_count).map(|_| ())
}

/// The value of a text that is short.
const SHORT_STR: usize = 2 + wire::SHORT;

#[cfg(test)]
mod tests {
    use std::string::String;

    use super::*;
    use crate::SpanLimits;

    const ROOM: usize = 250;

    /// Adds it in the short way and in the general one, behind another attribute. Returns
    /// whether there was a short one.
    fn both(
        key: &Key,
        value: Value<'_>,
        room: usize,
        count: u32,
        put: impl Fn((&mut Body, &mut [u8])) -> Option<()>,
    ) -> bool {
        let limits = SpanLimits { attribute_count: count, ..SpanLimits::new() };
        let (mut short, mut general) = (Body::new(), Body::new());
        let (mut of_short, mut of_general) = ([0; ROOM], [0; ROOM]);
        for (body, bytes) in [(&mut short, &mut of_short), (&mut general, &mut of_general)] {
            body.add_attribute(bytes, "a", &Value::Bool(true), &limits).expect("room");
        }
        let before = short;
        let is_short = put((&mut short, &mut of_short[..room])).is_some();
        let expected = if is_short {
            general.add_attribute(&mut of_general, key.as_str(), &value, &limits).expect("room");
            general
        } else {
            before
        };
        let written = |body: &Body, bytes: &[u8]| bytes[..body.len as usize].to_vec();
        assert_eq!(
            written(&short, &of_short),
            written(&expected, &of_general),
            "{key:?} {value:?}"
        );
        let counted = (short.is_unusual(), short.len);
        assert_eq!(counted, (expected.is_unusual(), expected.len));
        is_short
    }

    fn keys() -> [Key; 4] {
        ["k", "http.route", "a.key.of.twenty.nine.letters.", "a.key.of.thirty.letters.......x"]
            .map(Key::new)
    }

    #[test]
    fn a_short_text_has_the_bytes_that_it_has_otherwise() {
        let text: String = ('a'..='z').cycle().take(200).collect();
        for key in keys() {
            for len in 0..=200 {
                let text = &text[..len];
                let value = Value::Str(text);
                let add = |room, count| {
                    both(&key, value, room, count, |to| put_str::<SHORT_STR>(to, &key, text, count))
                };
                let is_prepared = !key.field.is_empty();
                assert_eq!(add(ROOM, 2), is_prepared && len <= wire::SHORT, "{key:?} {len}");
                assert!(!add(70, 2) && !add(ROOM, 1));
                let add = |room, count| {
                    both(&key, value, room, count, |to| {
                        put_str::<LONGEST_VALUE>(to, &key, text, count)
                    })
                };
                assert_eq!(add(ROOM, 2), is_prepared && len <= LONGEST_VALUE - 2);
                assert!(!add(128, 2) && !add(ROOM, 1));
            }
        }
    }

    #[test]
    fn a_short_number_has_the_bytes_that_it_has_otherwise() {
        for key in keys() {
            for shift in 0..64 {
                for number in [(1_u64 << shift) - 1, 1 << shift, (1 << shift) + 1] {
                    let number = number as i64;
                    let add = |room, count| {
                        let put = |to: (&mut Body, &mut [u8])| put_i64(to, &key, number, count);
                        both(&key, Value::I64(number), room, count, put)
                    };
                    let is_short = !key.field.is_empty() && (0..1 << 21).contains(&number);
                    assert_eq!(add(ROOM, 2), is_short, "{key:?} {number}");
                    assert!(!add(40, 2) && !add(ROOM, 1));
                }
            }
        }
    }

    #[test]
    fn what_takes_the_same_room_always_has_the_bytes_that_it_has_otherwise() {
        for key in keys() {
            let is_prepared = !key.field.is_empty();
            for is_true in [false, true] {
                let add = |room, count| {
                    let put = |to: (&mut Body, &mut [u8])| put_bool(to, &key, is_true, count);
                    both(&key, Value::Bool(is_true), room, count, put)
                };
                assert_eq!(add(ROOM, 2), is_prepared, "{key:?} {is_true}");
                assert!(!add(40, 2) && !add(ROOM, 1));
            }
            for number in [0.0, -1.5, f64::MAX, f64::MIN_POSITIVE, f64::INFINITY, f64::NAN] {
                let add = |room, count| {
                    let put = |to: (&mut Body, &mut [u8])| put_f64(to, &key, number, count);
                    both(&key, Value::F64(number), room, count, put)
                };
                assert_eq!(add(ROOM, 2), is_prepared, "{key:?} {number}");
                assert!(!add(40, 2) && !add(ROOM, 1));
            }
        }
    }
}
