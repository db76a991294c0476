//! A model of tail sampling: a root that ends while the flusher looks for it.
#![cfg(throughline_loom)]

use core::mem::ManuallyDrop;
use core::time::Duration;

use loom::thread;
use throughline_core::model::{LiveSpan, Thread};
use throughline_core::tail::{
    Amount, Book, BookSettings, Buffer, Chain, HasSpan, Rule, Traces, Unit,
};
use throughline_core::{
    Accepted, Action, Callsite, Entry, Flusher, FlusherSettings, Pipeline, Scope, SpanContext,
    SpanId, SpanView, TraceFlags, TraceId, Wakeup,
};
use throughline_loom_tests::{Preemptions, join, model, pipeline};

struct Nobody;

impl Wakeup for Nobody {
    fn wake(&self) {}
}

fn open(pipeline: &'static Pipeline, number: u8, parent: SpanId) -> LiveSpan {
    let (trace, span) = (TraceId::from_bytes([7; 16]), SpanId::from_bytes([number; 8]));
    let span = SpanContext::new(trace, span, TraceFlags::SAMPLED);
    LiveSpan::open(pipeline, &CALLSITE, span, parent, 0).expect("a slot for each span")
}

// Fails when a root counts as over that was not found in its slot, although its
// frame is not seen in the ring yet: the trace is then decided without it.
#[test]
fn a_trace_is_not_decided_before_the_frame_of_its_root_is_seen() {
    decide(|_| Thread::default());
}

// Fails as the one above.
#[test]
fn a_trace_is_not_decided_before_the_frame_of_its_root_is_seen_whose_slot_is_kept() {
    decide(Thread::at_home_in);
}

/// Of a root that ends on such a thread.
fn decide(thread: fn(&'static Pipeline) -> Thread) {
    model(Preemptions { quick: 3, full: 4 }, move || {
        let pipeline = pipeline(2, 2, 0, &Nobody);
        let is_root = |span: &SpanView<'_>| !span.parent_span_id().is_valid();
        let rules = vec![Rule::new(HasSpan(is_root), Amount::All)];
        let book = Book::new(vec![Traces::EMPTY; 1], rules, BookSettings::new(), 1);
        let book = book.expect("one condition");
        let tail = Buffer::new(vec![Unit::EMPTY; 4], vec![Chain::EMPTY; Traces::COUNT], book);
        let (bytes, entries) = (vec![0; 1_024], vec![Entry::default(); 4]);
        let settings = FlusherSettings::new();
        let flusher = Flusher::with_tail(pipeline, settings, bytes, entries, tail, 1);
        // Not dropped where loom unwinds, as in `throughline_loom_tests::ring`.
        let mut flusher = ManuallyDrop::new(flusher.expect("a new pipeline has none"));

        let root = open(pipeline, 1, SpanId::INVALID);
        open(pipeline, 2, SpanId::from_bytes([1; 8])).end();
        flusher.poll(Duration::ZERO, |ticks| ticks);
        let producer = thread::spawn(move || root.end_on(&thread(pipeline)));
        flusher.poll(LOOK, |ticks| ticks);
        assert_eq!(flusher.tail().book().stats().traces_dropped, 0, "decided too early");
        join(producer);
        let ticket = flusher.flush();
        while !flusher.is_served(ticket) {
            if flusher.poll(2 * LOOK, |ticks| ticks) == Action::Export {
                flusher.on_export(2 * LOOK, Ok(Accepted::default()));
            }
        }
        assert_eq!(flusher.tail().book().stats().traces_kept, 1);
        assert_eq!(pipeline.ledger().exported(), 2);
    });
}

/// When it is time to look for roots.
const LOOK: Duration = Duration::from_secs(1);
static SCOPE: Scope = Scope::new("models", "");
static CALLSITE: Callsite = Callsite::new("span", &SCOPE);
