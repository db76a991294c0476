//! The body of a span that is under way: its attributes, events, links, trace
//! state, name and status, already in wire form.
//!
//! Each entry is one field of the OTLP `Span` message, appended in the order in
//! which it was set. What replaces an entry (a key that is set again, a new
//! name, a new status) takes the old one out first.

#[cfg(not(target_os = "none"))]
mod cut;
#[cfg(not(target_os = "none"))]
mod keys;
#[cfg(not(target_os = "none"))]
mod plain_event;
#[cfg(not(target_os = "none"))]
mod short;
#[cfg(not(target_os = "none"))]
pub use plain_event::EventConstants;
#[cfg(not(target_os = "none"))]
pub(crate) use short::LONGEST_VALUE;

use core::cell::Cell;

use crate::value::{self, Bounds, Value};
use crate::wire::{self, Field, Fields, Out};
use crate::{SpanContext, SpanLimits, TraceFlags};

/// How much of the record's bytes is used, and by what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body {
    pub(crate) len: u32,
    attributes: u32,
    events: u32,
    links: u32,
    pub(crate) dropped_attributes: u32,
    pub(crate) dropped_events: u32,
    pub(crate) dropped_links: u32,
    status: StatusCode,
    renamed: bool,
    /// There is a status or a trace state.
    remarkable: bool,
    /// Something was cut or dropped for want of memory.
    #[cfg(not(target_os = "none"))]
    lacks_memory: bool,
    /// Where the first event begins, if there is one.
    first_event: u32,
    #[cfg(not(target_os = "none"))]
    keys: keys::Keys,
}

/// Attributes of an event or a link.
pub type Attributes<'a> = [(&'a str, Value<'a>)];

/// How an operation turned out.
///
/// The numbers are those of the OTLP message; the order of the variants is the
/// priority of [set status](https://opentelemetry.io/docs/specs/otel/trace/api/#set-status).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StatusCode {
    /// Nothing was said.
    #[default]
    Unset,
    /// The operation failed.
    Error,
    /// The application decided that it went well.
    Ok,
}

impl StatusCode {
    /// The code's number in the OTLP message.
    pub const fn to_wire(self) -> u8 {
        match self {
            StatusCode::Unset => 0,
            StatusCode::Ok => 1,
            StatusCode::Error => 2,
        }
    }
}

/// An entry did not fit into the record's bytes.
#[derive(Debug)]
pub(crate) struct NoRoom;

impl Body {
    pub(crate) const fn new() -> Self {
        Body {
            len: 0,
            attributes: 0,
            events: 0,
            links: 0,
            dropped_attributes: 0,
            dropped_events: 0,
            dropped_links: 0,
            status: StatusCode::Unset,
            renamed: false,
            remarkable: false,
            #[cfg(not(target_os = "none"))]
            lacks_memory: false,
            first_event: 0,
            #[cfg(not(target_os = "none"))]
            keys: keys::Keys::NONE,
        }
    }

    /// Whether something was dropped or the name is another one.
    #[inline]
    pub(crate) fn is_unusual(&self) -> bool {
        self.has_dropped() | self.renamed
    }

    /// Whether something was dropped.
    #[inline]
    pub(crate) fn has_dropped(&self) -> bool {
        self.dropped_attributes | self.dropped_events | self.dropped_links != 0
    }

    /// Whether the name is not that of the call site.
    #[inline]
    pub(crate) fn is_renamed(&self) -> bool {
        self.renamed
    }

    /// Whether there is a status or a trace state.
    #[inline]
    pub(crate) fn is_remarkable(&self) -> bool {
        self.remarkable
    }

    /// The entries among the record's bytes.
    #[cfg(not(target_os = "none"))]
    pub(crate) fn message<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(..self.len as usize).unwrap_or_default()
    }

    /// How many events there are.
    #[inline]
    pub(crate) fn events(&self) -> u32 {
        self.events
    }

    /// Where the first event begins, if there is one.
    #[inline]
    pub(crate) fn first_event(&self) -> u32 {
        self.first_event
    }

    /// Sets an attribute; a key that is set again replaces its value.
    #[inline]
    pub(crate) fn set_attribute(
        &mut self,
        bytes: &mut [u8],
        key: &str,
        value: &Value<'_>,
        limits: &SpanLimits,
    ) -> Result<(), NoRoom> {
        let former =
            if self.may_have(bytes, key) { self.find_key(bytes, key.as_bytes()) } else { None };
        self.put_attribute(bytes, former, key, value, limits)?;
        #[cfg(not(target_os = "none"))]
        self.keys.add(key.as_bytes(), self.len);
        Ok(())
    }

    /// Whether an attribute of this key may be there.
    #[inline]
    fn may_have(&mut self, bytes: &[u8], key: &str) -> bool {
        #[cfg(not(target_os = "none"))]
        return {
            let body = bytes.get(..self.len as usize).unwrap_or_default();
            self.keys.may_have(body, key.as_bytes())
        };
        #[cfg(target_os = "none")]
        return {
            let _ = (bytes, key);
            self.attributes > 0
        };
    }

    /// Adds an attribute whose key is not there yet.
    #[inline]
    pub(crate) fn add_attribute(
        &mut self,
        bytes: &mut [u8],
        key: &str,
        value: &Value<'_>,
        limits: &SpanLimits,
    ) -> Result<(), NoRoom> {
        self.put_attribute(bytes, None, key, value, limits)
    }

    #[inline]
    fn put_attribute(
        &mut self,
        bytes: &mut [u8],
        former: Option<Span>,
        key: &str,
        value: &Value<'_>,
        limits: &SpanLimits,
    ) -> Result<(), NoRoom> {
        if key.is_empty() {
            self.dropped_attributes += 1;
            return Ok(());
        }
        if former.is_none() && self.attributes >= limits.attribute_count {
            self.dropped_attributes += 1;
            return Ok(());
        }
        let bounds = bounds(limits);
        let value_len = value.encoded_len(bounds);
        let content = value::entry_len(key, value_len);
        let out = self.replace(bytes, former, wire::field_len(content))?;
        value::field(ATTRIBUTE, key, (value, value_len), bounds, &mut Out::new(out));
        self.attributes += u32::from(former.is_none());
        Ok(())
    }

    /// Adds an event; its time is stamped like the span's own. Attributes of the second
    /// list outrank those of the first.
    pub(crate) fn add_event(
        &mut self,
        bytes: &mut [u8],
        name: &str,
        time: u64,
        attributes: [&Attributes<'_>; 2],
        limits: &SpanLimits,
    ) -> Result<(), NoRoom> {
        if self.events >= limits.event_count {
            self.dropped_events += 1;
            return Ok(());
        }
        let bounds = bounds(limits);
        let kept = Kept::of(attributes, limits.attribute_per_event_count);
        let content = 9 + wire::field_len(name.len()) + kept.encoded_len(bounds);
        let at = self.len;
        let mut out = Out::new(self.replace(bytes, None, wire::field_len(content))?);
        if self.events == 0 {
            self.first_event = at;
        }
        out.header(EVENT, content);
        if let Some(stamp) = out.chunk::<9>() {
            wire::put::<0, _>(stamp, [EVENT_TIME]);
            wire::put::<1, _>(stamp, time.to_le_bytes());
        }
        out.field(EVENT_NAME, name.as_bytes());
        kept.encode(bounds, EVENT_ATTRIBUTE, EVENT_DROPPED, &mut out);
        self.events += 1;
        Ok(())
    }

    /// Adds a link to another span, by value.
    pub(crate) fn add_link(
        &mut self,
        bytes: &mut [u8],
        to: &SpanContext,
        trace_state: &str,
        attributes: &Attributes<'_>,
        limits: &SpanLimits,
    ) -> Result<(), NoRoom> {
        if self.links >= limits.link_count {
            self.dropped_links += 1;
            return Ok(());
        }
        let bounds = bounds(limits);
        let kept = Kept::of([attributes, &[]], limits.attribute_per_link_count);
        let ids = 18 + 10 + 5;
        let content = ids + wire::text_len(trace_state) + kept.encoded_len(bounds);
        let mut out = Out::new(self.replace(bytes, None, wire::field_len(content))?);
        out.header(LINK, content);
        out.field(LINK_TRACE, &to.trace_id().to_bytes());
        out.field(LINK_SPAN, &to.span_id().to_bytes());
        if !trace_state.is_empty() {
            out.field(LINK_STATE, trace_state.as_bytes());
        }
        kept.encode(bounds, LINK_ATTRIBUTE, LINK_DROPPED, &mut out);
        out.byte(LINK_FLAGS);
        out.bytes(&wire_flags(to.trace_flags(), to.is_remote()).to_le_bytes());
        self.links += 1;
        Ok(())
    }

    /// Sets the status by the priority Ok > Error > Unset; among several errors
    /// the last one counts, and only an error keeps its description.
    pub(crate) fn set_status(
        &mut self,
        bytes: &mut [u8],
        code: StatusCode,
        description: &str,
    ) -> Result<(), NoRoom> {
        if code == StatusCode::Unset || self.status > code || self.status == StatusCode::Ok {
            return Ok(());
        }
        let former = match self.status {
            StatusCode::Unset => None,
            _ => self.find(bytes, |field| field.number == 15),
        };
        let description = if code == StatusCode::Error { description } else { "" };
        let content = wire::text_len(description) + 2;
        let mut out = Out::new(self.replace(bytes, former, wire::field_len(content))?);
        out.header(STATUS, content);
        if !description.is_empty() {
            out.field(STATUS_MESSAGE, description.as_bytes());
        }
        out.bytes(&[STATUS_CODE, code.to_wire()]);
        self.status = code;
        self.remarkable = true;
        Ok(())
    }

    /// Replaces the name of the call site.
    pub(crate) fn rename(&mut self, bytes: &mut [u8], name: &str) -> Result<(), NoRoom> {
        let former = if self.renamed { self.find(bytes, |field| field.number == 5) } else { None };
        self.text(bytes, former, NAME, name)?;
        self.renamed = true;
        Ok(())
    }

    /// Sets the trace state; done once, at the start.
    pub(crate) fn set_trace_state(&mut self, bytes: &mut [u8], text: &str) -> Result<(), NoRoom> {
        self.text(bytes, None, TRACE_STATE, text)?;
        self.remarkable = true;
        Ok(())
    }

    fn text(
        &mut self,
        bytes: &mut [u8],
        former: Option<Span>,
        tag: u8,
        text: &str,
    ) -> Result<(), NoRoom> {
        let out = self.replace(bytes, former, wire::field_len(text.len()))?;
        Out::new(out).field(tag, text.as_bytes());
        Ok(())
    }

    /// Room for an entry of `len` bytes at the end, instead of a former one.
    #[inline]
    fn replace<'a>(
        &mut self,
        bytes: &'a mut [u8],
        former: Option<Span>,
        len: usize,
    ) -> Result<&'a mut [u8], NoRoom> {
        let mut used = self.len as usize;
        let freed = former.map_or(0, |former| former.len);
        if used - freed + len > bytes.len() {
            return Err(NoRoom);
        }
        if let Some(former) = former {
            close_gap(bytes, former, used);
            used -= former.len;
            self.move_up(former);
        }
        self.len = (used + len) as u32;
        bytes.get_mut(used..used + len).ok_or(NoRoom)
    }

    /// Takes up the attributes that another body wrote behind this one; where
    /// both have a key, theirs counts.
    pub(crate) fn absorb(&mut self, bytes: &mut [u8], added: &Body, limits: &SpanLimits) {
        let (mut at, mut end) = (self.len as usize, (self.len + added.len) as usize);
        while let Some(field) = bytes.get(at..end).and_then(|rest| Fields::of(rest).next()) {
            let (len, key) = (field.whole.len(), key_of(field.payload.bytes()));
            let former = key.and_then(|key| self.find_key(bytes, key));
            let gone = match former {
                Some(former) => former,
                None if self.attributes >= limits.attribute_count => {
                    self.dropped_attributes += 1;
                    Span { start: at, len }
                }
                None => {
                    self.attributes += 1;
                    Span { start: at, len: 0 }
                }
            };
            close_gap(bytes, gone, end);
            self.move_up(gone);
            (at, end) = (at + len - gone.len, end - gone.len);
            self.len = at as u32;
        }
        self.dropped_attributes += added.dropped_attributes;
    }

    /// What lay behind the entry lies where it began.
    #[cfg_attr(target_os = "none", inline(never))]
    fn move_up(&mut self, gone: Span) {
        if self.events > 0 && gone.start < self.first_event as usize {
            self.first_event -= gone.len as u32;
        }
        #[cfg(not(target_os = "none"))]
        self.keys.close_gap(gone.start, gone.len);
    }

    fn find_key(&self, bytes: &[u8], key: &[u8]) -> Option<Span> {
        self.find(bytes, |field| {
            field.number == ATTRIBUTE_FIELD && key_of(field.payload.bytes()) == Some(key)
        })
    }

    fn find(&self, bytes: &[u8], mut wanted: impl FnMut(&Field<'_>) -> bool) -> Option<Span> {
        let mut start = 0;
        for field in Fields::of(bytes.get(..self.len as usize).unwrap_or_default()) {
            let len = field.whole.len();
            if wanted(&field) {
                return Some(Span { start, len });
            }
            start += len;
        }
        None
    }
}

/// Moves what comes behind the entry, up to `end`, to where it begins.
fn close_gap(bytes: &mut [u8], gone: Span, end: usize) {
    // `copy_within` could panic.
    if let Some(behind) = bytes.get_mut(gone.start..end) {
        let behind = Cell::from_mut(behind).as_slice_of_cells();
        for (to, from) in behind.iter().zip(behind.iter().skip(gone.len)) {
            to.set(from.get());
        }
    }
}

/// Where an entry lies in the body.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    len: usize,
}

/// The attributes of an event or link that are kept: of equal keys the last
/// one, no empty keys, at most so many.
struct Kept<'a> {
    /// One list after the other.
    lists: [&'a Attributes<'a>; 2],
    limit: u32,
}

impl<'a> Kept<'a> {
    fn of(lists: [&'a Attributes<'a>; 2], limit: u32) -> Self {
        Kept { lists, limit }
    }

    /// Calls back for each. Returns how many are lost to the limit or have no key.
    fn each(&self, visit: &mut dyn FnMut(&str, &Value<'_>)) -> u32 {
        let (mut kept, mut dropped) = (0, 0);
        let [mut rest, mut last] = self.lists;
        if cfg!(target_os = "none") {
            // Where code is dear, nothing gives a second list.
            last = &[];
        }
        loop {
            let Some(((key, value), later)) = rest.split_first() else {
                if last.is_empty() {
                    return dropped;
                }
                rest = core::mem::take(&mut last);
                continue;
            };
            rest = later;
            let comes_again = later.iter().chain(last).any(|(other, _)| other == key);
            if !key.is_empty() && comes_again {
                continue;
            }
            if key.is_empty() || kept == self.limit {
                dropped += 1;
            } else {
                kept += 1;
                visit(key, value);
            }
        }
    }

    fn encoded_len(&self, bounds: Bounds) -> usize {
        let mut len = 0;
        let dropped = self.each(&mut |key, value| len += value::field_len(key, value, bounds));
        len + wire::count_len(dropped)
    }

    fn encode(&self, bounds: Bounds, attribute: u8, dropped: u8, out: &mut Out<'_>) {
        let count = self.each(&mut |key, value| {
            value::field(attribute, key, (value, value.encoded_len(bounds)), bounds, out);
        });
        out.count(dropped, count);
    }
}

/// The `flags` of an OTLP span (about its parent) or link: the trace flags,
/// bit 8 "it is known whether remote", bit 9 "remote".
pub(crate) fn wire_flags(flags: TraceFlags, remote: bool) -> u32 {
    u32::from(flags.to_bits()) | 0x100 | if remote { REMOTE } else { 0 }
}

/// Whether these `flags` say that the context is of another process.
pub(crate) fn is_remote(flags: u32) -> bool {
    flags & REMOTE != 0
}

/// In the `flags`: the parent is of another process.
pub(crate) const REMOTE: u32 = 1 << 9;

/// A KeyValue begins with its key: tag, length, text.
#[inline]
fn key_of(entry: &[u8]) -> Option<&[u8]> {
    let Some((&value::ENTRY_KEY, mut rest)) = entry.split_first() else { return None };
    let len = wire::read_varint(&mut rest)?;
    rest.get(..usize::try_from(len).ok()?)
}

#[inline]
fn bounds(limits: &SpanLimits) -> Bounds {
    // The depth of a value is at least its own level.
    Bounds { length: limits.attribute_value_length, depth: limits.attribute_value_depth.max(1) }
}

pub(crate) const TRACE_STATE: u8 = wire::tag(3, wire::LEN);
pub(crate) const NAME: u8 = wire::tag(5, wire::LEN);
const ATTRIBUTE_FIELD: u32 = 9;
pub(crate) const ATTRIBUTE: u8 = wire::tag(ATTRIBUTE_FIELD as u8, wire::LEN);
const EVENT: u8 = wire::tag(11, wire::LEN);
const LINK: u8 = wire::tag(13, wire::LEN);
const STATUS: u8 = wire::tag(15, wire::LEN);
pub(crate) const EVENT_TIME: u8 = wire::tag(1, wire::I64);
const EVENT_NAME: u8 = wire::tag(2, wire::LEN);
const EVENT_ATTRIBUTE: u8 = wire::tag(3, wire::LEN);
const EVENT_DROPPED: u8 = wire::tag(4, wire::VARINT);
const LINK_TRACE: u8 = wire::tag(1, wire::LEN);
const LINK_SPAN: u8 = wire::tag(2, wire::LEN);
const LINK_STATE: u8 = wire::tag(3, wire::LEN);
const LINK_ATTRIBUTE: u8 = wire::tag(4, wire::LEN);
const LINK_DROPPED: u8 = wire::tag(5, wire::VARINT);
const LINK_FLAGS: u8 = wire::tag(6, wire::I32);
const STATUS_MESSAGE: u8 = wire::tag(2, wire::LEN);
const STATUS_CODE: u8 = wire::tag(3, wire::VARINT);
