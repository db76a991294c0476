use std::boxed::Box;
use std::vec;
use std::vec::Vec;

use super::*;

fn ring(units: usize) -> &'static Ring<u32> {
    let heads: Vec<_> = (0..units).map(|_| Unit::new()).collect();
    let bytes = vec![0; units * UNIT];
    Box::leak(Box::new(Ring::new(heads.leak(), bytes.leak())))
}

fn submit(ring: &Ring<u32>, tag: u32, len: usize) -> Result<(), Refusal> {
    ring.submit(tag, len, |bytes| bytes.fill(tag as u8)).map_err(|refused| refused.why)
}

fn pop(consumer: &mut Consumer<u32>) -> Option<(u32, usize)> {
    let frame = consumer.peek()?;
    let (len, first) = (frame.bytes().len(), frame.bytes()[0]);
    assert!(frame.bytes().iter().all(|byte| *byte == first));
    let tag = frame.take();
    assert_eq!(tag as u8, first);
    Some((tag, len))
}

#[test]
fn frames_come_out_in_order_for_every_capacity_and_length() {
    for capacity in 1..=9 {
        let ring = ring(capacity);
        let mut consumer = ring.consumer().expect("the first");
        let mut queued = std::collections::VecDeque::new();
        let mut tag = 0;
        for step in 0..5_000usize {
            let len = 1 + (step * 37) % ring.max_frame_len();
            match submit(ring, tag, len) {
                Ok(()) => {
                    queued.push_back((tag, len));
                    tag += 1;
                }
                Err(why) => {
                    assert_eq!(why, Refusal::Full);
                    assert!(!queued.is_empty(), "an empty ring refused {len} bytes");
                    assert_eq!(pop(&mut consumer), queued.pop_front());
                    consumer.give_back();
                }
            }
        }
        while let Some(expected) = queued.pop_front() {
            assert_eq!(pop(&mut consumer), Some(expected));
        }
        assert_eq!(pop(&mut consumer), None);
        assert_eq!(ring.used(), 0);
    }
}

#[test]
fn a_full_ring_refuses_and_gives_the_tag_back() {
    let ring = ring(1);
    ring.submit(7, 64, |bytes| bytes.fill(7)).expect("room");
    let refused = ring.submit(8, 1, |_| unreachable!()).expect_err("full");
    assert_eq!(refused, Refused { tag: 8, why: Refusal::Full });
    assert_eq!(submit(ring, 9, 65), Err(Refusal::TooLong));
}

#[test]
fn an_empty_frame_takes_a_place_like_any_other() {
    let ring = ring(2);
    let mut consumer = ring.consumer().expect("the first");
    for tag in 0..5 {
        ring.submit(2 * tag, 0, |bytes| assert!(bytes.is_empty())).expect("room");
        ring.submit(2 * tag + 1, 0, |_| ()).expect("room");
        assert_eq!(submit(ring, 9, 0), Err(Refusal::Full));
        assert_eq!(consumer.peek().map(Frame::take), Some(2 * tag));
        assert_eq!(consumer.peek().map(Frame::take), Some(2 * tag + 1));
        assert!(consumer.peek().is_none());
    }
}

#[test]
fn a_ring_without_memory_refuses_everything() {
    let ring = ring(0);
    assert_eq!(submit(ring, 1, 0), Err(Refusal::Full));
    assert_eq!(submit(ring, 1, 1), Err(Refusal::TooLong));
    assert!(ring.consumer().expect("the first").peek().is_none());
}

#[test]
fn a_closed_ring_refuses_but_is_still_drained() {
    let ring = ring(4);
    let mut consumer = ring.consumer().expect("the first");
    submit(ring, 1, 10).expect("room");
    ring.close();
    assert_eq!(submit(ring, 2, 10), Err(Refusal::Closed));
    assert_eq!(pop(&mut consumer), Some((1, 10)));
    assert_eq!(pop(&mut consumer), None);
    assert!(consumer.has_passed(consumer.mark()));
}

#[test]
fn a_mark_is_passed_once_everything_before_it_is_taken() {
    let ring = ring(3);
    let mut consumer = ring.consumer().expect("the first");
    for tag in 0..100 {
        submit(ring, tag, 65).expect("room");
        let mark = consumer.mark();
        assert!(!consumer.has_passed(mark));
        pop(&mut consumer).expect("committed");
        assert!(consumer.has_passed(mark));
        submit(ring, tag, 1).expect("room");
        assert!(consumer.has_passed(mark));
        pop(&mut consumer).expect("committed");
    }
}

#[test]
fn the_frame_behind_the_oldest_is_seen_once_it_is_committed() {
    let ring = ring(4);
    let mut consumer = ring.consumer().expect("the first");
    let next = |consumer: &mut Consumer<u32>| {
        consumer.peek()?;
        let mut mark = Mark::default();
        consumer.look_at(&mut mark)?;
        consumer.look_at(&mut mark).map(|unit| unit[..2].to_vec())
    };
    // Across the end of the memory too, and past what is skipped there to nothing.
    for tag in 0..40 {
        submit(ring, tag, 65).expect("room");
        assert_eq!(next(&mut consumer), None);
        if submit(ring, 100 + tag, 2).is_ok() {
            assert_eq!(next(&mut consumer), Some(vec![100 + tag as u8; 2]));
            pop(&mut consumer).expect("committed");
            assert_eq!(next(&mut consumer), None);
        }
        pop(&mut consumer).expect("committed");
        assert!(consumer.peek().is_none());
    }
}

#[test]
fn what_is_taken_is_given_back_in_parts() {
    let ring = ring(80);
    let mut consumer = ring.consumer().expect("the first");
    let refill = |tag| core::iter::from_fn(|| submit(ring, tag, 1).ok()).count();
    let take = |consumer: &mut Consumer<u32>, count| {
        assert_eq!(core::iter::from_fn(|| pop(consumer)).take(count).count(), count);
    };
    assert_eq!(refill(1), 80);
    take(&mut consumer, 9);
    assert_eq!(refill(2), 0, "an eighth is ten units");
    take(&mut consumer, 1);
    assert_eq!(refill(2), 10);
    take(&mut consumer, 5);
    consumer.give_back();
    assert_eq!(refill(3), 5);
    take(&mut consumer, 5);
    consumer.give_back();
    take(&mut consumer, 75);
    assert_eq!(ring.used(), 5);
    assert!(consumer.peek().is_none());
    assert_eq!(ring.used(), 0);
    assert_eq!(refill(4), 80);
    take(&mut consumer, 3);
    drop(consumer);
    assert_eq!(refill(5), 3);
}

#[test]
fn there_is_one_consumer_at_a_time() {
    let ring = ring(1);
    let first = ring.consumer().expect("the first");
    for _ in 0..2 {
        assert!(ring.consumer().is_none());
    }
    drop(first);
    assert!(ring.consumer().is_some());
}

#[test]
fn a_frame_whose_writing_panics_is_passed_over() {
    let ring = ring(5);
    let mut consumer = ring.consumer().expect("the first");
    for tag in 0..20 {
        submit(ring, tag, 1).expect("room");
        let write = |_: &mut [u8]| std::panic::resume_unwind(Box::new(()));
        let panicking = core::panic::AssertUnwindSafe(|| ring.submit(100, 2 * UNIT, write));
        assert!(std::panic::catch_unwind(panicking).is_err());
        submit(ring, tag + 1, 1).expect("room");
        assert_eq!(pop(&mut consumer), Some((tag, 1)));
        assert_eq!(pop(&mut consumer), Some((tag + 1, 1)));
        assert_eq!(pop(&mut consumer), None);
        assert_eq!(ring.used(), 0);
    }
}
