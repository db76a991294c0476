//! Where a level of execution finds room for its spans: where it did last.

use core::cell::Cell;

use super::Slot;
use crate::Pipeline;
use crate::begun::Begins;

#[derive(Debug)]
pub(crate) struct Place {
    pub(super) hint: Cell<usize>,
}

impl Place {
    pub(crate) const fn new(hint: usize) -> Self {
        Place { hint: Cell::new(hint) }
    }

    pub(crate) fn look_first_at(&self, hint: usize) {
        self.hint.set(hint);
    }

    /// Nothing is kept, where code is dear.
    #[inline(always)]
    pub(super) fn take(&self, _: &Pipeline) -> Option<&'static Slot> {
        None
    }

    /// Counts a span of this pipeline that begins here, where others count theirs.
    #[inline(always)]
    pub(crate) fn count(
        &self,
        pipeline: &Pipeline,
        begins: Begins,
        shard: impl FnOnce() -> usize,
        _: impl FnOnce() -> bool,
    ) {
        pipeline.shard(shard()).count(begins);
    }
}
