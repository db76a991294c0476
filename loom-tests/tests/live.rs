//! Models of the live-span table: owners, and a reader that asks nobody.
#![cfg(throughline_loom)]

use loom::thread;
use throughline_core::model::{LiveSpan, Thread};
use throughline_core::{
    Callsite, LastPoll, LiveView, Pipeline, Scope, SpanContext, SpanId, SpanKind, TraceFlags,
    TraceId, Wakeup,
};
use throughline_loom_tests::{Preemptions, join, model, pipeline};

struct Nobody;

impl Wakeup for Nobody {
    fn wake(&self) {}
}

/// A span all of whose parts say which one it is.
fn span(number: u8) -> LiveView {
    LiveView {
        context: SpanContext::new(
            TraceId::from_bytes([number; 16]),
            SpanId::from_bytes([number; 8]),
            TraceFlags::from_bits(number),
        ),
        parent_span_id: SpanId::from_bytes([number; 8]),
        has_remote_parent: false,
        name: CALLSITES[number as usize % 2].name(),
        kind: SpanKind::Internal,
        scope: &SCOPE,
        start_ticks: u64::from_be_bytes([number; 8]),
        is_surplus: false,
        last_poll: polled(number),
    }
}

/// An odd span is polled, an even one was.
fn polled(number: u8) -> LastPoll {
    let ticks = u64::from_be_bytes([number; 8]);
    if number % 2 == 1 { LastPoll::Began(ticks) } else { LastPoll::Ended(ticks) }
}

/// Whether a poll is one of these, or none, or half of each: its time is no part of
/// the span that stays, and has two halves here.
fn is_of(read: LastPoll, written: LastPoll) -> bool {
    let halves = |poll| match poll {
        LastPoll::Never => [0, 0],
        LastPoll::InClosure => [u32::MAX, u32::MAX],
        LastPoll::Began(ticks) => [(!ticks >> 32) as u32, !ticks as u32],
        LastPoll::Ended(ticks) => [(ticks >> 32) as u32, ticks as u32],
    };
    halves(read).iter().zip(halves(written)).all(|(read, written)| [0, written].contains(read))
}

fn open(pipeline: &'static Pipeline, number: u8) -> Option<LiveSpan> {
    open_on(&Thread::default(), pipeline, number)
}

fn open_on(thread: &Thread, pipeline: &'static Pipeline, number: u8) -> Option<LiveSpan> {
    let LiveView { context, parent_span_id, start_ticks, .. } = span(number);
    let callsite = &CALLSITES[number as usize % 2];
    let live = LiveSpan::open_on(thread, pipeline, callsite, context, parent_span_id, start_ticks)?;
    assert_eq!(live.context(), context, "the owner reads another span");
    live.poll(polled(number));
    Some(live)
}

static SCOPE: Scope = Scope::new("loom-tests", "");
static CALLSITES: [Callsite; 2] = [Callsite::new("even", &SCOPE), Callsite::new("odd", &SCOPE)];

/// What a reader that starts now sees.
fn read(pipeline: &'static Pipeline) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for view in pipeline.live_spans() {
            let is_whole = [1, 2].map(span).iter().any(|span| {
                let last_poll = span.last_poll;
                LiveView { last_poll, ..view } == *span && is_of(view.last_poll, last_poll)
            });
            assert!(is_whole, "torn: {view:?}");
        }
    })
}

// Fails when the publication does not release the fields, when a field of the
// next span (also of its polls) does not carry the end of the former one with
// it, or when the end does not change the state.
#[test]
fn a_reader_sees_one_whole_span_or_none() {
    model(Preemptions { quick: 1, full: 3 }, || {
        let pipeline = pipeline(1, 1, 0, &Nobody);
        let first = open(pipeline, 1);
        // The reader is another thread, and not this one: loom begins with a run
        // in which this thread goes first, and loads that come after stores may
        // return every older value.
        let reader = read(pipeline);
        drop(first);
        let second = open(pipeline, 2);
        join(reader);
        assert_eq!(pipeline.live_spans().collect::<Vec<_>>(), [span(2)]);
        drop(second);
        assert_eq!(pipeline.live_spans().count(), 0);
    });
}

// Fails as the model above, and when the slot goes from one owner to the next
// without release and acquire.
#[test]
fn a_reader_sees_one_whole_span_though_two_threads_use_the_slot() {
    model(Preemptions { quick: 1, full: 2 }, || {
        let pipeline = pipeline(1, 1, 0, &Nobody);
        let first = open(pipeline, 1);
        let owner = thread::spawn(move || open(pipeline, 2));
        let reader = read(pipeline);
        drop(first);
        let second = join(owner);
        join(reader);
        drop(second);
        assert_eq!(pipeline.live_count(), 0);
        assert_eq!(pipeline.live_spans().count(), 0);
    });
}

// Fails as the first model.
#[test]
fn a_reader_sees_one_whole_span_though_the_thread_keeps_the_slot() {
    model(Preemptions { quick: 1, full: 2 }, || {
        let pipeline = pipeline(1, 1, 0, &Nobody);
        let thread = Thread::at_home_in(pipeline);
        let first = open_on(&thread, pipeline, 1).expect("a slot");
        let reader = read(pipeline);
        first.forget_on(&thread);
        let second = open_on(&thread, pipeline, 2).expect("the slot that was kept");
        join(reader);
        second.forget_on(&thread);
        assert_eq!(pipeline.live_count(), 0);
    });
}

// Fails when a slot that is kept is never given back, or when one that is not to be kept
// is before its span is over.
#[test]
fn what_a_thread_kept_is_anothers_when_it_has_given_it_back() {
    model(Preemptions { quick: 4, full: 8 }, || {
        let pipeline = pipeline(1, 1, 0, &Nobody);
        let use_two = move |number, thread: Thread| {
            for _ in 0..2 {
                let Some(mut live) = open_on(&thread, pipeline, number) else { continue };
                live.fill(number);
                assert!(live.is_filled(number));
                assert!(pipeline.live_count() > 0);
                live.forget_on(&thread);
            }
            thread.give_back();
        };
        let owner = thread::spawn(move || use_two(1, Thread::default()));
        use_two(2, Thread::at_home_in(pipeline));
        join(owner);
        assert!(open(pipeline, 3).is_some());
    });
}

// Fails when a slot is given back before its owner is done with the record, or
// when its next owner does not acquire it.
#[test]
fn a_record_has_one_owner_at_a_time() {
    model(Preemptions { quick: 4, full: 8 }, || {
        let pipeline = pipeline(1, 1, 0, &Nobody);
        let use_one = move |number| {
            if let Some(mut live) = open(pipeline, number) {
                live.fill(number);
                assert!(live.is_filled(number));
            }
        };
        let owner = thread::spawn(move || use_one(1));
        use_one(2);
        join(owner);
        assert_eq!(pipeline.live_count(), 0);
        use_one(3);
    });
}

// Fails when a spill block is given back before the span is done with it, kept
// when the span ends, or given to two spans.
#[test]
fn a_spill_block_has_one_owner_at_a_time() {
    model(Preemptions { quick: 4, full: 6 }, || {
        let pipeline = pipeline(1, 2, 1, &Nobody);
        let use_one = move |number| {
            let mut live = open(pipeline, number).expect("two slots for two spans");
            live.fill(number);
            let has_spilled = live.spill();
            live.fill(number);
            assert!(live.is_filled(number));
            has_spilled
        };
        let owner = thread::spawn(move || use_one(1));
        use_one(2);
        join(owner);
        assert!(use_one(3), "the block came back");
    });
}

// Fails when a flag that another thread sets is undone by the owner, who sets the kind
// beside it, or the other way round.
#[test]
fn the_kind_that_the_owner_sets_and_the_flag_of_another_thread_are_both_there() {
    model(Preemptions { quick: 3, full: 6 }, || {
        let pipeline = pipeline(1, 1, 0, &Nobody);
        let mut live = open(pipeline, 1).expect("a slot");
        let known = live.known();
        let child = thread::spawn(move || known.set_flooded());
        live.set_kind(SpanKind::Server);
        join(child);
        assert_eq!(live.kind_and_flood(), (SpanKind::Server, true));
    });
}

// Fails when the last place is looked for and taken in two steps.
#[test]
fn two_threads_that_know_a_span_never_take_its_last_child_both() {
    model(Preemptions { quick: 3, full: 6 }, || {
        let pipeline = pipeline(1, 1, 0, &Nobody);
        let live = open(pipeline, 1).expect("a slot");
        live.set_children_left(1);
        let known = live.known();
        let children = [(); 2].map(|()| thread::spawn(move || known.take_child()));
        let taken = children.map(join);
        assert_eq!(taken.iter().filter(|taken| **taken).count(), 1);
    });
}
