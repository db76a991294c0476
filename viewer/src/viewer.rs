//! The receiver and its thread.

use core::net::SocketAddr;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::completions::Completions;
use crate::server;
use crate::{Store, ViewerConfig};

/// An OTLP receiver on a thread of its own. It stops when it is dropped, as
/// [`Viewer::shutdown`] does.
#[derive(Debug)]
pub struct Viewer {
    config: ViewerConfig,
    store: Arc<Store>,
    grpc_addr: SocketAddr,
    http_addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Viewer {
    /// Opens both ports and begins to receive. When it returns, connections to
    /// the ports succeed.
    ///
    /// # Errors
    ///
    /// An address that cannot be listened on, named in the message; or a thread
    /// or its runtime that cannot be started.
    pub fn bind(config: ViewerConfig) -> io::Result<Self> {
        let grpc = listen(config.grpc)?;
        let http = listen(config.http)?;
        let grpc_addr = grpc.local_addr()?;
        let http_addr = http.local_addr()?;
        let store = Arc::new(Store::new(config.limits));
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let received = Arc::clone(&store);
        let thread =
            thread::Builder::new().name("throughline-viewer".to_owned()).spawn(move || {
                let serve = server::serve([grpc, http], Arc::clone(&received), config, stopped);
                // Only a socket that the runtime cannot register fails, and then
                // nothing can be received: the subscriptions end.
                let _ = runtime.block_on(serve);
                drop(runtime);
                received.close();
            })?;
        Ok(Self { config, store, grpc_addr, http_addr, stop: Some(stop), thread: Some(thread) })
    }

    /// Where OTLP/gRPC is received, with the port that was chosen.
    #[must_use]
    pub fn grpc_addr(&self) -> SocketAddr {
        self.grpc_addr
    }

    /// Where OTLP/HTTP is received, with the port that was chosen; the path is
    /// `/v1/traces`.
    #[must_use]
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// What was received. It outlives the viewer.
    #[must_use]
    pub fn store(&self) -> Arc<Store> {
        Arc::clone(&self.store)
    }

    /// The traces as they become complete, those held already included.
    #[must_use]
    pub fn completions(&self) -> Completions {
        self.store.completions(self.config.settle, self.config.give_up)
    }

    /// Stops accepting, finishes the requests that are being received, for at
    /// most [`ViewerConfig::grace`], and ends the subscriptions. It blocks the
    /// calling thread for that time.
    pub fn shutdown(mut self) {
        self.stop_and_wait();
    }

    fn stop_and_wait(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // If it panicked, the panic was printed; the store is still good.
            let _ = thread.join();
        }
        self.store.close();
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.stop_and_wait();
    }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let named = |error: io::Error| {
        io::Error::new(error.kind(), format!("cannot listen on {addr}: {error}"))
    };
    let listener = TcpListener::bind(addr).map_err(named)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
