//! Where a thread finds room for its spans.
//!
//! Most spans of a thread begin where another one has just ended, so it keeps that one's slot:
//!
//! ```text
//!   a span ends ──▶ kept by the thread ──▶ its next span begins there
//!              └──▶ given back, if the thread has one already
//! ```
//!
//! To give a place back, and to take one, is an atomic operation each; a processor carries
//! it out once all that it wrote before is in its cache, here the frame of the span. What is
//! kept costs a load and a store.
//!
//! A thread keeps one slot, of the pipeline in which its spans end, until the thread ends. Of
//! each pipeline few threads do.

use core::cell::Cell;
use core::ptr;

use super::Slot;
use crate::Pipeline;

/// What a thread knows of live-span tables.
#[derive(Debug)]
pub(crate) struct Place {
    /// Where it found room last.
    pub(super) hint: Cell<usize>,
    /// A slot that is taken, and in which no span is.
    kept: Cell<Option<&'static Slot>>,
    /// The pipeline that lets this thread keep a slot.
    home: Cell<Option<&'static Pipeline>>,
    /// How many spans ended elsewhere since one used what is kept.
    strangers: Cell<u8>,
}

impl Place {
    pub(crate) const fn new(hint: usize) -> Self {
        Place {
            hint: Cell::new(hint),
            kept: Cell::new(None),
            home: Cell::new(None),
            strangers: Cell::new(0),
        }
    }

    pub(crate) fn look_first_at(&self, hint: usize) {
        self.hint.set(hint);
    }

    /// What is kept, if it is this pipeline's.
    #[inline(always)]
    pub(super) fn take(&self, pipeline: &Pipeline) -> Option<&'static Slot> {
        if !self.is_home(pipeline) {
            return None;
        }
        self.kept.take()
    }

    /// Keeps the slot, whose span has ended, if it is one to keep. `at_thread_end`
    /// has this [give it back](Self::give_back) then, and returns whether it can.
    #[inline(always)]
    pub(super) fn keep(&self, slot: &'static Slot, at_thread_end: impl FnOnce() -> bool) -> bool {
        if self.kept.get().is_some() || !self.is_home(slot.pipeline()) {
            return self.move_in(slot, at_thread_end);
        }
        self.strangers.set(0);
        self.kept.set(Some(slot));
        true
    }

    #[inline(always)]
    fn is_home(&self, pipeline: &Pipeline) -> bool {
        self.home.get().is_some_and(|home| ptr::eq(home, pipeline))
    }

    #[inline(never)]
    fn move_in(&self, slot: &'static Slot, at_thread_end: impl FnOnce() -> bool) -> bool {
        let pipeline = slot.pipeline();
        if self.is_home(pipeline) {
            return false;
        }
        // A thread with two pipelines does not go to and fro.
        let strangers = self.strangers.get();
        if self.home.get().is_some() && strangers < PATIENCE {
            self.strangers.set(strangers + 1);
            return false;
        }
        // The first time, it may run code of the program's, which may get here.
        if !at_thread_end() {
            return false;
        }
        self.give_back();
        if !pipeline.live_table().admit_keeper() {
            return false;
        }
        self.home.set(Some(pipeline));
        self.kept.set(Some(slot));
        true
    }

    /// Keeps nothing any longer.
    pub(crate) fn give_back(&self) {
        self.strangers.set(0);
        if let Some(home) = self.home.take() {
            home.live_table().dismiss_keeper(self.kept.take());
        }
    }
}

/// So many spans end in another pipeline before a thread keeps a slot of that.
const PATIENCE: u8 = 100;

#[cfg(all(test, not(throughline_loom)))]
mod tests {
    use std::boxed::Box;

    use super::*;
    use crate::live::Live;
    use crate::scaffold::{opening, parts};

    fn pipeline(slots: usize) -> &'static Pipeline {
        Box::leak(Box::new(Pipeline::new(parts(slots))))
    }

    fn begin(place: &Place, pipeline: &'static Pipeline) -> Live {
        pipeline.open(0, place, opening, None).expect("room")
    }

    fn end(place: &Place, live: Live) {
        live.release_inline(place, || true);
    }

    /// Slots that nobody else can have.
    fn taken(pipeline: &Pipeline) -> usize {
        let mut taken = 0;
        pipeline.live_table().taken.each_taken(|_| (), |_| taken += 1);
        taken
    }

    fn keeps(place: &Place, pipeline: &'static Pipeline) -> bool {
        let before = taken(pipeline);
        end(place, begin(place, pipeline));
        assert_eq!(pipeline.live_count(), 0);
        taken(pipeline) > before
    }

    #[test]
    fn the_next_span_begins_in_the_slot_of_the_last_one() {
        let (place, pipeline) = (Place::new(0), pipeline(64));
        let (root, child) = (begin(&place, pipeline), begin(&place, pipeline));
        let slot = child.slot();
        end(&place, child);
        assert_eq!((taken(pipeline), pipeline.live_count()), (2, 1));
        let child = begin(&place, pipeline);
        assert!(ptr::eq(child.slot(), slot));
        end(&place, child);
        end(&place, root);
        assert_eq!((taken(pipeline), pipeline.live_count()), (1, 0));
        place.give_back();
        assert_eq!(taken(pipeline), 0);
        place.give_back();
        assert!(keeps(&place, pipeline));
    }

    #[test]
    fn of_sixty_four_slots_one_thread_may_keep_one() {
        let (first, second) = (Place::new(0), Place::new(0));
        assert!(!keeps(&first, pipeline(63)));
        let pipeline = pipeline(127);
        assert!(keeps(&first, pipeline));
        assert!(!keeps(&second, pipeline));
        first.give_back();
        assert!(keeps(&second, pipeline));
        assert!(!keeps(&first, pipeline));
    }

    #[test]
    fn a_thread_that_cannot_give_back_keeps_nothing() {
        let (place, pipeline) = (Place::new(0), pipeline(64));
        begin(&place, pipeline).release_inline(&place, || false);
        assert_eq!(taken(pipeline), 0);
        assert!(keeps(&place, pipeline));
    }

    #[test]
    fn a_thread_keeps_a_slot_of_the_pipeline_in_which_its_spans_end() {
        let (place, one, other) = (Place::new(0), pipeline(64), pipeline(64));
        assert!(keeps(&place, one));
        assert!(!keeps(&place, other));
        assert_eq!(taken(one), 1, "not to and fro");
        end(&place, begin(&place, one));
        let moved = (0..=PATIENCE).take_while(|_| !keeps(&place, other)).count();
        assert_eq!(moved, usize::from(PATIENCE));
        assert_eq!((taken(one), taken(other)), (0, 1));
    }

    #[test]
    fn a_span_that_ends_while_a_thread_begins_to_keep_is_no_slot_lost() {
        let (place, pipeline) = (Place::new(0), pipeline(128));
        let live = begin(&place, pipeline);
        live.release_inline(&place, || {
            end(&place, begin(&place, pipeline));
            true
        });
        assert_eq!(taken(pipeline), 1);
        place.give_back();
        assert_eq!(taken(pipeline), 0);
        let keepers = [Place::new(0), Place::new(0), Place::new(0)];
        let kept = keepers.iter().filter(|place| keeps(place, pipeline)).count();
        assert_eq!(kept, 2, "all are admitted again");
    }
}
