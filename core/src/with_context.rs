//! Futures, streams and sinks in a context that was captured elsewhere.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context as TaskContext, Poll};

use futures_core::Stream;
use futures_core::future::FusedFuture;
use futures_core::stream::FusedStream;
use futures_sink::Sink;
use pin_project_lite::pin_project;

use crate::{Context, Platform};

pin_project! {
    /// A future, stream or sink whose polls, and whose drop, happen inside a context
    /// that was captured elsewhere.
    pub struct WithContext<T, P: Platform> {
        #[pin]
        inner: Option<T>,
        context: Context<P>,
    }

    impl<T, P: Platform> PinnedDrop for WithContext<T, P> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            this.context.scope(|| this.inner.set(None));
        }
    }
}

impl<T, P: Platform> WithContext<T, P> {
    /// Puts a future, stream or sink into a context.
    pub fn new(inner: T, context: Context<P>) -> Self {
        WithContext { inner: Some(inner), context }
    }

    #[inline]
    fn inside<R>(self: Pin<&mut Self>, work: impl FnOnce(Pin<&mut T>) -> R, gone: R) -> R {
        let this = self.project();
        match this.inner.as_pin_mut() {
            Some(inner) => this.context.scope(|| work(inner)),
            None => gone,
        }
    }
}

impl<T: Future, P: Platform> Future for WithContext<T, P> {
    type Output = T::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<T::Output> {
        self.inside(|inner| inner.poll(task), Poll::Pending)
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
        self.inside(|inner| inner.poll_next(task), Poll::Ready(None))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.as_ref().map_or((0, Some(0)), Stream::size_hint)
    }
}

impl<T: FusedStream, P: Platform> FusedStream for WithContext<T, P> {
    fn is_terminated(&self) -> bool {
        self.inner.as_ref().is_none_or(FusedStream::is_terminated)
    }
}

impl<I, T: Sink<I>, P: Platform> Sink<I> for WithContext<T, P> {
    type Error = T::Error;

    fn poll_ready(
        self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        self.inside(|inner| inner.poll_ready(task), Poll::Pending)
    }

    fn start_send(self: Pin<&mut Self>, item: I) -> Result<(), Self::Error> {
        self.inside(|inner| inner.start_send(item), Ok(()))
    }

    fn poll_flush(
        self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        self.inside(|inner| inner.poll_flush(task), Poll::Pending)
    }

    fn poll_close(
        self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        self.inside(|inner| inner.poll_close(task), Poll::Pending)
    }
}

impl<T: fmt::Debug, P: Platform> fmt::Debug for WithContext<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithContext").field("inner", &self.inner).finish_non_exhaustive()
    }
}
