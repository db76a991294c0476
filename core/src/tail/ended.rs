//! What a frame says about its span, as far as tail sampling asks.

use crate::body::{REMOTE, StatusCode};
use crate::frame::Ending;
use crate::view::SpanView;
use crate::wire::{Field, Fields, Payload};
use crate::{END_ATTRIBUTE, TraceId, UNIT};

/// A finished span. The fields of fixed size have their places; what comes behind
/// them is walked through only where that may tell something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended<'a> {
    message: &'a [u8],
    pub(crate) trace: TraceId,
    pub(crate) has_parent: bool,
    has_remote_parent: bool,
    /// In nanoseconds since the Unix epoch.
    pub(crate) begin: u64,
    pub(crate) end: u64,
    /// Bits of [`Facts`](super::Facts).
    pub(crate) seen: u8,
    trace_state: &'a [u8],
}

/// The trace of a span's message.
#[inline]
pub(crate) fn trace_of(span: &[u8]) -> TraceId {
    let id = span.get(TRACE..).and_then(|id| id.first_chunk());
    id.map_or(TraceId::INVALID, |id| TraceId::from_bytes(*id))
}

/// What most want to know of a frame, of its first unit, where its header has at most three
/// bytes: the length of the header, and the trace.
#[inline(always)]
pub(crate) fn head_of(unit: &[u8; UNIT]) -> (usize, TraceId) {
    let header = 2 + usize::from(unit[1] >> 7);
    (header, trace_of(&unit[header..]))
}

/// Whether a span is no local root, by the first unit of its frame.
#[inline(always)]
pub(crate) fn is_below_another(unit: &[u8; UNIT], header: usize, len: usize) -> bool {
    // As the compiler does not know that it is 3 at most.
    let message = &unit[header.min(3)..];
    let flags = message.get(FLAGS..).and_then(|flags| flags.first_chunk());
    let is_remote = flags.is_none_or(|flags| u32::from_le_bytes(*flags) & REMOTE != 0);
    len > header + PARENT && message.get(PARENT) == Some(&PARENT_TAG) && !is_remote
}

impl<'a> Ended<'a> {
    /// Reads a span's message whose times are stamped. One that is not remarkable has
    /// no trace state, no status, and ended as most do.
    #[inline(always)]
    pub(crate) fn of_span(span: &'a [u8], trace: TraceId, is_remarkable: bool) -> Self {
        // One bound to check for all that has its place.
        let fixed = span.first_chunk::<FIXED>().unwrap_or(&[0; FIXED]);
        let flags = u32::from_le_bytes(chunk::<FLAGS, _>(fixed));
        // By value, so that what most spans have stays in registers.
        let (seen, trace_state) = if is_remarkable { remarks_of(span) } else { (0, &[][..]) };
        Ended {
            message: span,
            trace,
            has_parent: span.get(PARENT) == Some(&PARENT_TAG),
            has_remote_parent: flags & REMOTE != 0,
            begin: u64::from_le_bytes(chunk::<BEGIN, _>(fixed)),
            end: u64::from_le_bytes(chunk::<END, _>(fixed)),
            seen,
            trace_state,
        }
    }

    /// The span, to be read.
    pub(crate) fn view(&self) -> SpanView<'a> {
        SpanView::of_message(self.message)
    }

    /// The trace state as text, possibly empty.
    pub(crate) fn trace_state(&self) -> &'a str {
        core::str::from_utf8(self.trace_state).unwrap_or_default()
    }

    /// Whether it is a local root.
    pub(crate) fn is_local_root(&self) -> bool {
        !self.has_parent || self.has_remote_parent
    }
}

/// What a span has seen, and its trace state.
#[inline(never)]
fn remarks_of(span: &[u8]) -> (u8, &[u8]) {
    let (view, mut seen, mut trace_state) = (SpanView::of_message(span), 0, &[][..]);
    for Entry { tag, payload, .. } in Remarks::of_span(span) {
        match tag {
            TRACE_STATE => trace_state = payload,
            ATTRIBUTE => seen |= ending(&view),
            STATUS if view.status().0 == StatusCode::Error => seen |= FAILED,
            _ => {}
        }
    }
    (seen, trace_state)
}

fn ending(span: &SpanView<'_>) -> u8 {
    let said = span.attribute(END_ATTRIBUTE);
    match Ending::from_attribute(said.and_then(|value| value.as_str())) {
        Ending::Panicked => PANICKED,
        Ending::Cancelled => CANCELLED,
        Ending::Completed | Ending::Dropped => 0,
    }
}

/// What is at a constant place.
#[inline(always)]
fn chunk<const AT: usize, const N: usize>(fixed: &[u8; FIXED]) -> [u8; N] {
    fixed[AT..].first_chunk().copied().unwrap_or([0; N])
}

/// The entries of a span's message that say more than most spans do: its trace
/// state, its status, and the attribute that tells how it ended.
pub(super) struct Remarks<'a> {
    span: &'a [u8],
    at: usize,
}

/// One of them.
pub(super) struct Entry<'a> {
    pub(super) tag: u8,
    pub(super) payload: &'a [u8],
    /// Where it lies in the message.
    pub(super) start: usize,
    pub(super) len: usize,
}

impl<'a> Remarks<'a> {
    #[inline]
    pub(super) fn of_span(span: &'a [u8]) -> Self {
        Remarks { span, at: PARENT }
    }
}

impl<'a> Iterator for Remarks<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let start = self.at;
            let rest = self.span.get(start..)?;
            // None of them is shorter.
            let [tag, len, _, key_len] = *rest.first_chunk()?;
            // Nearly all fields have a length, and are short.
            if tag & 7 != 2 || (tag | len) >= 0x80 {
                let entry = long_entry(rest, start)?;
                self.at += entry.len;
                if is_remark(&entry) {
                    return Some(entry);
                }
                continue;
            }
            let len = usize::from(len);
            self.at += len + 2;
            // The length of its key alone rules out nearly all attributes.
            let is_likely = match tag {
                ATTRIBUTE => usize::from(key_len) == END_ATTRIBUTE.len(),
                _ => tag == STATUS || tag == TRACE_STATE,
            };
            if is_likely {
                let payload = rest.get(2..2 + len)?;
                let entry = Entry { tag, payload, start, len: len + 2 };
                if is_remark(&entry) {
                    return Some(entry);
                }
            }
        }
    }
}

/// An entry of any form; the tag is 0 for what has no length, or a long tag.
#[cold]
fn long_entry(rest: &[u8], start: usize) -> Option<Entry<'_>> {
    let Field { number, payload, whole } = Fields::of(rest).next()?;
    let (tag, payload) = match payload {
        Payload::Len(bytes) if number < 16 => ((number << 3) as u8 | 2, bytes),
        _ => (0, &[][..]),
    };
    Some(Entry { tag, payload, start, len: whole.len() })
}

#[cold]
fn is_remark(entry: &Entry<'_>) -> bool {
    match entry.tag {
        // A key's tag and length come before it.
        ATTRIBUTE => {
            entry.payload.get(1).is_some_and(|len| usize::from(*len) == END_ATTRIBUTE.len())
                && entry
                    .payload
                    .get(2..)
                    .is_some_and(|key| key.starts_with(END_ATTRIBUTE.as_bytes()))
        }
        tag => tag == STATUS || tag == TRACE_STATE,
    }
}

pub(crate) const FAILED: u8 = 1;
pub(crate) const PANICKED: u8 = 2;
pub(crate) const CANCELLED: u8 = 4;

/// Where `frame.rs` writes what every span has.
const BEGIN: usize = 1;
const END: usize = 10;
const TRACE: usize = 20;
const FLAGS: usize = 48;
const PARENT: usize = 54;
const FIXED: usize = PARENT;

const PARENT_TAG: u8 = 4 << 3 | 2;
pub(super) const TRACE_STATE: u8 = 3 << 3 | 2;
const ATTRIBUTE: u8 = 9 << 3 | 2;
const STATUS: u8 = 15 << 3 | 2;
