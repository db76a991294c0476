//! throughline on async-std.
//!
//! async-std is [discontinued](https://github.com/async-rs/async-std#readme): its
//! authors recommend smol. This adapter serves programs that run on it already; a
//! new one starts better on smol, whose adapter has the same shape, or on tokio.
//!
//! ```text
//!   spawn, spawn_local, spawn_blocking               your tasks, in their context
//!                    │
//!               AsyncStd: Runtime                    the flusher's task and sockets
//!                    │
//!                async-std
//! ```
//!
//! Tasks started with the functions here run in the context in which they were
//! started: spans in them are children of the span that started them, wherever
//! and whenever they run.
//!
//! ```
//! use throughline_async_std::spawn;
//! use throughline_runtime::Context;
//!
//! let task = spawn(async { Context::current().is_suppressed() });
//! assert!(!async_std::task::block_on(task));
//! ```

#![forbid(unsafe_code)]

mod runtime;
mod spawn;

pub use runtime::AsyncStd;
pub use spawn::{spawn, spawn_blocking, spawn_local};
