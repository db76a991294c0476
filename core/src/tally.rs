//! Where one thread at a time counts the spans that begin on it.

use crate::begun::{Begins, BegunCounters};
use crate::sync::{AtomicBool, Ordering, const_fn};

/// Counters that one thread at a time has to itself: it counts with a load and a store, where
/// threads that share counters need an atomic operation for each span. Whoever reads the
/// ledger adds up all that there are.
#[derive(Debug)]
#[repr(align(64))]
pub struct Tally {
    is_taken: AtomicBool,
    begun: BegunCounters,
}

impl Tally {
    const_fn! {
        /// Nobody's yet, with nothing counted.
        pub fn new() -> Self {
            Tally { is_taken: AtomicBool::new(false), begun: BegunCounters::new() }
        }
    }

    /// Whether nobody has it; the caller does then.
    pub(crate) fn claim(&self) -> bool {
        // Ordering: Acquire synchronizes with the former owner's Release: its counts are
        // there to be added to.
        !self.is_taken.swap(true, Ordering::Acquire)
    }

    /// Gives it back. What was counted stays.
    pub(crate) fn release(&self) {
        // Ordering: Release, for the next owner.
        self.is_taken.store(false, Ordering::Release);
    }

    /// Counts a span that begins. The caller has claimed it.
    #[inline(always)]
    pub(crate) fn count(&self, begins: Begins) {
        self.begun.count_alone(begins);
    }

    pub(crate) fn begun(&self) -> &BegunCounters {
        &self.begun
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self::new()
    }
}
