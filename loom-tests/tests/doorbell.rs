//! Models of the doorbell: producers ring, the flusher looks and sleeps.
#![cfg(throughline_loom)]

use std::sync::Arc;

use loom::sync::Notify;
use loom::thread;
use throughline_core::Doorbell;
use throughline_loom_tests::{Preemptions, join, model, ring};

// Fails when the ring does not release or the answer does not acquire what was
// submitted, when the flusher looks before it answers, or when arming overwrites
// a ring: loom then reports that the flusher sleeps for ever.
#[test]
fn no_ring_is_lost_between_the_last_look_and_the_sleep() {
    model(Preemptions { quick: 3, full: 4 }, || {
        let (ring, mut consumer) = ring(2);
        let bell = Arc::new(Doorbell::new());
        let wake = Arc::new(Notify::new());
        let producers = [1, 2].map(|tag| {
            let (bell, wake) = (bell.clone(), wake.clone());
            thread::spawn(move || {
                ring.submit(tag, 1, |bytes| bytes.fill(0)).expect("room");
                if bell.ring() {
                    wake.notify();
                }
            })
        });
        let mut taken = 0;
        loop {
            bell.answer();
            while let Some(frame) = consumer.peek() {
                taken += frame.take();
            }
            if taken == 3 {
                break;
            }
            if bell.arm() {
                wake.wait();
            }
        }
        producers.into_iter().for_each(join);
    });
}

// Fails when a ring reads the state and sets it in two steps.
#[test]
fn of_two_rings_one_wakes_a_sleeper() {
    model(Preemptions { quick: 4, full: 8 }, || {
        let bell = Arc::new(Doorbell::new());
        assert!(bell.arm());
        let producers = [bell.clone(), bell.clone()].map(|bell| thread::spawn(move || bell.ring()));
        let woken = producers.map(join);
        assert_eq!(woken.iter().filter(|woken| **woken).count(), 1);
        assert!(!bell.arm(), "the ring is kept until it is answered");
        bell.answer();
        assert!(bell.arm());
    });
}
