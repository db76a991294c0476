//! throughline on smol.
//!
//! ```text
//!   spawn, unblock, Executor, LocalExecutor          your tasks, in their context
//!                    │
//!                 Smol: Runtime                      the flusher's task and sockets
//!                    │
//!                  smol
//! ```
//!
//! Tasks started with the functions here run in the context in which they were
//! started: spans in them are children of the span that started them, wherever
//! and whenever they run.
//!
//! ```
//! use throughline_runtime::Context;
//! use throughline_smol::spawn;
//!
//! let task = spawn(async { Context::current().is_suppressed() });
//! assert!(!smol::block_on(task));
//! ```

#![forbid(unsafe_code)]

mod runtime;
mod spawn;

pub use runtime::Smol;
pub use spawn::{ExecutorExt, LocalExecutorExt, spawn, unblock};
