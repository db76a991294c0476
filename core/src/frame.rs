//! A finished span: one `ScopeSpans.spans` field of OTLP, written once.
//!
//! The fields of fixed size come first and in a fixed order, so that the flusher
//! finds the times without a search; they hold clock ticks until
//! [`stamp`] turns them into nanoseconds since the Unix epoch.

use crate::body::{self, Body};
use crate::key::PREPARED;
use crate::live::{INLINE, Slot};
use crate::start::UNIX;
use crate::value::{self, Bounds, Value};
use crate::wire::{self, Fields, ONE_BYTE, Out};
use crate::{Callsite, LiveView, SpanId, UNIT};

/// What accompanies a frame through the ring.
#[derive(Clone, Copy, Debug)]
pub struct FrameTag {
    pub(crate) callsite: &'static Callsite,
    /// Where in the span's message the first event begins, and [`REMARKABLE`].
    events_at: u32,
    /// How many events there are.
    pub(crate) events: u32,
}

impl FrameTag {
    #[inline(always)]
    fn new(callsite: &'static Callsite, at: u32, is_remarkable: bool, body: &Body) -> Self {
        let remarkable = if is_remarkable { REMARKABLE } else { 0 };
        FrameTag { callsite, events_at: at | remarkable, events: body.events() }
    }

    /// Whether the span may have a status, a trace state, or an unusual ending.
    #[inline]
    pub(crate) fn is_remarkable(&self) -> bool {
        self.events_at & REMARKABLE != 0
    }
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
///
/// ```text
///   header │ times, ids, flags, kind │ parent │ name │ body │ ending, counts
///   2 or 3 │ 54                      │ 10     │      │      │ rarely
/// ```
pub(crate) struct Finished<'a> {
    slot: &'a Slot,
    callsite: &'static Callsite,
    parent: SpanId,
    end: u64,
    ending: Ending,
    body: &'a Body,
    bytes: &'a [u8],
    span_len: usize,
}

/// A finished span that has a parent, the prepared name of its call site, its record in the
/// slot, and no more to tell than its body: as nearly all have.
pub(crate) struct Plain<'a> {
    slot: &'a Slot,
    callsite: &'static Callsite,
    body: &'a Body,
    bytes: &'a [u8; INLINE],
    span_len: usize,
}

// So the length takes two bytes at most.
const _: () = assert!(BODY_AT + PREPARED + INLINE < ONE_BYTE * ONE_BYTE);

impl<'a> Plain<'a> {
    /// The span, completed, whose record nobody writes to meanwhile; `None` if it is
    /// not as most are.
    #[inline(always)]
    pub(crate) fn new(slot: &'a Slot, (body, bytes): (&'a Body, &'a [u8; INLINE])) -> Option<Self> {
        let callsite = slot.callsite();
        if body.is_unusual() || callsite.name_field.is_empty() || !slot.parent().is_valid() {
            return None;
        }
        let span_len = BODY_AT + callsite.name_field.len() + body.len as usize;
        Some(Plain { slot, callsite, body, bytes, span_len })
    }

    /// The length of the frame in bytes.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        wire::field_len(self.span_len)
    }

    #[inline(always)]
    pub(crate) fn tag(&self) -> FrameTag {
        let name = self.callsite.name_field.len();
        let events_at = (BODY_AT + name) as u32 + self.body.first_event();
        FrameTag::new(self.callsite, events_at, self.body.is_remarkable(), self.body)
    }

    /// Fills [`len`](Self::len) bytes of whole units; what is behind them may be
    /// overwritten. Nearly all places are constants, so nearly nothing is checked.
    #[inline(always)]
    pub(crate) fn write(&self, end: u64, frame: &mut [u8]) {
        let len = self.span_len;
        let Some(beginning) = frame.first_chunk_mut::<{ 2 * UNIT }>() else { return };
        let at = if len < ONE_BYTE {
            wire::put::<0, _>(beginning, [SPAN, len as u8]);
            2
        } else {
            // And a byte that is overwritten.
            let (low, high) = ((len as u32 & 0x7f | 0x80) << 8, (len as u32 & 0x3f80) << 9);
            wire::put::<0, _>(beginning, (high | low | u32::from(SPAN)).to_le_bytes());
            3
        };
        if let Some(fixed) = beginning[at..].first_chunk_mut() {
            write_fixed(self.slot, end, fixed);
        }
        let name = &self.callsite.name_field;
        wire::put_at(beginning, at + FIXED, [PARENT_ID, 8]);
        wire::put_at(beginning, at + FIXED + 2, self.slot.parent().to_bytes());
        wire::put_at(beginning, at + BODY_AT, *name.padded());
        if self.body.len > 0 {
            write_body(frame, at + BODY_AT + name.len(), (self.bytes, self.body.len));
        }
    }
}

impl<'a> Finished<'a> {
    /// The frame of this span, whose record nobody writes to meanwhile.
    pub(crate) fn new(
        slot: &'a Slot,
        (body, bytes): (&'a Body, &'a [u8]),
        end: u64,
        ending: Ending,
    ) -> Self {
        let (callsite, parent) = (slot.callsite(), slot.parent());
        let span_len = body_at(callsite, parent, body)
            + body.len as usize
            + ending.as_str().map_or(0, |text| wire::field_len(end_entry_len(text)))
            + wire::count_len(body.dropped_attributes)
            + wire::count_len(body.dropped_events)
            + wire::count_len(body.dropped_links);
        Finished { slot, callsite, parent, end, ending, body, bytes, span_len }
    }

    /// The length of the frame in bytes.
    pub(crate) fn len(&self) -> usize {
        wire::field_len(self.span_len)
    }

    pub(crate) fn tag(&self) -> FrameTag {
        let before = body_at(self.callsite, self.parent, self.body) as u32;
        let events_at = before + self.body.first_event();
        // Where code is dearer, whoever wants to know looks at every span.
        let is_remarkable = cfg!(target_os = "none")
            || self.ending != Ending::Completed
            || self.body.is_remarkable();
        FrameTag::new(self.callsite, events_at, is_remarkable, self.body)
    }

    /// Fills [`len`](Self::len) bytes.
    pub(crate) fn write(&self, frame: &mut [u8]) {
        let &Finished { body, callsite, .. } = self;
        #[cfg(not(target_os = "none"))]
        if body.has_dropped() && body.is_limited(self.slot.pipeline().limits()) {
            self.slot.pipeline().counters().count_limited();
        }
        let mut out = Out::new(frame);
        out.header(SPAN, self.span_len);
        if let Some(fixed) = out.chunk() {
            write_fixed(self.slot, self.end, fixed);
        }
        if self.parent.is_valid() {
            out.field(PARENT_ID, &self.parent.to_bytes());
        }
        if !body.is_renamed() && !callsite.name().is_empty() {
            out.field(body::NAME, callsite.name().as_bytes());
        }
        out.bytes(self.bytes.get(..body.len as usize).unwrap_or_default());
        if let Some(text) = self.ending.as_str() {
            write_end(text, &mut out);
        }
        out.count(DROPPED_ATTRIBUTES, body.dropped_attributes);
        out.count(DROPPED_EVENTS, body.dropped_events);
        out.count(DROPPED_LINKS, body.dropped_links);
    }
}

/// Writes a body that begins so far into the frame. Not where the rest is written: most spans
/// have none, and it takes many registers.
#[inline(never)]
fn write_body(frame: &mut [u8], at: usize, (bytes, len): (&[u8; INLINE], u32)) {
    let Some(body) = bytes.get(..len as usize) else { return };
    let Some(rest) = frame.get_mut(at..) else { return };
    let Some(place) = rest.get_mut(..body.len()) else { return };
    wire::copy_in_steps(place, body);
}

/// Times first, then what identifies the span: all of constant size.
///
/// Straight into the frame: what is pieced together elsewhere first is read
/// back before its stores are through.
#[inline(always)]
fn write_fixed(slot: &Slot, end: u64, fixed: &mut [u8; FIXED]) {
    let [high, low] = slot.trace_id().halves();
    let (flags, kind) = slot.wire_flags_and_kind();
    wire::put::<0, _>(fixed, [START]);
    wire::put::<1, _>(fixed, slot.start().to_le_bytes());
    wire::put::<9, _>(fixed, [END]);
    wire::put::<10, _>(fixed, end.to_le_bytes());
    wire::put::<18, _>(fixed, [TRACE_ID, 16]);
    wire::put::<20, _>(fixed, high.to_be_bytes());
    wire::put::<28, _>(fixed, low.to_be_bytes());
    wire::put::<36, _>(fixed, [SPAN_ID, 8]);
    wire::put::<38, _>(fixed, slot.span_id().to_bytes());
    wire::put::<46, _>(fixed, FLAGS);
    wire::put::<48, _>(fixed, flags.to_le_bytes());
    wire::put::<52, _>(fixed, [KIND, kind]);
}

/// The length of what comes before the body in the span's message.
fn body_at(callsite: &Callsite, parent: SpanId, body: &Body) -> usize {
    let parent = if parent.is_valid() { PARENT } else { 0 };
    let name = if body.is_renamed() { 0 } else { wire::text_len(callsite.name()) };
    FIXED + parent + name
}

/// The length of what [`write_partial`] writes.
pub(crate) fn partial_len(view: &LiveView) -> usize {
    let parent = if view.parent_span_id.is_valid() { PARENT } else { 0 };
    FIXED + parent + wire::text_len(view.name)
}

/// Writes what others know of a span that still runs; times are in nanoseconds
/// since the Unix epoch already.
pub(crate) fn write_partial(view: &LiveView, start: u64, end: u64, out: &mut Out<'_>) {
    let flags = body::wire_flags(view.context.trace_flags(), view.has_remote_parent);
    out.byte(START);
    out.bytes(&start.to_le_bytes());
    out.byte(END);
    out.bytes(&end.to_le_bytes());
    out.field(TRACE_ID, &view.context.trace_id().to_bytes());
    out.field(SPAN_ID, &view.context.span_id().to_bytes());
    out.bytes(&FLAGS);
    out.bytes(&flags.to_le_bytes());
    out.bytes(&[KIND, view.kind as u8]);
    if view.parent_span_id.is_valid() {
        out.field(PARENT_ID, &view.parent_span_id.to_bytes());
    }
    if !view.name.is_empty() {
        out.field(body::NAME, view.name.as_bytes());
    }
}

/// Turns the times of a frame from ticks into nanoseconds since the Unix epoch.
#[inline]
pub(crate) fn stamp(frame: &mut [u8], tag: &FrameTag, unix_nanos: impl Fn(u64) -> u64) {
    stamp_behind(header_len(frame), frame, tag, unix_nanos);
}

/// The same, where the length of the header is known. Returns start and end.
#[inline(always)]
pub(crate) fn stamp_behind(
    start: usize,
    frame: &mut [u8],
    tag: &FrameTag,
    unix_nanos: impl Fn(u64) -> u64,
) -> (u64, u64) {
    let Some(times) = frame.get_mut(start..).and_then(|span| span.first_chunk_mut::<TIMES>())
    else {
        return (0, 0);
    };
    // The end is not before the start, though the clock of another core may be
    // behind by a tick, and times that the program gave may be anything.
    let begun = stamp_one(times, 1, &unix_nanos, 0);
    let ended = stamp_one(times, 10, &unix_nanos, begun);
    if tag.events > 0 {
        stamp_events(start + (tag.events_at & !REMARKABLE) as usize, frame, tag, unix_nanos);
    }
    (begun, ended)
}

/// The same of its events, of which the first begins here.
#[inline(always)]
fn stamp_events(mut at: usize, frame: &mut [u8], tag: &FrameTag, unix_nanos: impl Fn(u64) -> u64) {
    let mut events = tag.events;
    while events > 0 {
        let Some(rest) = frame.get_mut(at..) else { return };
        let (head, len) = match rest {
            // What is not an event may be in between.
            [EVENT, len @ 0..0x80, ..] => (2, *len as usize + 2),
            _ => match Fields::of(rest).next() {
                None => return,
                Some(field) if field.number != EVENT_FIELD => {
                    at += field.whole.len();
                    continue;
                }
                Some(field) => (field.whole.len() - field.payload.bytes().len(), field.whole.len()),
            },
        };
        // An event begins with its time.
        if let Some(time) = rest.get_mut(head..).and_then(|event| event.first_chunk_mut::<9>()) {
            stamp_one(time, 1, &unix_nanos, 0);
        }
        at += len;
        events -= 1;
    }
}

/// The time of these ticks in nanoseconds since the Unix epoch, of which it may be
/// a number already.
#[inline]
pub(crate) fn unix_of(ticks: u64, unix_nanos: &impl Fn(u64) -> u64) -> u64 {
    if ticks & UNIX != 0 { ticks & !UNIX } else { unix_nanos(ticks) }
}

/// Turns the time at this place, which is `least` at least. Returns it.
#[cfg_attr(not(target_os = "none"), inline)]
fn stamp_one(bytes: &mut [u8], at: usize, unix_nanos: &impl Fn(u64) -> u64, least: u64) -> u64 {
    let Some(time) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) else {
        return least;
    };
    let nanos = unix_nanos(u64::from_le_bytes(*time)).max(least);
    *time = nanos.to_le_bytes();
    nanos
}

/// The length of the tag and the length before a span's message in a frame.
#[inline]
pub(crate) fn header_len(frame: &[u8]) -> usize {
    // Nearly all lengths take one byte or two. Where code is dearer, one way is enough.
    if !cfg!(target_os = "none")
        && let [_, first, 0..0x80, ..] = frame
    {
        return 2 + usize::from(*first >= ONE_BYTE as u8);
    }
    2 + frame.iter().skip(1).take_while(|byte| **byte >= ONE_BYTE as u8).count()
}

/// The length of the longest frame whose header has at most three bytes.
pub(crate) const LONGEST_OF_SHORT_HEADER: usize = ONE_BYTE * ONE_BYTE + 2;

fn end_entry_len(text: &str) -> usize {
    value::entry_len(END_ATTRIBUTE, wire::field_len(text.len()))
}

fn write_end(text: &str, out: &mut Out<'_>) {
    let bounds = Bounds { length: u32::MAX, depth: 1 };
    let value = (&Value::Str(text), wire::field_len(text.len()));
    value::field(ATTRIBUTE, END_ATTRIBUTE, value, bounds, out);
}

/// No frame is so long that its events begin there.
const REMARKABLE: u32 = 1 << 31;

const PARENT: usize = 10;
const FIXED: usize = 9 + 9 + 18 + 10 + 6 + 2;

/// What comes before the name of a child.
const BODY_AT: usize = FIXED + PARENT;

// The shortest frame is longer than a unit, and what comes before the body of any, with
// the room behind the name, is not longer than two.
const _: () = assert!(2 + BODY_AT + 3 > UNIT && 3 + BODY_AT + PREPARED <= 2 * UNIT);

const EVENT_FIELD: u32 = 11;
const EVENT: u8 = wire::tag(11, wire::LEN);
/// Start and end, each behind its tag.
const TIMES: usize = 18;

pub(crate) const SPAN: u8 = wire::tag(2, wire::LEN);
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
