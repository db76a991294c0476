//! Where a span goes for which the ring of its shard has no room: to any that has some.
//!
//! Threads that make more than can be sent would ask every ring for every span, and take its
//! cache lines from those who write there. So a shard remembers when no ring had room, and
//! asks none again before the flusher has given some back.

use super::Shard;
use crate::ring::UNIT;
use crate::sync::{AtomicUsize, Ordering, const_fn};

/// How often the flusher has given room back, of whichever rings.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Returns(AtomicUsize);

impl Returns {
    const_fn! {
        pub(super) fn new() -> Self {
            Returns(AtomicUsize::new(0))
        }
    }

    /// Counts one more; the room is there to be claimed already.
    pub(crate) fn count(&self) {
        // Ordering: Release, for the Acquire in `offer`.
        self.0.fetch_add(1, Ordering::Release);
    }
}

/// What the threads of one shard know about the rings of all.
#[derive(Debug)]
pub(super) struct Elsewhere {
    /// The number of the one that had room last.
    last: AtomicUsize,
    /// Which frame found no room in any, and when: see [`attempt`].
    refused: AtomicUsize,
}

impl Elsewhere {
    const_fn! {
        pub(super) fn new() -> Self {
            Elsewhere { last: AtomicUsize::new(0), refused: AtomicUsize::new(usize::MAX) }
        }
    }

    /// Offers a frame of `len` bytes to all shards in turn, until `put` says that one has
    /// taken it, and returns whether one has.
    #[inline(never)]
    pub(super) fn offer(
        &self,
        shards: &[Shard],
        returns: &Returns,
        len: usize,
        mut put: impl FnMut(&Shard) -> bool,
    ) -> bool {
        // Ordering: Acquire synchronizes with the flusher: what it gave back before is seen
        // below. What it gives back from now on counts as one more.
        let attempt = attempt(returns.0.load(Ordering::Acquire), len);
        // Ordering: Relaxed here and below, no value is read through them.
        let refused = self.refused.load(Ordering::Relaxed);
        if attempt >> LEN_BITS == refused >> LEN_BITS && attempt >= refused {
            return false;
        }
        let last = self.last.load(Ordering::Relaxed);
        let numbered = shards.iter().enumerate();
        for (number, shard) in numbered.clone().skip(last).chain(numbered.take(last)) {
            if put(shard) {
                self.last.store(number, Ordering::Relaxed);
                return true;
            }
        }
        self.refused.store(attempt, Ordering::Relaxed);
        false
    }
}

/// A frame of `len` bytes after so many returns. Of two after the same one, the greater needs
/// no less room.
fn attempt(returns: usize, len: usize) -> usize {
    returns << LEN_BITS | len.div_ceil(UNIT).min((1 << LEN_BITS) - 1)
}

/// More than the units of any usual frame. The returns left on 32 bits may come round: a span
/// is not offered elsewhere then though it could be, until the next one.
const LEN_BITS: u32 = 12;

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    fn shards() -> [Shard; 3] {
        core::array::from_fn(|_| Shard::new(&mut [], &mut [], 1))
    }

    /// The numbers of the shards that are asked, when this one has room.
    fn asked(
        own: &Elsewhere,
        shards: &[Shard],
        returns: &Returns,
        len: usize,
        room: usize,
    ) -> Vec<usize> {
        let mut asked = Vec::new();
        let has_taken = own.offer(shards, returns, len, |shard| {
            asked.extend(shards.iter().position(|one| core::ptr::eq(one, shard)));
            asked.last() == Some(&room)
        });
        assert_eq!(has_taken, asked.last() == Some(&room));
        asked
    }

    const NOWHERE: usize = usize::MAX;

    #[test]
    fn nobody_is_asked_again_before_room_is_given_back() {
        let (own, shards, returns) = (Elsewhere::new(), shards(), Returns::new());
        assert_eq!(asked(&own, &shards, &returns, 100, NOWHERE), [0, 1, 2]);
        assert_eq!(asked(&own, &shards, &returns, 100, 1), []);
        assert_eq!(asked(&own, &shards, &returns, usize::MAX, 1), []);
        returns.count();
        assert_eq!(asked(&own, &shards, &returns, 100, 1), [0, 1]);
    }

    #[test]
    fn a_shorter_frame_may_have_room_where_a_longer_one_had_none() {
        let (own, shards, returns) = (Elsewhere::new(), shards(), Returns::new());
        assert_eq!(asked(&own, &shards, &returns, 10 * UNIT, NOWHERE), [0, 1, 2]);
        assert_eq!(asked(&own, &shards, &returns, 9 * UNIT, NOWHERE), [0, 1, 2]);
        assert_eq!(asked(&own, &shards, &returns, 10 * UNIT, 0), []);
        assert_eq!(asked(&own, &shards, &returns, 1, 0), [0]);
    }

    #[test]
    fn the_ring_that_had_room_last_is_asked_first() {
        let (own, shards, returns) = (Elsewhere::new(), shards(), Returns::new());
        assert_eq!(asked(&own, &shards, &returns, 100, 1), [0, 1]);
        assert_eq!(asked(&own, &shards, &returns, 100, 1), [1]);
        assert_eq!(asked(&own, &shards, &returns, 100, 0), [1, 2, 0]);
        assert_eq!(asked(&own, &shards, &returns, 100, NOWHERE), [0, 1, 2]);
    }
}
