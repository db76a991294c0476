//! How spans of futures and streams were polled.

use core::future::{Future, pending, poll_fn};
use core::task::Poll;
use core::time::Duration;

use futures::StreamExt;
use futures::future::poll_immediate;
use throughline::exporters::CapturedSpan;
use throughline::{InSpanExt, builder, span};

use super::{Stage, TestRuntime};

/// Is ready when it is polled for the last time.
fn ready_after(polls: u32) -> impl Future<Output = ()> + Send {
    let mut left = polls;
    poll_fn(move |task| {
        left -= 1;
        if left == 0 {
            return Poll::Ready(());
        }
        task.waker().wake_by_ref();
        Poll::Pending
    })
}

fn number(span: &CapturedSpan, key: &str) -> u64 {
    span.attribute(key).and_then(|text| text.parse().ok()).expect("a number")
}

/// What another rate may make of it: that of the clock is the better known the later
/// it is asked for.
fn about(nanos: u64) -> u64 {
    nanos + nanos / 4 + 10_000
}

/// The parts of a span's time, which are all of it.
#[track_caller]
fn assert_profile(span: &CapturedSpan, polls: u64) {
    assert_eq!(number(span, "throughline.poll.count"), polls);
    let [busy, idle, longest] = ["busy_ns", "idle_ns", "poll.longest_ns"]
        .map(|k| number(span, &format!("throughline.{k}")));
    assert!(longest <= busy && about(longest) >= busy / polls, "{span:?}");
    let duration = span.end_unix_nanos - span.start_unix_nanos;
    assert!(busy + idle <= about(duration) && duration <= about(busy + idle), "{span:?}");
}

/// A future in several tasks, and a stream.
pub fn a_span_says_how_it_was_polled<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    stage.run(async {
        R::spawn(ready_after(5).in_span(span!("future"))).await.expect("no panic");
        let stream = futures::stream::iter(0..2).in_span(span!("stream"));
        assert_eq!(stream.collect::<Vec<_>>().await, [0, 1]);
    });
    stage.finish_with_tree("future\nstream");
    assert_profile(&stage.memory.span("future"), 5);
    assert_profile(&stage.memory.span("stream"), 3);
}

/// Cancelled, panicked; one that was never polled has nothing to say.
pub fn a_cancelled_span_says_how_it_was_polled<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    stage.run(async {
        assert!(poll_immediate(pending::<()>().in_span(span!("cancelled"))).await.is_none());
        let panics = async {
            ready_after(2).await;
            panic!("as the test wants");
        };
        assert!(R::spawn(panics.in_span(span!("panicked"))).await.is_err());
        drop(pending::<()>().in_span(span!("unpolled")));
    });
    stage.finish();
    assert_profile(&stage.memory.span("cancelled"), 1);
    assert_profile(&stage.memory.span("panicked"), 2);
    assert_eq!(stage.memory.span("unpolled").attribute("throughline.poll.count"), None);
}

/// Where any poll is long.
pub fn a_long_poll_is_an_event<R: TestRuntime>(runtime: R) {
    let stage = Stage::with(builder().long_poll(Some(Duration::ZERO)), runtime);
    stage.run(ready_after(2).in_span(span!(parent: &stage.telemetry.context(), "work")));
    stage.finish_with_tree("work");
    let span = stage.memory.span("work");
    let longest = span.events.iter().map(|(name, attributes)| {
        let [(key, nanos)] = &attributes[..] else { panic!("one attribute: {span:?}") };
        assert_eq!(
            (name.as_str(), key.as_str()),
            ("throughline.poll.long", "throughline.poll.duration_ns")
        );
        nanos.parse::<u64>().expect("a number")
    });
    let (event, attribute) = (longest.max(), number(&span, "throughline.poll.longest_ns"));
    assert!(event.is_some_and(|event| event <= about(attribute) && attribute <= about(event)));
    assert_eq!(span.events.len(), 2);
}

/// Neither numbers nor events.
pub fn polls_need_not_be_timed<R: TestRuntime>(runtime: R) {
    let settings = builder().long_poll(Some(Duration::ZERO)).poll_profile(false);
    let stage = Stage::with(settings, runtime);
    stage.run(ready_after(2).in_span(span!(parent: &stage.telemetry.context(), "work")));
    stage.finish_with_tree("work");
    let span = stage.memory.span("work");
    assert_eq!((span.attributes.len(), span.events.len()), (0, 0));
}

/// A thread may block as long as it wants.
pub fn synchronous_spans_have_no_polls<R: TestRuntime>(runtime: R) {
    let stage = Stage::with(builder().long_poll(Some(Duration::ZERO)), runtime);
    stage.run(async {
        let work = || span!("blocking").in_scope(|| {});
        R::spawn_blocking(work).await.expect("no panic");
    });
    stage.finish_with_tree("blocking");
    let span = stage.memory.span("blocking");
    assert_eq!((span.attributes.len(), span.events.len()), (0, 0));
}
