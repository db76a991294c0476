//! Models of what a span tells of its surplus children, and of the budgets of call
//! sites.
#![cfg(throughline_loom)]

use std::sync::Arc;

use loom::thread;
use throughline_core::model::{Budget, Summary};
use throughline_core::{Callsite, Scope, Surplus};
use throughline_loom_tests::{Preemptions, join, model};

// Fails when two children claim a summary both, when one goes in before the claim
// has cleared it, or when leaving does not release what was added.
#[test]
fn a_summary_has_every_child_that_it_took_and_that_ended() {
    model(Preemptions { quick: 3, full: 5 }, || {
        let summary = Arc::new(Summary::default());
        let child = |nanos| {
            let summary = summary.clone();
            move || {
                let taken = summary.begin(1);
                if taken {
                    summary.end(1, nanos);
                }
                taken.then_some(nanos)
            }
        };
        let other = thread::spawn(child(3));
        let taken: Vec<_> = [child(5)(), join(other)].into_iter().flatten().collect();
        let count = taken.len() as u64;
        // Who claimed was let in.
        assert!(count > 0);
        let read = summary.read(1);
        assert_eq!(
            read,
            Surplus {
                begun: count,
                timed: count,
                sum_nanos: taken.iter().sum(),
                min_nanos: taken.iter().min().copied().unwrap_or(0),
                max_nanos: taken.iter().max().copied().unwrap_or(0),
            }
        );
    });
}

// Fails when a claim does not wait for those inside, when one who was held up since
// the former span goes in, or takes the summary back.
#[test]
fn a_summary_has_nothing_of_the_former_span_in_the_slot() {
    model(Preemptions { quick: 3, full: 5 }, || {
        let summary = Arc::new(Summary::default());
        assert!(summary.begin(1));
        let late = {
            let summary = summary.clone();
            thread::spawn(move || {
                summary.end(1, 100);
                // Its parent was there when it looked.
                summary.begin(1);
            })
        };
        // Another thread, and not this one, for the reason given in `tests/live.rs`.
        let next = {
            let summary = summary.clone();
            thread::spawn(move || {
                let is_taken = summary.begin(2);
                if is_taken {
                    summary.end(2, 7);
                }
                is_taken
            })
        };
        join(late);
        let is_taken = join(next);
        let read = summary.read(2);
        if is_taken {
            let (begun, timed, sum_nanos, min_nanos, max_nanos) = (1, 1, 7, 7, 7);
            assert_eq!(read, Surplus { begun, timed, sum_nanos, min_nanos, max_nanos });
        } else {
            assert_eq!(read, Surplus::default());
        }
    });
}

// Fails when the reset is not released before others are let in, when a reading does
// not acquire it, or looks while it is under way; and when a child is counted before
// its duration is there.
#[test]
fn a_reading_is_of_one_span_and_has_the_durations_that_it_counts() {
    model(Preemptions { quick: 2, full: 3 }, || {
        let summary = Arc::new(Summary::default());
        assert!(summary.begin(1));
        summary.end(1, 100);
        let next = {
            let summary = summary.clone();
            thread::spawn(move || {
                assert!(summary.begin(2));
                summary.end(2, 7);
            })
        };
        let reader = {
            let summary = summary.clone();
            thread::spawn(move || {
                let Surplus { begun, timed, sum_nanos, min_nanos, max_nanos } = summary.read(2);
                assert!(begun <= 1 && timed <= 1, "{begun} {timed}");
                let durations = [sum_nanos, min_nanos, max_nanos];
                if timed == 1 {
                    assert_eq!(durations, [7; 3]);
                } else {
                    assert!(durations.iter().all(|nanos| [0, 7].contains(nanos)), "{durations:?}");
                }
            })
        };
        join(next);
        join(reader);
    });
}

// Fails when a budget is looked at and taken in two steps.
#[test]
fn a_budget_is_of_one_call_site() {
    model(Preemptions { quick: 3, full: 5 }, || {
        let budget = Arc::new(Budget::new());
        let other = {
            let budget = budget.clone();
            thread::spawn(move || budget.is_of(&CALLSITES[0]))
        };
        let here = budget.is_of(&CALLSITES[1]);
        let there = join(other);
        assert!(here != there, "one has it, the other does not");
        assert_eq!(budget.is_of(&CALLSITES[0]), there);
        assert_eq!(budget.is_of(&CALLSITES[1]), here);
    });
}

static SCOPE: Scope = Scope::new("loom-tests", "");
static CALLSITES: [Callsite; 2] = [Callsite::new("one", &SCOPE), Callsite::new("other", &SCOPE)];
