//! A shard: what the threads that use it share with nobody else.

#[cfg(not(target_os = "none"))]
use super::elsewhere::Elsewhere;
use crate::begun::{Begins, BegunCounters};
use crate::frame::FrameTag;
use crate::ring::{Ring, Unit};
use crate::sync::const_fn;
#[cfg(not(target_os = "none"))]
use crate::sync::{AtomicUsize, Ordering};

/// One ring and the counters of the threads that use it.
#[derive(Debug)]
#[repr(align(64))]
pub struct Shard {
    /// Spans that began on these threads, apart from those in a [tally](crate::Tally).
    pub(super) begun: BegunCounters,
    /// A frame that passes a multiple of this many units, less one, wakes the
    /// flusher.
    pub(super) announce_mask: usize,
    pub(super) ring: Ring<FrameTag>,
    /// Spans of these threads for which no ring had room.
    #[cfg(not(target_os = "none"))]
    refused: AtomicUsize,
    #[cfg(not(target_os = "none"))]
    pub(super) elsewhere: Elsewhere,
}

impl Shard {
    const_fn! {
        /// A shard over this memory (see [`Ring::new`]). The flusher is woken
        /// each time that `announce_every` units, rounded up to a power of two,
        /// were queued.
        pub fn new(
            units: &'static mut [Unit<FrameTag>],
            bytes: &'static mut [u8],
            announce_every: usize,
        ) -> Self {
            Shard {
                begun: BegunCounters::new(),
                announce_mask: announce_every.next_power_of_two() - 1,
                ring: Ring::new(units, bytes),
                #[cfg(not(target_os = "none"))]
                refused: AtomicUsize::new(0),
                #[cfg(not(target_os = "none"))]
                elsewhere: Elsewhere::new(),
            }
        }
    }

    /// Counts a span that begins on a thread that has no tally.
    #[inline(always)]
    pub(crate) fn count(&self, begins: Begins) {
        self.begun.count(begins);
    }

    /// Counts a span for which no ring had room. Threads that are refused one span after the
    /// other would fight for a counter of all.
    #[cfg(not(target_os = "none"))]
    pub(super) fn count_refused(&self) {
        // Ordering: Release, as in `Counters::count_dropped`.
        self.refused.fetch_add(1, Ordering::Release);
    }

    /// The spans for which no ring had room.
    pub(super) fn refused(&self) -> u64 {
        #[cfg(not(target_os = "none"))]
        // Ordering: Acquire, as in `Counters::read`.
        return self.refused.load(Ordering::Acquire) as u64;
        // There the pipeline counts them.
        #[cfg(target_os = "none")]
        0
    }

    /// The shard's ring.
    pub fn ring(&self) -> &Ring<FrameTag> {
        &self.ring
    }
}
