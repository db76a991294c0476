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

// Fails when a ring that wakes nobody, because the flusher dozes, does not release, or
// overwrites what the flusher set since: loom then reports that the flusher sleeps for ever.
#[test]
fn what_is_rung_while_the_flusher_dozes_is_there_when_it_looks_again() {
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
        let (mut taken, mut has_dozed) = (0, false);
        loop {
            bell.answer();
            while let Some(frame) = consumer.peek() {
                taken += frame.take();
            }
            if taken == 3 {
                break;
            }
            if !has_dozed {
                // Its time passes at once.
                has_dozed = bell.doze();
            } else if bell.arm() {
                wake.wait();
            }
        }
        producers.into_iter().for_each(join);
    });
}

// Fails when what cannot wait does not wake a flusher that dozes, or a ring before it hides
// that it does.
#[test]
fn one_that_dozes_is_roused_also_after_it_was_rung() {
    model(Preemptions { quick: 4, full: 8 }, || {
        let bell = Arc::new(Doorbell::new());
        let wake = Arc::new(Notify::new());
        let notify = |is_asleep: bool, wake: &Notify| {
            if is_asleep {
                wake.notify();
            }
        };
        let rings = (bell.clone(), wake.clone());
        let rings = thread::spawn(move || notify(rings.0.ring(), &rings.1));
        let rouses = (bell.clone(), wake.clone());
        let rouses = thread::spawn(move || notify(rouses.0.rouse(), &rouses.1));
        if bell.doze() {
            wake.wait();
        }
        [rings, rouses].into_iter().for_each(join);
        assert!(!bell.doze(), "the ring is kept until it is answered");
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
