//! Where ids come from.

use core::cell::Cell;

use crate::sync::{AtomicUsize, Ordering};
use crate::{SpanId, TraceId};

/// Makes trace and span ids without asking anybody: one generator per thread,
/// one multiplication per 64 bits.
///
/// It is the generator "wyrand": a counter whose values are mixed by a widening
/// multiplication. All bits are uniform, so the
/// [random flag](https://www.w3.org/TR/trace-context-2/#random-trace-id-flag) of
/// its traces is set. It is not for secrets.
///
/// A process that is forked off has a copy of its thread's generator. An id for which the
/// clock is read (that of a root, and of each span that is recorded) depends on the tick,
/// and so do all that come after it: from the first of them on, the two processes have
/// nothing in common. Only spans that are dropped, below a parent from before the fork and
/// before any such id, may have the same span ids in both.
#[derive(Debug)]
pub struct IdGenerator {
    state: Cell<u64>,
}

impl IdGenerator {
    /// A generator with this seed; two with the same seed make the same ids.
    pub const fn new(seed: u64) -> Self {
        IdGenerator { state: Cell::new(seed) }
    }

    /// A new trace id, always valid.
    #[inline]
    pub fn trace_id(&self) -> TraceId {
        self.trace_id_at(0)
    }

    /// A new span id, always valid.
    #[inline]
    pub fn span_id(&self) -> SpanId {
        self.span_id_at(0)
    }

    /// Begins anew with this seed.
    pub(crate) fn reseed(&self, seed: u64) {
        self.state.set(seed);
    }

    /// 64 uniform bits.
    #[inline]
    pub fn next(&self) -> u64 {
        self.next_at(0)
    }

    /// A trace id that depends on the time too, as all later ids do: a process that was
    /// forked off has the same generator, and is never asked at the same tick.
    #[inline]
    pub(crate) fn trace_id_at(&self, ticks: u64) -> TraceId {
        TraceId::from_halves([self.next_at(ticks), self.nonzero_at(ticks)])
    }

    /// A span id that depends on the time too.
    #[inline]
    pub(crate) fn span_id_at(&self, ticks: u64) -> SpanId {
        SpanId::from_number(self.nonzero_at(ticks))
    }

    #[cfg_attr(not(target_os = "none"), inline)]
    fn nonzero_at(&self, ticks: u64) -> u64 {
        match self.next_at(ticks) {
            0 => 1,
            number => number,
        }
    }

    #[cfg_attr(not(target_os = "none"), inline)]
    fn next_at(&self, ticks: u64) -> u64 {
        // The ticks stay in the state, which costs nothing: ids without them differ then too.
        let state = self.state.get().wrapping_add(STEP) ^ ticks;
        self.state.set(state);
        let product = u128::from(state) * u128::from(state ^ 0xe703_7ed1_a0b4_28db);
        (product >> 64) as u64 ^ product as u64
    }
}

const STEP: u64 = 0xa076_1d64_78bd_642f;

/// Ids for tests: of all threads in one sequence, which depends on the seed and
/// nothing else.
#[derive(Debug)]
pub(crate) struct SeededIds {
    seed: u64,
    drawn: AtomicUsize,
}

impl SeededIds {
    pub(crate) fn new(seed: u64) -> Self {
        SeededIds { seed, drawn: AtomicUsize::new(0) }
    }

    pub(crate) fn trace_id(&self) -> TraceId {
        self.draw().trace_id()
    }

    pub(crate) fn span_id(&self) -> SpanId {
        self.draw().span_id()
    }

    /// A generator for one id, of at most two numbers.
    fn draw(&self) -> IdGenerator {
        // Ordering: Relaxed, the number is all there is.
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed) as u64;
        IdGenerator::new(self.seed.wrapping_add(STEP.wrapping_mul(2 * drawn)))
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn seeded_ids_are_the_same_again_and_no_two_alike() {
        let draw = |seed| {
            let ids = SeededIds::new(seed);
            let spans = (0..1_000).map(|_| ids.span_id()).collect::<std::vec::Vec<_>>();
            (ids.trace_id(), spans)
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7).0, draw(8).0);
        let distinct: std::collections::HashSet<_> =
            draw(7).1.into_iter().chain(draw(8).1).collect();
        assert_eq!(distinct.len(), 2_000);
    }

    /// Whatever the clock does: it stands still, or goes on by much or little.
    #[test]
    fn ids_are_valid_distinct_and_balanced() {
        for step in [0, 1, 7, 1_000, 1 << 40] {
            let generator = IdGenerator::new(1);
            let mut seen = std::collections::HashSet::new();
            let mut ones = 0;
            for n in 0..10_000 {
                let id = generator.trace_id_at((1 << 50) + n * step);
                assert!(id.is_valid() && seen.insert(id));
                ones += id.randomness().count_ones();
            }
            // 560,000 fair bits: 280,000 ones, give or take ten deviations of 374.
            assert!((276_260..283_740).contains(&ones), "{ones}");
        }
    }

    #[test]
    fn after_an_id_that_reads_the_clock_a_forked_generator_makes_no_id_of_the_former_one() {
        let (parent, child) = (IdGenerator::new(1), IdGenerator::new(1));
        assert_ne!(parent.trace_id_at(1_000), child.trace_id_at(1_001));
        let draw = |of: &IdGenerator| (0..10_000).map(|_| of.span_id()).collect::<Vec<_>>();
        let distinct: std::collections::HashSet<_> =
            draw(&parent).into_iter().chain(draw(&child)).collect();
        assert_eq!(distinct.len(), 20_000);
    }
}
