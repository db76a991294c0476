//! tokio, for every suite that mounts the cases.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context as TaskContext, Poll};

use throughline::Tokio;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::{Lost, TestRuntime};
use crate::places::tokio_runtime;

/// tokio, as the suite sees it.
#[derive(Debug)]
pub struct OnTokio {
    runtime: Runtime,
}

impl OnTokio {
    /// With so many workers; none is the flavour of the current thread.
    pub fn with_workers(workers: usize) -> Self {
        OnTokio { runtime: tokio_runtime(workers) }
    }
}

impl TestRuntime for OnTokio {
    type Runtime = Tokio;
    type Task<T: Send + 'static> = Task<T>;

    fn runtime(&self) -> Tokio {
        Tokio::new(self.runtime.handle().clone())
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    fn spawn<F>(future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Task(throughline::tokio::spawn(future))
    }

    fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Task<T> {
        Task(throughline::tokio::spawn_blocking(work))
    }

    async fn cancel<T: Send + 'static>(task: Task<T>) {
        task.0.abort();
        let _ = task.0.await;
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        tokio::task::yield_now()
    }
}

/// A task of tokio.
#[derive(Debug)]
pub struct Task<T>(JoinHandle<T>);

impl<T> Future for Task<T> {
    type Output = Result<T, Lost>;

    fn poll(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(task).map_err(|_| Lost)
    }
}
