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
