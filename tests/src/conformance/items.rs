//! Streams and sinks with a span for each item.

use futures::channel::mpsc;
use futures::future::poll_immediate;
use futures::{SinkExt, StreamExt};
use throughline::{InSpanExt, span};

use super::{Stage, TestRuntime, Witness, current};

/// Each from when it is asked for until it is there, in whatever task.
pub fn each_item_of_a_stream_has_a_span<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    stage.run(async {
        let rows = futures::stream::iter(1..=2).then(|row| async move {
            R::yield_now().await;
            span!("read").in_scope(|| row)
        });
        let mut rows = Box::pin(rows.each_in_span(|| span!("row")));
        let first = R::spawn(
            async move {
                let mine = current();
                assert_eq!(rows.next().await, Some(1));
                assert_eq!(current(), mine);
                rows
            }
            .in_span(span!("first")),
        );
        let mut rows = first.await.expect("no panic");
        async {
            assert_eq!(rows.next().await, Some(2));
            assert_eq!(rows.next().await, None);
        }
        .in_span(span!("second"))
        .await;
    });
    stage.finish_with_tree(
        "
        first
          row
            read
        second
          row
            read
          row
        ",
    );
    let spans = stage.memory.spans();
    let exhausted = spans.iter().filter(|s| s.attribute("throughline.exhausted") == Some("true"));
    assert_eq!(exhausted.count(), 1);
}

/// The stream is dropped while an item is waited for, and then between items.
pub fn an_item_that_never_came_is_cancelled<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    let witness = Witness::default();
    stage.run(async {
        let on_drop = witness.on_drop();
        let never = futures::stream::pending::<u8>().inspect(move |_| {
            let _ = &on_drop;
        });
        let mut never = never.each_in_span(|| span!("item"));
        assert!(poll_immediate(never.next()).await.is_none());
        drop(never);
        let mut some = futures::stream::iter(0..9).each_in_span(|| span!("one"));
        assert_eq!(some.next().await, Some(0));
        drop(some);
    });
    stage.finish_with_tree("item (cancelled)\none");
    assert_eq!(witness.seen(), [stage.memory.span("item").span_id]);
}

/// Each from when there is to be room for it until it is handed over.
pub fn each_item_of_a_sink_has_a_span<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    stage.run(async {
        let (sender, receiver) = mpsc::channel::<u8>(0);
        let mut sink = sender.each_in_span(|| span!("item"));
        let received = R::spawn(receiver.take(2).collect::<Vec<_>>());
        async {
            sink.send(1).await.expect("the receiver is there");
            sink.send(2).await.expect("the receiver is there");
            assert_eq!(received.await, Ok(vec![1, 2]));
            assert!(sink.send(3).await.is_err());
            let _ = sink.close().await;
        }
        .in_span(span!("sender"))
        .await;
    });
    stage.finish_with_tree(
        "
        sender
          item
          item
          item (error)
        ",
    );
}
