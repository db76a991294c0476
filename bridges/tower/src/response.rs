//! What the layers give instead of the service's future and body.

use core::fmt::{self, Display};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context as TaskContext, Poll, ready};

use futures_core::Stream;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use throughline_runtime::{InSpan, Span};

use crate::exchange::{Exchange, Step};
use crate::outcome::Outcome;

/// The future of a response in the request's span.
///
/// Dropping it before it is ready is a cancellation.
#[must_use = "futures do nothing unless they are polled"]
pub struct ResponseFuture<F, B> {
    /// `None` once it is ready.
    exchange: Option<Traced<F, B>>,
    is_optional: bool,
}

/// A response's body in the request's span, which ends with it.
///
/// On a server, dropping it before its end is a cancellation: the client has gone
/// away. A client that does not read the whole answer has got what it wanted.
pub struct ResponseBody<F, B> {
    exchange: Traced<F, B>,
    /// Nobody has to read it.
    is_optional: bool,
}

/// In one place from the call to the end, as it is pinned while it is in its span:
/// one allocation per request.
type Traced<F, B> = Pin<Box<InSpan<Exchange<F, B>>>>;

impl<F, B> ResponseFuture<F, B> {
    pub(crate) fn new(call: F, outcome: Outcome, span: Span) -> Self {
        let is_optional = !outcome.is_server && !outcome.is_grpc;
        let exchange = Some(Box::pin(InSpan::new(Exchange::new(call, outcome), span)));
        ResponseFuture { exchange, is_optional }
    }
}

impl<F, B, E> Future for ResponseFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    B::Error: Display,
    E: Display,
{
    type Output = Result<Response<ResponseBody<F, B>>, E>;

    fn poll(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let Some(exchange) = &mut self.exchange else { return Poll::Pending };
        let step = ready!(exchange.as_mut().poll_next(task));
        end_if_done(exchange.as_mut());
        let is_optional = self.is_optional;
        match (step, self.exchange.take()) {
            (Some(Step::Head(Ok(parts))), Some(exchange)) => {
                let body = ResponseBody { exchange, is_optional };
                Poll::Ready(Ok(Response::from_parts(parts, body)))
            }
            (Some(Step::Head(Err(error))), _) => Poll::Ready(Err(error)),
            // An exchange begins with a head.
            (Some(Step::Frame(_)) | None, _) | (_, None) => Poll::Pending,
        }
    }
}

impl<F, B, E> Body for ResponseBody<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    B::Error: Display,
    E: Display,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let exchange = &mut self.exchange;
        let step = ready!(exchange.as_mut().poll_next(task));
        end_if_done(exchange.as_mut());
        Poll::Ready(match step {
            Some(Step::Frame(frame)) => Some(frame),
            Some(Step::Head(_)) | None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<F, B> ResponseBody<F, B> {
    fn body(&self) -> Option<&B> {
        self.exchange.inner().and_then(Exchange::body)
    }
}

/// Ends the span as soon as nothing more comes: who has the last byte may not ask
/// for more.
fn end_if_done<F, B>(exchange: Pin<&mut InSpan<Exchange<F, B>>>) {
    if exchange.inner().is_some_and(Exchange::is_done) {
        exchange.end();
    }
}

impl<F, B> Drop for ResponseBody<F, B> {
    fn drop(&mut self) {
        if self.is_optional && !std::thread::panicking() {
            self.exchange.as_mut().end();
        }
    }
}

impl<F, B> fmt::Debug for ResponseFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl<F, B> fmt::Debug for ResponseBody<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
    }
}
