//! Futures, streams and sinks in a span.
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
use futures_sink::Sink;
use pin_project_lite::pin_project;

use crate::poll_profile::Tally;
use crate::{Ending, Platform, Span, StatusCode};

pin_project! {
    /// A future, stream or sink whose polls happen inside a span.
    ///
    /// The span ends when the future is ready, the stream exhausted or the sink
    /// closed; when it panics; or when it is dropped before, which is a
    /// [cancellation](Ending::Cancelled) if it was ever polled. Destructors of the
    /// inner future run inside the span.
    ///
    /// How it was polled is on the span too: see [`PollProfile`](crate::PollProfile).
    pub struct InSpan<T, P: Platform> {
        // `None` only while it is dropped.
        #[pin]
        inner: Option<T>,
        course: Course<P>,
    }

    impl<T, P: Platform> PinnedDrop for InSpan<T, P> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let Some(ending) = this.course.ending() else { return };
            this.course.span.enter(|| this.inner.set(None));
            this.course.end(ending, None);
        }
    }
}

/// The span, and how far the work in it has come.
struct Course<P: Platform> {
    span: Span<P>,
    tally: Tally,
    stage: Stage,
}

/// Where the span is in its life, as far as the wrapper knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Created,
    Suspended,
    Ended,
}

/// What a poll means for the span.
pub(crate) enum Then {
    /// The span goes on.
    GoOn,
    /// It ends, and nothing is polled any more.
    End,
    /// It ends; what is polled later is still below it.
    EndAndStand,
}

impl<T, P: Platform> InSpan<T, P> {
    /// Puts a future, stream or sink into a span.
    pub fn new(inner: T, span: Span<P>) -> Self {
        let course = Course { span, tally: Tally::new(), stage: Stage::Created };
        InSpan { inner: Some(inner), course }
    }

    /// What is in the span; `None` only while it is dropped.
    pub fn inner(&self) -> Option<&T> {
        self.inner.as_ref()
    }

    /// Ends the span now, completed, whatever becomes of what is in it: who polls it
    /// knows that nothing more will come. Later polls and the drop are still below it.
    pub fn end(self: Pin<&mut Self>) {
        self.project().course.act(Then::EndAndStand, None);
    }

    /// Polls inside the span; `then` tells from the result what becomes of it.
    #[inline(always)]
    pub(crate) fn poll_inside<R>(
        self: Pin<&mut Self>,
        poll: impl FnOnce(Pin<&mut T>) -> Poll<R>,
        then: impl FnOnce(&mut Span<P>, &R) -> Then,
        gone: Poll<R>,
    ) -> Poll<R> {
        let this = self.project();
        match this.inner.as_pin_mut() {
            Some(inner) => this.course.step(|| poll(inner), then),
            None => gone,
        }
    }
}

impl<P: Platform> Course<P> {
    #[inline(always)]
    fn step<R>(
        &mut self,
        poll: impl FnOnce() -> Poll<R>,
        then: impl FnOnce(&mut Span<P>, &R) -> Then,
    ) -> Poll<R> {
        let before = self.begin();
        let step = Step { course: self, before };
        let polled = step.course.span.enter(poll);
        let now = step.course.count(before);
        if let Poll::Ready(result) = &polled {
            let then = then(&mut step.course.span, result);
            step.course.act(then, now);
        }
        core::mem::forget(step);
        polled
    }

    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn begin(&mut self) -> u64 {
        if self.stage == Stage::Created {
            self.stage = Stage::Suspended;
            self.tally.begin::<P>(self.span.state.live());
        }
        self.tally.before::<P>()
    }

    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn count(&mut self, before: u64) -> Option<u64> {
        self.tally.after::<P>(before, self.span.state.live_mut())
    }

    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn act(&mut self, then: Then, now: Option<u64>) {
        match then {
            Then::GoOn => {}
            Then::End => self.end(Ending::Completed, now),
            Then::EndAndStand => {
                let standing = self.span.state.capture();
                self.end(Ending::Completed, now);
                self.span.state = standing;
                // What is inside is dropped in what stands for the span.
                self.stage = Stage::Suspended;
            }
        }
    }

    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn ending(&self) -> Option<Ending> {
        match (P::is_panicking(), self.stage) {
            (_, Stage::Ended) => None,
            (true, _) => Some(Ending::Panicked),
            (false, Stage::Created) => Some(Ending::Dropped),
            (false, Stage::Suspended) => Some(Ending::Cancelled),
        }
    }

    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn end(&mut self, ending: Ending, now: Option<u64>) {
        self.stage = Stage::Ended;
        self.tally.end();
        if let Some(live) = self.span.state.live_mut() {
            let now = now.unwrap_or_else(P::ticks);
            self.tally.write::<P>(live, now);
            self.span.finish_at(ending, || now);
        }
    }
}

impl<T: Future, P: Platform> Future for InSpan<T, P> {
    type Output = T::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<T::Output> {
        self.poll_inside(|inner| inner.poll(task), |_, _| Then::End, Poll::Pending)
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
        let then = |_: &mut _, item: &Option<_>| match item {
            Some(_) => Then::GoOn,
            // It may be a sink too.
            None => Then::EndAndStand,
        };
        self.poll_inside(|inner| inner.poll_next(task), then, Poll::Ready(None))
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

impl<I, T: Sink<I>, P: Platform> Sink<I> for InSpan<T, P> {
    type Error = T::Error;

    fn poll_ready(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Result<(), T::Error>> {
        self.poll_inside(|inner| inner.poll_ready(task), until_error, Poll::Pending)
    }

    fn start_send(self: Pin<&mut Self>, item: I) -> Result<(), T::Error> {
        let send = |inner: Pin<&mut T>| Poll::Ready(inner.start_send(item));
        ready(self.poll_inside(send, until_error, Poll::Ready(Ok(()))))
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Result<(), T::Error>> {
        self.poll_inside(|inner| inner.poll_flush(task), until_error, Poll::Pending)
    }

    fn poll_close(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Result<(), T::Error>> {
        let then = |span: &mut Span<P>, result: &Result<(), T::Error>| {
            until_error(span, result);
            Then::EndAndStand
        };
        self.poll_inside(|inner| inner.poll_close(task), then, Poll::Pending)
    }
}

/// A sink that failed is of no use any more; why, its error may not tell.
fn until_error<P: Platform, E>(span: &mut Span<P>, result: &Result<(), E>) -> Then {
    match result {
        Ok(()) => Then::GoOn,
        Err(_) => {
            span.set_status(StatusCode::Error, "");
            Then::EndAndStand
        }
    }
}

/// The result of something that never waits.
pub(crate) fn ready<E>(polled: Poll<Result<(), E>>) -> Result<(), E> {
    match polled {
        Poll::Ready(result) => result,
        Poll::Pending => Ok(()),
    }
}

impl<T: fmt::Debug, P: Platform> fmt::Debug for InSpan<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let InSpan { inner, course } = self;
        f.debug_struct("InSpan").field("inner", inner).field("span", &course.span).finish()
    }
}

/// A poll that is under way. Ends the span when it unwinds: whoever catches the
/// panic may keep the future.
struct Step<'a, P: Platform> {
    course: &'a mut Course<P>,
    before: u64,
}

impl<P: Platform> Drop for Step<'_, P> {
    fn drop(&mut self) {
        let now = self.course.count(self.before);
        self.course.end(Ending::Panicked, now);
    }
}
