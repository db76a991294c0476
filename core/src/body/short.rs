//! Attributes and events that are as short as most are: a key that is prepared, a value of
//! few bytes, each length in one byte. One look tells whether there is room, and what is
//! copied is of constant size where it can be: the next entry overwrites what is too much.
//! Not on bare targets, where one way is enough.

use super::{ATTRIBUTE, Body, EVENT, EVENT_NAME, EVENT_TIME};
use crate::SpanLimits;
use crate::key::{PREPARED, Prepared};
use crate::wire::{self, ONE_BYTE};

impl Body {
    /// Adds an attribute whose key is not there yet, if it is such a one, and there is room
    /// for a value of `MAX` bytes.
    ///
    /// The `head` is the tag and the length of the `AnyValue` and what that begins with; what
    /// is too much of it is overwritten. Returns the place of the value.
    #[inline(always)]
    pub(crate) fn add_short<'b, const MAX: usize, const HEAD: usize>(
        &mut self,
        bytes: &'b mut [u8],
        key: &Prepared,
        head: [u8; HEAD],
        value_len: usize,
        attribute_count: u32,
    ) -> Option<&'b mut [u8; MAX]> {
        const { assert!(HEAD <= 2 + MAX && MAX <= LONGEST_VALUE) };
        let key_len @ 1..=PREPARED = key.len() else { return None };
        if value_len > MAX || self.attributes >= attribute_count {
            return None;
        }
        let start = self.len as usize;
        let entry = bytes.get_mut(start..start + BEFORE + MAX)?;
        let content = key_len + 2 + value_len;
        wire::put::<0, _>(entry, [ATTRIBUTE, content as u8]);
        wire::put::<2, _>(entry, *key.padded());
        wire::put_at(entry, 2 + key_len, head);
        self.len = (start + 2 + content) as u32;
        self.attributes += 1;
        entry.get_mut(4 + key_len..)?.first_chunk_mut()
    }

    /// Adds an event without attributes, if its name is [short](wire::SHORT) and there is room
    /// for the longest.
    #[inline(always)]
    pub(crate) fn add_short_event(
        &mut self,
        bytes: &mut [u8],
        name: &str,
        time: u64,
        limits: &SpanLimits,
    ) -> Option<()> {
        if self.events >= limits.event_count || name.len() > wire::SHORT {
            return None;
        }
        let start = self.len as usize;
        let event = bytes.get_mut(start..start + EVENT_HEAD + wire::SHORT)?;
        wire::put::<0, _>(event, [EVENT, 11 + name.len() as u8, EVENT_TIME]);
        wire::put::<3, _>(event, time.to_le_bytes());
        wire::put::<11, _>(event, [EVENT_NAME, name.len() as u8]);
        wire::copy_short(event.get_mut(EVENT_HEAD..EVENT_HEAD + name.len())?, name.as_bytes());
        if self.events == 0 {
            self.first_event = self.len;
        }
        self.len += (EVENT_HEAD + name.len()) as u32;
        self.events += 1;
        Some(())
    }
}

/// No more comes before a value, whatever the key.
const BEFORE: usize = 2 + PREPARED + 2;

/// With the longest key, the length of the entry still takes one byte.
pub(crate) const LONGEST_VALUE: usize = ONE_BYTE - 1 - (BEFORE - 2);

/// What comes before the name of an event, and before its text.
const EVENT_HEAD: usize = 2 + 9 + 2;
