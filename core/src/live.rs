//! The live-span table: spans that have begun and not ended, in fixed memory.
//!
//! A span owns a slot from its start to its end. The owner alone touches the
//! record; any thread may read the slot's public part while the span lives.
//!
//! ```text
//!               claim in the bitmap          publish
//!   ┌──────┐    ┌──────────────────────┐    ┌──────┐    end
//!   │ free │ ─▶ │ the owner writes the │ ─▶ │ LIVE │ ─────────▶ free, or kept
//!   └──────┘    │ public part          │    └──────┘            by the thread
//!               └──────────────────────┘                             │
//!                          ▲ the thread's next span                  │
//!                          └─────────────────────────────────────────┘
//! ```
//!
//! A slot's state is LIVE or not, and above that bit the number of spans that
//! used it: a reader that finds the same state before and after has read one
//! span, not two.

mod blocks;
#[cfg_attr(target_os = "none", path = "live/place_small.rs")]
mod place;
mod record;
mod table;
mod view;

use core::ptr;

pub(crate) use place::Place;
pub(crate) use record::INLINE;
use record::{NO_BLOCK, Record};
pub(crate) use table::LiveTable;
pub(crate) use view::LocalRoot;
pub use view::{LastPoll, LiveView};

#[cfg(not(target_os = "none"))]
use crate::SpanView;
#[cfg(not(target_os = "none"))]
use crate::body::{self, Body};
use crate::flood::SUPPORTED;
use crate::sync::{AtomicPtr, AtomicU32, Ordering, UnsafeCell, Word, const_fn};
use crate::{Callsite, Pipeline, Shard, SpanContext, SpanId, SpanKind, TraceFlags, TraceId};

/// Room for one live span: 512 bytes.
///
/// In the order in which a span's beginning and end go through it: what every
/// span has is on the first two cache lines.
#[derive(Debug)]
#[repr(C)]
// Where contexts know slots, there is room for their flags beside a pointer to one.
#[cfg_attr(not(target_os = "none"), repr(align(256)))]
#[cfg_attr(target_os = "none", repr(align(64)))]
pub struct Slot {
    /// `generation << 1 | live`. Moved by the owner of the slot alone.
    state: AtomicU32,
    /// The `flags` of the OTLP span in bits 0 to 15, its kind in bits 16 to 23,
    /// SURPLUS, FLOODED, UNDECIDED and PROCESSED.
    flags: AtomicU32,
    trace: [Word; 2],
    span: Word,
    parent: Word,
    start: Word,
    /// Null before the first span.
    callsite: AtomicPtr<Callsite>,
    /// The tick at which the last poll ended; inverted, that at which one began that
    /// goes on; zero before the first one, and where polls are not timed.
    polled: Word,
    /// Null before the first span, and the same ever after.
    pipeline: AtomicPtr<Pipeline>,
    /// Where the span's frame goes, a `Shard`; of a surplus child, its parent's `Slot`.
    onward: AtomicPtr<()>,
    /// Children that are still exported one by one. Moved by the owner, and by others
    /// that know the span by its context: of two at one moment, one may not count.
    children_left: AtomicU32,
    /// Touched by the span's owner alone.
    record: UnsafeCell<Record>,
}

// SAFETY: the `record` is reached by who has or borrows an owned `Live` alone,
// which is not `Clone`, and written by whoever has it to itself; a table
// makes one at a time, since it borrowed its slots mutably for ever and no other
// table has them. Ownership moves between threads with the `Live`, or through
// the bitmap's release and acquire. All of it is plain data.
unsafe impl Sync for Slot {}

impl Slot {
    const_fn! {
        /// An empty slot.
        pub fn new() -> Self {
            Slot {
                state: AtomicU32::new(0),
                flags: AtomicU32::new(0),
                trace: [Word::new(), Word::new()],
                span: Word::new(),
                parent: Word::new(),
                start: Word::new(),
                callsite: AtomicPtr::new(ptr::null_mut()),
                polled: Word::new(),
                pipeline: AtomicPtr::new(ptr::null_mut()),
                onward: AtomicPtr::new(ptr::null_mut()),
                children_left: AtomicU32::new(0),
                record: UnsafeCell::new(Record::new()),
            }
        }
    }

    /// The call site of the span that lives here, or of a later one while a reader overlaps
    /// with its beginning.
    #[inline]
    fn callsite_by(&self, ordering: Ordering) -> &'static Callsite {
        // SAFETY: whoever asks owns a span, or has seen it live: `open` stored a
        // `&'static Callsite` before.
        unsafe { &*self.callsite.load(ordering) }
    }

    // Ordering: Relaxed here and below; the owner reads its own writes.

    #[inline]
    pub(crate) fn trace_id(&self) -> TraceId {
        let [high, low] = &self.trace;
        TraceId::from_halves([high.load(Ordering::Relaxed), low.load(Ordering::Relaxed)])
    }

    #[inline]
    pub(crate) fn span_id(&self) -> SpanId {
        SpanId::from_number(self.span.load(Ordering::Relaxed))
    }

    /// Tells readers that a poll of the span that lives here, which the caller owns,
    /// began at this tick. Nobody reads a small table.
    #[inline(always)]
    pub(crate) fn begin_poll(&self, ticks: u64) {
        if !IS_SMALL {
            // Ordering: Release, as the fields in `open`, for readers of a former span.
            self.polled.store(!ticks, Ordering::Release);
        }
    }

    /// Tells readers that the poll ended.
    #[inline(always)]
    pub(crate) fn end_poll(&self, ticks: u64) {
        if !IS_SMALL {
            // Ordering: as in `begin_poll`.
            self.polled.store(ticks, Ordering::Release);
        }
    }

    /// Tells readers that a closure runs in the span that lives here, or that it does no
    /// longer. There is no reading of the clock: two of them are half of what a span costs.
    #[inline(always)]
    pub(crate) fn set_in_closure(&self, is_in: bool) {
        if !IS_SMALL {
            // Ordering: as in `begin_poll`.
            self.polled.store(if is_in { IN_CLOSURE } else { 0 }, Ordering::Release);
        }
    }

    /// What is not as it is with most spans.
    #[inline(always)]
    pub(crate) fn is_plain(&self) -> bool {
        let sampled = u32::from(TraceFlags::SAMPLED.to_bits());
        self.flags.load(Ordering::Relaxed) & (sampled | SURPLUS | FLOODED | PROCESSED) == sampled
    }

    /// The flags, and the slot of the span that this one is or, if it is a surplus
    /// child, stands for.
    #[inline(always)]
    pub(crate) fn trace_flags_and_slot(&'static self) -> (TraceFlags, &'static Slot) {
        let flags = self.flags.load(Ordering::Relaxed);
        let onward = self.onward.load(Ordering::Relaxed).cast_const().cast::<Slot>();
        let is_surplus = SUPPORTED && flags & SURPLUS != 0;
        let slot = if is_surplus { onward } else { ptr::from_ref(self) };
        // SAFETY: it is this one or, of a surplus child, the `&'static Slot` that `open`
        // stored.
        (TraceFlags::from_bits(flags as u8), unsafe { &*slot })
    }

    #[inline]
    pub(crate) fn is_surplus(&self) -> bool {
        SUPPORTED && self.flags.load(Ordering::Relaxed) & SURPLUS != 0
    }

    pub(crate) fn is_flooded(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & FLOODED != 0
    }

    /// The span has surplus children to tell of.
    pub(crate) fn set_flooded(&self) {
        // Ordering: Relaxed; if the owner sees it too late, the span tells nothing,
        // and the ledger does.
        self.flags.fetch_or(FLOODED, Ordering::Relaxed);
    }

    /// Which of the slot's spans it is, if that is the one of this id, and lives.
    #[cfg_attr(not(target_os = "none"), inline)]
    pub(crate) fn generation_of(&self, span: SpanId) -> Option<u32> {
        // Ordering: Acquire synchronizes with the owner's publication.
        let state = self.state.load(Ordering::Acquire);
        let is_there = state & LIVE != 0 && !self.is_surplus() && self.span_id() == span;
        is_there.then_some(state >> 1)
    }

    /// Whether one more child is exported.
    #[cfg_attr(not(target_os = "none"), inline)]
    pub(crate) fn take_child(&self) -> bool {
        // Ordering: Relaxed, the number is all there is.
        self.children_left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_ok()
    }

    /// The pipeline of all spans of the slot; there was one.
    #[inline(always)]
    pub(crate) fn pipeline(&self) -> &'static Pipeline {
        // Ordering: Relaxed; whoever knows a span knows that it began, and later spans
        // store the same again.
        // SAFETY: `open` stored a `&'static Pipeline` before there was anybody to ask.
        unsafe { &*self.pipeline.load(Ordering::Relaxed) }
    }

    #[inline]
    pub(crate) fn trace_flags(&self) -> TraceFlags {
        TraceFlags::from_bits(self.flags.load(Ordering::Relaxed) as u8)
    }

    #[inline]
    pub(crate) fn context(&self) -> SpanContext {
        SpanContext::new(self.trace_id(), self.span_id(), self.trace_flags())
    }

    #[inline]
    pub(crate) fn parent(&self) -> SpanId {
        SpanId::from_number(self.parent.load(Ordering::Relaxed))
    }

    #[inline]
    pub(crate) fn start(&self) -> u64 {
        self.start.load(Ordering::Relaxed)
    }

    /// The `flags` of the OTLP span, and its `kind`.
    #[inline]
    pub(crate) fn wire_flags_and_kind(&self) -> (u32, u8) {
        let both = self.flags.load(Ordering::Relaxed);
        (both & ((1 << KIND_SHIFT) - 1), (both >> KIND_SHIFT) as u8)
    }

    /// The kind.
    #[cfg(not(target_os = "none"))]
    pub(crate) fn kind(&self) -> SpanKind {
        let (_, kind) = self.wire_flags_and_kind();
        SpanKind::from_wire(kind.into()).unwrap_or_default()
    }

    /// Whether the parent is a span of another process.
    #[cfg(not(target_os = "none"))]
    pub(crate) fn has_remote_parent(&self) -> bool {
        body::is_remote(self.flags.load(Ordering::Relaxed))
    }

    /// The name of the span that has this record.
    #[cfg(not(target_os = "none"))]
    pub(crate) fn name_of<'a>(&self, (body, bytes): (&Body, &'a [u8])) -> &'a str {
        match body.is_renamed() {
            true => SpanView::of_message(body.message(bytes)).name(),
            false => self.callsite().name(),
        }
    }

    /// Whether processors are to see the span's end.
    #[cfg(not(target_os = "none"))]
    #[inline]
    pub(crate) fn is_processed(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & PROCESSED != 0
    }

    /// Replaces the kind, as the owner says.
    #[cfg(not(target_os = "none"))]
    pub(crate) fn set_kind(&self, kind: SpanKind) {
        let before = self.flags.load(Ordering::Relaxed) & 0xff << KIND_SHIFT;
        // Ordering: Relaxed; a reader sees the one or the other. Others set bits beside it,
        // but the owner alone moves these.
        self.flags.fetch_xor(before ^ (kind as u32) << KIND_SHIFT, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn callsite(&self) -> &'static Callsite {
        self.callsite_by(Ordering::Relaxed)
    }

    #[inline]
    fn table(&self) -> &'static LiveTable {
        self.pipeline().live_table()
    }

    /// The slot's place in the table.
    #[inline(always)]
    fn index(&self) -> usize {
        self.table().index_of(self)
    }
}

impl Default for Slot {
    fn default() -> Self {
        Self::new()
    }
}

/// What a span is opened with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    pub(crate) trace: TraceId,
    pub(crate) span: SpanId,
    pub(crate) flags: TraceFlags,
    /// Invalid for a root.
    pub(crate) parent: SpanId,
    pub(crate) remote_parent: bool,
    pub(crate) kind: SpanKind,
    pub(crate) start: u64,
    pub(crate) callsite: &'static Callsite,
}

/// The one owner of a slot in use. Dropping it forgets the span.
#[derive(Debug)]
pub(crate) struct Live {
    slot: &'static Slot,
}

impl core::ops::Deref for Live {
    type Target = Slot;

    #[inline]
    fn deref(&self) -> &Slot {
        self.slot
    }
}

impl Live {
    /// The slot, as long as the span lives.
    #[inline]
    pub(crate) fn slot(&self) -> &'static Slot {
        self.slot
    }

    /// The sampler is asked after the span's start. It is not counted before.
    pub(crate) fn set_undecided(&mut self) {
        if !IS_SMALL {
            // Ordering: Relaxed here and below; a reader sees the flags before or after, and
            // what is exchanged is still released by `open`.
            self.slot.flags.fetch_or(UNDECIDED, Ordering::Relaxed);
        }
    }

    /// Whether the sampler is still to be asked, as far as that is known: nothing unwinds
    /// where code is dear.
    #[inline]
    pub(crate) fn is_undecided(&self) -> Option<bool> {
        (!IS_SMALL).then(|| self.slot.flags.load(Ordering::Relaxed) & UNDECIDED != 0)
    }

    /// Processors, if there are any, are to see the span's end.
    #[cfg(not(target_os = "none"))]
    #[inline]
    pub(crate) fn set_processed(&mut self) {
        if self.slot.pipeline().processors().is_some() {
            self.slot.flags.fetch_or(PROCESSED, Ordering::Relaxed);
        }
    }

    /// The sampler has decided to keep the span.
    #[inline]
    pub(crate) fn set_decided(&mut self, is_sampled: bool) {
        let sampled = if is_sampled { u32::from(TraceFlags::SAMPLED.to_bits()) } else { 0 };
        let undecided = if IS_SMALL { 0 } else { UNDECIDED };
        if sampled | undecided != 0 {
            // The one is not set, the other is: see `begin`.
            self.slot.flags.fetch_xor(sampled | undecided, Ordering::Relaxed);
        }
    }

    /// Children that are still exported one by one, as far as the owner knows.
    #[inline(always)]
    pub(crate) fn children_left(&self) -> u32 {
        // Ordering: Relaxed here and below, the number is all there is.
        if IS_SMALL { u32::MAX } else { self.slot.children_left.load(Ordering::Relaxed) }
    }

    /// One less than there were. The owner needs no exchange for it.
    #[inline(always)]
    pub(crate) fn set_children_left(&self, left: u32) {
        if !IS_SMALL {
            self.slot.children_left.store(left, Ordering::Relaxed);
        }
    }

    /// Of a surplus child, its parent's slot and the place of that in the table.
    pub(crate) fn above(&self) -> (usize, &'static Slot) {
        let (_, above) = self.slot.trace_flags_and_slot();
        (self.table().index_of(above), above)
    }

    /// The shard of the thread on which the span began.
    #[inline]
    pub(crate) fn shard(&self) -> &'static Shard {
        // SAFETY: `open` stored a `&'static Shard` before there was this owner, if it is
        // no surplus child; those write no frame.
        unsafe { &*self.slot.onward.load(Ordering::Relaxed).cast::<Shard>() }
    }

    /// Has the thread [keep](Place::keep) the slot, or gives it back, as the drop does;
    /// of a span whose [record is in it](Slot::inline_record).
    #[cfg(not(target_os = "none"))]
    #[inline(always)]
    pub(crate) fn release_inline(self, place: &Place) {
        self.retire();
        if !place.keep(self.slot) {
            self.table().release(self.slot);
        }
        core::mem::forget(self);
    }

    #[inline(always)]
    fn free(&self) {
        // SAFETY: only the owner touches the record.
        let spill = self.slot.record.with(|record| unsafe { (*record).spill });
        if spill != NO_BLOCK {
            self.table().blocks.release(spill as usize);
        }
        self.retire();
        self.table().release(self.slot);
    }

    /// The span is over for readers.
    #[inline(always)]
    fn retire(&self) {
        // Ordering: Relaxed, only the owner moves the state.
        let state = self.slot.state.load(Ordering::Relaxed);
        // Ordering: Release; who sees that the span is over sees what it queued. Whoever
        // sees a field of the next span sees this too, since each of them is released.
        self.slot.state.store(state & !LIVE, Ordering::Release);
    }
}

impl Drop for Live {
    /// Apart from the places where handles are dropped, of which most hold no span.
    #[cfg_attr(not(target_os = "none"), inline(never))]
    #[cfg_attr(target_os = "none", inline)]
    fn drop(&mut self) {
        self.free();
    }
}

const LIVE: u32 = 1;
const KIND_SHIFT: u32 = 16;
/// A surplus child; a span with such children.
const SURPLUS: u32 = 1 << 24;
const FLOODED: u32 = 1 << 25;
const UNDECIDED: u32 = 1 << 26;
/// Processors are to see it.
const PROCESSED: u32 = 1 << 27;

/// In place of the tick of a poll: before each of them.
const IN_CLOSURE: u64 = u64::MAX;

/// Where code is dearer than what it shows.
const IS_SMALL: bool = cfg!(target_os = "none");

#[cfg(all(test, not(throughline_loom), target_pointer_width = "64"))]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_eight_cache_lines() {
        assert_eq!(size_of::<Slot>(), 512);
    }
}
