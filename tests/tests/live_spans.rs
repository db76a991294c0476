//! Spans under way: the list, the signs of life, and what is left at shutdown.

use core::future::{pending, poll_fn};
use core::panic::AssertUnwindSafe;
use core::pin::pin;
use core::task::{Context as TaskContext, Poll, Waker};
use core::time::Duration;
use std::panic::catch_unwind;
use std::sync::mpsc;

use throughline::exporters::Memory;
use throughline::{
    Context, InSpanExt, LiveState, Span, SpanContext, SpanOptions, Telemetry, Thread, Tokio,
    builder, span,
};
use throughline_core::{
    Accepted, Action, Callsite, ExportError, Failure, HEARTBEAT_ATTRIBUTE, Heartbeats, Moment,
    Scope, SpanKind, SpanView,
};
use throughline_tests::places::watched;
use throughline_tests::simulation::{Setup, Simulation, Size, Virtual};

#[test]
fn another_thread_lists_what_is_live_the_oldest_first() {
    let telemetry = isolated(Memory::new());
    let (outer, inner) = telemetry.context().scope(|| {
        let mut outer = span!(kind: Server, "outer");
        let inner = outer.enter_for(|| span!("inner"));
        (outer, inner)
    });
    let other = telemetry.clone();
    let listed = std::thread::spawn(move || other.live_spans()).join().expect("no panic");
    let [first, second] = *listed.iter().collect::<Vec<_>>() else { panic!("two: {listed}") };
    assert_eq!((first.name, first.kind, first.scope), ("outer", SpanKind::Server, SCOPE.name()));
    assert_eq!(first.trace_id, outer.span_context().trace_id());
    assert_eq!(first.span_id, outer.span_context().span_id());
    assert!(!first.parent_span_id.is_valid());
    assert_eq!((second.name, second.parent_span_id), ("inner", first.span_id));
    assert!(first.age >= second.age);
    let shown = listed.to_string();
    assert!(shown.lines().nth(2).is_some_and(|row| row.ends_with(" inner")), "{shown}");
    drop((outer, inner));
    assert!(telemetry.live_spans().is_empty());
}

/// A thread keeps the room of its last span for the next one.
#[test]
fn a_thread_that_has_ended_keeps_no_room() {
    let telemetry = isolated(Memory::new());
    for _ in 0..2 {
        let context = telemetry.context();
        let child = || span!("child").in_scope(|| ());
        let work = || context.scope(|| span!("work").in_scope(child));
        std::thread::scope(|scope| scope.spawn(work).join()).expect("no panic");
        let all = (0..SPANS).map(|_| span!(parent: &telemetry.context(), "one of all"));
        let all: Vec<_> = all.collect();
        assert_eq!(telemetry.live_spans().len(), SPANS);
        drop(all);
    }
    assert_eq!(telemetry.ledger().dropped_total(), 0);
}

#[test]
fn a_live_span_tells_whether_it_is_polled_or_waits() {
    let telemetry = isolated(Memory::new());
    let state = {
        let telemetry = telemetry.clone();
        move || telemetry.live_spans().iter().next().expect("one span").state
    };
    let watching = state.clone();
    let work = poll_fn(move |_| {
        assert!(matches!(watching(), LiveState::Polling(_)), "{:?}", watching());
        Poll::<()>::Pending
    });
    let mut work = pin!(telemetry.context().scope(|| work.in_span(span!("work"))));
    assert_eq!(state(), LiveState::Unpolled);
    for _ in 0..2 {
        assert!(work.as_mut().poll(&mut TaskContext::from_waker(Waker::noop())).is_pending());
        assert!(matches!(state(), LiveState::Waiting(_)), "{:?}", state());
    }
}

#[test]
fn a_live_span_tells_whether_a_closure_runs_in_it() {
    let telemetry = isolated(Memory::new());
    let state = || telemetry.live_spans().iter().next().expect("one span").state;
    telemetry.context().scope(|| {
        span!("work").in_scope(|| assert_eq!(state(), LiveState::Running));
        let mut work = span!("more work");
        assert_eq!(state(), LiveState::Unpolled);
        work.enter_for(|| assert_eq!(state(), LiveState::Running));
        assert_eq!(state(), LiveState::Unpolled);
        let caught = AssertUnwindSafe(|| work.enter_for(|| panic!("on purpose")));
        assert!(catch_unwind(caught).is_err());
        assert_eq!(state(), LiveState::Unpolled);
    });
}

#[test]
fn a_poll_that_does_not_come_back_is_seen_from_outside() {
    let telemetry = isolated(Memory::new());
    let (release, released) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let context = telemetry.context();
    let stuck = std::thread::spawn(move || {
        let work = async move {
            tell.send(()).expect("somebody waits");
            released.recv().expect("it is released");
        };
        futures::executor::block_on(context.scope(|| work.in_span(span!("stuck"))));
    });
    watched("the poll", move || told.recv().expect("it is polled"));
    let live = telemetry.live_spans();
    let stuck_span = live.iter().next().expect("one span");
    assert!(matches!(stuck_span.state, LiveState::Polling(_)), "{live}");
    release.send(()).expect("it waits");
    stuck.join().expect("no panic");
}

#[test]
fn a_shutdown_tells_how_many_spans_it_leaves_behind_and_which_is_the_oldest() {
    let memory = Memory::new();
    let telemetry = isolated(memory.clone());
    let leaked = telemetry.context().scope(|| (span!("first"), span!("second")));
    let flushed = telemetry.flush_blocking(Duration::from_secs(60));
    assert_eq!((flushed.leaked(), flushed.oldest_leaked()), (0, None), "{flushed}");
    let receipt = telemetry.shutdown_blocking(Duration::from_secs(60));
    assert!(receipt.is_complete());
    assert_eq!((receipt.leaked(), receipt.ledger().in_flight()), (2, 2), "{receipt}");
    assert_eq!(receipt.oldest_leaked().map(|span| span.name), Some("first"));
    assert!(receipt.to_string().contains("; 2 still live, the oldest `first` for "), "{receipt}");
    drop(leaked);
    let receipt = telemetry.shutdown_blocking(Duration::from_secs(60));
    assert_eq!((receipt.leaked(), receipt.ledger().in_flight()), (0, 0), "{receipt}");
    assert!(memory.spans().is_empty());
}

#[test]
fn a_heartbeat_has_the_ids_of_a_span_that_comes_later() {
    let mut simulation = Simulation::new(&Setup::small());
    let mut beats = heartbeats(&simulation, 8);
    simulation.start(0, Size::Ordinary, 100);
    simulation.advance_to(AFTER / 2);
    simulation.start(0, Size::Ordinary, 8);
    simulation.start(0, Size::RecordOnly, 8);
    assert!(!gather(&mut beats, &simulation), "nothing is due");
    simulation.advance_to(AFTER);
    assert!(gather(&mut beats, &simulation));
    let live = simulation.pipeline().live_spans().next().expect("a span");
    {
        let batch = beats.batch();
        let [(scope, beat)] = batch.spans().collect::<Vec<_>>()[..] else { panic!("{batch:?}") };
        assert_eq!((scope.name(), beat.name()), ("simulation", "work"));
        assert_eq!(beat.span_context(), live.context);
        assert_eq!(beat.start_unix_nanos(), Virtual::unix_nanos(0));
        assert_eq!(beat.end_unix_nanos(), Virtual::unix_nanos(nanos(AFTER)));
        assert_eq!(keys(&beat), [HEARTBEAT_ATTRIBUTE], "none of its own, and no state");
    }
    beats.on_export(Ok(Accepted::default()));
    assert!(!gather(&mut beats, &simulation), "nothing is due again");
    // The span itself comes under the same ids, with all that it has.
    let id = simulation.end(0).expect("it is queued");
    assert_eq!(id, live.context.span_id());
    let ledger = simulation.pipeline().ledger();
    assert_eq!((ledger.heartbeats(), ledger.started(), ledger.exported()), (1, 3, 0));
    // The others are old enough now, and one of them is never exported.
    simulation.advance_to(2 * AFTER);
    assert!(gather(&mut beats, &simulation));
    assert_eq!(beats.batch().len(), 1);
    beats.on_export(Err(ExportError::Permanent(Failure::Http(400))));
    assert_eq!(simulation.pipeline().ledger().heartbeats(), 1, "it did not arrive");
    simulation.shutdown(AFTER);
    simulation.advance_to(10 * AFTER);
    assert!(!gather(&mut beats, &simulation), "after the end there is no life");
    assert_eq!(beats.due(), Duration::MAX);
}

#[test]
fn more_heartbeats_than_a_batch_holds_come_in_several() {
    let mut simulation = Simulation::new(&Setup::small());
    let mut beats = heartbeats(&simulation, 3);
    let mut expected: Vec<_> = (0..7)
        .map(|_| {
            simulation.start(0, Size::Ordinary, 8);
            simulation.pipeline().live_count()
        })
        .collect();
    simulation.advance_to(AFTER);
    let mut batches = Vec::new();
    let mut ids = std::collections::HashSet::new();
    while gather(&mut beats, &simulation) {
        batches.push(beats.batch().len());
        ids.extend(beats.batch().spans().map(|(_, span)| span.span_id()));
        beats.on_export(Ok(Accepted { rejected: 1 }));
    }
    assert_eq!((batches, ids.len()), (vec![3, 3, 1], expected.len()));
    expected.clear();
    assert_eq!(simulation.pipeline().ledger().heartbeats(), 7 - 3, "one of each was refused");
}

#[test]
fn a_start_that_the_program_gave_makes_a_span_as_old_as_it_says() {
    let mut simulation = Simulation::new(&Setup::small());
    let mut beats = heartbeats(&simulation, 8);
    simulation.advance_to(AFTER);
    let now = Virtual::unix_nanos(nanos(AFTER));
    let context = throughline_core::Context::<Virtual>::empty();
    let context = context.with_pipeline(simulation.pipeline());
    let begun = |start| {
        let options = throughline_core::SpanOptions::new().parent(&context);
        throughline_core::Span::start_with(&OLD, options.start_unix_nanos(start), |_| ())
    };
    let five_millis = nanos(Duration::from_millis(5));
    let _young = [begun(now - five_millis), begun(now - nanos(AFTER) + 1), begun(now + 1)];
    assert!(!gather(&mut beats, &simulation), "none of them is that old");
    let mut beats = heartbeats(&simulation, 8);
    let old = begun(now - nanos(AFTER));
    assert!(gather(&mut beats, &simulation));
    let ids: Vec<_> = beats.batch().spans().map(|(_, span)| span.span_id()).collect();
    assert_eq!(ids, [old.span_context().span_id()]);
}

#[test]
fn heartbeats_without_memory_for_one_are_left_out() {
    let mut simulation = Simulation::new(&Setup::small());
    simulation.start(0, Size::Ordinary, 8);
    simulation.advance_to(AFTER);
    for (bytes, entries) in [(64, 1), (0, 0), (512, 0)] {
        let entries = vec![Default::default(); entries];
        let mut beats =
            Heartbeats::new(simulation.pipeline(), AFTER, Duration::ZERO, vec![0; bytes], entries);
        assert!(!gather(&mut beats, &simulation));
    }
}

#[test]
fn the_flusher_and_the_ledger_do_not_see_heartbeats() {
    let mut simulation = Simulation::new(&Setup::small());
    let mut beats = heartbeats(&simulation, 8);
    simulation.start(0, Size::Ordinary, 8);
    simulation.advance_to(AFTER);
    assert!(gather(&mut beats, &simulation));
    beats.on_export(Ok(Accepted::default()));
    simulation.check();
    assert!(matches!(simulation.poll(), Action::Wait { .. }), "there is nothing to send");
    assert_eq!(simulation.flusher().gathered(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_sends_heartbeats_until_the_span_itself_comes() {
    let memory = Memory::new();
    let runtime = Tokio::current().expect("inside");
    let telemetry = builder().heartbeat(AFTER).start(runtime, memory.clone());
    let context = telemetry.context();
    // The clock of spans is not paused; a span that began long ago is old on any.
    let options = SpanOptions::new().parent(&context).start_unix_nanos(1);
    let mut old = Span::start_with(&OLD, options, |_| ());
    old.set_attribute("known", true);
    let young = context.scope(|| span!("young"));
    // Half a period later, so that who looks at the end of one comes first.
    tokio::time::sleep(2 * AFTER + AFTER / 2).await;
    let beats = memory.heartbeats();
    let [first, second] = &beats[..] else { panic!("two: {beats:?}") };
    for beat in [first, second] {
        assert_eq!(beat.span_id, old.span_context().span_id());
        assert_eq!((&*beat.name, beat.start_unix_nanos), ("old", 1));
        assert_eq!(beat.attribute(HEARTBEAT_ATTRIBUTE), Some("true"));
    }
    assert!(first.end_unix_nanos <= second.end_unix_nanos);
    old.end();
    drop(young);
    let receipt = telemetry.shutdown(Duration::from_secs(60)).await;
    let ledger = receipt.ledger();
    assert_eq!((ledger.started(), ledger.exported(), ledger.heartbeats()), (2, 2, 2), "{receipt}");
    assert_eq!(memory.span("old").attribute("known"), Some("true"));
    assert_eq!(memory.span("old").attribute(HEARTBEAT_ATTRIBUTE), None);
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_tells_what_the_future_does() {
    let memory = Memory::new();
    let runtime = Tokio::current().expect("inside");
    let telemetry = builder().heartbeat(AFTER).start(runtime, memory.clone());
    let context = telemetry.context();
    let options = SpanOptions::new().parent(&context).start_unix_nanos(1);
    let waiting = tokio::spawn(pending::<()>().in_span(Span::start_with(&OLD, options, |_| ())));
    tokio::time::sleep(AFTER + AFTER / 2).await;
    let beats = memory.heartbeats();
    let [beat] = &beats[..] else { panic!("one: {beats:?}") };
    assert_eq!(beat.attribute("throughline.heartbeat.state"), Some("waiting"));
    let since = beat.attribute("throughline.heartbeat.since_ns").expect("since when");
    assert!(since.parse::<u64>().is_ok(), "{since}");
    waiting.abort();
    assert!(telemetry.shutdown(Duration::from_secs(60)).await.is_complete());
}

type Beats = Heartbeats<Vec<u8>, Vec<throughline_core::Entry>>;

/// Tells where it was dropped.
struct Witness(mpsc::Sender<SpanContext>);

impl Drop for Witness {
    fn drop(&mut self) {
        self.0.send(Context::current().span_context()).expect("the test waits");
    }
}

#[test]
fn what_is_in_a_span_that_was_ended_is_dropped_below_it() {
    let telemetry = isolated(Memory::new());
    let (sender, dropped) = mpsc::channel();
    let witness = Witness(sender);
    let work = poll_fn(move |_| {
        let _inside = &witness;
        Poll::<()>::Pending
    });
    let span = telemetry.context().scope(|| span!("work"));
    let ids = span.span_context();
    let mut work = Box::pin(work.in_span(span));
    work.as_mut().end();
    assert!(telemetry.live_spans().is_empty());
    drop(work);
    assert_eq!(dropped.recv(), Ok(ids));
}

fn heartbeats(simulation: &Simulation, entries: usize) -> Beats {
    let entries = vec![Default::default(); entries];
    Heartbeats::new(simulation.pipeline(), AFTER, Duration::ZERO, vec![0; 4_096], entries)
}

fn gather(beats: &mut Beats, simulation: &Simulation) -> bool {
    beats.gather(&Moment {
        now: simulation.now(),
        ticks: nanos(simulation.now()),
        after_ticks: nanos(beats.after()),
        unix_nanos: Virtual::unix_nanos,
    })
}

fn keys<'a>(span: &SpanView<'a>) -> Vec<&'a str> {
    span.attributes().map(|(key, _)| key).collect()
}

fn nanos(time: Duration) -> u64 {
    time.as_nanos() as u64
}

fn isolated(memory: Memory) -> Telemetry {
    builder().max_live_spans(SPANS).start(Thread::start().expect("a thread"), memory)
}

/// The room of a pipeline.
const SPANS: usize = 64;
const AFTER: Duration = Duration::from_secs(10);

static SCOPE: Scope = Scope::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
static OLD: Callsite = Callsite::new("old", &SCOPE);
