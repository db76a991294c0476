//! throughline for HTTP and gRPC: a layer of [tower] for servers and one for
//! clients.
//!
//! ```text
//!   request ──▶ ServerLayer ──▶ your service ──▶ ClientLayer ──▶ request
//!               extract                          inject
//!               span `GET /orders/{id}`          span `GET`, one per attempt
//!   body ◀───── ends with the body ◀──────────── ends with the body ◀── body
//! ```
//!
//! They work with whatever is a [`tower_service::Service`] of `http` requests:
//! axum, tonic, hyper by `hyper-util`, reqwest in a closure. A request whose type
//! is `application/grpc` is a span of RPC, any other one of HTTP. The attributes
//! are those of the [HTTP] and the [gRPC] conventions.
//!
//! ```
//! use throughline_tower::ServerLayer;
//! use tower::{ServiceBuilder, service_fn};
//!
//! # #[derive(Clone)] struct MatchedPath(String);
//! # impl MatchedPath { fn as_str(&self) -> &str { &self.0 } }
//! let service = ServiceBuilder::new()
//!     // The route is what the router has found, axum's `MatchedPath` for example.
//!     .layer(ServerLayer::new().route(|request| request.extensions.get().map(MatchedPath::as_str)))
//!     .service(service_fn(async |_: http::Request<String>| {
//!         Ok::<_, std::io::Error>(http::Response::new(String::new()))
//!     }));
//! # drop(service);
//! ```
//!
//! The propagators are the [global ones](throughline_propagation::global).
//!
//! [tower]: https://docs.rs/tower
//! [HTTP]: https://opentelemetry.io/docs/specs/semconv/http/http-spans/
//! [gRPC]: https://opentelemetry.io/docs/specs/semconv/rpc/grpc/

#![forbid(unsafe_code)]

mod client;
mod exchange;
mod forwarded;
mod grpc;
mod method;
mod outcome;
mod response;
mod server;
mod spanned;
mod url;

pub use client::{ClientLayer, ResendCount};
pub use response::{ResponseBody, ResponseFuture};
pub use server::{PeerOf, RouteOf, ServerLayer};
pub use spanned::{Client, Server, Side, Spanned};
pub use throughline_propagation::Headers;
