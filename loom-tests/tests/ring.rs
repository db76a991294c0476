//! Models of the ring: claim, commit, take, release, close.
#![cfg(throughline_loom)]

use core::mem::ManuallyDrop;
use core::sync::atomic::AtomicUsize;
use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use throughline_core::{Consumer, Refusal, Ring, UNIT};
use throughline_loom_tests::{Preemptions, join, model, ring};

/// Submits a frame of so many units, filled with the tag.
fn submit(ring: &Ring<u8>, tag: u8, units: usize) -> Result<(), Refusal> {
    ring.submit(tag, units * UNIT, |bytes| bytes.fill(tag)).map_err(|refused| {
        assert_eq!(refused.tag, tag, "another tag came back");
        refused.why
    })
}

/// Takes the oldest frame, whose bytes must be those of its tag.
fn pop(consumer: &mut Consumer<u8>) -> Option<u8> {
    let frame = consumer.peek()?;
    let first = frame.bytes()[0];
    assert!(frame.bytes().iter().all(|byte| *byte == first), "a mixed frame");
    let tag = frame.take();
    assert_eq!(tag, first, "the tag of another frame");
    Some(tag)
}

fn drain(consumer: &mut Consumer<u8>) -> Vec<u8> {
    core::iter::from_fn(|| pop(consumer)).collect()
}

fn sorted(mut tags: Vec<u8>) -> Vec<u8> {
    tags.sort_unstable();
    tags
}

// Fails when a claim is not one read-modify-write of `head`, or when the commit
// does not release the bytes and the tag.
#[test]
fn every_frame_of_two_producers_is_taken_once() {
    model(Preemptions { quick: 4, full: 7 }, || {
        let (ring, mut consumer) = ring(2);
        let other = thread::spawn(move || submit(ring, 1, 1).expect("room for both"));
        let third = thread::spawn(move || submit(ring, 2, 1).expect("room for both"));
        let mut taken: Vec<u8> = pop(&mut consumer).into_iter().collect();
        taken.extend(pop(&mut consumer));
        join(other);
        join(third);
        taken.extend(drain(&mut consumer));
        assert_eq!(sorted(taken), [1, 2]);
        assert_eq!(ring.used(), 0);
    });
}

/// One producer offers more than fits while the consumer takes what there is.
fn wraps_at(capacity: usize, preemptions: Preemptions) {
    model(preemptions, move || {
        let (ring, mut consumer) = ring(capacity);
        let producer = thread::spawn(move || {
            let offered = 1..=capacity as u8 + 2;
            offered.filter(|tag| submit(ring, *tag, 1).is_ok()).collect::<Vec<_>>()
        });
        let mut taken = Vec::new();
        for _ in 0..capacity + 1 {
            taken.extend(pop(&mut consumer));
        }
        let accepted = join(producer);
        taken.extend(drain(&mut consumer));
        assert_eq!(taken, accepted);
    });
}

// Fails when the consumer's release does not hand its reads over with `tail`, or
// when a unit is handed over before its commit is cleared.
#[test]
fn frames_stay_in_order_across_the_wrap_at_capacity_one() {
    wraps_at(1, Preemptions { quick: 5, full: 8 });
}

// Fails as at capacity one, and when positions of different laps are confused.
#[test]
fn frames_stay_in_order_across_the_wrap_at_a_power_of_two() {
    wraps_at(2, Preemptions { quick: 5, full: 8 });
}

// Fails as at capacity two, and when the unit is taken from the position by a
// mask instead of a comparison.
#[test]
fn frames_stay_in_order_across_the_wrap_at_another_capacity() {
    wraps_at(3, Preemptions { quick: 4, full: 6 });
}

// Fails when a producer relies on what another one saw of the consumer, and does not
// acquire it, or the other one does not release it.
#[test]
fn what_one_producer_saw_to_be_free_is_free_for_another() {
    model(Preemptions { quick: 3, full: 5 }, || {
        let (ring, mut consumer) = ring(3);
        for tag in 1..=3 {
            submit(ring, tag, 1).expect("room");
        }
        // Nothing was seen to be free.
        let other = thread::spawn(move || submit(ring, 4, 1).is_ok());
        let third = thread::spawn(move || submit(ring, 5, 1).is_ok());
        let mut taken = Vec::new();
        for _ in 0..3 {
            taken.extend(pop(&mut consumer));
        }
        let mut accepted = vec![1, 2, 3];
        accepted.extend(join(other).then_some(4));
        accepted.extend(join(third).then_some(5));
        taken.extend(drain(&mut consumer));
        assert_eq!(sorted(taken), accepted);
        assert_eq!(ring.used(), 0);
    });
}

// Fails when the units left at the end are not committed as a skip, when the
// skip passes over another number of units, or when full forgets them.
#[test]
fn a_frame_that_does_not_fit_at_the_end_begins_at_the_start() {
    model(Preemptions { quick: 3, full: 5 }, || {
        let (ring, mut consumer) = ring(3);
        submit(ring, 1, 1).expect("the ring is empty");
        submit(ring, 2, 1).expect("there is room");
        // One unit is left at the end, and then one or two at the start.
        let other = thread::spawn(move || submit(ring, 3, 2).is_ok());
        let third = thread::spawn(move || submit(ring, 4, 1).is_ok());
        let mut taken = Vec::new();
        for _ in 0..3 {
            taken.extend(pop(&mut consumer));
        }
        let mut accepted = vec![1, 2];
        accepted.extend(join(other).then_some(3));
        accepted.extend(join(third).then_some(4));
        taken.extend(drain(&mut consumer));
        assert_eq!(taken[..2], [1, 2]);
        assert_eq!(sorted(taken), accepted);
        assert_eq!(ring.used(), 0);
        submit(ring, 5, 2).expect("an empty ring has room for half of it");
        assert_eq!(drain(&mut consumer), [5]);
    });
}

// Fails when full lets one frame too many in, or refuses one that fits.
#[test]
fn a_full_ring_refuses_exactly_what_does_not_fit() {
    model(Preemptions { quick: 4, full: 8 }, || {
        let (ring, mut consumer) = ring(1);
        let other = thread::spawn(move || submit(ring, 1, 1));
        let third = thread::spawn(move || submit(ring, 2, 1));
        let results = [join(other), join(third)];
        let accepted = results.iter().position(Result::is_ok).expect("there is room for one");
        assert_eq!(results[1 - accepted], Err(Refusal::Full));
        assert_eq!(drain(&mut consumer), [accepted as u8 + 1]);
        submit(ring, 3, 1).expect("room again");
        assert_eq!(drain(&mut consumer), [3]);
    });
}

// Fails when a unit is committed before it is written, or when the consumer goes
// past a claim that is not committed.
#[test]
fn a_stalled_producer_holds_back_only_what_is_behind_it() {
    model(Preemptions { quick: 3, full: 5 }, || {
        let (ring, mut consumer) = ring(4);
        submit(ring, 1, 1).expect("room");
        let stalled = thread::spawn(move || {
            let write = |bytes: &mut [u8]| {
                // It is preempted here: another frame comes behind it.
                submit(ring, 3, 1).expect("room");
                bytes.fill(2);
            };
            ring.submit(2, UNIT, write).expect("room");
        });
        let third = thread::spawn(move || submit(ring, 4, 1).expect("room"));
        assert_eq!(pop(&mut consumer), Some(1), "what is before it is not held back");
        let mut taken = drain(&mut consumer);
        join(stalled);
        join(third);
        taken.extend(drain(&mut consumer));
        let place = |tag| taken.iter().position(|taken| *taken == tag);
        assert!(place(2) < place(3), "overtaken: {taken:?}");
        assert_eq!(sorted(taken), [2, 3, 4]);
    });
}

/// A tag whose drops are counted, outside of what loom sees.
struct CountsDrops(&'static AtomicUsize);

impl Drop for CountsDrops {
    fn drop(&mut self) {
        // Ordering: Relaxed, no value is read through it.
        let former = self.0.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
        assert_eq!(former, 0, "dropped twice");
    }
}

// Fails when a refused tag does not come back, when a unit is released before
// its tag is moved out, or when a frame is taken without being released.
#[test]
fn every_tag_is_dropped_once() {
    model(Preemptions { quick: 4, full: 6 }, || {
        let (ring, mut consumer) = ring(1);
        let drops: &'static [AtomicUsize; 3] = Box::leak(Box::default());
        let submit = |tag: usize| {
            let tag = CountsDrops(&drops[tag]);
            move || drop(ring.submit(tag, 1, |bytes| bytes.fill(0)))
        };
        let (other, third) = (thread::spawn(submit(0)), thread::spawn(submit(1)));
        drop(consumer.peek().map(|frame| frame.take()));
        submit(2)();
        join(other);
        join(third);
        while let Some(frame) = consumer.peek() {
            drop(frame.take());
        }
        for count in drops {
            // Ordering: Relaxed, as in `drop`.
            assert_eq!(count.load(core::sync::atomic::Ordering::Relaxed), 1);
        }
    });
}

// Fails when two consumers can exist at once, or when the next one does not
// acquire where the former one stopped.
#[test]
fn a_consumer_goes_on_where_the_former_one_stopped() {
    model(Preemptions { quick: 4, full: 8 }, || {
        let (ring, consumer) = ring(2);
        submit(ring, 1, 1).expect("room");
        submit(ring, 2, 1).expect("room");
        drop(ManuallyDrop::into_inner(consumer));
        let take = move || pop(&mut ring.consumer()?);
        let (other, third) = (thread::spawn(take), thread::spawn(take));
        let mut taken: Vec<u8> = [join(other), join(third)].into_iter().flatten().collect();
        assert!(!taken.is_empty(), "one of them had no rival");
        taken.sort_unstable();
        taken.extend(drain(&mut ring.consumer().expect("the others are gone")));
        assert_eq!(taken, [1, 2]);
    });
}

// Fails when closing does not take part in the order of claims: a claim that
// overwrites it, or one that is let in after it.
#[test]
fn a_frame_is_drained_or_refused_when_the_ring_closes() {
    model(Preemptions { quick: 4, full: 6 }, || {
        let (ring, mut consumer) = ring(2);
        let other = thread::spawn(move || submit(ring, 1, 1));
        let third = thread::spawn(move || submit(ring, 2, 1));
        ring.close();
        let end = consumer.mark();
        let mut taken = Vec::new();
        while !consumer.has_passed(end) {
            match pop(&mut consumer) {
                Some(tag) => taken.push(tag),
                None => thread::yield_now(),
            }
        }
        // Whoever comes later is refused; so this is all there ever is.
        let mut accepted = Vec::new();
        for (tag, result) in [(1, join(other)), (2, join(third))] {
            match result {
                Ok(()) => accepted.push(tag),
                Err(why) => assert_eq!(why, Refusal::Closed),
            }
        }
        assert_eq!(sorted(taken), accepted);
        assert!(consumer.peek().is_none());
        assert!(ring.is_closed());
    });
}

// Fails when the mark is taken at `tail`, or passed one frame too early.
#[test]
fn a_mark_covers_what_was_submitted_before_it() {
    model(Preemptions { quick: 4, full: 6 }, || {
        let (ring, mut consumer) = ring(3);
        let submitted = Arc::new(AtomicBool::new(false));
        let signal = submitted.clone();
        let other = thread::spawn(move || {
            submit(ring, 1, 2).expect("room");
            // Ordering: Release, so that the frame comes before what follows the
            // Acquire below.
            signal.store(true, Ordering::Release);
        });
        let third = thread::spawn(move || submit(ring, 2, 1).expect("room"));
        // Ordering: Acquire, see above.
        let is_covered = submitted.load(Ordering::Acquire);
        let mark = consumer.mark();
        let mut taken = Vec::new();
        while !consumer.has_passed(mark) {
            match pop(&mut consumer) {
                Some(tag) => taken.push(tag),
                None => thread::yield_now(),
            }
        }
        assert!(!is_covered || taken.contains(&1));
        join(other);
        join(third);
    });
}

// Fails when a mark ignores claims that are not committed.
#[test]
fn a_mark_waits_for_a_frame_that_is_being_written() {
    model(Preemptions { quick: 4, full: 8 }, || {
        let (ring, mut consumer) = ring(2);
        let claimed = Arc::new(AtomicBool::new(false));
        let signal = claimed.clone();
        let producer = thread::spawn(move || {
            let write = |bytes: &mut [u8]| {
                // Ordering: Release, so that the claim comes before what follows
                // the Acquire below.
                signal.store(true, Ordering::Release);
                bytes.fill(1);
            };
            ring.submit(1, UNIT, write).expect("room");
        });
        // Ordering: Acquire, see above.
        let is_covered = claimed.load(Ordering::Acquire);
        let mark = consumer.mark();
        let mut taken = None;
        while !consumer.has_passed(mark) {
            taken = taken.or(pop(&mut consumer));
            thread::yield_now();
        }
        assert!(!is_covered || taken == Some(1));
        join(producer);
    });
}

// Fails when an empty frame has no unit of its own: two producers then write the
// tag of the same one.
#[test]
fn empty_frames_have_a_place_of_their_own() {
    model(Preemptions { quick: 4, full: 8 }, || {
        let (ring, mut consumer) = ring(2);
        let other = thread::spawn(move || submit(ring, 1, 0).expect("room"));
        let third = thread::spawn(move || submit(ring, 2, 0).expect("room"));
        join(other);
        join(third);
        let taken = core::iter::from_fn(|| Some(consumer.peek()?.take())).collect();
        assert_eq!(sorted(taken), [1, 2]);
    });
}
