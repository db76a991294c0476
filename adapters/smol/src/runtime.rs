//! smol as the runtime of the flusher and its sockets.

use core::future::Future;
use core::time::Duration;
use std::io;
use std::sync::{Arc, Weak};

use ::smol::net::TcpStream;
use ::smol::{Executor, Timer};
use throughline_runtime::{Runtime, suppressed};

/// smol: its global executor, or one of the program's own.
///
/// Sockets and timers are driven by the thread of `async-io`, which smol starts
/// by itself; only tasks need an executor.
#[derive(Clone, Debug)]
pub struct Smol {
    /// Weak, as the executor owns the flusher's task, which owns this.
    executor: Option<Weak<Executor<'static>>>,
}

impl Smol {
    /// The executor of [`smol::spawn`], which smol starts with its first task, on
    /// one thread or as many as the variable `SMOL_THREADS` says.
    pub fn global() -> Self {
        Smol { executor: None }
    }

    /// An executor that the program runs itself.
    ///
    /// When it is dropped, tasks of the background end with it, and a later flush
    /// exports from the thread of its caller.
    pub fn on(executor: &Arc<Executor<'static>>) -> Self {
        Smol { executor: Some(Arc::downgrade(executor)) }
    }
}

impl Runtime for Smol {
    type Stream = TcpStream;

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let task = suppressed(task);
        match self.executor.as_ref().map(Weak::upgrade) {
            None => ::smol::spawn(task).detach(),
            Some(Some(executor)) => executor.spawn(task).detach(),
            // It would never run.
            Some(None) => drop(task),
        }
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        let timer = Timer::after(duration);
        async {
            timer.await;
        }
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
