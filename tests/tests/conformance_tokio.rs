//! The conformance suite on tokio, of both flavours, and what only tokio has.

use core::future::pending;
use core::time::Duration;

use throughline::tokio::{HandleExt, JoinSet};
use throughline::{Context, InSpanExt, span};
use throughline_tests::conformance::{OnTokio, Stage, TestRuntime, current};
use throughline_tests::places::tokio_runtime;

mod current_thread {
    throughline_tests::conformance!(throughline_tests::conformance::OnTokio::with_workers(0));
    throughline_tests::flush_matrix!(throughline_tests::conformance::OnTokio::with_workers(0));
}

mod one_worker {
    throughline_tests::conformance!(throughline_tests::conformance::OnTokio::with_workers(1));
    throughline_tests::flush_matrix!(throughline_tests::conformance::OnTokio::with_workers(1));
}

mod several_workers {
    throughline_tests::conformance!(throughline_tests::conformance::OnTokio::with_workers(4));
    throughline_tests::flush_matrix!(throughline_tests::conformance::OnTokio::with_workers(4));
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

type R = OnTokio;
