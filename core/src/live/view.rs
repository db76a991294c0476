//! What a live span shows to others, read while its owner goes on.

use super::{IN_CLOSURE, KIND_SHIFT, LIVE, SURPLUS, Slot};
use crate::start::UNIX;
use crate::sync::{Ordering, Word};
use crate::{Scope, SpanContext, SpanId, SpanKind, TraceFlags, TraceId, body};

/// What a span that is under way shows to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveView {
    /// Ids and flags.
    pub context: SpanContext,
    /// The parent, invalid for a root.
    pub parent_span_id: SpanId,
    /// Whether the parent is a span of another process.
    pub has_remote_parent: bool,
    /// The name with which the span began.
    pub name: &'static str,
    /// The kind.
    pub kind: SpanKind,
    /// Whose code began it.
    pub scope: &'static Scope,
    /// Clock ticks at the start; with bit 63 it is
    /// [of the program](Self::start_unix_nanos).
    pub start_ticks: u64,
    /// Whether it is a [surplus](crate::SpanBudgets) child, whose ids are those of its
    /// parent, and which is not exported.
    pub is_surplus: bool,
    /// What the span's future, stream or sink does.
    pub last_poll: LastPoll,
}

impl LiveView {
    /// The start, if the program gave it, in nanoseconds since the Unix epoch.
    pub const fn start_unix_nanos(&self) -> Option<u64> {
        match self.start_ticks & UNIX {
            0 => None,
            _ => Some(self.start_ticks & !UNIX),
        }
    }
}

/// The last poll of a live span, in clock ticks.
///
/// Where the target has no 64-bit atomics, it may be half of one poll and half of the
/// next, if it was read in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastPoll {
    /// There was none: nothing is polled in the span, not yet, or polls are not
    /// timed.
    Never,
    /// A closure runs in the span; since when is not noted.
    InClosure,
    /// It began then, and goes on.
    Began(u64),
    /// It ended then.
    Ended(u64),
}

/// A span under way that has no parent in this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalRoot {
    pub(crate) trace: TraceId,
    /// It has one in another process.
    pub(crate) has_parent: bool,
    /// In ticks, or marked as in nanoseconds since the Unix epoch.
    pub(crate) start: u64,
}

/// What is in a slot.
pub(super) enum Seen {
    Root(LocalRoot),
    /// A span with a parent of this process, or none. What ended here before is queued.
    NoRoot,
    /// One span ended while it was read. There may be another.
    Change,
}

impl Slot {
    /// The span that lives here, if one does and stayed while it was read.
    pub(super) fn view(&self) -> Option<LiveView> {
        // Ordering: Acquire synchronizes with the owner's publication.
        let before = self.state.load(Ordering::Acquire);
        if before & LIVE == 0 {
            return None;
        }
        // Ordering: Acquire on each field, so that the second look at the state
        // stays behind them; a field of the next span synchronizes with its
        // Release store, before which the state had changed.
        let word = |word: &Word| word.load(Ordering::Acquire);
        let flags = self.flags.load(Ordering::Acquire);
        let callsite = self.callsite_by(Ordering::Acquire);
        let view = LiveView {
            context: SpanContext::new(
                TraceId::from_halves([word(&self.trace[0]), word(&self.trace[1])]),
                SpanId::from_number(word(&self.span)),
                TraceFlags::from_bits(flags as u8),
            ),
            parent_span_id: SpanId::from_number(word(&self.parent)),
            has_remote_parent: body::is_remote(flags),
            name: callsite.name(),
            kind: SpanKind::from_wire((flags >> KIND_SHIFT & 0xff).into()).unwrap_or_default(),
            scope: callsite.scope(),
            start_ticks: word(&self.start),
            is_surplus: flags & SURPLUS != 0,
            last_poll: match word(&self.polled) {
                0 => LastPoll::Never,
                IN_CLOSURE => LastPoll::InClosure,
                polled if polled >> 63 != 0 => LastPoll::Began(!polled),
                polled => LastPoll::Ended(polled),
            },
        };
        // Ordering: Relaxed is enough behind the Acquire loads above.
        (self.state.load(Ordering::Relaxed) == before).then_some(view)
    }

    /// Whether a span is under way here.
    pub(super) fn is_live(&self) -> bool {
        // Ordering: Relaxed, no value is read through it.
        self.state.load(Ordering::Relaxed) & LIVE != 0
    }

    /// The span that lives here, if it is one.
    pub(super) fn as_local_root(&self) -> Seen {
        // Ordering: Acquire here and below, as in `view`; and it synchronizes with the end
        // of a span that is over.
        let before = self.state.load(Ordering::Acquire);
        if before & LIVE == 0 {
            return Seen::NoRoot;
        }
        let has_parent = self.parent.load(Ordering::Acquire) != 0;
        let is_remote = self.flags.load(Ordering::Acquire) & body::REMOTE != 0;
        let [high, low] = &self.trace;
        let trace = [high.load(Ordering::Acquire), low.load(Ordering::Acquire)];
        let start = self.start.load(Ordering::Acquire);
        let root = LocalRoot { trace: TraceId::from_halves(trace), has_parent, start };
        // Ordering: Relaxed is enough behind the Acquire loads above.
        match self.state.load(Ordering::Relaxed) == before {
            true if !has_parent || is_remote => Seen::Root(root),
            true => Seen::NoRoot,
            false => Seen::Change,
        }
    }
}
