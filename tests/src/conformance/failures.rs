//! Why work failed, and sinks, which say so most often.

use core::error::Error;
use core::fmt;
use core::pin::Pin;
use core::task::{Context as TaskContext, Poll};

use futures::channel::mpsc;
use futures::stream::FusedStream;
use futures::{Sink, SinkExt, Stream, StreamExt};
use throughline::{CurrentSpan, InSpanExt, StatusCode, span, trace};

use super::{DEADLINE, Stage, TestRuntime, Witness, current};

/// An error with a cause of a cause.
#[derive(Debug)]
struct NotStored(Refused);

#[derive(Debug)]
struct Refused;

impl fmt::Display for NotStored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Formatting may trace; it is no part of the span.
        span!("formatting").in_scope(|| f.write_str("the order is not stored"))
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connection refused")
    }
}

impl Error for Refused {}

impl Error for NotStored {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

const STACKTRACE: &str = "the order is not stored\nCaused by: connection refused";

/// By the extension, by the handle, and by the attribute.
pub fn an_error_is_recorded_with_what_caused_it<R: TestRuntime>(runtime: R) {
    #[trace(err)]
    async fn attribute<R: TestRuntime>() -> Result<(), NotStored> {
        R::yield_now().await;
        Err(NotStored(Refused))
    }
    let stage = Stage::new(runtime);
    stage.run(async {
        let failing = async {
            R::yield_now().await;
            Err::<(), _>(NotStored(Refused))
        };
        let task = R::spawn(failing.try_in_span(span!("extension")));
        assert!(task.await.expect("no panic").is_err());
        let fine = async { Ok::<_, NotStored>(1) };
        assert_eq!(fine.try_in_span(span!("fine")).await.expect("it is fine"), 1);
        let mut handle = span!("handle");
        handle.record_error(&NotStored(Refused));
        handle.end();
        assert!(attribute::<R>().await.is_err());
    });
    assert_eq!(stage.finish().dropped_total(), 0);
    for name in ["extension", "handle", "attribute"] {
        let span = stage.memory.span(name);
        assert_eq!(span.ending(), None);
        assert_eq!(span.status, (StatusCode::Error, "the order is not stored".to_owned()));
        let [(event, attributes)] = &span.events[..] else { panic!("one event: {span:?}") };
        assert_eq!(event, "exception");
        let expected = [
            ("exception.type", core::any::type_name::<NotStored>()),
            ("exception.message", "the order is not stored"),
            ("exception.stacktrace", STACKTRACE),
        ];
        assert_eq!(*attributes, expected.map(|(key, text)| (key.to_owned(), text.to_owned())));
    }
    let fine = stage.memory.span("fine");
    assert_eq!((fine.status.0, fine.events.len()), (StatusCode::Unset, 0));
}

/// A boxed error has no type any more, and still a message and a cause; what is
/// no error at all has a message.
pub fn an_error_within_an_error_type_is_recorded_with_what_caused_it<R: TestRuntime>(runtime: R) {
    #[trace(err)]
    async fn boxed() -> Result<(), Box<dyn Error + Send + Sync>> {
        Err(Box::new(NotStored(Refused)))
    }
    #[trace(err)]
    async fn text() -> Result<(), String> {
        Err("no error".to_owned())
    }
    let stage = Stage::new(runtime);
    stage.run(async {
        assert!(boxed().await.is_err());
        assert!(text().await.is_err());
        let error: Box<dyn Error> = Box::new(NotStored(Refused));
        let mut span = span!("dyn");
        span.record_error(&*error);
        span.end();
    });
    assert_eq!(stage.finish().dropped_total(), 0);
    let exception = |name: &str, key: &str| {
        let span = stage.memory.span(name);
        let attribute = span.events[0].1.iter().find(|(name, _)| name == key);
        attribute.map(|(_, value)| value.clone())
    };
    for name in ["boxed", "dyn"] {
        assert_eq!(exception(name, "exception.stacktrace").as_deref(), Some(STACKTRACE));
    }
    assert_eq!(exception("dyn", "exception.type"), None);
    assert_eq!(exception("text", "exception.message").as_deref(), Some("no error"));
    assert_eq!(exception("text", "exception.stacktrace"), None);
}

/// ([Record exception](https://opentelemetry.io/docs/specs/otel/trace/api/#record-exception):
/// EXC-1)
pub fn attributes_given_with_an_error_outrank_its_own<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    let attributes = [("exception.type", "Refused".into()), ("order.id", 7.into())];
    stage.run(async {
        async { assert!(CurrentSpan::record_error_with(&Refused, &attributes)) }
            .in_span(span!("current"))
            .await;
        let mut handle = span!("handle");
        handle.record_error_with(&Refused, &attributes);
        handle.end();
    });
    assert_eq!(stage.finish().dropped_total(), 0);
    for name in ["current", "handle"] {
        let (_, attributes) = &stage.memory.span(name).events[0];
        let expected = [
            ("exception.message", "connection refused"),
            ("exception.type", "Refused"),
            ("order.id", "7"),
        ];
        assert_eq!(*attributes, expected.map(|(key, text)| (key.to_owned(), text.to_owned())));
    }
}

/// The stream may go on; what it does then is still below its span.
pub fn a_stream_in_a_span_ends_it_at_its_error<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    stage.run(async {
        let items = futures::stream::iter([Ok(1), Err(Refused), Ok(2)]);
        let items = items.inspect(|_| span!("item").end());
        let mut stream = items.try_in_span(span!("stream"));
        assert!(matches!(stream.next().await, Some(Ok(1))));
        assert!(matches!(stream.next().await, Some(Err(Refused))));
        let receipt = stage.telemetry.flush(DEADLINE).await;
        assert_eq!(receipt.ledger().exported(), 3, "{receipt}");
        assert!(matches!(stream.next().await, Some(Ok(2))));
        assert!(stream.next().await.is_none());
    });
    stage.finish_with_tree(
        "
        stream (error)
          item
          item
          item
        ",
    );
    assert_eq!(stage.memory.span("stream").status.1, "connection refused");
}

/// A channel into which items go from several tasks.
pub fn a_sink_is_in_its_span_until_it_is_closed<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    stage.run(async {
        let (sender, receiver) = mpsc::channel::<u8>(1);
        let sender = sender.with(|item: u8| {
            span!("item").end();
            core::future::ready(Ok::<_, mpsc::SendError>(item))
        });
        let mut sink = sender.in_span(span!("sink"));
        let received = R::spawn(receiver.collect::<Vec<_>>());
        let sender = R::spawn(
            async move {
                let mine = current();
                sink.send(1).await.expect("the receiver is there");
                assert_eq!(current(), mine);
                sink
            }
            .in_span(span!("a")),
        );
        let mut sink = sender.await.expect("no panic");
        sink.send(2).await.expect("the receiver is there");
        sink.close().await.expect("the receiver is there");
        let receipt = stage.telemetry.flush(DEADLINE).await;
        assert_eq!(receipt.ledger().exported(), 4, "{receipt}");
        drop(sink);
        assert_eq!(received.await, Ok(vec![1, 2]));
    });
    stage.finish_with_tree(
        "
        sink
          item
          item
        a
        ",
    );
}

/// Nobody receives.
pub fn a_sink_that_fails_ends_its_span<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    stage.run(async {
        let (sender, receiver) = mpsc::channel::<u8>(1);
        drop(receiver);
        let mut known = sender.clone().try_in_span(span!("known"));
        assert!(known.send(1).await.is_err());
        // Of any error at all it is known that there is one.
        let mut unknown = sender.sink_map_err(drop).in_span(span!("unknown"));
        assert!(unknown.send(1).await.is_err());
        let receipt = stage.telemetry.flush(DEADLINE).await;
        assert_eq!(receipt.ledger().exported(), 2, "{receipt}");
        drop((known, unknown));
    });
    stage.finish_with_tree("known (error)\nunknown (error)");
    assert_eq!(stage.memory.span("known").events.len(), 1);
    assert_eq!(stage.memory.span("unknown").events.len(), 0);
}

/// Nobody closes it.
pub fn a_sink_that_is_dropped_is_cancelled<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    let witness = Witness::default();
    stage.run(async {
        let (sender, _receiver) = mpsc::channel::<u8>(1);
        let on_drop = witness.on_drop();
        let sender = sender.with(move |item: u8| {
            let _ = &on_drop;
            core::future::ready(Ok::<_, mpsc::SendError>(item))
        });
        let mut sink = Box::pin(sender.in_span(span!("sink")));
        sink.feed(1).await.expect("the receiver is there");
        drop(sink);
    });
    stage.finish_with_tree("sink (cancelled)");
    assert_eq!(witness.seen(), [stage.memory.span("sink").span_id]);
}

/// A stream of three that says what it is asked.
struct Three;

impl Stream for Three {
    type Item = Result<u8, Refused>;

    fn poll_next(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(None)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (3, Some(7))
    }
}

impl FusedStream for Three {
    fn is_terminated(&self) -> bool {
        true
    }
}

/// What a wrapper must not hide.
pub fn wrappers_are_as_large_and_as_fused_as_what_they_wrap<R: TestRuntime>(runtime: R) {
    fn check(stream: impl FusedStream) {
        assert_eq!(stream.size_hint(), (3, Some(7)));
        assert!(stream.is_terminated());
    }
    fn is_sink<I>(_: &impl Sink<I>) {}
    let stage = Stage::new(runtime);
    check(Three.in_span(span!("stream")));
    check(Three.try_in_span(span!("stream")));
    check(Three.each_in_span(|| span!("item")));
    check(Three.with_context(stage.telemetry.context()));
    let (sender, _) = mpsc::channel::<u8>(1);
    is_sink(&sender.clone().in_span(span!("sink")));
    is_sink(&sender.clone().try_in_span(span!("sink")));
    is_sink(&sender.clone().each_in_span(|| span!("item")));
    is_sink(&sender.with_context(stage.telemetry.context()));
    stage.finish();
}
