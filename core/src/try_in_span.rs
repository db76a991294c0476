//! Futures, streams and sinks in a span that tells why they failed.

use core::error::Error;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context as TaskContext, Poll};

use futures_core::Stream;
use futures_core::future::FusedFuture;
use futures_core::stream::FusedStream;
use futures_sink::Sink;
use pin_project_lite::pin_project;

use crate::in_span::{Then, ready};
use crate::{InSpan, Platform, Span};

pin_project! {
    /// A future of a `Result`, a stream of them, or a sink, whose polls happen inside
    /// a span on which an `Err` is [recorded](Span::record_error).
    ///
    /// The span ends as that of [`InSpan`], and at the first error. What is polled
    /// after an error is still below the span.
    pub struct TryInSpan<T, P: Platform> {
        #[pin]
        inner: InSpan<T, P>,
    }
}

impl<T, P: Platform> TryInSpan<T, P> {
    /// Puts a future, stream or sink into a span.
    pub fn new(inner: T, span: Span<P>) -> Self {
        TryInSpan { inner: InSpan::new(inner, span) }
    }
}

impl<T, O, E, P> Future for TryInSpan<T, P>
where
    T: Future<Output = Result<O, E>>,
    E: Error,
    P: Platform,
{
    type Output = T::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<T::Output> {
        let then = |span: &mut Span<P>, result: &T::Output| {
            until_error(span, result);
            Then::End
        };
        self.project().inner.poll_inside(|inner| inner.poll(task), then, Poll::Pending)
    }
}

impl<T, O, E, P> FusedFuture for TryInSpan<T, P>
where
    T: FusedFuture<Output = Result<O, E>>,
    E: Error,
    P: Platform,
{
    fn is_terminated(&self) -> bool {
        self.inner.is_terminated()
    }
}

impl<T, O, E, P> Stream for TryInSpan<T, P>
where
    T: Stream<Item = Result<O, E>>,
    E: Error,
    P: Platform,
{
    type Item = T::Item;

    fn poll_next(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<T::Item>> {
        let then = |span: &mut Span<P>, item: &Option<T::Item>| match item {
            Some(result) => until_error(span, result),
            None => Then::EndAndStand,
        };
        self.project().inner.poll_inside(|inner| inner.poll_next(task), then, Poll::Ready(None))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.inner().map_or((0, Some(0)), Stream::size_hint)
    }
}

impl<T, O, E, P> FusedStream for TryInSpan<T, P>
where
    T: FusedStream<Item = Result<O, E>>,
    E: Error,
    P: Platform,
{
    fn is_terminated(&self) -> bool {
        self.inner.inner().is_none_or(FusedStream::is_terminated)
    }
}

impl<I, T, P> Sink<I> for TryInSpan<T, P>
where
    T: Sink<I, Error: Error>,
    P: Platform,
{
    type Error = T::Error;

    fn poll_ready(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Result<(), T::Error>> {
        let inner = self.project().inner;
        inner.poll_inside(|inner| inner.poll_ready(task), until_error, Poll::Pending)
    }

    fn start_send(self: Pin<&mut Self>, item: I) -> Result<(), T::Error> {
        let send = |inner: Pin<&mut T>| Poll::Ready(inner.start_send(item));
        ready(self.project().inner.poll_inside(send, until_error, Poll::Ready(Ok(()))))
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Result<(), T::Error>> {
        let inner = self.project().inner;
        inner.poll_inside(|inner| inner.poll_flush(task), until_error, Poll::Pending)
    }

    fn poll_close(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Result<(), T::Error>> {
        let then = |span: &mut Span<P>, result: &Result<(), T::Error>| {
            until_error(span, result);
            Then::EndAndStand
        };
        self.project().inner.poll_inside(|inner| inner.poll_close(task), then, Poll::Pending)
    }
}

impl<T: fmt::Debug, P: Platform> fmt::Debug for TryInSpan<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryInSpan").field("inner", &self.inner).finish()
    }
}

fn until_error<P: Platform, O, E: Error>(span: &mut Span<P>, result: &Result<O, E>) -> Then {
    match result {
        Ok(_) => Then::GoOn,
        Err(error) => {
            span.record_error(error);
            Then::EndAndStand
        }
    }
}
