//! The layer of servers.

use core::net::SocketAddr;

use http::request::Parts;
use http::{HeaderMap, header};
use throughline_core::{Pipeline, SpanKind};
use throughline_propagation::Headers;
use throughline_runtime::{Span, SpanOptions};
use tower_layer::Layer;

use crate::forwarded::Forwarded;
use crate::spanned::{Server, Side};
use crate::{grpc, method, url};

/// Finds the route of a request: what the router left among its extensions, or the
/// path where that is one of a few.
pub type RouteOf = fn(&Parts) -> Option<&str>;

/// Finds the address of the other end of the connection.
pub type PeerOf = fn(&Parts) -> Option<SocketAddr>;

/// Puts each request into a SERVER span below the context that came with it.
///
/// - The span is called `GET /orders/{id}` where the route is known, else `GET`; a
///   method that is not known is `HTTP`.
/// - It ends with the last byte of the response's body. A client that goes away
///   before cancels it.
/// - A status from 500 on is an error, and so is a service that fails.
/// - A gRPC request is called by its method, and its status is in the trailers.
///
/// ([HTTP server span](https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span),
/// [gRPC server span](https://opentelemetry.io/docs/specs/semconv/rpc/grpc/#server))
#[derive(Clone, Copy, Debug)]
pub struct ServerLayer(Settings);

#[derive(Clone, Copy, Debug)]
struct Settings {
    route: RouteOf,
    peer: PeerOf,
    scheme: &'static str,
    pipeline: Option<&'static Pipeline>,
}

impl ServerLayer {
    /// A layer that knows no routes, for plain HTTP, in the current pipeline.
    pub const fn new() -> Self {
        ServerLayer(Settings { route: |_| None, peer: |_| None, scheme: "http", pipeline: None })
    }

    /// Names spans by the route that the router has found. For axum, where the layer
    /// is one of `Router::layer`:
    /// `.route(|request| request.extensions.get().map(MatchedPath::as_str))`.
    #[must_use]
    pub const fn route(mut self, route: RouteOf) -> Self {
        self.0.route = route;
        self
    }

    /// Tells the other end of the connection, which the server put among the
    /// extensions: axum's `ConnectInfo`, for example.
    #[must_use]
    pub const fn peer(mut self, peer: PeerOf) -> Self {
        self.0.peer = peer;
        self
    }

    /// The connections are encrypted.
    #[must_use]
    pub const fn https(mut self) -> Self {
        self.0.scheme = "https";
        self
    }

    /// Spans go to this pipeline instead of the current one.
    #[must_use]
    pub const fn pipeline(mut self, pipeline: &'static Pipeline) -> Self {
        self.0.pipeline = Some(pipeline);
        self
    }
}

impl Default for ServerLayer {
    fn default() -> Self {
        ServerLayer::new()
    }
}

impl<S> Layer<S> for ServerLayer {
    type Service = Server<S>;

    fn layer(&self, inner: S) -> Server<S> {
        Server::new(inner, *self)
    }
}

impl Side for ServerLayer {
    const KIND: SpanKind = SpanKind::Server;

    fn start(&self, request: &mut Parts, is_grpc: bool) -> Span {
        self.0.start(request, is_grpc)
    }
}

impl Settings {
    fn start(&self, request: &Parts, is_grpc: bool) -> Span {
        let mut parent = throughline_propagation::extract(&Headers(&request.headers));
        if let Some(pipeline) = self.pipeline {
            parent = parent.with_pipeline(pipeline);
        }
        let known = method::callsite(&request.method);
        let callsite = if is_grpc { &method::GRPC } else { known };
        let called = is_grpc.then(|| grpc::method(request.uri.path()));
        let route = if is_grpc { None } else { (self.route)(request) };
        let routed = route.map(|route| format!("{} {route}", known.name()));
        let mut options = SpanOptions::new().parent(&parent).kind(SpanKind::Server);
        if let Some(name) = called.or(routed.as_deref()) {
            options = options.name(name);
        }
        Span::start_with(callsite, options, |span| {
            let forwarded = Forwarded::of(&request.headers);
            let scheme = forwarded.proto.or(request.uri.scheme_str()).unwrap_or(self.scheme);
            self.describe_ends(span, request, &forwarded, scheme);
            if let Some(called) = called {
                return grpc::describe(span, called);
            }
            method::describe(span, &request.method, known);
            if let Some(route) = route {
                span.set_attribute("http.route", route);
            }
            span.set_attribute("url.scheme", scheme);
            span.set_attribute("url.path", request.uri.path());
            if let Some(query) = request.uri.query().filter(|query| !query.is_empty()) {
                span.set_attribute("url.query", url::query(query).as_str());
            }
            text(span, "user_agent.original", &request.headers, &header::USER_AGENT);
        })
    }

    /// Who speaks to whom.
    /// ([General attributes](https://opentelemetry.io/docs/specs/semconv/general/attributes/))
    fn describe_ends(
        &self,
        span: &mut Span,
        request: &Parts,
        forwarded: &Forwarded<'_>,
        scheme: &str,
    ) {
        let asked = forwarded.host.and_then(|host| host.parse().ok());
        let asked = asked.or_else(|| url::authority(&request.uri, &request.headers));
        if let Some(authority) = asked {
            span.set_attribute("server.address", url::host(&authority));
            if let Some(port) = url::port(&authority, scheme) {
                span.set_attribute("server.port", i64::from(port));
            }
        }
        let peer = (self.peer)(request);
        if let Some(peer) = peer {
            span.set_attribute("network.peer.address", peer.ip().to_string().as_str());
            span.set_attribute("network.peer.port", i64::from(peer.port()));
        }
        match (forwarded.client, peer) {
            (Some(client), _) => span.set_attribute("client.address", client),
            (None, Some(peer)) => {
                span.set_attribute("client.address", peer.ip().to_string().as_str());
            }
            (None, None) => {}
        }
        if let Some(version) = url::version(request.version) {
            span.set_attribute("network.protocol.version", version);
        }
    }
}

fn text(span: &mut Span, key: &str, headers: &HeaderMap, name: &header::HeaderName) {
    if let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) {
        span.set_attribute(key, value);
    }
}
