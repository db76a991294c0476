//! throughline on tokio.
//!
//! ```text
//!   spawn, spawn_blocking, spawn_local, JoinSet      your tasks, in their context
//!                    │
//!                 Tokio: Runtime                     the flusher's task and sockets
//!                    │
//!                  tokio
//! ```
//!
//! Tasks started with the functions here run in the context in which they were
//! started: spans in them are children of the span that started them, wherever
//! and whenever they run.
//!
//! Tasks that a library starts with `tokio::spawn` begin without a context. With
//! `--cfg tokio_unstable` the runtime itself carries it to them:
//! `BuilderExt::carry_context`.

#![forbid(unsafe_code)]

#[cfg(tokio_unstable)]
mod hooks;
mod join_set;
mod runtime;
mod spawn;
mod stream;

#[cfg(tokio_unstable)]
pub use hooks::{BuilderExt, contexts_lost};
pub use join_set::JoinSet;
pub use runtime::{NoRuntime, Tokio};
pub use spawn::{HandleExt, spawn, spawn_blocking, spawn_local};
pub use stream::TokioStream;
