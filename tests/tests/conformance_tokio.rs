//! The conformance suite on tokio, of both flavours, and what only tokio has.

use core::future::{Future, pending};
use core::pin::Pin;
use core::task::{Context as TaskContext, Poll};
use core::time::Duration;

use throughline::tokio::{HandleExt, JoinSet};
use throughline::{Context, InSpanExt, Tokio, span};
use throughline_tests::conformance::{Lost, Stage, TestRuntime, current};
use throughline_tests::places::tokio_runtime;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

mod current_thread {
    throughline_tests::conformance!(super::OnTokio::with_workers(0));
    throughline_tests::flush_matrix!(super::OnTokio::with_workers(0));
}

mod one_worker {
    throughline_tests::conformance!(super::OnTokio::with_workers(1));
    throughline_tests::flush_matrix!(super::OnTokio::with_workers(1));
}

mod several_workers {
    throughline_tests::conformance!(super::OnTokio::with_workers(4));
    throughline_tests::flush_matrix!(super::OnTokio::with_workers(4));
}

#[test]
fn a_join_set_runs_its_tasks_in_the_context_of_each_spawn() {
    for workers in [0, 4] {
        let stage = Stage::new(OnTokio::with_workers(workers));
        stage.run(async {
            let mut set = JoinSet::new();
            async {
                set.spawn(async { span!("in a task").in_scope(|| {}) });
                R::yield_now().await;
            }
            .in_span(span!("first"))
            .await;
            async {
                set.spawn_blocking(|| span!("blocking").in_scope(|| {}));
                R::yield_now().await;
            }
            .in_span(span!("second"))
            .await;
            set.join_all().await;
        });
        stage.finish_with_tree(
            "
            first
              in a task
            second
              blocking
            ",
        );
    }
}

#[test]
fn a_join_set_that_is_dropped_cancels_the_spans_of_its_tasks() {
    let stage = Stage::new(OnTokio::with_workers(0));
    stage.run(async {
        let mut set = JoinSet::new();
        for _ in 0..3 {
            set.spawn(pending::<()>().in_span(span!("task")));
        }
        R::yield_now().await;
        set.shutdown().await;
    });
    stage.finish_with_tree(
        "
        task (cancelled)
        task (cancelled)
        task (cancelled)
        ",
    );
}

#[test]
fn a_timeout_cancels_the_span_inside_of_it() {
    let stage = Stage::new(OnTokio::with_workers(0));
    stage.run(async {
        tokio::time::pause();
        async {
            let work = pending::<()>().in_span(span!("work"));
            let in_time = tokio::time::timeout(Duration::from_secs(5), work).await;
            assert!(in_time.is_err());
            span!("after").in_scope(|| {});
        }
        .in_span(span!("request"))
        .await;
    });
    stage.finish_with_tree(
        "
        request
          work (cancelled)
          after
        ",
    );
}

#[test]
fn local_tasks_and_handles_carry_the_context() {
    let stage = Stage::new(OnTokio::with_workers(0));
    stage.run(async {
        let local = tokio::task::LocalSet::new();
        let work = async {
            let task = throughline::tokio::spawn_local(async { span!("local").in_scope(|| {}) });
            task.await.expect("no panic");
            let handle = tokio::runtime::Handle::current();
            let task = handle.spawn_in_context(async { span!("on a handle").in_scope(|| {}) });
            task.await.expect("no panic");
            let work = || span!("blocking on a handle").in_scope(|| {});
            handle.spawn_blocking_in_context(work).await.expect("no panic");
        };
        local.run_until(work.in_span(span!("root"))).await;
    });
    stage.finish_with_tree(
        "
        root
          local
          on a handle
          blocking on a handle
        ",
    );
}

#[test]
fn tokios_own_spawn_starts_without_a_context() {
    let stage = Stage::new(OnTokio::with_workers(0));
    stage.run(
        async {
            let task = tokio::spawn(async {
                assert!(!current().is_valid());
                assert!(Context::current().pipeline().is_none());
            });
            task.await.expect("no panic");
        }
        .in_span(span!("root")),
    );
    // Made outside of the pipeline's context, the root is nobody's.
    stage.finish_with_tree("");
}

#[test]
fn a_runtime_that_is_dropped_cancels_the_spans_of_its_tasks() {
    let stage = Stage::new(OnTokio::with_workers(0));
    let telemetry = stage.telemetry.clone();
    let runtime = tokio_runtime(0);
    runtime.block_on(async {
        let context = telemetry.context();
        let task = pending::<()>().in_span(span!(parent: &context, "task"));
        drop(tokio::spawn(task));
        tokio::task::yield_now().await;
    });
    drop(runtime);
    stage.finish_with_tree("task (cancelled)");
}

/// tokio, as the suite sees it.
struct OnTokio {
    runtime: Runtime,
}

impl OnTokio {
    fn with_workers(workers: usize) -> Self {
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

type R = OnTokio;

struct Task<T>(JoinHandle<T>);

impl<T> Future for Task<T> {
    type Output = Result<T, Lost>;

    fn poll(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(task).map_err(|_| Lost)
    }
}
