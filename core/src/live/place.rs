//! What a thread has of a pipeline to itself: a slot, and a tally.
//!
//! Most spans of a thread begin where another one has just ended, so it keeps that one's slot:
//!
//! ```text
//!   a span ends ──▶ kept by the thread ──▶ its next span begins there
//!              └──▶ given back, if the thread has one already
//! ```
//!
//! To give a place back, to take one, and to count where others do, is an atomic operation
//! each; a processor carries it out once all that it wrote before is in its cache, here the
//! frame of the span. What is the thread's own costs a load and a store.
//!
//! A thread is at home in one pipeline, where its spans begin, until the thread ends. Of each
//! pipeline as many threads are as it has [tallies](Tally).

use core::cell::Cell;
use core::ptr;

use super::Slot;
use crate::begun::Begins;
use crate::{Pipeline, Tally};

/// What a thread knows of live-span tables.
#[derive(Debug)]
pub(crate) struct Place {
    /// Where it found room last.
    pub(super) hint: Cell<usize>,
    /// A slot that is taken, and in which no span is.
    kept: Cell<Option<&'static Slot>>,
    /// The pipeline in which the thread is at home, or null; it is compared, nothing more.
    home: Cell<*const Pipeline>,
    /// The thread's, there.
    tally: Cell<Option<&'static Tally>>,
    /// How many spans have to begin elsewhere before the thread moves.
    patience: Cell<u8>,
}

impl Place {
    pub(crate) const fn new(hint: usize) -> Self {
        Place {
            hint: Cell::new(hint),
            kept: Cell::new(None),
            home: Cell::new(ptr::null()),
            tally: Cell::new(None),
            patience: Cell::new(0),
        }
    }

    pub(crate) fn look_first_at(&self, hint: usize) {
        self.hint.set(hint);
    }

    /// What is kept, if it is this pipeline's.
    #[inline(always)]
    pub(super) fn take(&self, pipeline: &Pipeline) -> Option<&'static Slot> {
        if self.is_home(pipeline) { self.kept.take() } else { None }
    }

    /// Keeps the slot, whose span has ended, if it is one to keep.
    #[inline(always)]
    pub(super) fn keep(&self, slot: &'static Slot) -> bool {
        let keeps = self.kept.get().is_none() && self.is_home(slot.pipeline());
        if keeps {
            self.kept.set(Some(slot));
        }
        keeps
    }

    /// Counts a span of this pipeline that begins here. Who is at home somewhere has asked
    /// for the thread's `shard` before. `at_thread_end` has this
    /// [given back](Self::give_back) when the thread ends, and returns whether it can.
    #[inline(always)]
    pub(crate) fn count(
        &self,
        pipeline: &'static Pipeline,
        begins: Begins,
        shard: impl FnOnce() -> usize,
        at_thread_end: impl FnOnce() -> bool,
    ) {
        match self.tally.get() {
            Some(tally) if self.is_home(pipeline) => tally.count(begins),
            _ => self.count_elsewhere(pipeline, begins, shard, at_thread_end),
        }
    }

    #[inline(always)]
    fn is_home(&self, pipeline: &Pipeline) -> bool {
        ptr::eq(self.home.get(), pipeline)
    }

    #[inline(never)]
    fn count_elsewhere(
        &self,
        pipeline: &'static Pipeline,
        begins: Begins,
        shard: impl FnOnce() -> usize,
        at_thread_end: impl FnOnce() -> bool,
    ) {
        pipeline.shard(shard()).count(begins);
        // A thread with two pipelines does not go to and fro.
        let patience = self.patience.get();
        if patience > 0 {
            return self.patience.set(patience - 1);
        }
        self.patience.set(PATIENCE);
        // The first time, it may run code of the program's, which may get here.
        if at_thread_end() {
            self.settle(pipeline);
        }
    }

    /// Moves to this pipeline, if it has a tally to give.
    pub(crate) fn settle(&self, pipeline: &'static Pipeline) {
        self.give_back();
        if let Some(tally) = pipeline.claim_tally() {
            self.home.set(pipeline);
            self.tally.set(Some(tally));
        }
    }

    /// Has nothing to itself any longer.
    pub(crate) fn give_back(&self) {
        self.home.set(ptr::null());
        if let Some(slot) = self.kept.take() {
            slot.pipeline().live_table().release(slot);
        }
        if let Some(tally) = self.tally.take() {
            tally.release();
        }
    }
}

/// So many spans begin in another pipeline before a thread moves there, or looks again
/// whether it can.
const PATIENCE: u8 = 100;

#[cfg(all(test, not(throughline_loom)))]
mod tests {
    use std::boxed::Box;

    use super::*;
    use crate::Decision;
    use crate::live::Live;
    use crate::scaffold::{opening, parts};

    fn pipeline(tallies: usize) -> &'static Pipeline {
        Box::leak(Box::new(Pipeline::new(parts(8, tallies))))
    }

    fn begin(place: &Place, pipeline: &'static Pipeline) -> Live {
        begin_if(place, pipeline, || true)
    }

    fn begin_if(
        place: &Place,
        pipeline: &'static Pipeline,
        at_thread_end: impl FnOnce() -> bool,
    ) -> Live {
        let live = pipeline.open(0, place, opening, None).expect("room");
        place.count(pipeline, Begins::LOCAL_SAMPLED, || 0, at_thread_end);
        live
    }

    /// Slots that nobody else can have.
    fn taken(pipeline: &Pipeline) -> usize {
        let mut taken = 0;
        pipeline.live_table().taken.each_taken(|_| (), |_| taken += 1);
        taken
    }

    fn keeps(place: &Place, pipeline: &'static Pipeline) -> bool {
        let before = taken(pipeline);
        begin(place, pipeline).release_inline(place);
        assert_eq!(pipeline.live_count(), 0);
        taken(pipeline) > before
    }

    #[test]
    fn the_next_span_begins_in_the_slot_of_the_last_one() {
        let (place, pipeline) = (Place::new(0), pipeline(1));
        let (root, child) = (begin(&place, pipeline), begin(&place, pipeline));
        let slot = child.slot();
        child.release_inline(&place);
        assert_eq!((taken(pipeline), pipeline.live_count()), (2, 1));
        let child = begin(&place, pipeline);
        assert!(ptr::eq(child.slot(), slot));
        child.release_inline(&place);
        root.release_inline(&place);
        assert_eq!((taken(pipeline), pipeline.live_count()), (1, 0));
        place.give_back();
        assert_eq!(taken(pipeline), 0);
        place.give_back();
    }

    #[test]
    fn as_many_threads_are_at_home_as_there_are_tallies() {
        let (first, second) = (Place::new(0), Place::new(0));
        assert!(!keeps(&first, pipeline(0)));
        let pipeline = pipeline(1);
        assert!((0..=PATIENCE).any(|_| keeps(&first, pipeline)), "it moves in time");
        assert!(!keeps(&second, pipeline));
        first.give_back();
        assert!((0..=PATIENCE).any(|_| keeps(&second, pipeline)), "it looks again in time");
        assert!((0..=PATIENCE).all(|_| !keeps(&first, pipeline)));
    }

    #[test]
    fn every_span_is_counted_once_wherever_the_thread_is_at_home() {
        let (one, other) = (pipeline(1), pipeline(1));
        let (first, second) = (Place::new(0), Place::new(0));
        for _ in 0..3 {
            for place in [&first, &second] {
                begin(place, one).release_inline(place);
                begin(place, other).release_inline(place);
                place.count(other, Begins::LOCAL_DROPPED, || 0, || true);
            }
            first.give_back();
        }
        for (pipeline, dropped) in [(one, 0), (other, 6)] {
            let ledger = pipeline.ledger();
            assert_eq!((ledger.started(), ledger.unsampled()), (6, dropped));
            let begun = pipeline.begun();
            let local = |decision| begun.count(crate::ParentOrigin::Local, decision);
            assert_eq!(local(Decision::RecordAndSample), 6);
            assert_eq!(local(Decision::Drop), dropped);
        }
    }

    #[test]
    fn a_thread_that_cannot_give_back_has_nothing_to_itself() {
        let (place, pipeline) = (Place::new(0), pipeline(1));
        begin_if(&place, pipeline, || false).release_inline(&place);
        assert_eq!(taken(pipeline), 0);
        assert!(pipeline.claim_tally().is_some());
    }

    #[test]
    fn a_thread_is_at_home_in_the_pipeline_in_which_its_spans_begin() {
        let (place, one, other) = (Place::new(0), pipeline(1), pipeline(1));
        assert!(keeps(&place, one));
        let moved = (0..=PATIENCE).take_while(|_| !keeps(&place, other)).count();
        assert_eq!(moved, usize::from(PATIENCE), "not to and fro");
        assert_eq!((taken(one), taken(other)), (0, 1));
        assert!(one.claim_tally().is_some());
        assert!(other.claim_tally().is_none());
    }

    #[test]
    fn a_span_that_begins_while_a_thread_settles_is_no_slot_lost() {
        let (place, pipeline) = (Place::new(0), pipeline(2));
        let live = begin_if(&place, pipeline, || {
            begin(&place, pipeline).release_inline(&place);
            true
        });
        live.release_inline(&place);
        assert_eq!(taken(pipeline), 1);
        place.give_back();
        assert_eq!(taken(pipeline), 0);
        assert!([(); 2].iter().all(|()| pipeline.claim_tally().is_some()), "each came back");
        assert_eq!(pipeline.ledger().started(), 2);
    }
}
