//! Which trace is where: a hash table of buckets, a cache line each.
//!
//! A trace is in the bucket that its tag says, in proportion, or where that was full, in one
//! behind it, and each bucket counts those that had to pass it. All of a bucket is compared at
//! once, so that there is nothing to guess for the processor.

use super::Traces;
use crate::prefetch;

/// Some traces, each by a part of the hash of its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub(super) struct Bucket {
    tags: [u32; Bucket::WAYS],
    /// How many are in a bucket behind this one, since it was full.
    passed: u32,
    /// The numbers of the traces; `NONE` where there is room.
    numbers: [u32; Bucket::WAYS],
}

impl Bucket {
    const WAYS: usize = 7;
    pub(super) const EMPTY: Bucket =
        Bucket { tags: [0; Bucket::WAYS], passed: 0, numbers: [NONE; Bucket::WAYS] };
}

/// The places at which this is, a bit for each.
#[inline(always)]
fn places_of(what: u32, all: &[u32; Bucket::WAYS]) -> u32 {
    let bits = all.iter().enumerate().map(|(place, one)| u32::from(*one == what) << place);
    bits.fold(0, |all, bit| all | bit)
}

/// The trace with this tag that is the one.
#[inline]
pub(super) fn find(memory: &[Traces], tag: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
    for home in behind(memory, tag) {
        let bucket = get(memory, home)?;
        let mut places = places_of(tag, &bucket.tags);
        while places != 0 {
            let number = bucket.numbers.get(places.trailing_zeros() as usize)?;
            if is_it(*number) {
                return Some(*number);
            }
            places &= places - 1;
        }
        if bucket.passed == 0 {
            return None;
        }
    }
    None
}

/// Adds a trace, which is not there yet.
pub(super) fn insert(memory: &mut [Traces], tag: u32, number: u32) {
    for home in behind(memory, tag) {
        let Some(bucket) = get_mut(memory, home) else { return };
        let place = places_of(NONE, &bucket.numbers).trailing_zeros() as usize;
        if let Some(free) = bucket.numbers.get_mut(place).zip(bucket.tags.get_mut(place)) {
            (*free.0, *free.1) = (number, tag);
            return;
        }
        bucket.passed += 1;
    }
}

/// Takes out a trace, which is there.
pub(super) fn remove(memory: &mut [Traces], tag: u32, number: u32) {
    for home in behind(memory, tag) {
        let Some(bucket) = get_mut(memory, home) else { return };
        let place = places_of(number, &bucket.numbers).trailing_zeros() as usize;
        if let Some(taken) = bucket.numbers.get_mut(place) {
            *taken = NONE;
            return;
        }
        bucket.passed = bucket.passed.saturating_sub(1);
    }
}

/// Says that a trace with this tag is looked for soon.
#[inline]
pub(super) fn prefetch(memory: &[Traces], tag: u32) {
    if let Some(bucket) = get(memory, home(memory, tag)) {
        prefetch::prefetch(bucket);
    }
}

fn buckets(memory: &[Traces]) -> usize {
    memory.len() * Traces::BUCKETS
}

#[inline]
fn home(memory: &[Traces], tag: u32) -> usize {
    ((u64::from(tag) * buckets(memory) as u64) >> 32) as usize
}

/// All buckets, from the one that the tag says.
#[inline]
fn behind(memory: &[Traces], tag: u32) -> impl Iterator<Item = usize> + use<> {
    let (home, all) = (home(memory, tag), buckets(memory));
    (home..home + all).map(move |number| if number < all { number } else { number - all })
}

#[inline]
fn get(memory: &[Traces], number: usize) -> Option<&Bucket> {
    memory.get(number / Traces::BUCKETS)?.index.get(number % Traces::BUCKETS)
}

#[inline]
fn get_mut(memory: &mut [Traces], number: usize) -> Option<&mut Bucket> {
    memory.get_mut(number / Traces::BUCKETS)?.index.get_mut(number % Traces::BUCKETS)
}

const NONE: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Few tags, some of them at the very end: traces share their buckets, and are pushed
        /// on, and around.
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
            for (number, tag) in known {
                remove(&mut memory, tag, number);
            }
            let all = memory.iter().flat_map(|block| block.index);
            let is_empty = |bucket: Bucket| {
                bucket.passed == 0 && bucket.numbers == Bucket::EMPTY.numbers
            };
            prop_assert!(all.into_iter().all(is_empty));
        }
    }

    #[test]
    fn without_memory_there_is_nothing() {
        assert_eq!(find(&[], u32::MAX, |_| true), None);
        insert(&mut [], 7, 1);
        remove(&mut [], 7, 1);
    }
}
