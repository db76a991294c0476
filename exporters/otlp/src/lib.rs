//! Sends throughline's spans over [OTLP], as HTTP with protobuf bodies or as
//! gRPC, on the sockets of whatever runtime carries the flusher.
//!
//! A finished span is OTLP bytes already, so nothing is converted here: a batch
//! is copied into one request buffer, compressed if asked, and sent on a
//! connection that is kept alive.
//!
//! ```text
//!              flusher (throughline-runtime): waits, repeats, counts
//!                 │ Batch: headers + spans in wire form     ▲ Accepted, Retry,
//!                 ▼                                         │ TooLarge, Permanent
//!  Otlp ──▶ Connection: one buffer ─▶ gzip ─▶ HTTP/1.1 ─────┤
//!  (value)        │                        └▶ HTTP/2 + gRPC ┘
//!                 ▼
//!              Runtime::connect, Runtime::sleep: the runtime's own reactor
//! ```
//!
//! The exporter never waits in order to try again: it says whether trying again
//! may help, and after how long. Nothing here knows tokio.
//!
//! ```
//! # #[cfg(feature = "http")] {
//! use throughline_otlp::Otlp;
//!
//! let otlp = Otlp::http()
//!     .endpoint("http://collector:4318/v1/traces")?
//!     .header("x-tenant", "blue")?;
//! assert_eq!(otlp.url(), "http://collector:4318/v1/traces");
//! # }
//! # Ok::<(), throughline_otlp::ConfigError>(())
//! ```
//!
//! # Features
//!
//! `http`, `grpc` and `gzip` are on by default; `tls` adds `https` endpoints.
//! At least one of `http` and `grpc` is needed.
//!
//! [OTLP]: https://opentelemetry.io/docs/specs/otlp/

#![forbid(unsafe_code)]

#[cfg(not(any(feature = "http", feature = "grpc")))]
compile_error!("throughline-otlp needs the feature `http` or `grpc`");

mod body;
mod config;
mod connection;
mod deadline;
mod endpoint;
mod error;
mod from_env;
#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "gzip")]
mod gzip;
mod headers;
#[cfg(feature = "http")]
mod http;
mod io;
mod outcome;
mod percent;
mod protobuf;
#[cfg(feature = "tls")]
mod tls;

pub use config::{Compression, Otlp, Protocol};
pub use connection::{Connection, Sending};
pub use error::ConfigError;
pub use io::Io;
