//! The conformance suite on smol, and what only smol has.

use core::cell::RefCell;
use core::future::{Future, pending};
use std::sync::Arc;

use smol::future::yield_now;
use smol::{Executor, LocalExecutor, Task};
use throughline::smol::{ExecutorExt, LocalExecutorExt};
use throughline::{Context, InSpanExt, Smol, span};
use throughline_tests::conformance::{Caught, DEADLINE, Stage, TestRuntime, current};

mod global_executor {
    throughline_tests::conformance!(super::OnGlobal);
    throughline_tests::flush_matrix!(super::OnGlobal);
}

mod own_executor {
    throughline_tests::conformance!(super::OnOwn::new());
    throughline_tests::flush_matrix!(super::OnOwn::new());
}

#[test]
fn an_executor_and_a_local_one_run_tasks_in_the_context_of_the_spawn() {
    let stage = Stage::new(OnGlobal);
    let name = String::from("borrowed");
    let (executor, local) = (Executor::new(), LocalExecutor::new());
    stage.run(async {
        let work = async {
            let tasks = [
                executor.spawn_in_context(async { span!("on an executor").end() }),
                // It borrows, and is not `Send`.
                local.spawn_in_context(async {
                    let name = std::rc::Rc::new(&name);
                    span!("on a local executor", name = name.as_str()).end();
                }),
            ];
            let [first, second] = tasks;
            executor.run(first).await;
            local.run(second).await;
        };
        work.in_span(span!("root")).await;
    });
    stage.finish_with_tree(
        "
        root
          on an executor
          on a local executor
        ",
    );
}

#[test]
fn a_task_whose_handle_is_dropped_is_cancelled() {
    let stage = Stage::new(OnGlobal);
    let executor = Executor::new();
    stage.run(async {
        let task = executor.spawn_in_context(pending::<()>().in_span(span!("task")));
        executor.tick().await;
        drop(task);
        // The executor drops what is left of it.
        while !executor.is_empty() {
            executor.tick().await;
        }
    });
    stage.finish_with_tree("task (cancelled)");
}

#[test]
fn a_task_that_is_detached_goes_on_below_the_span_that_started_it() {
    let stage = Stage::new(OnGlobal);
    let executor = Executor::new();
    stage.run(async {
        let work = async {
            let detached = async {
                yield_now().await;
                span!("detached").end();
            };
            executor.spawn_in_context(detached).detach();
        };
        work.in_span(span!("root")).await;
        while !executor.is_empty() {
            executor.tick().await;
        }
    });
    stage.finish_with_tree(
        "
        root
          detached
        ",
    );
}

#[test]
fn an_executor_that_is_dropped_cancels_the_spans_of_its_tasks() {
    let stage = Stage::new(OnGlobal);
    let executor = Executor::new();
    stage.run(async {
        executor.spawn_in_context(pending::<()>().in_span(span!("task"))).detach();
        executor.tick().await;
    });
    drop(executor);
    stage.finish_with_tree("task (cancelled)");
}

#[test]
fn smols_own_spawn_starts_without_a_context() {
    let stage = Stage::new(OnGlobal);
    stage.run(async {
        let task = async {
            let task = smol::spawn(async {
                assert!(!current().is_valid());
                assert!(Context::current().pipeline().is_none());
            });
            task.await;
        };
        task.in_span(span!("root")).await;
    });
    stage.finish_with_tree("root");
}

#[test]
fn a_flush_after_the_executor_is_gone_exports_from_the_callers_thread() {
    let executor = Arc::new(Executor::new());
    let memory = throughline::exporters::Memory::new();
    let telemetry = throughline::builder().start(Smol::on(&executor), memory.clone());
    // The flusher waits for spans before it is cut off.
    while executor.try_tick() {}
    span!(parent: &telemetry.context(), "work").end();
    drop(executor);
    let receipt = smol::block_on(telemetry.flush(DEADLINE));
    assert!(receipt.is_complete(), "{receipt}");
    span!(parent: &telemetry.context(), "more work").end();
    let receipt = telemetry.shutdown_blocking(DEADLINE);
    assert!(receipt.is_complete(), "{receipt}");
    memory.assert_tree(
        "
        work
        more work
        ",
    );
}

/// smol with its global executor.
struct OnGlobal;

impl TestRuntime for OnGlobal {
    type Runtime = Smol;
    type Task<T: Send + 'static> = Caught<Task<T>>;

    fn runtime(&self) -> Smol {
        Smol::global()
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        smol::block_on(future)
    }

    fn spawn<F>(future: F) -> Self::Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Caught(throughline::smol::spawn(future))
    }

    fn spawn_blocking<T: Send + 'static>(
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Self::Task<T> {
        Caught(throughline::smol::unblock(work))
    }

    async fn cancel<T: Send + 'static>(task: Self::Task<T>) {
        task.0.cancel().await;
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        yield_now()
    }
}

/// smol with an executor of its own, which is run by whoever blocks on it.
struct OnOwn {
    executor: Arc<Executor<'static>>,
}

thread_local! {
    /// The executor that runs on this thread.
    static CURRENT: RefCell<Option<Arc<Executor<'static>>>> = const { RefCell::new(None) };
}

impl OnOwn {
    fn new() -> Self {
        OnOwn { executor: Arc::default() }
    }
}

impl TestRuntime for OnOwn {
    type Runtime = Smol;
    type Task<T: Send + 'static> = Caught<Task<T>>;

    fn runtime(&self) -> Smol {
        Smol::on(&self.executor)
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        let outer = CURRENT.replace(Some(self.executor.clone()));
        let output = smol::block_on(self.executor.run(future));
        CURRENT.set(outer);
        output
    }

    fn spawn<F>(future: F) -> Self::Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let executor = CURRENT.with_borrow(Option::clone).expect("inside of `block_on`");
        Caught(executor.spawn_in_context(future))
    }

    fn spawn_blocking<T: Send + 'static>(
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Self::Task<T> {
        OnGlobal::spawn_blocking(work)
    }

    fn cancel<T: Send + 'static>(task: Self::Task<T>) -> impl Future<Output = ()> + Send {
        OnGlobal::cancel(task)
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        yield_now()
    }
}
