//! The spill blocks: which are taken.
//!
//! The memory of a block that no span ever had takes none on most systems. So blocks that
//! were used before go first, and how many were ever used follows the peak of large spans.
//!
//! ```text
//!   words of the bitmap    0   1   2 │ 3   4   5 …
//!                         searched   │ searched when there is
//!                         first      │ nothing left before
//!                                  reach
//! ```

use crate::TakenWord;
#[cfg(not(target_os = "none"))]
use crate::bitmap::BITS;
use crate::bitmap::Bitmap;
use crate::sync::const_fn;
#[cfg(not(target_os = "none"))]
use crate::sync::{AtomicUsize, Ordering};

#[derive(Debug)]
pub(super) struct Blocks {
    taken: Bitmap,
    /// Words of which a place was ever taken. Only grows. Not on bare targets, where memory
    /// is there or not.
    #[cfg(not(target_os = "none"))]
    reach: AtomicUsize,
}

impl Blocks {
    const_fn! {
        pub(super) fn new(words: &'static [TakenWord], len: usize) -> Self {
            Blocks {
                taken: Bitmap::new(words, len),
                #[cfg(not(target_os = "none"))]
                reach: AtomicUsize::new(0),
            }
        }
    }

    /// Takes a block for the span of this slot, if any is free.
    #[cfg(not(target_os = "none"))]
    pub(super) fn claim(&self, slot: usize) -> Option<usize> {
        // Ordering: Relaxed here and below; it says where to look first, and all words are
        // looked at in any case.
        let reach = self.reach.load(Ordering::Relaxed);
        // Neighbouring slots look at the same place, others elsewhere.
        let first = (slot / BITS).checked_rem(reach).unwrap_or(0);
        let within = || self.taken.claim_among(first..reach);
        let block = within()
            .or_else(|| self.taken.claim_among(0..first))
            .or_else(|| self.taken.claim_among(reach..self.taken.words()))?;
        if block / BITS >= reach {
            self.reach.fetch_max(block / BITS + 1, Ordering::Relaxed);
        }
        Some(block)
    }

    /// Takes a block for the span of this slot, if any is free.
    #[cfg(target_os = "none")]
    pub(super) fn claim(&self, slot: usize) -> Option<usize> {
        self.taken.claim(slot / SPREAD)
    }

    /// Gives a block back.
    #[inline]
    pub(super) fn release(&self, block: usize) {
        self.taken.release(block);
    }
}

/// Neighbouring slots look for spill blocks at the same place.
#[cfg(target_os = "none")]
const SPREAD: usize = 64;

#[cfg(all(test, not(throughline_loom)))]
mod tests {
    use std::vec::Vec;

    use super::*;

    fn blocks(len: usize) -> Blocks {
        let words: Vec<_> = (0..len.div_ceil(BITS)).map(|_| TakenWord::new(0)).collect();
        Blocks::new(words.leak(), len)
    }

    #[test]
    fn blocks_that_were_used_before_go_first_whichever_slot_asks() {
        let blocks = blocks(10 * BITS);
        let slots = || (0..).map(|number| number * 77);
        for round in 1..=8 {
            let claimed: Vec<_> = slots().take(100).map(|slot| blocks.claim(slot)).collect();
            let last = claimed.iter().flatten().max().copied();
            assert_eq!(claimed.iter().flatten().count(), 100);
            // A hundred blocks are in two words.
            assert!(last < Some(2 * BITS), "round {round}: {last:?}");
            claimed.into_iter().flatten().for_each(|block| blocks.release(block));
        }
    }

    #[test]
    fn each_block_is_given_once_until_none_is_left() {
        let len = 3 * BITS + 5;
        let blocks = blocks(len);
        let mut claimed: Vec<_> = (0..len).map_while(|slot| blocks.claim(slot * 31)).collect();
        claimed.sort_unstable();
        assert_eq!(claimed, (0..len).collect::<Vec<_>>());
        assert_eq!(blocks.claim(7), None);
        blocks.release(2 * BITS);
        assert_eq!(blocks.claim(7), Some(2 * BITS));
    }

    #[test]
    fn where_there_are_no_blocks_there_is_none_to_take() {
        assert_eq!(blocks(0).claim(0), None);
        assert_eq!(blocks(0).claim(1_000), None);
    }
}
