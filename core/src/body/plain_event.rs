//! Events whose attributes are what most are: distinct, none too many, short texts and
//! numbers. All is known before it is written, so each attribute is looked at twice in
//! registers, and nothing is left out or cut. Not on bare targets, where one way is enough.

use super::{Attributes, Body, EVENT, EVENT_ATTRIBUTE, EVENT_NAME, EVENT_TIME};
use crate::wire::{self, ONE_BYTE, Out};
use crate::{SpanLimits, Value, value};

/// Attributes that all events of one place in the program have, encoded once. They outrank
/// those of the same keys that an event has besides.
#[derive(Clone, Copy, Debug)]
pub struct EventConstants {
    pub(crate) attributes: &'static Attributes<'static>,
    encoded: Option<Encoded>,
}

#[derive(Clone, Copy, Debug)]
struct Encoded {
    bytes: &'static [u8],
    /// Bytes of the longest text.
    longest: u32,
}

impl EventConstants {
    /// None.
    pub const NONE: &'static Self =
        &EventConstants { attributes: &[], encoded: Some(Encoded { bytes: &[], longest: 0 }) };

    /// Those of this list, which are encoded into the buffer. It is large enough if it has
    /// 17 bytes for each besides keys and texts; with less room they are encoded each time.
    pub fn new(attributes: &'static Attributes<'static>, buffer: &'static mut [u8]) -> Self {
        EventConstants { attributes, encoded: Self::encode(attributes, buffer) }
    }

    fn encode(
        attributes: &'static Attributes<'static>,
        buffer: &'static mut [u8],
    ) -> Option<Encoded> {
        let (mut len, mut longest) = (0, 0);
        for (at, (key, value)) in attributes.iter().enumerate() {
            len += 2 + entry_len(key, value, u32::MAX)?;
            if let Value::Str(text) = value {
                longest = longest.max(text.len() as u32);
            }
            if attributes.iter().skip(at + 1).any(|(other, _)| other == key) {
                return None;
            }
        }
        let (bytes, _) = buffer.split_at_mut_checked(len)?;
        let mut out = Out::new(bytes);
        for (key, value) in attributes {
            put(key, value, &mut out);
        }
        Some(Encoded { bytes, longest })
    }
}

impl Body {
    /// Adds an event, if it is a plain one and there is room.
    #[inline(never)]
    pub(crate) fn add_plain_event(
        &mut self,
        bytes: &mut [u8],
        name: &str,
        time: u64,
        (attributes, constants): (&Attributes<'_>, &EventConstants),
        limits: &SpanLimits,
    ) -> Option<()> {
        let constant = constants.encoded?;
        let count = attributes.len() + constants.attributes.len();
        let is_within = count <= limits.attribute_per_event_count as usize
            && constant.longest <= limits.attribute_value_length;
        if self.events >= limits.event_count || !is_within {
            return None;
        }
        let mut content = 9 + wire::field_len(name.len()) + constant.bytes.len();
        let mut rest = attributes;
        while let Some(((key, value), later)) = rest.split_first() {
            rest = later;
            let entry = entry_len(key, value, limits.attribute_value_length)?;
            let mut others = later.iter().chain(constants.attributes);
            if others.any(|(other, _)| other == key) {
                return None;
            }
            content += 2 + entry;
        }
        let free = bytes.get_mut(self.len as usize..)?;
        let len = wire::field_len(content);
        let mut out = Out::new(free.get_mut(..len)?);
        out.header(EVENT, content);
        let stamp = out.chunk::<9>()?;
        wire::put::<0, _>(stamp, [EVENT_TIME]);
        wire::put::<1, _>(stamp, time.to_le_bytes());
        out.field(EVENT_NAME, name.as_bytes());
        for (key, value) in attributes {
            put(key, value, &mut out);
        }
        out.bytes(constant.bytes);
        if self.events == 0 {
            self.first_event = self.len;
        }
        self.len += len as u32;
        self.events += 1;
        Some(())
    }
}

/// The length of the `KeyValue`, if that takes one byte, and the value is plain.
#[inline(always)]
fn entry_len(key: &str, value: &Value<'_>, length: u32) -> Option<usize> {
    // The tags and lengths of both are a byte each.
    let len = key.len().checked_add(4 + plain_len(value, length)?)?;
    (!key.is_empty() && len < ONE_BYTE).then_some(len)
}

/// The length of the `AnyValue`, if the value is plain and its text no longer than this.
#[inline(always)]
fn plain_len(value: &Value<'_>, length: u32) -> Option<usize> {
    match *value {
        // As many bytes are no more characters.
        Value::Str(text) if text.len() <= ONE_BYTE.min(length as usize) => Some(2 + text.len()),
        Value::Bool(_) => Some(2),
        Value::I64(number) => Some(1 + wire::varint_len(number as u64)),
        Value::U64(number) if number <= i64::MAX as u64 => Some(1 + wire::varint_len(number)),
        Value::F64(_) => Some(9),
        _ => None,
    }
}

#[inline(always)]
fn put(key: &str, value: &Value<'_>, out: &mut Out<'_>) {
    let (Some(value_len), Some(head)) = (plain_len(value, u32::MAX), out.chunk()) else { return };
    let entry = (key.len() + 4 + value_len) as u8;
    *head = [EVENT_ATTRIBUTE, entry, value::ENTRY_KEY, key.len() as u8];
    out.bytes(key.as_bytes());
    out.bytes(&[value::ENTRY_VALUE, value_len as u8]);
    match *value {
        Value::Str(text) => {
            out.bytes(&[value::STRING, text.len() as u8]);
            out.bytes(text.as_bytes());
        }
        Value::Bool(truth) => out.bytes(&[value::BOOL, truth.into()]),
        Value::I64(number) => integer(number as u64, out),
        Value::U64(number) => integer(number, out),
        Value::F64(number) => {
            out.byte(value::DOUBLE);
            out.bytes(&number.to_le_bytes());
        }
        _ => {}
    }
}

#[inline(always)]
fn integer(number: u64, out: &mut Out<'_>) {
    out.byte(value::INT);
    out.varint(number);
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec;
    use std::vec::Vec;

    use super::*;

    const LIMITS: SpanLimits = SpanLimits {
        event_count: 2,
        attribute_per_event_count: 4,
        attribute_value_length: 40,
        ..SpanLimits::new()
    };

    /// The bytes of the plain way and of the general one, where there is a plain one.
    fn both(
        name: &str,
        attributes: &Attributes<'_>,
        constants: &EventConstants,
        room: usize,
    ) -> Option<(Vec<u8>, Vec<u8>)> {
        let (mut plain, mut general) = (Body::new(), Body::new());
        let (mut of_plain, mut of_general) = (vec![0; room], vec![0; room]);
        let all = (attributes, constants);
        plain.add_plain_event(&mut of_plain, name, 77, all, &LIMITS)?;
        let all = [attributes, constants.attributes];
        general.add_event(&mut of_general, name, 77, all, &LIMITS).expect("there is room");
        let counts = |body: &Body| (body.len, body.events, body.first_event, body.has_dropped());
        assert_eq!(counts(&plain), counts(&general));
        of_plain.truncate(plain.len as usize);
        of_general.truncate(general.len as usize);
        Some((of_plain, of_general))
    }

    fn constants() -> EventConstants {
        const ALL: &Attributes<'static> =
            &[("level", Value::Str("INFO")), ("line", Value::U64(300))];
        EventConstants::new(ALL, vec![0; 60].leak())
    }

    #[test]
    fn a_plain_event_has_the_bytes_that_it_has_otherwise() {
        let long = "x".repeat(300);
        let values = [
            Value::Str(""),
            Value::Str("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
            Value::Str("a text"),
            Value::Bool(true),
            Value::I64(-1),
            Value::I64(1 << 40),
            Value::U64(127),
            Value::U64(128),
            Value::F64(0.5),
        ];
        for constants in [EventConstants::NONE, &constants()] {
            for name in ["", "name", "one that is longer than what is short", &long] {
                for (at, value) in values.iter().enumerate() {
                    let attributes = [("key", *value), ("other", values[values.len() - 1 - at])];
                    for attributes in [&attributes[..0], &attributes[..1], &attributes] {
                        let is_cut = attributes.iter().any(|(_, value)| *value == values[1]);
                        match both(name, attributes, constants, 1000) {
                            Some((plain, general)) => assert_eq!(plain, general),
                            None => assert!(is_cut, "{name} {attributes:?}"),
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_general_way() {
        let is_plain = |attributes: &Attributes<'_>, room| {
            both("name", attributes, &constants(), room).is_some()
        };
        fn one(value: Value<'_>) -> [(&str, Value<'_>); 1] {
            [("key", value)]
        }
        assert!(is_plain(&one(Value::Bool(true)), 200));
        // No room, too many, equal keys, no key.
        assert!(!is_plain(&one(Value::Bool(true)), 50));
        assert!(!is_plain(&[("a", 1.into()), ("b", 2.into()), ("c", 3.into())], 200));
        assert!(!is_plain(&[("a", 1.into()), ("a", 2.into())], 200));
        assert!(!is_plain(&[("level", 1.into())], 200));
        assert!(!is_plain(&[("", 1.into())], 200));
        // Values that are cut, nested, or text only on the wire.
        assert!(!is_plain(&one(Value::Str(&"x".repeat(41))), 200));
        assert!(!is_plain(&one(Value::U64(u64::MAX)), 200));
        assert!(!is_plain(&one(Value::I64s(&[1])), 200));
        let key: String = "k".repeat(130);
        assert!(!is_plain(&[(&key, 1.into())], 400));
    }

    #[test]
    fn constants_for_which_there_is_no_room_are_encoded_each_time() {
        const ALL: &Attributes<'static> = &[("level", Value::Str("INFO"))];
        let small = EventConstants::new(ALL, vec![0; 10].leak());
        assert!(both("name", &[], &small, 100).is_none());
        assert_eq!(small.attributes, ALL);
    }
}
