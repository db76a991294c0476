//! What a service asks of its runtime, beside what throughline asks.

use core::future::Future;
use core::net::SocketAddr;
use core::pin::pin;
use core::time::Duration;
use std::io;
use std::net::TcpListener;

use futures::FutureExt;
use futures::channel::oneshot::{self, Canceled};
use futures::future::{Either, RemoteHandle, select};
use throughline::Runtime;

/// A runtime that can carry a service.
///
/// `throughline::Runtime` has the timers and the sockets of clients, and tasks
/// that are not traced; here are the tasks that are, and the sockets of servers.
pub trait ServiceRuntime: Runtime {
    /// A listening socket on the runtime's reactor.
    type Listener: Send + Sync + 'static;

    /// Starts a task in the current context, by the adapter's own spawn.
    fn start(&self, task: impl Future<Output = ()> + Send + 'static);

    /// Starts work that blocks its thread, in the current context.
    fn start_blocking(&self, work: impl FnOnce() + Send + 'static);

    /// A listener on the runtime's reactor, of one that does not block.
    fn listener(listener: TcpListener) -> io::Result<Self::Listener>;

    /// The next connection.
    fn accept(listener: &Self::Listener) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Listens on this address. (To be called on the runtime.)
    fn listen(&self, address: SocketAddr) -> io::Result<(Self::Listener, SocketAddr)> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        Ok((Self::listener(listener)?, address))
    }

    /// A task whose handle gives its result. Without its handle it is cancelled;
    /// its panic goes on in whoever awaits it.
    fn task<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> RemoteHandle<T> {
        let (task, handle) = future.remote_handle();
        self.start(task);
        handle
    }

    /// What blocking work gives, unless it panics.
    fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, Canceled>> + Send {
        let (sender, result) = oneshot::channel();
        self.start_blocking(move || {
            let _ = sender.send(work());
        });
        result
    }

    /// What the future gives, if it does so in time; then it is dropped.
    fn timeout<T>(
        &self,
        within: Duration,
        future: impl Future<Output = T> + Send,
    ) -> impl Future<Output = Option<T>> + Send {
        let expired = self.sleep(within);
        async {
            match select(pin!(future), pin!(expired)).await {
                Either::Left((output, _)) => Some(output),
                Either::Right(_) => None,
            }
        }
    }
}
