//! The conformance suite without an async runtime: threads, and a future that is
//! blocked on by each. The context is handed over by hand.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context as TaskContext, Poll};

use futures::channel::oneshot;
use futures::executor::block_on;
use futures::future::{AbortHandle, abortable};
use throughline::{Context, InSpanExt, Thread};
use throughline_tests::conformance::{Lost, TestRuntime};

throughline_tests::conformance!(OnThreads::new());
// It is not torn down, and nothing is dropped with it.
throughline_tests::flush_matrix!(OnThreads::new(), without TearDown);

/// Threads, as the suite sees them.
struct OnThreads {
    thread: Thread,
}

impl OnThreads {
    fn new() -> Self {
        OnThreads { thread: Thread::start().expect("a thread") }
    }
}

impl TestRuntime for OnThreads {
    type Runtime = Thread;
    type Task<T: Send + 'static> = Task<T>;

    fn runtime(&self) -> Thread {
        self.thread.clone()
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        block_on(future)
    }

    fn spawn<F>(future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (work, abort) = abortable(future.with_context(Context::current()));
        let (sender, result) = oneshot::channel();
        std::thread::spawn(move || {
            if let Ok(output) = block_on(work) {
                let _ = sender.send(output);
            }
        });
        Task { result, abort }
    }

    fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Task<T> {
        Self::spawn(async { work() })
    }

    async fn cancel<T: Send + 'static>(task: Task<T>) {
        task.abort.abort();
        let _ = task.result.await;
    }

    async fn yield_now() {
        std::thread::yield_now();
        // Pending once, so that futures of the same thread get their turn.
        let mut yielded = false;
        core::future::poll_fn(|task| {
            if core::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            task.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

/// What a thread works on.
struct Task<T> {
    result: oneshot::Receiver<T>,
    abort: AbortHandle,
}

impl<T> Future for Task<T> {
    type Output = Result<T, Lost>;

    fn poll(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.result).poll(task).map_err(|_| Lost)
    }
}
