//! A runtime's stream, as hyper wants it.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io::{self, IoSlice};

use futures_io::{AsyncRead, AsyncWrite};
use hyper::rt::ReadBufCursor;

#[cfg(feature = "grpc")]
pub(crate) use switch::Switch;

/// Carries bytes between `futures_io` and hyper.
///
/// A [`Runtime`](throughline_runtime::Runtime) has streams of the one kind, and hyper
/// wants the other: with this, any HTTP of hyper's is on the runtime's own sockets.
pub struct Io<S> {
    stream: S,
    /// hyper's buffer may be uninitialized, which safe code cannot fill in place.
    /// Answers are small, so the copy costs nothing that could be measured.
    scratch: Box<[u8]>,
    written: usize,
    #[cfg(feature = "grpc")]
    switch: Option<Switch>,
}

impl<S> core::fmt::Debug for Io<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Io").finish_non_exhaustive()
    }
}

impl<S> Io<S> {
    /// The stream, for hyper.
    pub fn new(stream: S) -> Self {
        Io {
            stream,
            scratch: vec![0; 4096].into(),
            written: 0,
            #[cfg(feature = "grpc")]
            switch: None,
        }
    }

    /// One that another task can cut off.
    #[cfg(feature = "grpc")]
    pub(crate) fn with_switch(stream: S, switch: Switch) -> Self {
        Io { switch: Some(switch), ..Io::new(stream) }
    }

    #[cfg(feature = "grpc")]
    fn check(&self, cx: &Context<'_>) -> io::Result<()> {
        self.switch.as_ref().map_or(Ok(()), |switch| switch.check(cx))
    }

    #[cfg(not(feature = "grpc"))]
    fn check(&self, _cx: &Context<'_>) -> io::Result<()> {
        Ok(())
    }

    /// Pauses after each `BURST`: over loopback a socket takes a large batch as
    /// fast as it can be encrypted, and the poll would not end before it does.
    fn pause(&mut self, cx: &Context<'_>) -> bool {
        if self.written < BURST {
            return false;
        }
        self.written = 0;
        cx.waker().wake_by_ref();
        true
    }
}

impl<S: AsyncRead + Unpin> hyper::rt::Read for Io<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut target: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check(cx)?;
        let room = target.remaining().min(this.scratch.len());
        let scratch = &mut this.scratch[..room];
        let count = ready!(Pin::new(&mut this.stream).poll_read(cx, scratch))?;
        let read = scratch
            .get(..count)
            .ok_or_else(|| io::Error::other("the stream read more than there was room for"))?;
        target.put_slice(read);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> hyper::rt::Write for Io<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check(cx)?;
        if this.pause(cx) {
            return Poll::Pending;
        }
        let count = ready!(Pin::new(&mut this.stream).poll_write(cx, bytes))?;
        this.written += count;
        Poll::Ready(Ok(count))
    }

    // Without it hyper would copy the body behind the head.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check(cx)?;
        if this.pause(cx) {
            return Poll::Pending;
        }
        let count = ready!(Pin::new(&mut this.stream).poll_write_vectored(cx, slices))?;
        this.written += count;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check(cx)?;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check(cx)?;
        Pin::new(&mut this.stream).poll_close(cx)
    }
}

const BURST: usize = 256 << 10;

#[cfg(feature = "grpc")]
mod switch {
    use core::task::{Context, Waker};
    use std::io;
    use std::sync::{Arc, Mutex, PoisonError};

    /// Ends a connection that runs in tasks of its own.
    ///
    /// Dropping hyper's sender asks such a connection to close in good order,
    /// which never happens if the peer has stopped reading: task and socket would
    /// stay for ever. With the switch every further use of the stream fails.
    #[derive(Clone)]
    pub(crate) struct Switch(Arc<Mutex<State>>);

    enum State {
        /// The task to be woken by the cut. One task does all the reading and
        /// writing, so the latest is the only one.
        Whole(Option<Waker>),
        Cut,
    }

    impl Switch {
        pub(crate) fn new() -> Self {
            Switch(Arc::new(Mutex::new(State::Whole(None))))
        }

        pub(crate) fn cut(&self) {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let before = core::mem::replace(&mut *state, State::Cut);
            drop(state);
            if let State::Whole(Some(waker)) = before {
                waker.wake();
            }
        }

        pub(super) fn check(&self, cx: &Context<'_>) -> io::Result<()> {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut *state {
                State::Whole(waker) => {
                    if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                        *waker = Some(cx.waker().clone());
                    }
                    Ok(())
                }
                State::Cut => Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
    }
}
