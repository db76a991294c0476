//! What span processors see, on whatever thread of the runtime it happens.

use core::future::pending;

use futures::channel::oneshot;
use futures::future::join_all;
use throughline::{
    AlwaysOff, AlwaysRecord, DropReason, EndedSpan, Ending, EndingSpan, InSpanExt, SpanProcessor,
    builder, span,
};

use super::{Stage, TestRuntime};
use crate::recorder::Recorder;

/// SP-2 and SP-5 of
/// [Span processor](https://opentelemetry.io/docs/specs/otel/trace/sdk/#span-processor).
/// Whatever way a span begins, a processor sees it begin and end, and as it is exported.
pub fn a_processor_sees_what_is_exported_of_all_tasks<R: TestRuntime>(runtime: R) {
    let recorder = Recorder::default();
    let stage = Stage::with(builder().long_poll(None).processor(recorder.clone()), runtime);
    stage.run(every_way::<R>());
    stage.finish();
    let exported = stage.memory.spans();
    let (started, mut seen) = (recorder.started(), recorder.ended());
    assert_eq!((started.len(), seen.len(), exported.len()), (SPANS, SPANS, SPANS));
    for span in &exported {
        let at = seen.iter().position(|seen| seen.context.span_id() == span.span_id);
        seen.swap_remove(at.expect("each is seen once")).assert_is(span);
        assert!(started.contains(&(span.name.clone(), span.span_id)));
    }
}

/// SMP-5 ([Sampling](https://opentelemetry.io/docs/specs/otel/trace/sdk/#sampling)).
pub fn a_processor_sees_what_is_only_recorded_of_all_tasks<R: TestRuntime>(runtime: R) {
    let recorder = Recorder::default();
    let builder = builder().sampler(AlwaysRecord::new(AlwaysOff)).processor(recorder.clone());
    let stage = Stage::with(builder.long_poll(None), runtime);
    stage.run(every_way::<R>());
    let ledger = stage.finish();
    assert_eq!(ledger.dropped(DropReason::RecordOnly), SPANS as u64);
    assert!(stage.memory.spans().is_empty());
    assert_eq!(recorder.ended().len(), SPANS);
    let root = recorder.span("root").context;
    for span in recorder.ended() {
        assert!(!span.context.is_sampled());
        assert_eq!(span.context.trace_id(), root.trace_id());
        let is_root = span.context == root;
        assert_eq!(span.parent.0.is_valid(), !is_root, "{span:?}");
        let ending = match &*span.name {
            "cancelled" => Ending::Cancelled,
            "panicked" => Ending::Panicked,
            "dropped" => Ending::Dropped,
            _ => Ending::Completed,
        };
        assert_eq!(span.ending, ending, "{span:?}");
    }
}

/// SP-4 ([OnEnding](https://opentelemetry.io/docs/specs/otel/trace/sdk/#onending)). The one
/// that was given first sees at the end what a later one added before.
pub fn what_a_processor_adds_to_an_ending_span_is_exported_of_all_tasks<R: TestRuntime>(
    runtime: R,
) {
    let recorder = Recorder::default();
    let builder = builder().long_poll(None).processor(recorder.clone()).processor(Adding);
    let stage = Stage::with(builder, runtime);
    stage.run(every_way::<R>());
    stage.finish();
    let exported = stage.memory.spans();
    assert_eq!((exported.len(), recorder.ended().len()), (SPANS, SPANS));
    for span in &exported {
        let seen = recorder.ended().into_iter().find(|seen| seen.context.span_id() == span.span_id);
        let seen = seen.expect("each is seen");
        seen.assert_is(span);
        let added = format!("{} of {:?}", span.name, seen.ending);
        assert_eq!(span.attribute("added"), Some(&*added));
    }
}

/// Adds to each span, when it ends, what it is.
struct Adding;

impl SpanProcessor for Adding {
    fn on_ending(&self, span: &mut EndingSpan<'_>) {
        let what = format!("{} of {:?}", span.so_far().name(), span.so_far().ending());
        span.set_attribute("added", &*what);
    }

    fn on_end(&self, _: &EndedSpan<'_>) {}
}

/// Spans in tasks, in blocking work, below each other, and with each ending.
async fn every_way<R: TestRuntime>() {
    let root = span!("root");
    async {
        let tasks = (0..TASKS).map(|number| {
            R::spawn(
                async move {
                    R::yield_now().await;
                    span!("child").in_scope(|| span!("grandchild", number).end());
                }
                .in_span(span!("task")),
            )
        });
        join_all(tasks).await;
        let blocking = R::spawn_blocking(|| span!("blocking").in_scope(|| span!("below").end()));
        blocking.await.expect("no panic");
        let (started, begins) = oneshot::channel();
        let endless = async {
            let _ = started.send(());
            pending::<()>().await;
        };
        let task = R::spawn(endless.in_span(span!("cancelled")));
        begins.await.expect("the task starts");
        R::cancel(task).await;
        let panicking = async { panic!("as the test wants") };
        assert!(R::spawn(panicking.in_span(span!("panicked"))).await.is_err());
        drop(span!("dropped"));
    }
    .in_span(root)
    .await;
}

const TASKS: usize = 16;
const SPANS: usize = 1 + 3 * TASKS + 2 + 3;
