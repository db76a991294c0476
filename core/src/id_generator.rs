//! Where ids come from.

use core::cell::Cell;

use crate::{SpanId, TraceId};

/// Makes trace and span ids without asking anybody: one generator per thread,
/// one multiplication per 64 bits.
///
/// It is the generator "wyrand": a counter whose values are mixed by a widening
/// multiplication. All bits are uniform, so the
/// [random flag](https://www.w3.org/TR/trace-context-2/#random-trace-id-flag) of
/// its traces is set. It is not for secrets.
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
        TraceId::from_halves([self.next(), self.next_nonzero()])
    }

    /// A new span id, always valid.
    #[inline]
    pub fn span_id(&self) -> SpanId {
        SpanId::from_number(self.next_nonzero())
    }

    /// 64 uniform bits.
    #[inline]
    pub fn next(&self) -> u64 {
        let state = self.state.get().wrapping_add(0xa076_1d64_78bd_642f);
        self.state.set(state);
        let product = u128::from(state) * u128::from(state ^ 0xe703_7ed1_a0b4_28db);
        (product >> 64) as u64 ^ product as u64
    }

    #[inline]
    fn next_nonzero(&self) -> u64 {
        match self.next() {
            0 => 1,
            number => number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_valid_distinct_and_balanced() {
        let generator = IdGenerator::new(1);
        let mut seen = std::collections::HashSet::new();
        let mut ones = 0;
        for _ in 0..10_000 {
            let id = generator.trace_id();
            assert!(id.is_valid() && seen.insert(id));
            ones += id.randomness().count_ones();
        }
        // 560,000 fair bits: 280,000 ones, give or take ten deviations of 374.
        assert!((276_260..283_740).contains(&ones), "{ones}");
    }
}
