//! The kit for users' own tests: captures, trees, the virtual clock, seeded ids.

use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::panic::catch_unwind;
use std::sync::{Arc, Barrier, mpsc};

use throughline::testing::{Capture, VirtualClock, capture, capture_async};
use throughline::{
    AlwaysOff, Context, DropReason, InSpanExt, ParentBased, Span, SpanOptions, TraceIdRatioBased,
    inject, span,
};
use throughline_core::{Callsite, Scope};

#[test]
fn a_capture_has_what_its_closure_makes_and_nothing_else() {
    let (outer_result, outer) = capture(|| {
        span!("outer").in_scope(|| {
            let ((), inner) = capture(|| span!("inner").in_scope(|| ()));
            inner.assert_tree("inner");
            span!("after").in_scope(|| 7)
        })
    });
    assert_eq!(outer_result, 7);
    outer.assert_tree("outer\n  after");
    assert_eq!((outer.ledger().started(), outer.ledger().exported()), (2, 2));
    assert!(outer.live().is_empty());
}

#[test]
fn captures_that_run_at_the_same_time_never_mix() {
    let together = Arc::new(Barrier::new(8));
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let together = together.clone();
            std::thread::spawn(move || {
                let (names, captured) = capture(|| {
                    together.wait();
                    let mut names = Vec::new();
                    for each in 0..50 {
                        let mut span = span!("one");
                        names.push(format!("{number}.{each}"));
                        span.update_name(&names[each]);
                        span.in_scope(std::thread::yield_now);
                    }
                    names
                });
                captured.assert_tree(&names.join("\n"));
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_spawned_is_captured_on_each_runtime_and_on_threads() {
    let (total, captured) = capture_async(async {
        let work = |name: &'static str| async move {
            let mut span = span!("task");
            span.update_name(name);
            async { 1 }.in_span(span).await
        };
        async {
            let on_tokio = throughline::tokio::spawn(work("on tokio"));
            let on_smol = throughline::smol::spawn(work("on smol"));
            let on_async_std = throughline::async_std::spawn(work("on async-std"));
            let context = Context::current();
            let thread =
                std::thread::spawn(move || context.scope(|| span!("thread").in_scope(|| 1)));
            let threads = thread.join().expect("no panic");
            on_tokio.await.expect("no panic") + on_smol.await + on_async_std.await + threads
        }
        .in_span(span!("parent"))
        .await
    })
    .await;
    assert_eq!(total, 4);
    let expected = "parent\n  thread\n  on tokio\n  on smol\n  on async-std";
    captured.assert_tree_unordered(expected);
}

#[test]
fn what_is_still_under_way_is_told_and_what_ends_later_is_in_no_capture() {
    let (late, captured) = capture(|| span!("late"));
    captured.assert_tree("");
    let live: Vec<_> = captured.live().iter().map(|span| span.name).collect();
    assert_eq!((live, captured.ledger().in_flight()), (vec!["late"], 1));
    drop(late);
    assert!(captured.spans().is_empty());
}

#[test]
fn a_panic_of_the_closure_goes_on() {
    let result = catch_unwind(|| capture(|| span!("work").in_scope(|| panic!("as it wants"))));
    let message = result.expect_err("it panics").downcast::<&str>().expect("a text");
    assert_eq!(*message, "as it wants");
}

#[test]
fn a_tree_that_differs_is_shown_line_by_line() {
    let ((), captured) = capture(|| {
        span!("order", id = 7).in_scope(|| {
            span!("price").in_scope(|| ());
            span!("reserve").in_scope(|| ());
        });
    });
    let message = message(|| captured.assert_tree("order\n  reserve\n  ship"));
    assert_eq!(
        message,
        "the trace differs (- expected, + captured)\n  order\n+   price\n    reserve\n-   ship\n"
    );
    let unordered = "order\n  reserve\n  price";
    captured.assert_tree_unordered(unordered);
    assert!(catch_unwind(AssertUnwindSafe(|| captured.assert_tree(unordered))).is_err());
    captured.assert_tree_with(&["id", "no"], "order {id=7}\n  price\n  reserve");
    let message = self::message(|| drop(captured.span("ship").clone()));
    assert_eq!(message, "no span `ship` among:\norder\n  price\n  reserve\n");
}

/// What one stumbles over: a span that did not end, and one that is an argument.
#[test]
fn a_tree_that_lacks_a_span_tells_why_it_may_be_missing() {
    let (kept, captured) = capture(|| span!("kept"));
    let text = message(|| captured.assert_tree("kept"));
    assert!(text.ends_with("- kept\nstill under way when the capture ended: kept\n"), "{text}");
    drop(kept);
    let before = span!("before");
    let ((), captured) = capture(|| before.in_scope(|| ()));
    let text = message(|| captured.assert_tree("before"));
    assert!(text.contains("- before\nno span was made in the capture; one that is made before"));
}

#[test]
fn lost_spans_fail_the_capture_and_the_number_that_it_names_is_enough() {
    let room_it_asks_for = |message: &str| {
        let (_, number) = message.split_once("; give the capture `.room_for(").expect("advice");
        number.trim_end_matches(")`").parse::<usize>().expect("a number")
    };
    // So many at once.
    let live = || (0..9).map(|_| span!("live")).collect::<Vec<_>>();
    let message = message(|| drop(Capture::new().room_for(2).run(live)));
    assert!(message.contains("live_table_full 7"), "{message}");
    let (_, captured) = Capture::new().room_for(room_it_asks_for(&message)).run(live);
    assert_eq!(captured.spans().len() + captured.live().iter().count(), 9);
    // So many, and so large, faster than anybody takes them.
    let text = "x".repeat(3_000);
    let many = || (0..600).for_each(|_| span!("one", text = text.as_str()).end());
    let (mut room, mut attempts) = (1, 0);
    let captured = loop {
        let run = || Capture::new().room_for(room).run(many).1;
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(captured) => break captured,
            Err(panic) => {
                let message = panic.downcast::<String>().expect("a text");
                assert!(message.contains("queue_full"), "{message}");
                assert!(room_it_asks_for(&message) > room, "{message}");
                room = room_it_asks_for(&message);
            }
        }
        attempts += 1;
        assert!(attempts < 2, "the number {room} was not enough");
    };
    assert_eq!(captured.spans().len(), 600);
}

#[test]
fn durations_on_the_virtual_clock_are_exactly_what_it_was_advanced_by() {
    let clock = VirtualClock::new();
    let ((), captured) = Capture::new().clock(&clock).run(|| {
        let advance = |millis| clock.advance(Duration::from_millis(millis));
        span!("all").in_scope(|| {
            advance(1);
            span!("quick").in_scope(|| ());
            span!("slow").in_scope(|| advance(250));
            // Side by side, on another thread.
            let (first, other) = (span!("first"), clock.clone());
            let second = span!("second");
            std::thread::scope(|scope| {
                scope.spawn(move || first.in_scope(|| other.advance(Duration::from_secs(3_600))));
            });
            advance(1);
            second.end();
        });
    });
    captured.assert_tree_with(
        &["duration"],
        "
        all {duration=3600.252s}
          quick {duration=0ns}
          slow {duration=250ms}
          first {duration=3600s}
          second {duration=3600.001s}
        ",
    );
    let [quick, slow] = ["quick", "slow"].map(|name| captured.span(name).start_unix_nanos);
    assert_eq!((quick, slow), (946_684_800_001_000_000, quick));
    assert_eq!(clock.unix_nanos(), quick + 3_600_251_000_000);
}

#[test]
fn a_time_that_the_program_gives_stays_on_the_virtual_clock() {
    let clock = VirtualClock::new();
    let ((), captured) = Capture::new().clock(&clock).run(|| {
        let options = SpanOptions::new().start_unix_nanos(1_000);
        Span::start_with(&GIVEN, options, |_| ()).end_at(3_000);
    });
    assert_eq!(captured.span("given").duration(), Duration::from_nanos(2_000));
    assert_eq!(captured.span("given").start_unix_nanos, 1_000);
}

#[test]
fn seeded_ids_are_the_same_each_time_and_those_on_the_wire() {
    let run = |seed| {
        let (headers, captured) = Capture::new().seed(seed).run(|| {
            [(); 2].map(|()| {
                span!("root").in_scope(|| {
                    let child = std::thread::spawn(Context::current().wrap(|| {
                        let mut header = Header(String::new());
                        span!("child").in_scope(|| inject(&Context::current(), &mut header));
                        header.0
                    }));
                    child.join().expect("no panic")
                })
            })
        });
        let ids = captured.spans().iter().map(|span| (span.trace_id, span.span_id));
        for header in &headers {
            let is_sent = |(trace, span)| *header == format!("00-{trace}-{span}-03");
            assert!(ids.clone().any(is_sent), "{header}");
        }
        (headers, ids.collect::<std::collections::HashSet<_>>())
    };
    assert_eq!(run(7), run(7));
    assert_eq!(run(7).1.len(), 4);
    assert!(run(7).1.is_disjoint(&run(8).1));
}

#[test]
fn seeded_ids_make_the_sampler_decide_the_same_each_time() {
    let run = || {
        let sampler = ParentBased::new(TraceIdRatioBased::new(0.5));
        let ((), captured) = Capture::new().seed(1).sampler(sampler).run(|| {
            for id in 0..64 {
                span!("root", id).in_scope(|| span!("child").in_scope(|| ()));
            }
        });
        (captured.tree_with(&["id"]), captured.ledger().unsampled())
    };
    let (tree, unsampled) = run();
    assert_eq!(run(), (tree, unsampled));
    assert!((2..126).contains(&unsampled) && unsampled.is_multiple_of(2), "{unsampled}");
}

#[test]
fn what_the_sampler_leaves_out_is_no_loss() {
    let ((), captured) = Capture::new().sampler(AlwaysOff).run(|| span!("work").in_scope(|| ()));
    captured.assert_tree("");
    assert_eq!(captured.ledger().unsampled(), 1);
    assert_eq!(captured.ledger().dropped(DropReason::QueueFull), 0);
}

#[test]
fn a_future_that_is_dropped_takes_its_capture_along() {
    let (tell, told) = mpsc::channel();
    let mut running = Box::pin(capture_async(async move {
        tell.send(Context::current()).expect("somebody waits");
        core::future::pending::<()>().await;
    }));
    let mut context = core::task::Context::from_waker(core::task::Waker::noop());
    assert!(running.as_mut().poll(&mut context).is_pending());
    let inside = told.recv().expect("it ran");
    drop(running);
    inside.scope(|| assert!(!span!("too late").is_recording()));
}

/// Keeps the `traceparent`, which is the only header here.
struct Header(String);

impl throughline::w3c::Setter for Header {
    fn set(&mut self, name: &str, value: &str) {
        assert_eq!(name, "traceparent");
        value.clone_into(&mut self.0);
    }
}

fn message(work: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(work)).expect_err("it panics");
    *panic.downcast::<String>().expect("a text")
}

static SCOPE: Scope = Scope::new("tests", "");
static GIVEN: Callsite = Callsite::new("given", &SCOPE);
