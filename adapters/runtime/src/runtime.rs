//! What throughline asks of an async runtime.

use core::future::Future;
use core::time::Duration;
use std::io;
use std::time::Instant;

use futures_io::{AsyncRead, AsyncWrite};

/// A runtime that can carry the flusher and an exporter's sockets.
///
/// An adapter is a unit struct and one implementation of this trait.
pub trait Runtime: Clone + Send + Sync + 'static {
    /// A connected TCP stream, driven by the runtime's own reactor.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Runs a task in the background, detached.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);

    /// Completes once the duration has passed on the runtime's clock.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + 'static;

    /// The time on the runtime's clock: the system's, unless the runtime has one that
    /// tests can pause.
    fn now(&self) -> Instant {
        Instant::now()
    }

    /// Resolves the name and connects to the first address that answers. An IPv6
    /// address is written without brackets. Small writes are sent at once
    /// (`TCP_NODELAY`).
    fn connect(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<Self::Stream>> + Send + 'static;
}
