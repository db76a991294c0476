//! Futures and streams in a span.
//!
//! The span is current while the inner future is polled and while it is
//! dropped, and never in between.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context as TaskContext, Poll};

use futures_core::Stream;
use futures_core::future::FusedFuture;
use futures_core::stream::FusedStream;
use pin_project::{pin_project, pinned_drop};

use crate::{Context, Ending, Platform, Span};

/// A future or stream whose polls happen inside a span.
///
/// The span ends when the future is ready or the stream is exhausted; when it
/// panics; or when it is dropped before, which is a
/// [cancellation](Ending::Cancelled) if it was ever polled. Destructors of the
/// inner future run inside the span.
#[pin_project(PinnedDrop)]
pub struct InSpan<T, P: Platform> {
    /// `None` only while it is dropped.
    #[pin]
    inner: Option<T>,
    span: Span<P>,
    state: State,
}

/// Where the span is in its life, as far as the wrapper knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Created,
    Suspended,
    Ended,
}

impl<T, P: Platform> InSpan<T, P> {
    /// Puts a future or stream into a span.
    pub fn new(inner: T, span: Span<P>) -> Self {
        InSpan { inner: Some(inner), span, state: State::Created }
    }

    /// Polls inside the span; ends it when `is_end` says so.
    #[inline]
    fn poll_inside<R>(
        self: Pin<&mut Self>,
        poll: impl FnOnce(Pin<&mut T>) -> Poll<R>,
        is_end: impl FnOnce(&R) -> bool,
        finished: Poll<R>,
    ) -> Poll<R> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else { return finished };
        if *this.state == State::Created {
            *this.state = State::Suspended;
        }
        let guard = EndOnPanic { span: this.span, state: this.state };
        let polled = guard.span.enter_for(|| poll(inner));
        if let Poll::Ready(result) = &polled
            && is_end(result)
        {
            guard.span.finish(Ending::Completed);
            *guard.state = State::Ended;
        }
        core::mem::forget(guard);
        polled
    }
}

impl<T: Future, P: Platform> Future for InSpan<T, P> {
    type Output = T::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<T::Output> {
        self.poll_inside(|inner| inner.poll(task), |_| true, Poll::Pending)
    }
}

impl<T: FusedFuture, P: Platform> FusedFuture for InSpan<T, P> {
    fn is_terminated(&self) -> bool {
        self.inner.as_ref().is_none_or(FusedFuture::is_terminated)
    }
}

impl<T: Stream, P: Platform> Stream for InSpan<T, P> {
    type Item = T::Item;

    fn poll_next(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<T::Item>> {
        self.poll_inside(|inner| inner.poll_next(task), Option::is_none, Poll::Ready(None))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.as_ref().map_or((0, Some(0)), Stream::size_hint)
    }
}

impl<T: FusedStream, P: Platform> FusedStream for InSpan<T, P> {
    fn is_terminated(&self) -> bool {
        self.inner.as_ref().is_none_or(FusedStream::is_terminated)
    }
}

#[pinned_drop]
impl<T, P: Platform> PinnedDrop for InSpan<T, P> {
    fn drop(self: Pin<&mut Self>) {
        let mut this = self.project();
        if *this.state == State::Ended {
            return;
        }
        let ending = match (P::is_panicking(), *this.state) {
            (true, _) => Ending::Panicked,
            (false, State::Created) => Ending::Dropped,
            (false, _) => Ending::Cancelled,
        };
        this.span.enter_for(|| this.inner.set(None));
        this.span.finish(ending);
    }
}

impl<T: fmt::Debug, P: Platform> fmt::Debug for InSpan<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InSpan").field("inner", &self.inner).field("span", &self.span).finish()
    }
}

/// Ends the span when the poll unwinds: whoever catches the panic may keep the
/// future.
struct EndOnPanic<'a, P: Platform> {
    span: &'a mut Span<P>,
    state: &'a mut State,
}

impl<P: Platform> Drop for EndOnPanic<'_, P> {
    fn drop(&mut self) {
        self.span.finish(Ending::Panicked);
        *self.state = State::Ended;
    }
}

/// A future or stream whose polls, and whose drop, happen inside a context that
/// was captured elsewhere.
#[pin_project(PinnedDrop)]
pub struct WithContext<T, P: Platform> {
    #[pin]
    inner: Option<T>,
    context: Context<P>,
}

impl<T, P: Platform> WithContext<T, P> {
    /// Puts a future or stream into a context.
    pub fn new(inner: T, context: Context<P>) -> Self {
        WithContext { inner: Some(inner), context }
    }
}

impl<T: Future, P: Platform> Future for WithContext<T, P> {
    type Output = T::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<T::Output> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else { return Poll::Pending };
        this.context.scope(|| inner.poll(task))
    }
}

impl<T: FusedFuture, P: Platform> FusedFuture for WithContext<T, P> {
    fn is_terminated(&self) -> bool {
        self.inner.as_ref().is_none_or(FusedFuture::is_terminated)
    }
}

impl<T: Stream, P: Platform> Stream for WithContext<T, P> {
    type Item = T::Item;

    fn poll_next(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<T::Item>> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else { return Poll::Ready(None) };
        this.context.scope(|| inner.poll_next(task))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.as_ref().map_or((0, Some(0)), Stream::size_hint)
    }
}

#[pinned_drop]
impl<T, P: Platform> PinnedDrop for WithContext<T, P> {
    fn drop(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.context.scope(|| this.inner.set(None));
    }
}

impl<T: fmt::Debug, P: Platform> fmt::Debug for WithContext<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithContext").field("inner", &self.inner).finish_non_exhaustive()
    }
}
