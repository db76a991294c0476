//! Streams and sinks with a span for each item.

use core::fmt;
use core::pin::Pin;
use core::task::{Context as TaskContext, Poll};

use futures_core::Stream;
use futures_core::stream::FusedStream;
use futures_sink::Sink;
use pin_project_lite::pin_project;

use crate::in_span::ready;
use crate::{Ending, Platform, Span, StatusCode};

pin_project! {
    /// A stream or sink with a span for each item.
    ///
    /// For a stream it begins when the item is first polled for, and ends when it is
    /// there. The search that finds no more items is a span too, and says so by the
    /// attribute [`EXHAUSTED_ATTRIBUTE`]. For a sink it begins when there is to be room
    /// for an item, and ends when the item is handed over; a failure is its status.
    ///
    /// A span that waits for its item when this is dropped is
    /// [cancelled](Ending::Cancelled), and destructors run inside it.
    pub struct EachInSpan<T, F, P: Platform> {
        // `None` only while it is dropped.
        #[pin]
        inner: Option<T>,
        begin: F,
        // That of the item that is waited for.
        span: Option<Span<P>>,
    }

    impl<T, F, P: Platform> PinnedDrop for EachInSpan<T, F, P> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(span) = this.span.take() {
                span.enter(|| this.inner.set(None));
                span.end_as(if P::is_panicking() { Ending::Panicked } else { Ending::Cancelled });
            }
        }
    }
}

/// Attribute of the span in which a stream found that there are no more items.
pub const EXHAUSTED_ATTRIBUTE: &str = "throughline.exhausted";

impl<T, F: FnMut() -> Span<P>, P: Platform> EachInSpan<T, F, P> {
    /// Puts each item of a stream or sink into a span that the closure begins.
    pub fn new(inner: T, begin: F) -> Self {
        EachInSpan { inner: Some(inner), begin, span: None }
    }

    /// Polls inside the span of the next item, which the closure ends if it takes
    /// the span away.
    fn poll_inside<R>(
        self: Pin<&mut Self>,
        poll: impl FnOnce(Pin<&mut T>) -> Poll<R>,
        end: impl FnOnce(&mut Option<Span<P>>, &R),
        gone: Poll<R>,
    ) -> Poll<R> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else { return gone };
        // Not back in its place if the poll panics: it ends with the panic.
        let span = this.span.take().unwrap_or_else(this.begin);
        let polled = span.enter(|| poll(inner));
        let mut span = Some(span);
        if let Poll::Ready(result) = &polled {
            end(&mut span, result);
        }
        *this.span = span;
        polled
    }
}

impl<T, F, P> Stream for EachInSpan<T, F, P>
where
    T: Stream,
    F: FnMut() -> Span<P>,
    P: Platform,
{
    type Item = T::Item;

    fn poll_next(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<T::Item>> {
        let end = |span: &mut Option<Span<P>>, item: &Option<T::Item>| {
            if let Some(mut span) = span.take() {
                if item.is_none() {
                    span.set_attribute(EXHAUSTED_ATTRIBUTE, true);
                }
                span.end();
            }
        };
        self.poll_inside(|inner| inner.poll_next(task), end, Poll::Ready(None))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.as_ref().map_or((0, Some(0)), Stream::size_hint)
    }
}

impl<T, F, P> FusedStream for EachInSpan<T, F, P>
where
    T: FusedStream,
    F: FnMut() -> Span<P>,
    P: Platform,
{
    fn is_terminated(&self) -> bool {
        self.inner.as_ref().is_none_or(FusedStream::is_terminated)
    }
}

impl<I, T, F, P> Sink<I> for EachInSpan<T, F, P>
where
    T: Sink<I>,
    F: FnMut() -> Span<P>,
    P: Platform,
{
    type Error = T::Error;

    fn poll_ready(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Result<(), T::Error>> {
        let end = |span: &mut Option<Span<P>>, result: &Result<(), T::Error>| {
            if result.is_err() {
                end_item(span, result);
            }
        };
        self.poll_inside(|inner| inner.poll_ready(task), end, Poll::Pending)
    }

    fn start_send(self: Pin<&mut Self>, item: I) -> Result<(), T::Error> {
        let send = |inner: Pin<&mut T>| Poll::Ready(inner.start_send(item));
        ready(self.poll_inside(send, end_item, Poll::Ready(Ok(()))))
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Result<(), T::Error>> {
        match self.project().inner.as_pin_mut() {
            Some(inner) => inner.poll_flush(task),
            None => Poll::Pending,
        }
    }

    fn poll_close(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Result<(), T::Error>> {
        match self.project().inner.as_pin_mut() {
            Some(inner) => inner.poll_close(task),
            None => Poll::Pending,
        }
    }
}

fn end_item<P: Platform, E>(span: &mut Option<Span<P>>, result: &Result<(), E>) {
    if let Some(mut span) = span.take() {
        if result.is_err() {
            span.set_status(StatusCode::Error, "");
        }
        span.end();
    }
}

impl<T: fmt::Debug, F, P: Platform> fmt::Debug for EachInSpan<T, F, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EachInSpan { inner, span, .. } = self;
        f.debug_struct("EachInSpan")
            .field("inner", inner)
            .field("span", span)
            .finish_non_exhaustive()
    }
}
