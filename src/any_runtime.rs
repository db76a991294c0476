//! The runtime that is there, else a thread.

use throughline_runtime::{Exporter, Thread};

use crate::config::InitError;
use crate::setup::{Builder, Guard};

/// Installs on the runtime that the current code runs on, else on a thread.
pub(crate) fn install<E: EveryRuntime>(builder: Builder, exporter: E) -> Result<Guard, InitError> {
    #[cfg(feature = "tokio")]
    if let Ok(runtime) = throughline_tokio::Tokio::current() {
        return builder.install(runtime, exporter);
    }
    builder.install(Thread::start().map_err(InitError::Thread)?, exporter)
}

/// An exporter for all the runtimes of this build.
#[cfg(feature = "tokio")]
pub(crate) trait EveryRuntime:
    Exporter<Thread> + Exporter<throughline_tokio::Tokio>
{
}
#[cfg(feature = "tokio")]
impl<E: Exporter<Thread> + Exporter<throughline_tokio::Tokio>> EveryRuntime for E {}

/// An exporter for all the runtimes of this build.
#[cfg(not(feature = "tokio"))]
pub(crate) trait EveryRuntime: Exporter<Thread> {}
#[cfg(not(feature = "tokio"))]
impl<E: Exporter<Thread>> EveryRuntime for E {}
