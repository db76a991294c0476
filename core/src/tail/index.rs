//! Which trace is where: a hash table with open addressing.
//!
//! An entry has its home at the place that its tag says, in proportion, and lies there
//! or, where others were before it, at the next places behind. No more than half of
//! the places are in use, so that there is an empty one soon, where a search ends.

use super::Traces;
use crate::prefetch;

/// A trace, by a part of the hash of its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    tag: u32,
    /// The number of the trace; `NONE` where there is no entry.
    number: u32,
}

impl Entry {
    pub(super) const EMPTY: Entry = Entry { tag: 0, number: NONE };
}

/// The trace with this tag that is the one.
#[inline]
pub(super) fn find(memory: &[Traces], tag: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
    let home = home(memory, tag);
    let (mut block, mut first) = (home / Traces::ENTRIES, home % Traces::ENTRIES);
    loop {
        for entry in memory.get(block)?.index.get(first..)? {
            if entry.number == NONE {
                return None;
            }
            if entry.tag == tag && is_it(entry.number) {
                return Some(entry.number);
            }
        }
        (block, first) = (if block + 1 < memory.len() { block + 1 } else { 0 }, 0);
    }
}

/// Adds a trace, which is not there yet.
pub(super) fn insert(memory: &mut [Traces], tag: u32, number: u32) {
    let mut place = home(memory, tag);
    while let Some(entry) = get(memory, place) {
        if entry.number == NONE {
            return set(memory, place, Entry { tag, number });
        }
        place = after(memory, place);
    }
}

/// Takes a trace out, and closes the gap.
pub(super) fn remove(memory: &mut [Traces], tag: u32, number: u32) {
    let mut gap = home(memory, tag);
    loop {
        match get(memory, gap) {
            None | Some(Entry { number: NONE, .. }) => return,
            Some(entry) if entry.number == number => break,
            Some(_) => gap = after(memory, gap),
        }
    }
    let mut place = gap;
    loop {
        place = after(memory, place);
        let Some(entry) = get(memory, place).filter(|entry| entry.number != NONE) else { break };
        // It may move up to its home, and not beyond.
        let home = home(memory, entry.tag);
        if distance(memory, home, place) >= distance(memory, gap, place) {
            set(memory, gap, entry);
            gap = place;
        }
    }
    set(memory, gap, Entry::EMPTY);
}

/// Says that a trace with this tag is looked for soon.
#[inline]
pub(super) fn prefetch(memory: &[Traces], tag: u32) {
    let home = home(memory, tag);
    if let Some(block) = memory.get(home / Traces::ENTRIES) {
        prefetch::prefetch(&block.index[home % Traces::ENTRIES]);
    }
}

fn places(memory: &[Traces]) -> usize {
    memory.len() * Traces::ENTRIES
}

#[inline]
fn home(memory: &[Traces], tag: u32) -> usize {
    ((u64::from(tag) * places(memory) as u64) >> 32) as usize
}

#[inline]
fn after(memory: &[Traces], place: usize) -> usize {
    if place + 1 < places(memory) { place + 1 } else { 0 }
}

/// How far it is from one place to another one behind it.
fn distance(memory: &[Traces], from: usize, to: usize) -> usize {
    if from <= to { to - from } else { to + places(memory) - from }
}

#[inline]
fn get(memory: &[Traces], place: usize) -> Option<Entry> {
    memory.get(place / Traces::ENTRIES).map(|block| block.index[place % Traces::ENTRIES])
}

fn set(memory: &mut [Traces], place: usize, entry: Entry) {
    if let Some(block) = memory.get_mut(place / Traces::ENTRIES) {
        block.index[place % Traces::ENTRIES] = entry;
    }
}

const NONE: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Few tags, some of them at the very end: entries share their homes, push each
        /// other on, and around.
        #[test]
        fn what_is_there_is_found_whatever_was_taken_out_before(
            steps in prop::collection::vec((0..48u32, 0..12u32), 1..400),
        ) {
            let mut memory = vec![Traces::EMPTY; 2];
            let mut known: BTreeMap<u32, u32> = BTreeMap::new();
            for (number, tag) in steps {
                let tag = if tag < 6 { u32::MAX - tag } else { tag << 26 };
                match known.remove(&number) {
                    Some(tag) => remove(&mut memory, tag, number),
                    None if known.len() < 32 => {
                        insert(&mut memory, tag, number);
                        known.insert(number, tag);
                    }
                    None => {}
                }
                for number in 0..48 {
                    for tag in known.get(&number).into_iter().chain(&[tag]) {
                        let found = find(&memory, *tag, |other| other == number);
                        let is_known = known.get(&number) == Some(tag);
                        prop_assert_eq!(found, is_known.then_some(number));
                    }
                }
            }
            let entries = memory.iter().flat_map(|block| block.index);
            let left: Vec<Entry> = entries.filter(|entry| *entry != Entry::EMPTY).collect();
            prop_assert_eq!(left.len(), known.len());
        }
    }

    #[test]
    fn without_memory_there_is_nothing() {
        assert_eq!(find(&[], u32::MAX, |_| true), None);
        insert(&mut [], 7, 1);
        remove(&mut [], 7, 1);
    }
}
