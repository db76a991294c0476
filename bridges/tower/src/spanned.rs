//! A service whose requests are spans, of servers and of clients alike.

use core::fmt::Display;
use core::task::{Context as TaskContext, Poll};

use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use throughline_core::SpanKind;
use throughline_runtime::Span;
use tower_service::Service;

use crate::outcome::Outcome;
use crate::response::{ResponseBody, ResponseFuture};
use crate::{ClientLayer, ServerLayer, grpc};

/// A service whose requests are SERVER spans. Made by [`ServerLayer`].
pub type Server<S> = Spanned<S, ServerLayer>;

/// A service whose requests are CLIENT spans. Made by [`ClientLayer`].
pub type Client<S> = Spanned<S, ClientLayer>;

/// A service whose requests are spans: a [`Server`] or a [`Client`].
#[derive(Clone, Copy, Debug)]
pub struct Spanned<S, L> {
    inner: S,
    layer: L,
}

/// What the layers do differently. There is no other one.
pub trait Side: Copy {
    /// The kind of the spans.
    const KIND: SpanKind;

    /// The span of a request, whose headers may be changed.
    fn start(&self, request: &mut Parts, is_grpc: bool) -> Span;
}

impl<S, L: Side> Spanned<S, L> {
    pub(crate) fn new(inner: S, layer: L) -> Self {
        Spanned { inner, layer }
    }
}

impl<S, L, A, B> Service<Request<A>> for Spanned<S, L>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Error: Display,
    B: Body,
    B::Error: Display,
    L: Side,
{
    type Response = Response<ResponseBody<S::Future, B>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, B>;

    fn poll_ready(&mut self, task: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        let is_grpc = grpc::is_grpc(&head.headers);
        let outcome = Outcome::new(L::KIND, &head.method, is_grpc);
        let mut span = self.layer.start(&mut head, is_grpc);
        let call = span.enter_for(|| self.inner.call(Request::from_parts(head, body)));
        ResponseFuture::new(call, outcome, span)
    }
}
