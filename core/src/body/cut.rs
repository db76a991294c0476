//! Entries that do not fit into the memory of a span: their texts are cut to what fits. Not
//! on bare targets, where code is dearer, and they are dropped.
//!
//! A cut text leaves room for what comes after it, or an error message of megabytes would
//! leave none for the next error:
//!
//! ```text
//!   attribute, event, link   three quarters of what is free
//!   status, name             one quarter: an exception's message is in its event too
//! ```
//!
//! All texts of one entry are cut to the same length, in characters, by the way of
//! [`SpanLimits::attribute_value_length`]; shorter ones stay whole. So a character is whole
//! too.

use super::{Attributes, Body, Kept, NoRoom, Span, StatusCode, bounds};
use crate::value::{self, Value};
use crate::{SpanContext, SpanLimits};

impl Body {
    /// As [`set_attribute`](Self::set_attribute), which found no room.
    pub(crate) fn set_cut_attribute(
        &mut self,
        bytes: &mut [u8],
        key: &str,
        value: &Value<'_>,
        limits: &SpanLimits,
    ) -> Result<(), NoRoom> {
        let former = self.find_key(bytes, key.as_bytes());
        let len = |limits: &SpanLimits| value::field_len(key, value, bounds(limits));
        let limits = longest(self.most(bytes, former), limits, len).ok_or(NoRoom)?;
        self.set_attribute(bytes, key, value, &limits)
    }

    /// As [`add_event`](Self::add_event), which found no room. The name is cut too.
    pub(crate) fn add_cut_event(
        &mut self,
        bytes: &mut [u8],
        name: &str,
        time: u64,
        attributes: [&Attributes<'_>; 2],
        limits: &SpanLimits,
    ) -> Result<(), NoRoom> {
        let name_of = |limits: &SpanLimits| value::cut(name, limits.attribute_value_length);
        let len = |limits: &SpanLimits| {
            let kept = Kept::of(attributes, limits.attribute_per_event_count);
            HEADERS + name_of(limits).len() + kept.encoded_len(bounds(limits))
        };
        let limits = longest(self.most(bytes, None), limits, len).ok_or(NoRoom)?;
        self.add_event(bytes, name_of(&limits), time, attributes, &limits)
    }

    /// As [`add_link`](Self::add_link), which found no room. Half a trace state is none, so
    /// that stays whole.
    pub(crate) fn add_cut_link(
        &mut self,
        bytes: &mut [u8],
        to: &SpanContext,
        trace_state: &str,
        attributes: &Attributes<'_>,
        limits: &SpanLimits,
    ) -> Result<(), NoRoom> {
        let len = |limits: &SpanLimits| {
            let kept = Kept::of([attributes, &[]], limits.attribute_per_link_count);
            HEADERS + trace_state.len() + kept.encoded_len(bounds(limits))
        };
        let limits = longest(self.most(bytes, None), limits, len).ok_or(NoRoom)?;
        self.add_link(bytes, to, trace_state, attributes, &limits)
    }

    /// As [`set_status`](Self::set_status), which found no room. The code matters more than
    /// its description.
    pub(crate) fn set_cut_status(
        &mut self,
        bytes: &mut [u8],
        code: StatusCode,
        description: &str,
    ) -> Result<(), NoRoom> {
        let former = self.find(bytes, |field| field.number == 15);
        let cut = cut_to(description, self.most(bytes, former) / 3).unwrap_or_default();
        self.set_status(bytes, code, cut).or_else(|_| self.set_status(bytes, code, ""))
    }

    /// As [`rename`](Self::rename), which found no room.
    pub(crate) fn cut_rename(&mut self, bytes: &mut [u8], name: &str) -> Result<(), NoRoom> {
        let former =
            if self.is_renamed() { self.find(bytes, |field| field.number == 5) } else { None };
        let name = cut_to(name, self.most(bytes, former) / 3).ok_or(NoRoom)?;
        self.rename(bytes, name)
    }

    /// Notes that the span's memory was too small for something. Returns whether that is new.
    pub(crate) fn lack_memory(&mut self) -> bool {
        !core::mem::replace(&mut self.lacks_memory, true)
    }

    /// Whether the span's memory was too small for something.
    pub(crate) fn lacks_memory(&self) -> bool {
        self.lacks_memory
    }

    /// Whether something was dropped because of a limit. Of what was dropped from a span
    /// whose memory was too small too, this knows by the limits that were reached.
    pub(crate) fn is_limited(&self, limits: &SpanLimits) -> bool {
        let is_reached = || {
            [
                (self.dropped_attributes, self.attributes, limits.attribute_count),
                (self.dropped_events, self.events, limits.event_count),
                (self.dropped_links, self.links, limits.link_count),
            ]
            .iter()
            .any(|(dropped, kept, limit)| *dropped > 0 && kept >= limit)
        };
        self.has_dropped() && (!self.lacks_memory || is_reached())
    }

    /// The most bytes that a cut entry takes: three quarters of what is free, also without
    /// the former one.
    fn most(&self, bytes: &[u8], former: Option<Span>) -> usize {
        let freed = former.map_or(0, |former| former.len);
        (bytes.len() + freed).saturating_sub(self.len as usize) / 4 * 3
    }
}

/// The limits under which an entry, whose length by some limits is known, takes no more than
/// so many bytes. `None` if it would have to be shorter than what tells something.
fn longest(
    most: usize,
    limits: &SpanLimits,
    len: impl Fn(&SpanLimits) -> usize,
) -> Option<SpanLimits> {
    let with = |length| SpanLimits { attribute_value_length: length, ..*limits };
    let fits = |length| len(&with(length)) <= most;
    // With the limit itself it does not fit; nor with a text of more characters than bytes.
    let mut too_long = u32::try_from(most).map_or(u32::MAX, |most| most.saturating_add(1));
    too_long = too_long.min(limits.attribute_value_length);
    let mut fitting = SHORTEST;
    if fitting >= too_long || !fits(fitting) {
        return None;
    }
    while too_long - fitting > 1 {
        let length = fitting + (too_long - fitting) / 2;
        if fits(length) {
            fitting = length;
        } else {
            too_long = length;
        }
    }
    Some(with(fitting))
}

/// What fits of a text into an entry of so many bytes, if that tells something.
fn cut_to(text: &str, most: usize) -> Option<&str> {
    let mut end = text.len().min(most.checked_sub(TEXT_HEADERS)?);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).filter(|_| end >= SHORTEST as usize)
}

/// Of less than this, in characters, nobody knows what it was.
const SHORTEST: u32 = 16;

/// More than the tags, the lengths and what else is of fixed size in an event or a link.
const HEADERS: usize = 48;
/// And in a status or a name.
const TEXT_HEADERS: usize = 16;

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec;

    use proptest::prelude::*;

    use super::*;
    use crate::{SpanView, ValueView};

    const LIMITS: &SpanLimits = &SpanLimits::new();

    fn view<'a>(body: &Body, bytes: &'a [u8]) -> SpanView<'a> {
        SpanView::of_message(&bytes[..body.len as usize])
    }

    #[test]
    fn a_long_text_takes_three_quarters_of_what_is_free_and_the_next_one_of_the_rest() {
        let (mut body, mut bytes) = (Body::new(), vec![0; 1_000]);
        let text = "x".repeat(5_000);
        for (key, kept) in [("a", 736), ("b", 176), ("c", 34)] {
            let value = Value::Str(&text);
            assert!(body.set_attribute(&mut bytes, key, &value, LIMITS).is_err());
            body.set_cut_attribute(&mut bytes, key, &value, LIMITS).expect("room");
            let cut = view(&body, &bytes).attribute(key).and_then(|value| value.as_str());
            assert!(cut.is_some_and(|cut| cut.len().abs_diff(kept) < 10), "{key}: {cut:?}");
        }
        // Of less than sixteen characters nobody knows what they were.
        let before = body.len;
        assert!(body.set_cut_attribute(&mut bytes, "d", &Value::Str(&text), LIMITS).is_err());
        // A number and a key cannot be cut.
        let numbers = Value::I64s(&[i64::MIN; 9]);
        assert!(body.set_cut_attribute(&mut bytes, "d", &numbers, LIMITS).is_err());
        assert!(body.set_cut_attribute(&mut bytes, &text, &Value::I64(1), LIMITS).is_err());
        assert_eq!(body.len, before);
    }

    #[test]
    fn what_replaces_a_text_has_the_room_of_that() {
        let (mut body, mut bytes) = (Body::new(), vec![0; 2_000]);
        let [first, second] = ["x", "y"].map(|text| text.repeat(5_000));
        body.set_cut_attribute(&mut bytes, "k", &Value::Str(&first), LIMITS).expect("room");
        let len = body.len;
        body.set_cut_attribute(&mut bytes, "k", &Value::Str(&second), LIMITS).expect("room");
        assert_eq!((body.len, view(&body, &bytes).attributes().count()), (len, 1));
        for name in [&first, &second] {
            body.cut_rename(&mut bytes, name).expect("room");
            body.set_cut_status(&mut bytes, StatusCode::Error, name).expect("room");
        }
        let (name, (_, description)) = (view(&body, &bytes).name(), view(&body, &bytes).status());
        assert!(name.len() >= 16 && second.starts_with(name), "{name}");
        assert!(description.len() < 16 || second.starts_with(description), "{description}");
    }

    #[test]
    fn texts_of_an_event_are_cut_to_the_same_length_and_short_ones_stay_whole() {
        let (mut body, mut bytes) = (Body::new(), vec![0; 1_000]);
        let long = "ß".repeat(5_000);
        let attributes =
            [("type", Value::Str("Error")), ("message", Value::Str(&long)), ("n", Value::I64(7))];
        let more = [("trace", Value::Array(&[Value::Str(&long), Value::Bool(true)]))];
        let all: [&Attributes<'_>; 2] = [&attributes, &more];
        assert!(body.add_event(&mut bytes, "exception", 1, all, LIMITS).is_err());
        body.add_cut_event(&mut bytes, "exception", 1, all, LIMITS).expect("room");
        let event = view(&body, &bytes).events().next().expect("an event");
        let value =
            |key| event.attributes().find(|(other, _)| *other == key).map(|(_, value)| value);
        assert_eq!((event.name(), event.attributes().count()), ("exception", 4));
        assert_eq!(value("type").and_then(|value| value.as_str()), Some("Error"));
        let message = value("message").and_then(|value| value.as_str()).expect("a text");
        let Some(ValueView::Array(trace)) = value("trace") else { panic!() };
        let first = trace.iter().next().and_then(|value| value.as_str());
        assert_eq!(first, Some(message));
        assert!((600..750).contains(&(2 * message.len())), "{}", message.len());
        // The same of a name, and of a link, whose trace state is whole or not there.
        body.add_cut_event(&mut bytes, &long, 1, [&[], &[]], LIMITS).expect("room");
        let to = SpanContext::INVALID;
        assert!(body.add_cut_link(&mut bytes, &to, &long, &[], LIMITS).is_err());
        let (mut body, mut bytes) = (Body::new(), vec![0; 1_000]);
        body.add_cut_link(&mut bytes, &to, "a=b", &[("k", Value::Str(&long))], LIMITS)
            .expect("room");
        let link = view(&body, &bytes).links().next().expect("a link");
        assert_eq!((link.trace_state(), link.attributes().count()), ("a=b", 1));
    }

    #[test]
    fn the_status_is_set_without_its_description_where_only_that_fits() {
        let (mut body, mut bytes) = (Body::new(), [0; 60]);
        body.set_cut_status(&mut bytes, StatusCode::Error, &"x".repeat(99)).expect("room");
        assert_eq!(view(&body, &bytes).status(), (StatusCode::Error, ""));
    }

    /// What was dropped is a limit's fault if the limit was reached.
    #[test]
    fn a_limit_that_was_reached_is_known_beside_a_want_of_memory() {
        let limits = &SpanLimits { event_count: 1, ..SpanLimits::new() };
        let (mut body, mut bytes) = (Body::new(), [0; 200]);
        assert!(!body.is_limited(limits));
        body.dropped_attributes += 1;
        assert!(body.is_limited(limits));
        assert!(body.lack_memory() && !body.lack_memory());
        assert!(!body.is_limited(limits));
        for _ in 0..2 {
            body.add_event(&mut bytes, "e", 1, [&[], &[]], limits).expect("room");
        }
        assert!(body.is_limited(limits));
    }

    proptest! {
        #[test]
        fn what_is_cut_is_the_beginning_of_the_text_and_fits(
            text in "[a-zß漢🦀]{0,400}",
            room in 0..1_000usize,
            used in 0..100usize,
            length in prop_oneof![Just(u32::MAX), 0..300u32],
        ) {
            let limits = &SpanLimits { attribute_value_length: length, ..SpanLimits::new() };
            let (mut body, mut bytes) = (Body::new(), vec![0; room]);
            let first = "f".repeat(used);
            let _ = body.set_attribute(&mut bytes, "f", &Value::Str(&first), limits);
            let whole: String = text.chars().take(length as usize).collect();
            let value = Value::Str(&text);
            let is_whole = body.set_attribute(&mut bytes, "k", &value, limits).is_ok();
            let is_cut = !is_whole && body.set_cut_attribute(&mut bytes, "k", &value, limits).is_ok();
            let view = view(&body, &bytes);
            let kept = view.attribute("k").and_then(|value| value.as_str());
            prop_assert_eq!(kept.is_some(), is_whole || is_cut);
            if let Some(kept) = kept {
                prop_assert!(whole.starts_with(kept));
                prop_assert_eq!(kept == whole, is_whole);
            }
        }

        #[test]
        fn descriptions_and_names_are_cut_between_characters(
            text in "[a-zß漢🦀]{100,400}",
            room in 0..1_000usize,
        ) {
            let (mut body, mut bytes) = (Body::new(), vec![0; room]);
            let _ = body.set_cut_status(&mut bytes, StatusCode::Error, &text);
            let _ = body.cut_rename(&mut bytes, &text);
            let view = view(&body, &bytes);
            for kept in [view.status().1, view.name()] {
                prop_assert!(text.starts_with(kept));
                prop_assert!(room < 400 || kept.len() >= 16);
            }
        }
    }
}
