//! Which keys a body has, roughly: enough to know of most keys that they are new, without
//! a look at each entry. Not on bare targets, where code is dearer than a search.

use super::{ATTRIBUTE_FIELD, key_of};
use crate::wire::Fields;

/// A set of 64 bits, of which each key sets one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys {
    /// As two halves, which need no alignment of eight bytes.
    bits: [u32; 2],
    /// So much of the body was looked at.
    seen: u32,
}

impl Keys {
    pub(super) const NONE: Keys = Keys { bits: [0; 2], seen: 0 };

    /// Whether the body may have an attribute of this key. Looks at what was added since
    /// the last time.
    #[inline]
    pub(super) fn may_have(&mut self, body: &[u8], key: &[u8]) -> bool {
        if self.seen as usize != body.len() {
            self.see(body);
        }
        let (half, bit) = place_of(key);
        self.bits[half] & bit != 0
    }

    /// An attribute of this key is now the last entry, before which all was looked at.
    #[inline]
    pub(super) fn add(&mut self, key: &[u8], body_len: u32) {
        self.insert(key);
        self.seen = body_len;
    }

    /// So many bytes that began here were taken out of the body.
    #[inline]
    pub(super) fn close_gap(&mut self, start: usize, len: usize) {
        if start < self.seen as usize {
            self.seen -= len as u32;
        }
    }

    fn see(&mut self, body: &[u8]) {
        for field in Fields::of(body.get(self.seen as usize..).unwrap_or_default()) {
            if field.number == ATTRIBUTE_FIELD
                && let Some(key) = key_of(field.payload.bytes())
            {
                self.insert(key);
            }
        }
        self.seen = body.len() as u32;
    }

    #[inline]
    fn insert(&mut self, key: &[u8]) {
        let (half, bit) = place_of(key);
        self.bits[half] |= bit;
    }
}

/// The half and the bit of a key. Neighbouring keys mostly differ in their length, at their
/// end or at their beginning.
#[inline]
fn place_of(key: &[u8]) -> (usize, u32) {
    let word = match (key.first_chunk(), key.last_chunk()) {
        (Some(first), Some(last)) => {
            u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(31)
        }
        _ => match (key.first_chunk(), key.last_chunk()) {
            (Some(first), Some(last)) => {
                u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32
            }
            _ => key.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        },
    };
    let mixed = (word ^ key.len() as u64).wrapping_mul(GOLDEN);
    ((mixed >> 63) as usize, 1 << (mixed >> 58 & 31))
}

/// 2^64 by the golden ratio: neighbours are far apart in the upper bits of their product.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::super::{ATTRIBUTE_FIELD, Body, StatusCode, key_of};
    use crate::wire::Fields;
    use crate::{SpanLimits, Value};

    /// What is done to a body.
    #[derive(Clone, Debug)]
    enum Act {
        Set(String),
        /// If it is not there yet.
        Add(String),
        Rename(usize),
        Fail(usize),
        Event,
        /// Behind the body first, as a sampler does.
        Absorb(Vec<String>),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let key = || (0..24usize).prop_map(|number| format!("{:2$}{}", "", number, number % 11));
        let act = prop_oneof![
            6 => key().prop_map(Act::Set),
            2 => key().prop_map(Act::Add),
            1 => (0..20usize).prop_map(Act::Rename),
            1 => (0..20usize).prop_map(Act::Fail),
            1 => Just(Act::Event),
            1 => proptest::collection::vec(key(), 0..4).prop_map(Act::Absorb),
        ];
        proptest::collection::vec(act, 0..60)
    }

    /// Keeps the keys in the order in which they were set last.
    fn set(expected: &mut Vec<(String, u64)>, key: String, value: u64) {
        expected.retain(|(known, _)| *known != key);
        expected.push((key, value));
    }

    proptest! {
        #[test]
        fn each_key_is_there_once_with_its_last_value(acts in acts()) {
            const LIMITS: &SpanLimits = &SpanLimits::new();
            let (mut body, mut bytes) = (Body::new(), [0; 4096]);
            let mut expected = Vec::new();
            for (number, act) in (0..).zip(acts) {
                let value = Value::U64(number);
                match act {
                    Act::Set(key) => {
                        body.set_attribute(&mut bytes, &key, &value, LIMITS).expect("room");
                        set(&mut expected, key, number);
                    }
                    Act::Add(key) => {
                        if expected.iter().all(|(known, _)| *known != key) {
                            body.add_attribute(&mut bytes, &key, &value, LIMITS).expect("room");
                            expected.push((key, number));
                        }
                    }
                    Act::Rename(len) => body.rename(&mut bytes, &"n".repeat(len)).expect("room"),
                    Act::Fail(len) => {
                        let description = "d".repeat(len);
                        body.set_status(&mut bytes, StatusCode::Error, &description).expect("room");
                    }
                    Act::Event => {
                        body.add_event(&mut bytes, "e", 1, [&[], &[]], LIMITS).expect("room");
                    }
                    Act::Absorb(keys) => {
                        let mut added = Body::new();
                        for key in keys {
                            let (_, behind) = bytes.split_at_mut(body.len as usize);
                            added.set_attribute(behind, &key, &value, LIMITS).expect("room");
                            set(&mut expected, key, number);
                        }
                        body.absorb(&mut bytes, &added, LIMITS);
                    }
                }
            }
            let mut found = Vec::new();
            let mut first_event = None;
            let mut at = 0;
            for field in Fields::of(&bytes[..body.len as usize]) {
                if field.number == ATTRIBUTE_FIELD {
                    let key = key_of(field.payload.bytes()).expect("a key");
                    let value = field.whole.last().copied().map(u64::from);
                    found.push((String::from_utf8(key.to_vec()).expect("text"), value.expect("one")));
                } else if field.number == 11 && first_event.is_none() {
                    first_event = Some(at);
                }
                at += field.whole.len() as u32;
            }
            prop_assert_eq!(found, expected);
            if body.events() > 0 {
                prop_assert_eq!(first_event, Some(body.first_event()));
            }
        }
    }
}
