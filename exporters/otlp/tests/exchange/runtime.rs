//! tokio, as small as these tests need it, with its tasks counted.

use core::future::Future;
use core::time::Duration;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use throughline_runtime::Runtime;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

#[derive(Clone)]
pub(crate) struct Tokio {
    tasks: Arc<watch::Sender<usize>>,
}

impl Tokio {
    pub(crate) fn new() -> Self {
        Tokio { tasks: Arc::new(watch::Sender::new(0)) }
    }

    pub(crate) fn tasks(&self) -> usize {
        *self.tasks.borrow()
    }

    /// Waits until no spawned task is left.
    pub(crate) async fn no_tasks(&self) {
        let mut tasks = self.tasks.subscribe();
        tasks.wait_for(|count| *count == 0).await.unwrap();
    }
}

impl Runtime for Tokio {
    type Stream = Compat<TcpStream>;

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.send_modify(|count| *count += 1);
        let tasks = Arc::clone(&self.tasks);
        tokio::spawn(async move {
            task.await;
            tasks.send_modify(|count| *count -= 1);
        });
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        tokio::time::sleep(duration)
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn connect(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<Self::Stream>> + Send + 'static {
        let host = host.to_owned();
        async move {
            let stream = TcpStream::connect((host, port)).await?;
            Ok(stream.compat())
        }
    }
}
