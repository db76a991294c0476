//! The traces that a book knows, found by their ids, in three lists.
//!
//! ```text
//!            first span          decided             nothing waits
//!   ┌──────┐           ┌──────┐           ┌──────────┐           ┌────────────┐
//!   │ room │ ────────▶ │ open │ ────────▶ │ settling │ ────────▶ │ remembered │
//!   └──────┘           └──────┘           └──────────┘           └────────────┘
//!      ▲                                           forgotten, for another │
//!      └──────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Each list is in the order in which its traces came into it.

use super::index::{self, Bucket};
use super::trace::{State, Trace};
use crate::TraceId;
use crate::prefetch::prefetch;

/// Room for 256 traces in a book, 39 KB; on bare targets for 16 of them, 2.5 KB.
///
/// What finds and links traces is kept apart from them, close together: a trace that is
/// forgotten left the processor's caches long ago, and is not asked for once more. Pages of
/// memory are found by caches too, so that what is asked for anywhere is on few of them.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Traces {
    pub(super) index: [Bucket; Traces::BUCKETS],
    links: [Link; Traces::COUNT],
    traces: [Trace; Traces::COUNT],
}

/// The place of a trace in its list.
#[derive(Clone, Copy, Debug)]
struct Link {
    before: u32,
    after: u32,
    /// What the index knows it by.
    tag: u32,
}

impl Traces {
    /// The traces for which there is room.
    pub const COUNT: usize = if IS_SMALL { 16 } else { 256 };
    /// A part of the index stays empty, so that a search nearly always ends where it begins.
    pub(super) const BUCKETS: usize = Traces::COUNT / 4;

    /// Room with no trace in it.
    pub const EMPTY: Traces = Traces {
        index: [Bucket::EMPTY; Traces::BUCKETS],
        links: [Link { before: NONE, after: NONE, tag: 0 }; Traces::COUNT],
        traces: [Trace::EMPTY; Traces::COUNT],
    };
}

impl Default for Traces {
    fn default() -> Self {
        Traces::EMPTY
    }
}

/// The traces, and where each is.
#[derive(Debug)]
pub(super) struct Table<M> {
    memory: M,
    /// The last ones that were found, by the last bits of their ids: where a search begins.
    recent: [Recent; RECENT],
    seed: u64,
    capacity: usize,
    /// The number of traces that had room so far.
    used: u32,
    lists: [List; 3],
}

/// A trace that was found lately.
#[derive(Clone, Copy, Debug)]
struct Recent {
    /// Some bits of its id. They tell without a look at the trace whether it may be that.
    bits: u32,
    number: u32,
}

impl Recent {
    const NONE: Recent = Recent { bits: 0, number: NONE };

    #[inline]
    fn new(id: TraceId, number: u32) -> Self {
        Recent { bits: (id.halves()[1] >> 32) as u32, number }
    }
}

#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    last: u32,
    len: usize,
}

impl<M: AsRef<[Traces]> + AsMut<[Traces]>> Table<M> {
    /// For so many traces at most. The seed keeps others from choosing ids that meet in one
    /// place.
    pub(super) fn new(memory: M, most: usize, seed: u64) -> Self {
        let capacity = (memory.as_ref().len() * Traces::COUNT).min(most).min(1 << 30);
        let (recent, empty) = ([Recent::NONE; RECENT], List { first: NONE, last: NONE, len: 0 });
        Table { memory, recent, seed, capacity, used: 0, lists: [empty; 3] }
    }

    /// The number of traces in this state.
    pub(super) fn count(&self, state: State) -> usize {
        self.lists[state as usize].len
    }

    /// Whether one more trace has room, if need be in place of one that is only
    /// remembered.
    pub(super) fn can_open(&self) -> bool {
        (self.used as usize) < self.capacity || self.count(State::Remembered) > 0
    }

    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<&Trace> {
        let block = self.memory.as_ref().get(number as usize / Traces::COUNT)?;
        block.traces.get(number as usize % Traces::COUNT)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Trace> {
        let block = self.memory.as_mut().get_mut(number as usize / Traces::COUNT)?;
        block.traces.get_mut(number as usize % Traces::COUNT)
    }

    /// The trace that came into this state first.
    pub(super) fn first(&self, state: State) -> Option<u32> {
        Some(self.lists[state as usize].first).filter(|number| *number != NONE)
    }

    /// The one behind it in its list.
    pub(super) fn next(&self, number: u32) -> Option<u32> {
        let block = self.memory.as_ref().get(number as usize / Traces::COUNT)?;
        Some(block.links[number as usize % Traces::COUNT].after).filter(|number| *number != NONE)
    }

    #[inline]
    pub(super) fn find(&mut self, id: TraceId) -> Option<u32> {
        let Recent { bits, number } = self.recent[recent_of(id)];
        // The trace itself may be far away, if it is another one.
        let is_it = bits == Recent::new(id, number).bits && self.is_at(id, number);
        if is_it { Some(number) } else { self.search(id) }
    }

    /// Says that this trace is looked for soon.
    #[inline]
    pub(super) fn expect(&self, id: TraceId) {
        let recent = self.recent[recent_of(id)];
        if recent.bits != Recent::new(id, NONE).bits {
            self.expect_search(id);
        } else if let Some(trace) = self.get(recent.number) {
            prefetch(&trace.id);
        }
    }

    #[inline(never)]
    fn expect_search(&self, id: TraceId) {
        index::prefetch(self.memory.as_ref(), self.tag_of(id));
    }

    #[inline(never)]
    fn search(&mut self, id: TraceId) -> Option<u32> {
        let is_it = |number| self.is_at(id, number);
        let number = index::find(self.memory.as_ref(), self.tag_of(id), is_it)?;
        self.recent[recent_of(id)] = Recent::new(id, number);
        Some(number)
    }

    #[inline]
    fn is_at(&self, id: TraceId, number: u32) -> bool {
        self.get(number).is_some_and(|trace| trace.id == id)
    }

    /// A new open trace, if need be in place of the one that is remembered longest.
    pub(super) fn open(&mut self, id: TraceId) -> Option<u32> {
        let number = if (self.used as usize) < self.capacity {
            self.used += 1;
            self.used - 1
        } else {
            let oldest = self.first(State::Remembered)?;
            self.unlink(oldest, State::Remembered);
            let tag = self.link_mut(oldest)?.tag;
            index::remove(self.memory.as_mut(), tag, oldest);
            self.prefetch_oldest();
            oldest
        };
        let tag = self.tag_of(id);
        index::insert(self.memory.as_mut(), tag, number);
        *self.get_mut(number)? = Trace { id, ..Trace::EMPTY };
        self.link_mut(number)?.tag = tag;
        self.link(number, State::Open);
        self.recent[recent_of(id)] = Recent::new(id, number);
        Some(number)
    }

    /// The trace that is forgotten next was not asked for since long.
    fn prefetch_oldest(&mut self) {
        let Some(oldest) = self.first(State::Remembered) else { return };
        let Some(&mut Link { tag, .. }) = self.link_mut(oldest) else { return };
        index::prefetch(self.memory.as_ref(), tag);
        if let Some(trace) = self.get(oldest) {
            prefetch(&trace.id);
            prefetch(&trace.kept);
        }
    }

    /// Moves a trace to the end of another list.
    pub(super) fn move_to(&mut self, number: u32, state: State) {
        let Some(trace) = self.get_mut(number) else { return };
        let former = core::mem::replace(&mut trace.state, state);
        self.unlink(number, former);
        self.link(number, state);
    }

    fn link(&mut self, number: u32, state: State) {
        let list = &mut self.lists[state as usize];
        let before = core::mem::replace(&mut list.last, number);
        list.len += 1;
        if before == NONE {
            list.first = number;
        }
        if let Some(before) = self.link_mut(before) {
            before.after = number;
        }
        if let Some(link) = self.link_mut(number) {
            (link.before, link.after) = (before, NONE);
        }
    }

    fn unlink(&mut self, number: u32, state: State) {
        let Some(&mut Link { before, after, .. }) = self.link_mut(number) else { return };
        match self.link_mut(before) {
            Some(before) => before.after = after,
            None => self.lists[state as usize].first = after,
        }
        match self.link_mut(after) {
            Some(after) => after.before = before,
            None => self.lists[state as usize].last = before,
        }
        self.lists[state as usize].len -= 1;
    }

    fn link_mut(&mut self, number: u32) -> Option<&mut Link> {
        let block = self.memory.as_mut().get_mut(number as usize / Traces::COUNT)?;
        block.links.get_mut(number as usize % Traces::COUNT)
    }

    fn tag_of(&self, id: TraceId) -> u32 {
        let [high, low] = id.halves();
        let product =
            u128::from(low ^ self.seed) * u128::from(high ^ self.seed.rotate_left(32) | 1);
        (product >> 64) as u32 ^ product as u32
    }
}

/// The one of the recent traces that may have this id.
#[inline]
fn recent_of(id: TraceId) -> usize {
    id.halves()[1] as usize % RECENT
}

/// Bare targets have little memory, and models a small stack.
const IS_SMALL: bool = cfg!(any(target_os = "none", throughline_loom));
/// More than there are requests at once in most programs.
const RECENT: usize = if IS_SMALL { 64 } else { 1_024 };
/// No trace.
const NONE: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, VecDeque};
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
    fn traces_are_found_until_they_are_the_oldest_that_is_forgotten() {
        for capacity in [16, 48, 112, Traces::COUNT, 2 * Traces::COUNT] {
            let blocks = capacity.div_ceil(Traces::COUNT);
            let mut table =
                Table::new(vec![Traces::EMPTY; blocks], capacity, 0x1234_5678_9abc_def0);
            let mut numbers = HashMap::new();
            let (mut open, mut remembered) = (VecDeque::new(), VecDeque::new());
            for step in 1..20_000u64 {
                let name = step * 31 % 997;
                match numbers.get(&name) {
                    Some(number) => {
                        assert_eq!(table.find(id(name)), Some(*number));
                        // It is decided, if it is not yet.
                        if let Some(at) = open.iter().position(|open| *open == name) {
                            open.remove(at);
                            remembered.push_back(name);
                            table.move_to(*number, State::Remembered);
                        }
                    }
                    None => {
                        let is_full = numbers.len() == capacity;
                        assert_eq!(table.can_open(), !is_full || !remembered.is_empty());
                        if is_full && let Some(oldest) = remembered.pop_front() {
                            numbers.remove(&oldest);
                        }
                        match table.open(id(name)) {
                            Some(number) => {
                                open.push_back(name);
                                assert_eq!(numbers.insert(name, number), None);
                            }
                            None => assert_eq!(open.len(), capacity),
                        }
                        // Some are decided, so that not all remain open.
                        if open.len() > capacity / 2 && step % 3 != 0 {
                            let name = open.pop_front().unwrap();
                            remembered.push_back(name);
                            table.move_to(numbers[&name], State::Remembered);
                        }
                    }
                }
                assert_eq!(table.find(id(name)), numbers.get(&name).copied());
                assert_eq!(table.count(State::Open), open.len());
                assert_eq!(table.count(State::Remembered), remembered.len());
            }
            for name in 0..997 {
                assert_eq!(table.find(id(name)), numbers.get(&name).copied());
            }
        }
    }

    #[test]
    fn a_list_is_in_the_order_in_which_traces_came_into_it() {
        let mut table = Table::new(vec![Traces::EMPTY; 1], 16, 1);
        let opened: vec::Vec<u32> = (0..16).map(|n| table.open(id(n)).unwrap()).collect();
        assert_eq!(table.open(id(99)), None);
        for &number in &opened[4..] {
            table.move_to(number, State::Settling);
        }
        for number in [opened[2], opened[0], opened[3]] {
            table.move_to(number, State::Remembered);
        }
        assert_eq!(table.first(State::Open), Some(opened[1]));
        assert_eq!(table.next(opened[1]), None);
        assert_eq!(table.first(State::Settling), Some(opened[4]));
        assert_eq!(table.next(opened[15]), None);
        assert_eq!(table.first(State::Remembered), Some(opened[2]));
        assert_eq!(table.next(opened[2]), Some(opened[0]));
        assert_eq!(table.next(opened[0]), Some(opened[3]));
        assert_eq!(table.open(id(99)), Some(opened[2]));
        assert_eq!(table.find(id(2)), None);
        assert_eq!(table.first(State::Remembered), Some(opened[0]));
    }
}
