//! async-std as the runtime of the flusher and its sockets.

use core::future::Future;
use core::time::Duration;
use std::io;

use ::async_std::net::TcpStream;
use ::async_std::task;
use throughline_runtime::{Runtime, suppressed};

/// async-std, which has one executor for all of the program and starts it by
/// itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsyncStd;

impl AsyncStd {
    /// This runtime, if the current code is part of one of its tasks. Elsewhere
    /// [`AsyncStd`] itself serves as well.
    pub fn current() -> Option<Self> {
        task::try_current().map(|_| AsyncStd)
    }
}

impl Runtime for AsyncStd {
    type Stream = TcpStream;

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        task::spawn(suppressed(task));
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        task::sleep(duration)
    }

    fn connect(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<TcpStream>> + Send + 'static {
        let host = host.to_owned();
        async move {
            let stream = TcpStream::connect((host.as_str(), port)).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        }
    }
}
