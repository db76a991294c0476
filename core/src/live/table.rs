//! The table: which slots and spill blocks are taken.

use core::ptr;

use super::blocks::Blocks;
use super::place::Place;
use super::record::NO_BLOCK;
use super::view::{LocalRoot, Seen};
use super::{IS_SMALL, KIND_SHIFT, LIVE, Live, LiveView, Opening, SURPLUS, Slot};
use crate::bitmap::Bitmap;
use crate::body::{self, Body};
use crate::flood::SUPPORTED;
use crate::prefetch::prefetch;
use crate::sync::{Ordering, Region, const_fn};
use crate::{Pipeline, Shard, TakenWord};

/// The slots of a pipeline, and the blocks for records that outgrow them.
#[derive(Debug)]
pub(crate) struct LiveTable {
    slots: &'static [Slot],
    pub(super) taken: Bitmap,
    pub(super) spill: Region,
    pub(super) blocks: Blocks,
    pub(super) spill_len: usize,
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
                blocks: Blocks::new(spill_words, blocks),
                spill_len,
            }
        }
    }

    /// Takes a slot for a span that begins; `None` when all are in use.
    #[inline(always)]
    pub(crate) fn open(
        pipeline: &'static Pipeline,
        shard: &'static Shard,
        place: &Place,
        opening: impl FnOnce() -> Opening,
        surplus_of: Option<&'static Slot>,
    ) -> Option<Live> {
        let slot = match place.take(pipeline) {
            Some(slot) => slot,
            None => pipeline.live_table().claim(place)?,
        };
        // Ordering: Relaxed; the claim acquired what the former owner wrote, and
        // the state is not LIVE until the publication below.
        let next = slot.state.load(Ordering::Relaxed).wrapping_add(2);
        // Ordering: Release on the fields keeps them behind the store of the state
        // at the former span's end, for readers of that span (see `view`).
        let opening = opening();
        let [high, low] = opening.trace.halves();
        slot.trace[0].store(high, Ordering::Release);
        slot.trace[1].store(low, Ordering::Release);
        slot.span.store(opening.span.number(), Ordering::Release);
        slot.parent.store(opening.parent.number(), Ordering::Release);
        slot.start.store(opening.start, Ordering::Release);
        if !IS_SMALL {
            // Ordering: Relaxed; a reader of the former span who sees it believes that
            // this was not polled.
            slot.polled.store(0, Ordering::Relaxed);
        }
        let flags = body::wire_flags(opening.flags, opening.remote_parent)
            | (opening.kind as u32) << KIND_SHIFT
            | if SUPPORTED && surplus_of.is_some() { SURPLUS } else { 0 };
        slot.flags.store(flags, Ordering::Release);
        slot.callsite.store(ptr::from_ref(opening.callsite).cast_mut(), Ordering::Release);
        // Ordering: Relaxed, see `Slot::pipeline`; the rest is the owner's.
        slot.pipeline.store(ptr::from_ref(pipeline).cast_mut(), Ordering::Relaxed);
        let onward: *const () = match surplus_of {
            Some(above) if SUPPORTED => ptr::from_ref(above).cast(),
            _ => ptr::from_ref(shard).cast(),
        };
        slot.onward.store(onward.cast_mut(), Ordering::Relaxed);
        if !IS_SMALL {
            // A surplus child has no children of its own.
            let left = if surplus_of.is_some() { 0 } else { pipeline.children_per_span() };
            slot.children_left.store(left, Ordering::Relaxed);
        }
        slot.record.with_mut(|record| {
            // SAFETY: this call owns the slot since the claim.
            let record = unsafe { &mut *record };
            record.body = Body::new();
            record.spill = NO_BLOCK;
        });
        // Ordering: Release publishes the fields to `view`.
        slot.state.store(next | LIVE, Ordering::Release);
        Some(Live { slot })
    }

    /// Takes a slot that nobody has.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn claim(&'static self, place: &Place) -> Option<&'static Slot> {
        let index = self.taken.claim(place.hint.get())?;
        // The thread's next span takes the same slot if it is free again, and
        // still in the processor's cache.
        place.hint.set(index);
        self.slots.get(index)
    }

    /// Gives a slot back.
    #[inline(always)]
    pub(super) fn release(&self, slot: &Slot) {
        self.taken.release(self.index_of(slot));
    }

    /// The spans under way, as far as they stay while they are read. Stops
    /// nobody.
    pub(crate) fn views(&self) -> impl Iterator<Item = LiveView> {
        self.slots.iter().filter_map(Slot::view)
    }

    /// The place of one of its slots.
    #[inline(always)]
    pub(crate) fn index_of(&self, slot: &Slot) -> usize {
        let first = self.slots.as_ptr().addr();
        ptr::from_ref(slot).addr().wrapping_sub(first) / size_of::<Slot>()
    }

    /// The span in one of the slots.
    pub(crate) fn view(&self, index: usize) -> Option<LiveView> {
        self.slots.get(index).and_then(Slot::view)
    }

    /// Calls back for each span under way that has no parent in this process. Stops
    /// nobody.
    ///
    /// Of a span that is not among them, because it has ended, whatever it queued
    /// is seen by the caller from now on. Returns whether that is sure: a slot
    /// whose spans come and go while it is read may hold a root.
    pub(crate) fn each_local_root(&self, mut visit: impl FnMut(LocalRoot)) -> bool {
        let mut is_sure = true;
        // Slots are far away, in the caches of those who own them.
        let expect = |index| self.slots.get(index).into_iter().for_each(prefetch);
        self.taken.each_taken(expect, |index| {
            let Some(slot) = self.slots.get(index) else { return };
            for _ in 0..PATIENCE {
                match slot.as_local_root() {
                    Seen::Root(root) => return visit(root),
                    Seen::NoRoot => return,
                    Seen::Change => core::hint::spin_loop(),
                }
            }
            is_sure = false;
        });
        is_sure
    }

    /// The number of slots.
    pub(crate) fn capacity(&self) -> usize {
        self.taken.len()
    }

    /// The number of spans under way, as a moment's estimate.
    pub(crate) fn len(&self) -> usize {
        let (mut len, slot) = (0, |index| self.slots.get(index).into_iter());
        self.taken.each_taken(
            |index| slot(index).for_each(prefetch),
            |index| len += slot(index).filter(|slot| slot.is_live()).count(),
        );
        len
    }
}

/// How often a slot is looked at whose spans change meanwhile.
const PATIENCE: usize = if cfg!(throughline_loom) { 2 } else { 100 };
