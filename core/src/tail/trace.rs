//! What is known about one trace.

use super::mark::Mark;
use crate::TraceId;

/// One trace in a book.
///
/// What each of its spans asks for is on the first cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Trace {
    pub(super) id: TraceId,
    pub(super) state: State,
    /// Bits of [`Facts`](super::Facts).
    pub(super) seen: u8,
    pub(super) has_local_root: bool,
    /// It began here, where every such trace is sampled at the head.
    pub(super) is_head_known: bool,
    /// In which buffers frames of it wait: a bit for each pipeline.
    pub(super) holders: u16,
    /// In nanoseconds since the Unix epoch.
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) notes: u64,
    /// The last look before which it was known.
    pub(super) opened: u64,
    /// The last look that found a local root of it under way.
    pub(super) looked: u64,
    pub(super) randomness: u64,
    /// The end of the span by which it became known.
    pub(super) first_end: u64,
    /// While it is open, when it is decided at last, in nanoseconds; then, the
    /// number of its decision.
    pub(super) deadline: u64,
    /// How it was kept; `None` if it was dropped.
    pub(super) kept: Option<Mark>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Undecided.
    Open,
    /// Decided, and frames of it still wait.
    Settling,
    /// Decided, for spans that come later.
    Remembered,
}

impl Trace {
    /// Nothing is known yet.
    pub(super) const EMPTY: Trace = Trace {
        id: TraceId::INVALID,
        state: State::Open,
        seen: 0,
        has_local_root: false,
        is_head_known: false,
        holders: 0,
        opened: 0,
        looked: 0,
        notes: 0,
        begin: u64::MAX,
        end: 0,
        randomness: 0,
        first_end: 0,
        deadline: 0,
        kept: None,
    };
}
