//! Models of a pipeline and its flusher: flush, shutdown, wake-up, ledger.
#![cfg(throughline_loom)]

use core::time::Duration;

use loom::sync::Notify;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use throughline_core::model::{LiveSpan, Thread};
use throughline_core::{
    Accepted, Action, Callsite, Decision, DropReason, Entry, Flusher, ParentOrigin, Pipeline,
    Scope, SpanContext, SpanId, TraceFlags, TraceId, Wakeup,
};
use throughline_loom_tests::{Preemptions, flusher, join, model, pipeline, pipeline_of};

struct Nobody;

impl Wakeup for Nobody {
    fn wake(&self) {}
}

fn open(pipeline: &'static Pipeline, number: u8) -> LiveSpan {
    open_on(&Thread::default(), pipeline, number)
}

fn open_on(thread: &Thread, pipeline: &'static Pipeline, number: u8) -> LiveSpan {
    let span = SpanContext::new(
        TraceId::from_bytes([number; 16]),
        SpanId::from_bytes([number; 8]),
        TraceFlags::SAMPLED,
    );
    let live = LiveSpan::open_on(thread, pipeline, &CALLSITE, span, SpanId::INVALID, 0);
    live.expect("a slot for each span")
}

fn open_root(pipeline: &'static Pipeline) -> LiveSpan {
    let (trace, span) = (TraceId::from_bytes([1; 16]), SpanId::from_bytes([1; 8]));
    let span = SpanContext::new(trace, span, TraceFlags::SAMPLED);
    LiveSpan::open_root(pipeline, &CALLSITE, span).expect("a slot")
}

/// One step of a driver whose exporter takes everything at once. Returns what
/// the flusher waits for, if it waits.
fn step(flusher: &mut Flusher<Vec<u8>, Vec<Entry>>) -> Action {
    let action = flusher.poll(NOW, |ticks| ticks);
    if action == Action::Export {
        flusher.on_export(NOW, Ok(Accepted::default()));
    }
    action
}

fn assert_balanced(pipeline: &Pipeline, in_flight: u64) {
    let ledger = pipeline.ledger();
    assert_eq!(ledger.in_flight(), in_flight, "{ledger}");
    assert_eq!(ledger.started(), ledger.exported() + ledger.dropped_total() + in_flight);
}

// Fails when the ticket does not stand behind every claim of a span that ended
// before, or when it is served before the ring is drained up to it.
#[test]
fn flush_covers_spans_ended_before_it() {
    model(Preemptions { quick: 2, full: 3 }, || {
        let pipeline = pipeline(2, 2, 0, &Nobody);
        let mut flusher = flusher(pipeline, 2);
        let (covered, other) = (open(pipeline, 1), open(pipeline, 2));
        let has_ended = std::sync::Arc::new(AtomicBool::new(false));
        let signal = has_ended.clone();
        let producers = [
            thread::spawn(move || {
                covered.end();
                // Ordering: Release, for the Acquire below.
                signal.store(true, Ordering::Release);
            }),
            thread::spawn(move || other.end()),
        ];
        // Ordering: Acquire: the span ended before the flush, if it is seen.
        let is_covered = has_ended.load(Ordering::Acquire);
        let ticket = flusher.flush();
        while !flusher.is_served(ticket) {
            if let Action::Wait { .. } = step(&mut flusher) {
                thread::yield_now();
            }
        }
        let exported = pipeline.ledger().exported();
        assert!(!is_covered || exported >= 1, "served without the span");
        producers.into_iter().for_each(join);
        assert_balanced(pipeline, 2 - exported);
    });
}

// Fails when a span that the closed ring let in is left behind, or when one that
// it refused is not counted.
#[test]
fn shutdown_exports_or_counts_every_span() {
    model(Preemptions { quick: 3, full: 4 }, || {
        let pipeline = pipeline(2, 2, 0, &Nobody);
        let mut flusher = flusher(pipeline, 2);
        let producers =
            [open(pipeline, 1), open(pipeline, 2)].map(|live| thread::spawn(move || live.end()));
        flusher.shutdown(LATER);
        while !flusher.is_finished() {
            if let Action::Wait { .. } = step(&mut flusher) {
                thread::yield_now();
            }
        }
        let exported = pipeline.ledger().exported();
        producers.into_iter().for_each(join);
        assert_balanced(pipeline, 0);
        let ledger = pipeline.ledger();
        assert_eq!(ledger.exported(), exported, "exported after the end");
        assert_eq!(ledger.dropped(DropReason::AfterShutdown), 2 - exported);
        assert_eq!(pipeline.live_count(), 0);
    });
}

// Fails when the end of a span does not carry its start with it, from the
// producer by way of the flusher to the counters, or when the ledger reads the
// starts first.
#[test]
fn the_ledger_never_shows_an_end_without_its_start() {
    end_two(|_| Thread::default());
}

// Fails as the model before.
#[test]
fn the_ledger_never_shows_an_end_without_the_start_that_a_thread_counted_for_itself() {
    end_two(Thread::at_home_in);
}

/// Of spans that begin on such a thread.
fn end_two(thread: fn(&'static Pipeline) -> Thread) {
    model(Preemptions { quick: 3, full: 4 }, move || {
        let pipeline = pipeline(1, 2, 0, &Nobody);
        let mut flusher = flusher(pipeline, 1);
        let producer = thread::spawn(move || {
            let thread = thread(pipeline);
            open_on(&thread, pipeline, 1).end();
            open_on(&thread, pipeline, 2).end();
        });
        let reader = thread::spawn(move || {
            let ledger = pipeline.ledger();
            assert!(ledger.exported() + ledger.dropped_total() <= ledger.started(), "{ledger}");
        });
        step(&mut flusher);
        join(reader);
        join(producer);
        while pipeline.ledger().in_flight() > 0 {
            step(&mut flusher);
        }
        assert_balanced(pipeline, 0);
    });
}

// Fails when two threads have the tally at once, or when the second one does not see what
// the first one counted.
#[test]
fn threads_that_have_one_tally_after_each_other_lose_no_count() {
    model(Preemptions { quick: 4, full: 8 }, || {
        let pipeline = pipeline(1, 1, 0, &Nobody);
        let count_two = move || {
            let thread = Thread::at_home_in(pipeline);
            thread.count(pipeline, &SpanContext::INVALID);
            thread.count(pipeline, &SpanContext::INVALID);
            thread.give_back();
        };
        let other = thread::spawn(count_two);
        count_two();
        join(other);
        assert_eq!(pipeline.ledger().started(), 4);
    });
}

// Fails as the model before: roots are counted apart, by where their parents are.
#[test]
fn the_ledger_never_shows_the_end_of_a_root_without_its_start() {
    model(Preemptions { quick: 3, full: 4 }, || {
        let pipeline = pipeline(1, 1, 0, &Nobody);
        let mut flusher = flusher(pipeline, 1);
        let producer = thread::spawn(move || open_root(pipeline).end());
        let reader = thread::spawn(move || {
            let ledger = pipeline.ledger();
            assert!(ledger.exported() + ledger.dropped_total() <= ledger.started(), "{ledger}");
        });
        step(&mut flusher);
        join(reader);
        join(producer);
        while pipeline.ledger().in_flight() > 0 {
            step(&mut flusher);
        }
        assert_balanced(pipeline, 0);
        let roots = pipeline.begun().count(ParentOrigin::None, Decision::RecordAndSample);
        assert_eq!(roots, 1);
    });
}

// Fails when a loss does not carry the start of its span with it from the thread
// that counts both.
#[test]
fn the_ledger_never_shows_a_loss_without_its_start() {
    model(Preemptions { quick: 4, full: 8 }, || {
        let pipeline = pipeline(1, 0, 0, &Nobody);
        let reader = thread::spawn(move || {
            let ledger = pipeline.ledger();
            assert!(ledger.dropped_total() <= ledger.started(), "{ledger}");
        });
        let span = SpanContext::INVALID;
        assert!(LiveSpan::open(pipeline, &CALLSITE, span, SpanId::INVALID, 0).is_none(), "no slot");
        join(reader);
        assert_eq!(pipeline.ledger().dropped(DropReason::LiveTableFull), 1);
        assert_balanced(pipeline, 0);
    });
}

// Fails when a refusal does not carry the start of its span with it.
#[test]
fn the_ledger_never_shows_a_refusal_without_its_start() {
    model(Preemptions { quick: 4, full: 8 }, || {
        let pipeline = pipeline(2, 1, 0, &Nobody);
        // As many as there is room for.
        (1..5).for_each(|number| open(pipeline, number).end());
        let reader = thread::spawn(move || {
            let ledger = pipeline.ledger();
            assert!(ledger.dropped_total() + 4 <= ledger.started(), "{ledger}");
        });
        open(pipeline, 5).end();
        join(reader);
        assert_eq!(pipeline.ledger().dropped(DropReason::QueueFull), 1);
        assert_balanced(pipeline, 4);
    });
}

// Fails when a thread that found no room takes what was given back meanwhile for what it
// has looked at: it would not look again.
#[test]
fn room_that_is_given_back_is_found_in_every_ring() {
    model(Preemptions { quick: 3, full: 5 }, || {
        let pipeline = pipeline_of(2, 1, 1, 0, &Nobody);
        let mut flusher = flusher(pipeline, 1);
        let end = |spans| (0..spans).for_each(|_| open(pipeline, 1).end());
        // As many as there is room for, two in each ring.
        end(4);
        // So that the next turn is that of the other ring.
        step(&mut flusher);
        end(1);
        let producer = thread::spawn(move || open(pipeline, 2).end());
        step(&mut flusher);
        join(producer);
        let refused = pipeline.ledger().dropped_total();
        end(4 - pipeline.ledger().in_flight());
        assert_eq!(pipeline.ledger().dropped_total(), refused, "there was room");
        end(1);
        assert_eq!(pipeline.ledger().dropped(DropReason::QueueFull), refused + 1);
        assert_balanced(pipeline, 4);
    });
}

struct Sleeper(Notify);

impl Wakeup for Sleeper {
    fn wake(&self) {
        self.0.notify();
    }
}

// Fails when the last look and the sleep are not one step for those who ring:
// loom then reports that everybody sleeps.
#[test]
fn a_sleeping_flusher_is_woken_by_every_announced_span() {
    model(Preemptions { quick: 2, full: 3 }, || {
        let sleeper: &'static Sleeper = Box::leak(Box::new(Sleeper(Notify::new())));
        let pipeline = pipeline(2, 2, 0, sleeper);
        let mut flusher = flusher(pipeline, 2);
        let producers =
            [open(pipeline, 1), open(pipeline, 2)].map(|live| thread::spawn(move || live.end()));
        while pipeline.ledger().exported() < 2 {
            if let Action::Wait { .. } = step(&mut flusher)
                && pipeline.bell().arm()
            {
                sleeper.0.wait();
            }
        }
        producers.into_iter().for_each(join);
        assert_balanced(pipeline, 0);
    });
}

const NOW: Duration = Duration::ZERO;
const LATER: Duration = Duration::from_secs(1);
static CALLSITE: Callsite = Callsite::new("model", &Scope::new("loom-tests", ""));
