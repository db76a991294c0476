//! The runtime that is a plain thread, on targets where programs have neither
//! threads nor sockets: WebAssembly in a host that gives none.
//!
//! It never starts, so a program there needs a [`Runtime`] of its host. Libraries
//! that make spans build, and cost as little as without a pipeline.

use core::convert::Infallible;
use core::future::{Future, ready};
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;
use std::time::Instant;

use futures_io::{AsyncRead, AsyncWrite};

use crate::Runtime;

/// A thread with sockets and timers of its own, which this target cannot have.
#[derive(Clone, Debug)]
pub struct Thread(Infallible);

/// A TCP stream of a [`Thread`], which this target cannot have.
#[derive(Debug)]
pub struct ThreadStream(Infallible);

impl Thread {
    /// Starts no thread.
    ///
    /// # Errors
    ///
    /// Always: [`Unsupported`](io::ErrorKind::Unsupported).
    pub fn start() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Runs nothing.
    pub(crate) fn block_on<F: Future>(
        _: impl FnOnce(Thread) -> F,
        _: Instant,
    ) -> io::Result<Option<F::Output>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl Runtime for Thread {
    type Stream = ThreadStream;

    fn spawn(&self, _: impl Future<Output = ()> + Send + 'static) {
        match self.0 {}
    }

    fn sleep(&self, _: Duration) -> impl Future<Output = ()> + Send + 'static {
        ready(())
    }

    fn now(&self) -> Instant {
        match self.0 {}
    }

    fn connect(
        &self,
        _: &str,
        _: u16,
    ) -> impl Future<Output = io::Result<ThreadStream>> + Send + 'static {
        ready(Err(io::ErrorKind::Unsupported.into()))
    }
}

impl AsyncRead for ThreadStream {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self.0 {}
    }
}

impl AsyncWrite for ThreadStream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        match self.0 {}
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0 {}
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0 {}
    }
}
