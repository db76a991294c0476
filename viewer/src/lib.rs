//! A local OTLP receiver that keeps traces in memory: what a trace is sent to
//! when no collector is installed. Above it stand the `throughline-viewer`
//! binary and programs that embed it; below it `throughline-console`, which
//! draws what it holds.
//!
//! ```text
//!   OTLP/gRPC  :4317 ─┐                       ┌──> Completions ──> printed as they end
//!                     ├──> receiver ──> Store ┤
//!   OTLP/HTTP  :4318 ─┘    (own thread)       └──> queries, Integrity
//! ```
//!
//! The receiver runs on a thread and a runtime of its own, so a program that
//! embeds it meets the same sockets and the same scheduling as one that sends to
//! another process.
//!
//! ```
//! use throughline_viewer::{Viewer, ViewerConfig};
//!
//! let viewer = Viewer::bind(ViewerConfig::any_port())?;
//! println!("send spans to http://{}", viewer.grpc_addr());
//! assert_eq!(viewer.store().stats().spans_received, 0);
//! viewer.shutdown();
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! It is for development and tests: nothing is written to disk, nobody is asked
//! for a password, and the oldest trace makes room for the newest. **It listens
//! on loopback unless told otherwise.**

#![forbid(unsafe_code)]

mod completions;
mod config;
mod grpc;
mod held;
mod http;
mod integrity;
mod quiet;
mod server;
mod store;
mod stored;
mod summary;
mod viewer;

pub use completions::{Completed, Completions};
pub use config::{StoreLimits, ViewerConfig};
pub use integrity::Integrity;
pub use store::{Store, StoreStats};
pub use summary::TraceSummary;
pub use viewer::Viewer;

// The model that queries answer with, and what draws it.
pub use throughline_console as console;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
