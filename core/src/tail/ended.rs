//! What a frame says about its span, as far as tail sampling asks.

use crate::body::{REMOTE, StatusCode};
use crate::frame::{self, Ending};
use crate::view::SpanView;
use crate::wire::{Field, Fields, Payload};
use crate::{END_ATTRIBUTE, TraceId};

/// A finished span, read in one walk.
///
/// The fields of fixed size have their places; only what comes behind them is
/// walked through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended<'a> {
    pub(crate) view: SpanView<'a>,
    pub(crate) trace: TraceId,
    pub(crate) has_parent: bool,
    has_remote_parent: bool,
    /// In nanoseconds since the Unix epoch.
    pub(crate) begin: u64,
    pub(crate) end: u64,
    /// Bits of [`Facts`](super::Facts).
    pub(crate) seen: u8,
    pub(crate) trace_state: &'a str,
}

/// The trace of a frame.
pub(crate) fn trace_of(frame: &[u8]) -> TraceId {
    let id = frame.get(frame::header_len(frame)..).and_then(|span| span.get(TRACE..));
    id.and_then(|id| id.first_chunk()).map_or(TraceId::INVALID, |id| TraceId::from_bytes(*id))
}

impl<'a> Ended<'a> {
    /// Reads a frame whose times are stamped.
    pub(crate) fn of_frame(frame: &'a [u8]) -> Self {
        let span = frame.get(frame::header_len(frame)..).unwrap_or_default();
        let flags = chunk(span, FLAGS).map_or(0, u32::from_le_bytes);
        let mut ended = Ended {
            view: SpanView::of_message(span),
            trace: chunk(span, TRACE).map_or(TraceId::INVALID, TraceId::from_bytes),
            has_parent: span.get(PARENT) == Some(&PARENT_TAG),
            has_remote_parent: flags & REMOTE != 0,
            begin: chunk(span, BEGIN).map_or(0, u64::from_le_bytes),
            end: chunk(span, END).map_or(0, u64::from_le_bytes),
            seen: 0,
            trace_state: "",
        };
        for Entry { tag, payload, .. } in Entries::of_span(span) {
            match tag {
                TRACE_STATE => {
                    ended.trace_state = core::str::from_utf8(payload).unwrap_or_default();
                }
                ATTRIBUTE if is_ending(payload) => ended.seen |= ended.ending(),
                STATUS if ended.view.status().0 == StatusCode::Error => ended.seen |= FAILED,
                _ => {}
            }
        }
        ended
    }

    /// Whether it is a local root.
    pub(crate) fn is_local_root(&self) -> bool {
        !self.has_parent || self.has_remote_parent
    }

    #[cold]
    fn ending(&self) -> u8 {
        let said = self.view.attribute(END_ATTRIBUTE);
        match Ending::from_attribute(said.and_then(|value| value.as_str())) {
            Ending::Panicked => PANICKED,
            Ending::Cancelled => CANCELLED,
            Ending::Completed | Ending::Dropped => 0,
        }
    }
}

fn chunk<const N: usize>(span: &[u8], at: usize) -> Option<[u8; N]> {
    span.get(at..).and_then(|rest| rest.first_chunk()).copied()
}

/// Whether an attribute's key is that of the ending.
fn is_ending(entry: &[u8]) -> bool {
    // Its length alone rules nearly all others out.
    entry.get(1).is_some_and(|len| usize::from(*len) == END_ATTRIBUTE.len())
        && entry.get(2..).is_some_and(|key| key.starts_with(END_ATTRIBUTE.as_bytes()))
}

/// The entries of a span's message behind the fields of fixed size.
pub(super) struct Entries<'a> {
    span: &'a [u8],
    at: usize,
}

/// One of them.
pub(super) struct Entry<'a> {
    /// 0 for what has no length.
    pub(super) tag: u8,
    pub(super) payload: &'a [u8],
    /// Where it lies in the message.
    pub(super) start: usize,
    pub(super) len: usize,
}

impl<'a> Entries<'a> {
    pub(super) fn of_span(span: &'a [u8]) -> Self {
        Entries { span, at: PARENT }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        let start = self.at;
        let rest = self.span.get(start..)?;
        let (tag, payload, len) = match rest {
            // Nearly all fields have a length, and are short.
            [tag @ 0..0x80, len @ 0..0x80, after @ ..] if tag & 7 == 2 => {
                let len = usize::from(*len);
                (*tag, after.get(..len)?, len + 2)
            }
            _ => match Fields::of(rest).next()? {
                Field { number, payload: Payload::Len(bytes), whole } => {
                    ((number << 3) as u8 | 2, bytes, whole.len())
                }
                field => (0, &[][..], field.whole.len()),
            },
        };
        self.at += len;
        Some(Entry { tag, payload, start, len })
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

const PARENT_TAG: u8 = 4 << 3 | 2;
pub(super) const TRACE_STATE: u8 = 3 << 3 | 2;
const ATTRIBUTE: u8 = 9 << 3 | 2;
const STATUS: u8 = 15 << 3 | 2;
