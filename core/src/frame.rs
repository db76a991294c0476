//! A finished span: one `ScopeSpans.spans` field of OTLP, written once.
//!
//! The fields of fixed size come first and in a fixed order, so that the flusher
//! finds the times without a search; they hold clock ticks until
//! [`stamp`] turns them into nanoseconds since the Unix epoch.

use crate::Callsite;
use crate::body::{self, Body, wire_flags};
use crate::live::Opening;
use crate::wire::{self, Fields, Out, Payload};

/// What accompanies a frame through the ring.
#[derive(Clone, Copy, Debug)]
pub struct FrameTag {
    pub(crate) callsite: &'static Callsite,
    pub(crate) has_events: bool,
}

/// How a span came to its end.
///
/// What is not [`Completed`](Ending::Completed) is said on the span by the
/// attribute `throughline.end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The work was done.
    #[default]
    Completed,
    /// The future or stream was dropped while it was pending.
    Cancelled,
    /// The work panicked.
    Panicked,
    /// The handle was dropped without an end.
    Dropped,
}

impl Ending {
    /// The ending of which [`END_ATTRIBUTE`] says this; what is unknown, or not
    /// there, is completed.
    pub fn from_attribute(value: Option<&str>) -> Self {
        let unusual = [Ending::Cancelled, Ending::Panicked, Ending::Dropped];
        let said = |ending: &Ending| value.is_some() && ending.as_str() == value;
        unusual.into_iter().find(said).unwrap_or_default()
    }

    /// The value of the attribute, or `None` for a completed span.
    pub const fn as_str(self) -> Option<&'static str> {
        match self {
            Ending::Completed => None,
            Ending::Cancelled => Some("cancelled"),
            Ending::Panicked => Some("panicked"),
            Ending::Dropped => Some("dropped"),
        }
    }
}

/// The attribute that tells how a span ended, if not by completion.
pub const END_ATTRIBUTE: &str = "throughline.end";

/// A finished span, about to be written.
pub(crate) struct Finished<'a> {
    opening: Opening,
    end: u64,
    ending: Ending,
    name: &'a str,
    body: &'a Body,
    bytes: &'a [u8],
    span_len: usize,
}

impl<'a> Finished<'a> {
    #[inline]
    pub(crate) fn new(
        opening: Opening,
        end: u64,
        ending: Ending,
        (body, bytes): (&'a Body, &'a [u8]),
    ) -> Self {
        let name = if body.renamed { "" } else { opening.callsite.name() };
        let fixed = if opening.parent.is_valid() { FIXED } else { FIXED - PARENT };
        let span_len = fixed
            + wire::text_len(name)
            + body.len as usize
            + ending.as_str().map_or(0, |text| wire::field_len(end_entry_len(text)))
            + count_len(body.dropped_attributes)
            + count_len(body.dropped_events)
            + count_len(body.dropped_links);
        let bytes = &bytes[..body.len as usize];
        Finished { opening, end, ending, name, body, bytes, span_len }
    }

    /// The length of the frame in bytes.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        wire::field_len(self.span_len)
    }

    pub(crate) fn tag(&self) -> FrameTag {
        FrameTag { callsite: self.opening.callsite, has_events: self.body.has_events() }
    }

    /// Fills a slice of exactly [`len`](Self::len) bytes.
    #[inline]
    pub(crate) fn write(&self, frame: &mut [u8]) {
        let mut out = Out::new(frame);
        out.byte(SPAN);
        out.varint(self.span_len as u64);
        out.bytes(&self.fixed());
        if self.opening.parent.is_valid() {
            out.byte(PARENT_ID);
            out.byte(8);
            out.bytes(&self.opening.parent.to_bytes());
        }
        if !self.name.is_empty() {
            out.field(body::NAME, self.name.as_bytes());
        }
        out.bytes(self.bytes);
        if let Some(text) = self.ending.as_str() {
            write_end(text, &mut out);
        }
        count(DROPPED_ATTRIBUTES, self.body.dropped_attributes, &mut out);
        count(DROPPED_EVENTS, self.body.dropped_events, &mut out);
        count(DROPPED_LINKS, self.body.dropped_links, &mut out);
    }

    /// Times first, then what identifies the span: all of constant size.
    #[inline(always)]
    fn fixed(&self) -> [u8; FIXED - PARENT] {
        let Opening { context, start, kind, remote_parent, .. } = &self.opening;
        let mut fixed = [0; FIXED - PARENT];
        fixed[0] = START;
        fixed[1..9].copy_from_slice(&start.to_le_bytes());
        fixed[9] = END;
        fixed[10..18].copy_from_slice(&self.end.to_le_bytes());
        fixed[18] = TRACE_ID;
        fixed[19] = 16;
        fixed[20..36].copy_from_slice(&context.trace_id().to_bytes());
        fixed[36] = SPAN_ID;
        fixed[37] = 8;
        fixed[38..46].copy_from_slice(&context.span_id().to_bytes());
        fixed[46..48].copy_from_slice(&FLAGS);
        fixed[48..52].copy_from_slice(&wire_flags(context, *remote_parent).to_le_bytes());
        fixed[52] = KIND;
        fixed[53] = *kind as u8;
        fixed
    }
}

/// Turns the times of a frame from ticks into nanoseconds since the Unix epoch.
#[inline]
pub(crate) fn stamp(frame: &mut [u8], tag: &FrameTag, unix_nanos: impl Fn(u64) -> u64) {
    let mut rest = &frame[1..];
    if wire::read_varint(&mut rest).is_none() {
        return;
    }
    let start = frame.len() - rest.len();
    // The end is not before the start, though the clock of another core may be
    // behind by a tick, and times that the program gave may be anything.
    let mut least = 0;
    for at in [start + 1, start + 10] {
        if let Some(bytes) = frame.get_mut(at..at + 8)
            && let Ok(ticks) = <[u8; 8]>::try_from(&*bytes)
        {
            least = unix_nanos(u64::from_le_bytes(ticks)).max(least);
            bytes.copy_from_slice(&least.to_le_bytes());
        }
    }
    if tag.has_events {
        let mut at = start;
        loop {
            let Some(field) = Fields::of(&frame[at..]).next() else { return };
            let (number, len) = (field.number, field.whole.len());
            let content = match field.payload {
                Payload::Len(content) => content.len(),
                _ => 0,
            };
            if number == EVENT_FIELD && content >= 9 {
                // An event begins with its time.
                let time = at + len - content + 1;
                let mut ticks = [0; 8];
                ticks.copy_from_slice(&frame[time..time + 8]);
                let nanos = unix_nanos(u64::from_le_bytes(ticks));
                frame[time..time + 8].copy_from_slice(&nanos.to_le_bytes());
            }
            at += len;
        }
    }
}

fn end_entry_len(text: &str) -> usize {
    crate::value::entry_len(END_ATTRIBUTE, wire::field_len(text.len()))
}

fn write_end(text: &str, out: &mut Out<'_>) {
    out.byte(ATTRIBUTE);
    out.varint(end_entry_len(text) as u64);
    out.field(crate::value::ENTRY_KEY, END_ATTRIBUTE.as_bytes());
    out.byte(crate::value::ENTRY_VALUE);
    out.varint(wire::field_len(text.len()) as u64);
    out.field(wire::tag(1, wire::LEN), text.as_bytes());
}

#[inline(always)]
fn count_len(count: u32) -> usize {
    if count == 0 { 0 } else { 1 + wire::varint_len(count.into()) }
}

#[inline(always)]
fn count(tag: u8, count: u32, out: &mut Out<'_>) {
    if count > 0 {
        out.byte(tag);
        out.varint(count.into());
    }
}

const PARENT: usize = 10;
const FIXED: usize = 9 + 9 + 18 + 10 + 6 + 2 + PARENT;

const EVENT_FIELD: u32 = 11;

const SPAN: u8 = wire::tag(2, wire::LEN);
const TRACE_ID: u8 = wire::tag(1, wire::LEN);
const SPAN_ID: u8 = wire::tag(2, wire::LEN);
const PARENT_ID: u8 = wire::tag(4, wire::LEN);
const KIND: u8 = wire::tag(6, wire::VARINT);
const START: u8 = wire::tag(7, wire::I64);
const END: u8 = wire::tag(8, wire::I64);
const ATTRIBUTE: u8 = wire::tag(9, wire::LEN);
const DROPPED_ATTRIBUTES: u8 = wire::tag(10, wire::VARINT);
const DROPPED_EVENTS: u8 = wire::tag(12, wire::VARINT);
const DROPPED_LINKS: u8 = wire::tag(14, wire::VARINT);
/// Field 16, four bytes: a tag of two bytes.
const FLAGS: [u8; 2] = [0x85, 0x01];
