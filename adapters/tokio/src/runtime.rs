//! tokio as the runtime of the flusher and its sockets.

use core::future::Future;
use core::time::Duration;
use std::fmt;
use std::io;
use std::time::Instant;

use ::tokio::net::TcpStream;
use ::tokio::runtime::Handle;
use throughline_runtime::{Runtime, suppressed};

use crate::TokioStream;

/// A tokio runtime, of any flavour.
#[derive(Clone, Debug)]
pub struct Tokio {
    handle: Handle,
}

impl Tokio {
    /// The runtime that the current code runs on.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn current() -> Result<Self, NoRuntime> {
        Handle::try_current().map(Tokio::new).map_err(|_| NoRuntime)
    }

    /// The runtime of this handle.
    pub fn new(handle: Handle) -> Self {
        Tokio { handle }
    }
}

/// The code does not run on a tokio runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRuntime;

impl fmt::Display for NoRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no tokio runtime here; enter one, or name it with `Tokio::new`")
    }
}

impl core::error::Error for NoRuntime {}

impl Runtime for Tokio {
    type Stream = TokioStream;

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(suppressed(task));
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        // A timer must be made where it can find its runtime.
        let _entered = self.handle.enter();
        ::tokio::time::sleep(duration)
    }

    fn now(&self) -> Instant {
        let _entered = self.handle.enter();
        ::tokio::time::Instant::now().into_std()
    }

    fn connect(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<TokioStream>> + Send + 'static {
        let host = host.to_owned();
        async move {
            let stream = TcpStream::connect((host.as_str(), port)).await?;
            stream.set_nodelay(true)?;
            Ok(TokioStream::from(stream))
        }
    }
}
