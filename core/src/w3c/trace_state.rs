//! The `tracestate` header: what tracing systems hand on beside the ids.
//!
//! A list of at most 32 *members* `key=value`, the most recently changed one at
//! the left. [`TraceState`] borrows the text; every change yields a new
//! [`TraceStateBuf`] in *normal form*: no white space or empty member between
//! members, no key twice, at most 513 characters.
//!
//! A received list is taken as a whole or not at all: one malformed member, or
//! 33 members, discard it. A key that comes twice does not; the left-most is
//! the most recent one and is kept.
//!
//! Rules: [tracestate header](https://www.w3.org/TR/trace-context-2/#tracestate-header).

use core::fmt;

use heapless::{String, Vec};

use super::{AsciiSet, LOWER_ALPHANUMERIC, ascii, trim_ows};

/// A valid trace state that borrows its text; empty by default.
///
/// ([tracestate header field values](https://www.w3.org/TR/trace-context-2/#tracestate-header-field-values))
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct TraceState<'a>(&'a str);

impl<'a> TraceState<'a> {
    /// The trace state without a member.
    pub const EMPTY: TraceState<'static> = TraceState("");

    /// Checks the value of one `tracestate` header, of any length.
    ///
    /// Empty members, and spaces and tabs around members, are accepted and stay
    /// in the text. A header that came in several parts, or is to be sent
    /// onwards, is read by [`TraceStateBuf::from_headers`].
    /// ([list](https://www.w3.org/TR/trace-context-2/#list))
    ///
    /// # Errors
    ///
    /// [`MissingValue`](TraceStateError::MissingValue),
    /// [`InvalidKey`](TraceStateError::InvalidKey) or
    /// [`InvalidValue`](TraceStateError::InvalidValue) for the first malformed
    /// member, [`TooManyMembers`](TraceStateError::TooManyMembers) for 33.
    pub fn parse(text: &'a str) -> Result<Self, TraceStateError> {
        let mut count = 0;
        for member in split(text.as_bytes()) {
            Member::parse(member)?;
            count += 1;
            if count > MAX_MEMBERS {
                return Err(TraceStateError::TooManyMembers);
            }
        }
        Ok(TraceState(text))
    }

    /// The value of this key, from the left-most member that has it.
    /// ([key](https://www.w3.org/TR/trace-context-2/#key))
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.members().find(|(other, _)| *other == key).map(|(_, value)| value)
    }

    /// The keys and values from left to right; empty members are passed over.
    /// ([list-members](https://www.w3.org/TR/trace-context-2/#list-members))
    pub fn members(&self) -> TraceStateMembers<'a> {
        TraceStateMembers(self.0)
    }

    /// Whether there is no member. An empty trace state is not sent.
    /// ([tracestate header field values](https://www.w3.org/TR/trace-context-2/#tracestate-header-field-values))
    #[inline]
    pub fn is_empty(&self) -> bool {
        // Most contexts carry none; that shall not cost a search for members.
        self.0.is_empty() || self.members().next().is_none()
    }

    /// The text it was made from.
    /// ([combined header value](https://www.w3.org/TR/trace-context-2/#combined-header-value))
    pub const fn as_str(&self) -> &'a str {
        self.0
    }

    /// A copy in which this key has this value and stands at the left end.
    ///
    /// The others keep their order. Where they no longer fit, whole members go:
    /// the right-most of 33; of more than 513 characters first the right-most
    /// of those longer than 128 characters, then the right-most. The new one
    /// always stays.
    /// ([Mutating the tracestate field](https://www.w3.org/TR/trace-context-2/#mutating-the-tracestate-field),
    /// [limits](https://www.w3.org/TR/trace-context-2/#tracestate-limits))
    ///
    /// # Errors
    ///
    /// [`InvalidKey`](TraceStateError::InvalidKey) or
    /// [`InvalidValue`](TraceStateError::InvalidValue).
    pub fn insert(&self, key: &str, value: &str) -> Result<TraceStateBuf, TraceStateError> {
        let inserted = Member::new(key, value)?;
        let mut list = List::of(inserted);
        for (key, value) in self.members() {
            // A full list refuses the right-most ones, which are to go.
            list.push(Member { key, value });
        }
        list.truncate(1);
        Ok(list.join())
    }

    /// A copy without this key; an equal one where it is missing.
    ///
    /// Only the system that a key belongs to should remove it.
    /// ([Mutating the tracestate field](https://www.w3.org/TR/trace-context-2/#mutating-the-tracestate-field))
    pub fn remove(&self, key: &str) -> TraceStateBuf {
        let mut list = List::default();
        for (other, value) in self.members() {
            if other != key {
                list.push(Member { key: other, value });
            }
        }
        list.truncate(0);
        list.join()
    }
}

impl fmt::Display for TraceState<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

/// The keys and values of a [`TraceState`], from left to right.
///
/// ([list-members](https://www.w3.org/TR/trace-context-2/#list-members))
#[derive(Clone, Debug)]
pub struct TraceStateMembers<'a>(&'a str);

impl<'a> Iterator for TraceStateMembers<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.0.is_empty() {
            let (member, rest) = self.0.split_once(',').unwrap_or((self.0, ""));
            self.0 = rest;
            if let Some(pair) = member.trim_matches([' ', '\t']).split_once('=') {
                return Some(pair);
            }
        }
        None
    }
}

/// A valid trace state that owns its text: normal form, at most 513 characters,
/// empty by default.
///
/// 512 is what [limits](https://www.w3.org/TR/trace-context-2/#tracestate-limits)
/// asks a system to hand on at least; with one more, every valid member has room.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct TraceStateBuf(String<MAX_LENGTH>);

impl TraceStateBuf {
    /// The trace state without a member.
    pub const fn new() -> Self {
        TraceStateBuf(String::new())
    }

    /// Joins the values of all `tracestate` headers of a message, in order.
    ///
    /// Empty members are dropped, and of members with one key all but the
    /// left-most. What is longer than 513 characters loses whole members: first
    /// the right-most of those longer than 128 characters, then the right-most.
    /// ([Field values](https://www.w3.org/TR/trace-context-2/#tracestate-header-field-values),
    /// [limits](https://www.w3.org/TR/trace-context-2/#tracestate-limits))
    ///
    /// # Errors
    ///
    /// Those of [`TraceState::parse`]; the whole list is then to be discarded,
    /// and `traceparent` stays valid. Members that are dropped as duplicates
    /// count among the 32.
    pub fn from_headers<'a>(
        headers: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, TraceStateError> {
        let mut list = List::default();
        let mut count = 0;
        for header in headers {
            for member in split(header) {
                let member = Member::parse(member)?;
                count += 1;
                if count > MAX_MEMBERS {
                    return Err(TraceStateError::TooManyMembers);
                }
                list.push(member);
            }
        }
        list.truncate(0);
        Ok(list.join())
    }

    /// The same trace state, borrowed.
    pub fn as_trace_state(&self) -> TraceState<'_> {
        TraceState(&self.0)
    }

    /// The header text, ready to send.
    /// ([combined header value](https://www.w3.org/TR/trace-context-2/#combined-header-value))
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is no member. An empty trace state is not sent.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As [`TraceState::get`].
    pub fn get(&self, key: &str) -> Option<&str> {
        self.as_trace_state().get(key)
    }

    /// As [`TraceState::members`].
    pub fn members(&self) -> TraceStateMembers<'_> {
        self.as_trace_state().members()
    }

    /// As [`TraceState::insert`]: a copy, in which this key has this value and
    /// stands at the left end.
    ///
    /// # Errors
    ///
    /// Those of [`TraceState::insert`].
    pub fn insert(&self, key: &str, value: &str) -> Result<Self, TraceStateError> {
        self.as_trace_state().insert(key, value)
    }

    /// As [`TraceState::remove`]: a copy without this key.
    #[must_use]
    pub fn remove(&self, key: &str) -> Self {
        self.as_trace_state().remove(key)
    }
}

impl AsRef<str> for TraceStateBuf {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<TraceState<'_>> for TraceStateBuf {
    /// Brings it into normal form, as [`TraceStateBuf::from_headers`] does.
    fn from(state: TraceState<'_>) -> Self {
        let mut list = List::default();
        for (key, value) in state.members() {
            list.push(Member { key, value });
        }
        list.truncate(0);
        list.join()
    }
}

impl fmt::Display for TraceStateBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for TraceStateBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TraceStateBuf").field(&self.as_str()).finish()
    }
}

/// Why a trace state is discarded or a change refused.
/// ([tracestate header field values](https://www.w3.org/TR/trace-context-2/#tracestate-header-field-values))
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TraceStateError {
    /// A member has no equals sign.
    MissingValue,
    /// A key does not begin with `a`-`z` or `0`-`9`, has another character than
    /// these and `_`, `-`, `*`, `/`, `@`, or is longer than 256.
    InvalidKey,
    /// A value is empty, ends in a space, has a character that is not printable
    /// ASCII or is `,` or `=`, or is longer than 256.
    InvalidValue,
    /// There are more than 32 members.
    TooManyMembers,
}

impl fmt::Display for TraceStateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MissingValue => "tracestate member has no equals sign",
            Self::InvalidKey => "tracestate key is not valid",
            Self::InvalidValue => "tracestate value is not valid",
            Self::TooManyMembers => "tracestate has more than 32 members",
        })
    }
}

impl core::error::Error for TraceStateError {}

#[derive(Clone, Copy)]
struct Member<'a> {
    key: &'a str,
    value: &'a str,
}

impl<'a> Member<'a> {
    /// A member with nothing around it.
    fn parse(member: &'a [u8]) -> Result<Self, TraceStateError> {
        let mut parts = member.splitn(2, |byte| *byte == b'=');
        let (Some(key), Some(value)) = (parts.next(), parts.next()) else {
            return Err(TraceStateError::MissingValue);
        };
        Member::check(key, value)
    }

    fn new(key: &'a str, value: &'a str) -> Result<Self, TraceStateError> {
        Member::check(key.as_bytes(), value.as_bytes())
    }

    fn check(key: &'a [u8], value: &'a [u8]) -> Result<Self, TraceStateError> {
        if !(1..=256).contains(&key.len())
            || !key.first().is_some_and(|first| FIRST_OF_KEY.contains(*first))
            || !KEY.contains_all(key)
        {
            return Err(TraceStateError::InvalidKey);
        }
        if !(1..=256).contains(&value.len()) || value.ends_with(b" ") || !VALUE.contains_all(value)
        {
            return Err(TraceStateError::InvalidValue);
        }
        Ok(Member { key: ascii(key), value: ascii(value) })
    }

    /// The characters with the equals sign, without a comma.
    fn len(&self) -> usize {
        self.key.len() + 1 + self.value.len()
    }
}

/// Valid members from left to right, no key twice, at most 32.
#[derive(Default)]
struct List<'a>(Vec<Member<'a>, MAX_MEMBERS>);

impl<'a> List<'a> {
    fn of(first: Member<'a>) -> Self {
        let mut list = List::default();
        list.push(first);
        list
    }

    /// Adds at the right, unless the key is there or the list is full.
    fn push(&mut self, member: Member<'a>) {
        if !self.0.iter().any(|other| other.key == member.key) {
            // A full list is for the caller to have excluded, or to want.
            let _ = self.0.push(member);
        }
    }

    /// Takes out the member at this place, if there is one.
    fn remove(&mut self, at: usize) -> Option<Member<'a>> {
        // Moved to the end, past the others; `Vec::remove` could panic.
        let mut place = self.0.get_mut(at..)?.iter_mut();
        let mut moved = place.next()?;
        for next in place {
            core::mem::swap(moved, next);
            moved = next;
        }
        self.0.pop()
    }

    /// Removes whole members, none of the left-most `kept`, until the text has
    /// at most 513 characters.
    fn truncate(&mut self, kept: usize) {
        let mut len = self.0.iter().map(|member| member.len() + 1).sum::<usize>();
        // Each member was counted with a comma, of which there is one less.
        while len > MAX_LENGTH + 1 && self.0.len() > kept {
            let long = self.0.iter().skip(kept).rposition(|member| member.len() > LONG);
            let removed = match long {
                Some(at) => self.remove(kept + at),
                None => self.0.pop(),
            };
            len -= removed.map_or(0, |member| member.len() + 1);
        }
    }

    fn join(&self) -> TraceStateBuf {
        let mut text = String::new();
        for (i, member) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            for part in [comma, member.key, "=", member.value] {
                // `truncate` has made the room.
                let _ = text.push_str(part);
            }
        }
        TraceStateBuf(text)
    }
}

/// The members of a header without the white space around them and without the
/// empty ones.
fn split(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    header.split(|byte| *byte == b',').map(trim_ows).filter(|member| !member.is_empty())
}

/// [tracestate header field values](https://www.w3.org/TR/trace-context-2/#tracestate-header-field-values)
const MAX_MEMBERS: usize = 32;

/// A key and a value of 256 characters each, which is more than what
/// [tracestate limits](https://www.w3.org/TR/trace-context-2/#tracestate-limits) asks for.
const MAX_LENGTH: usize = 513;

/// Members longer than this go first.
const LONG: usize = 128;

const FIRST_OF_KEY: AsciiSet = AsciiSet::of(LOWER_ALPHANUMERIC);
const KEY: AsciiSet = FIRST_OF_KEY.and(b"_-*/@");
const VALUE: AsciiSet = AsciiSet::range(b' ', b'~').without(b",=");

#[cfg(test)]
mod tests;
