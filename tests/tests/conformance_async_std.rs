//! The conformance suite on async-std, and what only async-std has.

use core::future::{Future, pending};

use async_std::task::{self, JoinHandle};
use throughline::{AsyncStd, Context, InSpanExt, span};
use throughline_tests::conformance::{Caught, Stage, TestRuntime, current};

throughline_tests::conformance!(OnAsyncStd);
throughline_tests::flush_matrix!(OnAsyncStd);

#[test]
fn local_tasks_carry_the_context() {
    let stage = Stage::new(OnAsyncStd);
    stage.run(async {
        let work = async {
            let name = std::rc::Rc::new("not `Send`");
            let task = async move { span!("local", name = *name).end() };
            throughline::async_std::spawn_local(task).await;
        };
        work.in_span(span!("root")).await;
    });
    stage.finish_with_tree(
        "
        root
          local
        ",
    );
}

#[test]
fn a_timeout_cancels_the_span_inside_of_it() {
    let stage = Stage::new(OnAsyncStd);
    stage.run(async {
        let request = async {
            let work = pending::<()>().in_span(span!("work"));
            let in_time = async_std::future::timeout(core::time::Duration::ZERO, work).await;
            assert!(in_time.is_err());
            span!("after").end();
        };
        request.in_span(span!("request")).await;
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
fn async_stds_own_spawn_starts_without_a_context() {
    let stage = Stage::new(OnAsyncStd);
    stage.run(async {
        let work = async {
            let task = task::spawn(async {
                assert!(!current().is_valid());
                assert!(Context::current().pipeline().is_none());
            });
            task.await;
        };
        work.in_span(span!("root")).await;
    });
    stage.finish_with_tree("root");
}

/// async-std, as the suite sees it.
struct OnAsyncStd;

impl TestRuntime for OnAsyncStd {
    type Runtime = AsyncStd;
    type Task<T: Send + 'static> = Caught<JoinHandle<T>>;

    fn runtime(&self) -> AsyncStd {
        AsyncStd
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        task::block_on(future)
    }

    fn spawn<F>(future: F) -> Self::Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Caught(throughline::async_std::spawn(future))
    }

    fn spawn_blocking<T: Send + 'static>(
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Self::Task<T> {
        Caught(throughline::async_std::spawn_blocking(work))
    }

    async fn cancel<T: Send + 'static>(task: Self::Task<T>) {
        task.0.cancel().await;
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        task::yield_now()
    }
}
