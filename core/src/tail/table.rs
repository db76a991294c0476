//! The traces that a book knows, found by their ids, in three lists.
//!
//! ```text
//!            first span          decided             nothing waits
//!   ┌──────┐           ┌──────┐           ┌──────────┐           ┌────────────┐
//!   │ free │ ────────▶ │ open │ ────────▶ │ settling │ ────────▶ │ remembered │
//!   └──────┘           └──────┘           └──────────┘           └────────────┘
//!      ▲                                                  forgotten   │
//!      └──────────────────────────────────────────────────────────────┘
//! ```
//!
//! Each list is in the order in which its traces came into it.

use super::mark::Mark;
use crate::TraceId;

/// Room for one trace in a book: 128 bytes.
///
/// What each of its spans asks for is on the first cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Trace {
    pub(super) id: TraceId,
    /// The first trace of the bucket with this number.
    bucket: u32,
    /// The next one in the bucket of this trace.
    in_bucket: u32,
    pub(super) state: State,
    /// Bits of [`Facts`](super::Facts).
    pub(super) seen: u8,
    pub(super) has_local_root: bool,
    /// It began here, where every such trace is sampled at the head.
    pub(super) is_head_known: bool,
    /// In which buffers frames of it wait: a bit for each pipeline.
    pub(super) holders: u16,
    /// In nanoseconds since the Unix epoch.
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) notes: u64,
    before: u32,
    after: u32,
    /// The last look before which it was known.
    pub(super) opened: u64,
    /// The last look that found a local root of it under way.
    pub(super) looked: u64,
    pub(super) randomness: u64,
    /// While it is open, when it is decided at last, in nanoseconds; then, the
    /// number of its decision.
    pub(super) deadline: u64,
    /// How it was kept; `None` if it was dropped.
    pub(super) kept: Option<Mark>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Free,
    /// Undecided.
    Open,
    /// Decided, and frames of it still wait.
    Settling,
    /// Decided, for spans that come later.
    Remembered,
}

impl Trace {
    /// Room with no trace in it.
    pub const EMPTY: Trace = Trace {
        id: TraceId::INVALID,
        bucket: NONE,
        in_bucket: NONE,
        before: NONE,
        after: NONE,
        state: State::Free,
        seen: 0,
        has_local_root: false,
        is_head_known: false,
        holders: 0,
        opened: 0,
        looked: 0,
        notes: 0,
        begin: u64::MAX,
        end: 0,
        randomness: 0,
        deadline: 0,
        kept: None,
    };
}

impl Default for Trace {
    fn default() -> Self {
        Trace::EMPTY
    }
}

/// The traces, and where each is.
#[derive(Debug)]
pub(super) struct Table<M> {
    memory: M,
    /// Where a search begins: spans of one trace come in runs.
    last: u32,
    seed: u64,
    /// The number of buckets less one.
    mask: u32,
    fresh: u32,
    lists: [List; 4],
}

#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    last: u32,
    len: usize,
}

impl<M: AsRef<[Trace]> + AsMut<[Trace]>> Table<M> {
    /// The seed keeps others from choosing ids that meet in one bucket.
    pub(super) fn new(memory: M, seed: u64) -> Self {
        let capacity = memory.as_ref().len().min(1 << 30) as u32;
        // A power of two, at most twice as many traces as buckets.
        let buckets = if capacity == 0 { 1 } else { 1 << capacity.ilog2() };
        let empty = List { first: NONE, last: NONE, len: 0 };
        Table { memory, last: NONE, seed, mask: buckets - 1, fresh: 0, lists: [empty; 4] }
    }

    pub(super) fn capacity(&self) -> usize {
        self.memory.as_ref().len().min(1 << 30)
    }

    /// The number of traces in this state.
    pub(super) fn count(&self, state: State) -> usize {
        self.lists[state as usize].len
    }

    pub(super) fn has_free(&self) -> bool {
        self.count(State::Free) > 0 || (self.fresh as usize) < self.capacity()
    }

    #[inline]
    pub(super) fn get(&self, index: u32) -> Option<&Trace> {
        self.memory.as_ref().get(index as usize)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut Trace> {
        self.memory.as_mut().get_mut(index as usize)
    }

    /// The trace that came into this state first.
    pub(super) fn first(&self, state: State) -> Option<u32> {
        Some(self.lists[state as usize].first).filter(|index| *index != NONE)
    }

    /// The one behind it in its list.
    pub(super) fn next(&self, index: u32) -> Option<u32> {
        self.get(index).map(|trace| trace.after).filter(|index| *index != NONE)
    }

    #[inline]
    pub(super) fn find(&mut self, id: TraceId) -> Option<u32> {
        if let Some(trace) = self.get(self.last)
            && trace.id == id
            && trace.state != State::Free
        {
            return Some(self.last);
        }
        let mut index = self.get(self.bucket_of(id))?.bucket;
        while let Some(trace) = self.get(index) {
            if trace.id == id {
                self.last = index;
                return Some(index);
            }
            index = trace.in_bucket;
        }
        None
    }

    /// A new open trace, if there is room.
    pub(super) fn open(&mut self, id: TraceId) -> Option<u32> {
        let index = match self.first(State::Free) {
            Some(index) => {
                self.unlink(index);
                index
            }
            None if (self.fresh as usize) < self.capacity() => {
                self.fresh += 1;
                self.fresh - 1
            }
            None => return None,
        };
        let bucket = self.bucket_of(id);
        let head =
            self.get_mut(bucket).map_or(NONE, |head| core::mem::replace(&mut head.bucket, index));
        let trace = self.get_mut(index)?;
        *trace = Trace { id, bucket: trace.bucket, in_bucket: head, ..Trace::EMPTY };
        self.link(index, State::Open);
        self.last = index;
        Some(index)
    }

    /// Moves a trace to the end of another list.
    pub(super) fn move_to(&mut self, index: u32, state: State) {
        self.unlink(index);
        self.link(index, state);
    }

    /// Forgets a trace.
    pub(super) fn forget(&mut self, index: u32) {
        let Some(&Trace { id, in_bucket, .. }) = self.get(index) else { return };
        let bucket = self.bucket_of(id);
        let mut at = self.get(bucket).map_or(NONE, |head| head.bucket);
        if at == index {
            if let Some(head) = self.get_mut(bucket) {
                head.bucket = in_bucket;
            }
        } else {
            while let Some(trace) = self.get_mut(at) {
                if trace.in_bucket == index {
                    trace.in_bucket = in_bucket;
                    break;
                }
                at = trace.in_bucket;
            }
        }
        self.move_to(index, State::Free);
    }

    fn link(&mut self, index: u32, state: State) {
        let list = &mut self.lists[state as usize];
        let before = core::mem::replace(&mut list.last, index);
        list.len += 1;
        if before == NONE {
            list.first = index;
        }
        if let Some(before) = self.get_mut(before) {
            before.after = index;
        }
        if let Some(trace) = self.get_mut(index) {
            (trace.before, trace.after, trace.state) = (before, NONE, state);
        }
    }

    fn unlink(&mut self, index: u32) {
        let Some(&Trace { before, after, state, .. }) = self.get(index) else { return };
        match self.get_mut(before) {
            Some(before) => before.after = after,
            None => self.lists[state as usize].first = after,
        }
        match self.get_mut(after) {
            Some(after) => after.before = before,
            None => self.lists[state as usize].last = before,
        }
        self.lists[state as usize].len -= 1;
    }

    fn bucket_of(&self, id: TraceId) -> u32 {
        let [high, low] = id.halves();
        let product =
            u128::from(low ^ self.seed) * u128::from(high ^ self.seed.rotate_left(32) | 1);
        ((product >> 64) as u32 ^ product as u32) & self.mask
    }
}

/// No trace.
const NONE: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::vec;

    use super::*;

    fn id(number: u64) -> TraceId {
        TraceId::from_halves([7, number])
    }

    #[test]
    fn a_trace_is_two_cache_lines_of_which_its_spans_ask_for_one() {
        assert_eq!(size_of::<Trace>(), 128);
        assert!(core::mem::offset_of!(Trace, notes) + 8 <= 64);
    }

    #[test]
    fn traces_are_found_until_they_are_forgotten_in_every_order() {
        for capacity in [1, 2, 3, 7, 64] {
            let mut table = Table::new(vec![Trace::EMPTY; capacity], 0x1234_5678_9abc_def0);
            let mut known = HashMap::new();
            for step in 1..5_000u64 {
                let number = step * 31 % 97;
                match known.get(&number) {
                    Some(index) => {
                        assert_eq!(table.find(id(number)), Some(*index));
                        table.forget(*index);
                        known.remove(&number);
                    }
                    None => match table.open(id(number)) {
                        Some(index) => {
                            assert!(known.len() < capacity);
                            known.insert(number, index);
                        }
                        None => assert_eq!(known.len(), capacity),
                    },
                }
                assert_eq!(table.find(id(number)), known.get(&number).copied());
                assert_eq!(table.count(State::Open), known.len());
            }
        }
    }

    #[test]
    fn a_list_is_in_the_order_in_which_traces_came_into_it() {
        let mut table = Table::new(vec![Trace::EMPTY; 4], 1);
        let opened: vec::Vec<u32> = (0..4).map(|n| table.open(id(n)).unwrap()).collect();
        assert_eq!(table.open(id(9)), None);
        for index in [opened[2], opened[0], opened[3]] {
            table.move_to(index, State::Remembered);
        }
        assert_eq!(table.first(State::Open), Some(opened[1]));
        assert_eq!(table.next(opened[1]), None);
        assert_eq!(table.first(State::Remembered), Some(opened[2]));
        assert_eq!(table.next(opened[2]), Some(opened[0]));
        assert_eq!(table.next(opened[0]), Some(opened[3]));
        table.forget(opened[0]);
        assert_eq!(table.next(opened[2]), Some(opened[3]));
        assert_eq!(table.open(id(9)), Some(opened[0]));
    }
}
