//! The live-span table: spans that have begun and not ended, in fixed memory.
//!
//! A span owns a slot from its start to its end. The owner alone touches the
//! record; any thread may read the slot's public part while the span lives.
//!
//! ```text
//!               claim in the bitmap          publish
//!   ┌──────┐    ┌──────────────────────┐    ┌──────┐    drop
//!   │ free │ ─▶ │ the owner writes the │ ─▶ │ LIVE │ ─────────▶ free
//!   └──────┘    │ public part          │    └──────┘
//!               └──────────────────────┘
//! ```
//!
//! A slot's state is LIVE or not, and above that bit the number of spans that
//! used it: a reader that finds the same state before and after has read one
//! span, not two.

use core::cell::Cell;
use core::ptr;

use crate::bitmap::Bitmap;
use crate::body::{self, Body};
use crate::sync::{AtomicPtr, AtomicU32, Ordering, Region, UnsafeCell, Word, const_fn};
use crate::{
    Callsite, Pipeline, Shard, SpanContext, SpanId, SpanKind, TakenWord, TraceFlags, TraceId,
};

/// Room for one live span: 512 bytes.
///
/// In the order in which a span's beginning and end go through it: what every
/// span has is on the first two cache lines.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Slot {
    /// `generation << 1 | live`. Moved by the owner of the slot alone.
    state: AtomicU32,
    /// The `flags` of the OTLP span in bits 0 to 15, its kind in bits 16 to 23.
    flags: AtomicU32,
    trace: [Word; 2],
    span: Word,
    parent: Word,
    start: Word,
    /// Null before the first span.
    callsite: AtomicPtr<Callsite>,
    /// Touched by the span's owner alone, as is the record.
    place: UnsafeCell<Option<Place>>,
    record: UnsafeCell<Record>,
}

// SAFETY: `record` and `place` are reached through an owned `Live` alone,
// which is not `Clone`, and written through whoever has it to itself; a table
// makes one at a time, since it borrowed its slots mutably for ever and no other
// table has them. Ownership moves between threads with the `Live`, or through
// the bitmap's release and acquire. All of it is plain data.
unsafe impl Sync for Slot {}

/// Where a span ends up.
#[derive(Clone, Copy, Debug)]
struct Place {
    pipeline: &'static Pipeline,
    shard: &'static Shard,
}

#[derive(Debug)]
#[repr(C)]
struct Record {
    body: Body,
    /// The spill block that holds the bytes, when they outgrew the slot.
    spill: Option<usize>,
    bytes: [u8; INLINE],
}

/// What a span that is under way shows to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveView {
    /// Ids and flags.
    pub context: SpanContext,
    /// The parent, invalid for a root.
    pub parent_span_id: SpanId,
    /// The name with which the span began.
    pub name: &'static str,
    /// Clock ticks at the start.
    pub start_ticks: u64,
}

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
                place: UnsafeCell::new(None),
                record: UnsafeCell::new(Record {
                    body: Body::new(),
                    spill: None,
                    bytes: [0; INLINE],
                }),
            }
        }
    }

    /// The span that lives here, if one does and stayed while it was read.
    fn view(&self) -> Option<LiveView> {
        // Ordering: Acquire synchronizes with the owner's publication.
        let before = self.state.load(Ordering::Acquire);
        if before & LIVE == 0 {
            return None;
        }
        // Ordering: Acquire on each field, so that the second look at the state
        // stays behind them; a field of the next span synchronizes with its
        // Release store, before which the state had changed.
        let word = |word: &Word| word.load(Ordering::Acquire);
        let view = LiveView {
            context: SpanContext::new(
                TraceId::from_halves([word(&self.trace[0]), word(&self.trace[1])]),
                SpanId::from_number(word(&self.span)),
                TraceFlags::from_bits(self.flags.load(Ordering::Acquire) as u8),
            ),
            parent_span_id: SpanId::from_number(word(&self.parent)),
            name: self.callsite_by(Ordering::Acquire).name(),
            start_ticks: self.start.load(Ordering::Acquire),
        };
        // Ordering: Relaxed is enough behind the Acquire loads above.
        (self.state.load(Ordering::Relaxed) == before).then_some(view)
    }

    /// The trace of the span that lives here, and whether it has a parent in
    /// another process; nothing inside, if its parent is of this one. `None` if
    /// no span stayed while it was read.
    fn as_local_root(&self) -> Option<Option<(TraceId, bool)>> {
        // Ordering: Acquire here and below, as in `view`.
        let before = self.state.load(Ordering::Acquire);
        if before & LIVE == 0 {
            return None;
        }
        let has_parent = self.parent.load(Ordering::Acquire) != 0;
        let is_remote = self.flags.load(Ordering::Acquire) & body::REMOTE != 0;
        let [high, low] = &self.trace;
        let trace = [high.load(Ordering::Acquire), low.load(Ordering::Acquire)];
        let root = (TraceId::from_halves(trace), has_parent);
        // Ordering: Relaxed is enough behind the Acquire loads above.
        let stayed = self.state.load(Ordering::Relaxed) == before;
        stayed.then_some((!has_parent || is_remote).then_some(root))
    }

    #[inline]
    fn callsite_by(&self, ordering: Ordering) -> &'static Callsite {
        // SAFETY: it is null or was a `&'static Callsite`: of this span, or of
        // another one while a reader overlaps with its beginning.
        unsafe { self.callsite.load(ordering).as_ref() }.unwrap_or(&UNKNOWN)
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

    #[inline]
    pub(crate) fn callsite(&self) -> &'static Callsite {
        self.callsite_by(Ordering::Relaxed)
    }
}

impl Default for Slot {
    fn default() -> Self {
        Self::new()
    }
}

/// The slots of a pipeline, and the blocks for records that outgrow them.
#[derive(Debug)]
pub(crate) struct LiveTable {
    slots: &'static [Slot],
    taken: Bitmap,
    spill: Region,
    spill_taken: Bitmap,
    spill_len: usize,
}

impl LiveTable {
    const_fn! {
        pub(crate) fn new(
            slots: &'static mut [Slot],
            slot_words: &'static [TakenWord],
            spill: &'static mut [u8],
            spill_words: &'static [TakenWord],
            spill_len: usize,
        ) -> Self {
            // Without a length there are no blocks: `spill` uses none that is
            // smaller than a slot.
            let spill_len = if spill_len == 0 { 1 } else { spill_len };
            let blocks = spill.len() / spill_len;
            LiveTable {
                taken: Bitmap::new(slot_words, slots.len()),
                slots,
                spill: Region::new(spill, spill_len),
                spill_taken: Bitmap::new(spill_words, blocks),
                spill_len,
            }
        }
    }

    /// Takes a slot for a span that begins; `None` when all are in use.
    #[inline(always)]
    pub(crate) fn open(
        pipeline: &'static Pipeline,
        shard: &'static Shard,
        hint: &Cell<usize>,
        opening: &Opening,
    ) -> Option<Live> {
        let table = pipeline.live_table();
        let index = table.taken.claim(hint.get())?;
        // The thread's next span takes the same slot if it is free again, and
        // still in the processor's cache.
        hint.set(index);
        let slot = table.slots.get(index)?;
        // Ordering: Relaxed; the claim acquired what the former owner wrote, and
        // the state is not LIVE until the publication below.
        let next = slot.state.load(Ordering::Relaxed).wrapping_add(2);
        // Ordering: Release on the fields keeps them behind the store of the state
        // at the former span's end, for readers of that span (see `view`).
        let [high, low] = opening.trace.halves();
        slot.trace[0].store(high, Ordering::Release);
        slot.trace[1].store(low, Ordering::Release);
        slot.span.store(opening.span.number(), Ordering::Release);
        slot.parent.store(opening.parent.number(), Ordering::Release);
        slot.start.store(opening.start, Ordering::Release);
        let flags = body::wire_flags(opening.flags, opening.remote_parent)
            | (opening.kind as u32) << KIND_SHIFT;
        slot.flags.store(flags, Ordering::Release);
        slot.callsite.store(ptr::from_ref(opening.callsite).cast_mut(), Ordering::Release);
        // SAFETY: this call owns the slot since the claim.
        slot.place.with_mut(|place| unsafe { *place = Some(Place { pipeline, shard }) });
        slot.record.with_mut(|record| {
            // SAFETY: as above.
            let record = unsafe { &mut *record };
            record.body = Body::new();
            record.spill = None;
        });
        // Ordering: Release publishes the fields to `view`.
        slot.state.store(next | LIVE, Ordering::Release);
        Some(Live { slot })
    }

    /// The spans under way, as far as they stay while they are read. Stops
    /// nobody.
    pub(crate) fn views(&self) -> impl Iterator<Item = LiveView> {
        self.slots.iter().filter_map(Slot::view)
    }

    /// Calls back for each span under way that has no parent in this process, with
    /// its trace and whether it has a parent elsewhere. Stops nobody.
    ///
    /// Of a span that is not among them, because it has ended, whatever it queued
    /// is seen by the caller from now on. Returns whether that is sure: a slot
    /// whose owner is held up while it takes it or gives it back may be a root.
    pub(crate) fn each_local_root(&self, mut visit: impl FnMut(TraceId, bool)) -> bool {
        let mut is_sure = true;
        self.taken.each_taken(|index| {
            let Some(slot) = self.slots.get(index) else { return };
            for _ in 0..PATIENCE {
                match slot.as_local_root() {
                    Some(Some((trace, has_parent))) => return visit(trace, has_parent),
                    Some(None) => return,
                    // Its bit orders what its former owner did before this.
                    None if !self.taken.is_taken(index) => return,
                    None => {}
                }
                core::hint::spin_loop();
            }
            is_sure = false;
        });
        is_sure
    }

    /// The number of slots.
    pub(crate) fn capacity(&self) -> usize {
        self.taken.len()
    }

    /// The number of slots in use, as a moment's estimate.
    pub(crate) fn len(&self) -> usize {
        self.taken.taken()
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

    /// Sets the sampled flag of a span whose sampler was asked after its start.
    pub(crate) fn set_sampled(&mut self) {
        let flags = self.slot.flags.load(Ordering::Relaxed);
        let sampled = u32::from(TraceFlags::SAMPLED.to_bits());
        // Ordering: Relaxed; a reader sees the flags before or after.
        self.slot.flags.store(flags | sampled, Ordering::Relaxed);
    }

    #[inline(always)]
    fn place(&self) -> Place {
        // SAFETY: written before this owner was made, and not again before it is
        // gone.
        let place = self.slot.place.with(|place| unsafe { *place });
        // SAFETY: `open` wrote it.
        unsafe { place.unwrap_unchecked() }
    }

    #[inline]
    pub(crate) fn pipeline(&self) -> &'static Pipeline {
        self.place().pipeline
    }

    /// The shard of the thread on which the span began.
    #[inline]
    pub(crate) fn shard(&self) -> &'static Shard {
        self.place().shard
    }

    #[inline]
    fn table(&self) -> &'static LiveTable {
        self.pipeline().live_table()
    }

    /// The slot's place in the table.
    #[inline(always)]
    fn index(&self) -> usize {
        let first = self.table().slots.as_ptr().addr();
        (ptr::from_ref(self.slot).addr() - first) / size_of::<Slot>()
    }

    /// The record's counts and bytes, to read.
    ///
    /// # Safety
    ///
    /// Nobody writes the record before the returned borrow ends.
    #[inline(always)]
    pub(crate) unsafe fn record(&self) -> (&Body, &[u8]) {
        self.slot.record.with(|record| {
            // SAFETY: the caller's promise.
            let record = unsafe { &*record };
            let bytes = match record.spill {
                None => &record.bytes[..],
                // SAFETY: the block belongs to this span from the claim in
                // `spill` to the release in `drop`.
                Some(block) => unsafe {
                    let table = self.table();
                    table.spill.read(block * table.spill_len, table.spill_len)
                },
            };
            (&record.body, bytes)
        })
    }

    /// The record's counts and bytes, to write.
    ///
    /// # Safety
    ///
    /// The caller has the span to itself until the returned borrow ends: it
    /// borrows the span's handle mutably, or it runs no foreign code on the
    /// thread on which the span is current.
    #[cfg_attr(not(target_os = "none"), inline)]
    #[cfg_attr(target_os = "none", inline(never))]
    #[expect(clippy::mut_from_ref, reason = "what is current is borrowed shared, and alone used")]
    pub(crate) unsafe fn record_mut(&self) -> (&mut Body, &mut [u8]) {
        self.slot.record.with_mut(|record| {
            // SAFETY: the caller's promise.
            let record = unsafe { &mut *record };
            let bytes = match record.spill {
                None => &mut record.bytes[..],
                // SAFETY: as in `record`, and the caller's promise.
                Some(block) => unsafe {
                    let table = self.table();
                    table.spill.write(block * table.spill_len, table.spill_len)
                },
            };
            (&mut record.body, bytes)
        })
    }

    /// Moves the record to a spill block. Returns whether it has more room now.
    ///
    /// # Safety
    ///
    /// As for [`record_mut`](Self::record_mut), for the length of the call.
    #[cold]
    pub(crate) unsafe fn spill(&self) -> bool {
        let table = self.table();
        let index = self.index();
        self.slot.record.with_mut(|record| {
            // SAFETY: the caller's promise.
            let record = unsafe { &mut *record };
            if record.spill.is_some() || table.spill_len <= INLINE {
                return false;
            }
            let Some(block) = table.spill_taken.claim(index / SPREAD) else {
                return false;
            };
            // SAFETY: the claim gave the block to this span.
            let bytes = unsafe { table.spill.write(block * table.spill_len, table.spill_len) };
            let Some(beginning) = bytes.first_chunk_mut() else { return false };
            *beginning = record.bytes;
            record.spill = Some(block);
            true
        })
    }
}

impl Drop for Live {
    #[inline]
    fn drop(&mut self) {
        let slot = self.slot;
        // Ordering: Relaxed, only the owner moves the state.
        let state = slot.state.load(Ordering::Relaxed);
        // Ordering: Relaxed, nothing is read through it: whoever sees a field of
        // the next span sees this too, since the release below comes before them.
        slot.state.store(state & !LIVE, Ordering::Relaxed);
        // SAFETY: only the owner touches the record.
        let spill = slot.record.with(|record| unsafe { (*record).spill });
        if let Some(block) = spill {
            self.table().spill_taken.release(block);
        }
        self.table().taken.release(self.index());
    }
}

/// The bytes of a record that need no spill block: a slot is 512 bytes.
pub(crate) const INLINE: usize = 384;

/// How often a slot is looked at that is being taken or given back.
const PATIENCE: usize = if cfg!(throughline_loom) { 2 } else { 100 };

/// Neighbouring slots look for spill blocks at the same place.
const SPREAD: usize = 64;

const LIVE: u32 = 1;
const KIND_SHIFT: u32 = 16;

static UNKNOWN: Callsite = Callsite::new("", &crate::Scope::new("", ""));

#[cfg(all(test, not(throughline_loom), target_pointer_width = "64"))]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_eight_cache_lines() {
        assert_eq!(size_of::<Slot>(), 512);
    }
}
