//! Tail sampling on a runtime, in real time.

use core::time::Duration;
use std::sync::mpsc;

use throughline::exporters::{Discard, Memory};
use throughline::{
    Diagnostic, Diagnostics, InSpanExt, InitError, Runtime, TailError, TailSampling, Thread, Tokio,
    span,
};
use throughline_core::DropReason;
use throughline_core::tail::{Failed, MAX_PIPELINES, Panicked, Predicate};
use throughline_tests::scripted::Gated;

#[tokio::test]
async fn a_program_on_tokio_keeps_its_failures_whole_and_drops_the_rest() {
    let tail = TailSampling::new()
        .keep(Failed.or(Panicked))
        .look_interval(Duration::from_millis(1))
        .build()
        .expect("few conditions");
    let memory = Memory::new();
    let telemetry = throughline::builder()
        .tail(&tail)
        .start(Tokio::current().expect("a test of tokio"), memory.clone());
    let requests = (0..50).map(|id: u64| {
        let request = async move {
            let step = async { tokio::task::yield_now().await }.in_span(span!("step"));
            throughline::tokio::spawn(step).await.expect("it does not panic");
            if id % 10 == 3 {
                throughline::CurrentSpan::set_status(throughline::StatusCode::Error, "odd");
            }
        };
        telemetry
            .context()
            .scope(|| throughline::tokio::spawn(request.in_span(span!(root, "request", id))))
    });
    for request in requests.collect::<Vec<_>>() {
        request.await.expect("it does not panic");
    }
    let receipt = telemetry.shutdown(Duration::from_secs(10)).await;
    assert!(receipt.is_complete(), "{receipt}");
    memory.assert_tree(
        "
        request (error)
          step
        request (error)
          step
        request (error)
          step
        request (error)
          step
        request (error)
          step
        ",
    );
    assert!(memory.spans().iter().all(|span| span.trace_state == "ot=th:0"));
    let (stats, ledger) = (telemetry.tail_stats().expect("it samples"), telemetry.ledger());
    assert_eq!((stats.traces_kept, stats.traces_dropped), (5, 45));
    assert_eq!((stats.error_traces, stats.error_traces_kept), (5, 5));
    assert_eq!((ledger.exported(), ledger.dropped(DropReason::TailSampledOut)), (10, 90));
    assert_eq!(ledger.in_flight(), 0);
}

#[test]
fn one_pipeline_more_than_can_share_a_sampler_exports_everything_and_says_so() {
    let tail = TailSampling::new().keep(Failed).build().expect("few conditions");
    let thread = Thread::start().expect("a thread");
    let builder = || throughline::builder().tail(&tail).diagnostics(Diagnostics::stderr(None));
    let mut all: Vec<_> =
        (0..MAX_PIPELINES).map(|_| builder().start(thread.clone(), Discard)).collect();
    let (sender, told) = mpsc::channel();
    let tell = move |diagnostic: &Diagnostic| drop(sender.send(diagnostic.clone()));
    let settings = builder().diagnostics(Diagnostics::to(tell));
    let one_more = settings.clone().start(thread.clone(), Memory::new());
    let refused = Diagnostic::TailRefused(TailError::TooManyPipelines);
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [refused]);
    assert_eq!(one_more.tail_stats(), None);
    one_more.context().scope(|| span!("root").in_scope(|| ()));
    assert!(one_more.shutdown_blocking(Duration::from_secs(60)).is_complete());
    assert_eq!(one_more.ledger().exported(), 1);
    // Where there is a way to say no, it is said.
    let error = builder().install(thread.clone(), Discard).expect_err("there is no room");
    assert!(matches!(error, InitError::Tail(TailError::TooManyPipelines)), "{error}");

    let last = all.pop().expect("there are some");
    assert!(last.shutdown_blocking(Duration::from_secs(60)).is_complete());
    all.push(settings.start(thread, Discard));
    assert!(all.iter().all(|telemetry| telemetry.tail_stats().is_some()));
    for telemetry in all {
        assert!(telemetry.shutdown_blocking(Duration::from_secs(60)).is_complete());
    }
}

/// The queue of the pipeline holds 256 such spans, and 2,000 end while a batch is with the
/// exporter.
async fn keeps_every_failure_while_an_export_goes_on<R: Runtime>(runtime: R) {
    let tail = TailSampling::new()
        .keep(Failed)
        .look_interval(Duration::from_millis(1))
        .build()
        .expect("few conditions");
    let (exporter, open) = Gated::new();
    let telemetry = throughline::builder()
        .tail(&tail)
        .max_queue_size(64)
        .max_export_batch_size(64)
        .schedule_delay(Duration::from_millis(1))
        .start(runtime, exporter.clone());
    let fail = || {
        telemetry.context().scope(|| {
            span!("request").in_scope(|| {
                throughline::CurrentSpan::set_status(throughline::StatusCode::Error, "");
            });
        });
    };
    fail();
    while !exporter.is_reached() {
        tokio::task::yield_now().await;
    }
    for round in 1..=20 {
        (0..100).for_each(|_| fail());
        // They are decided meanwhile.
        while tail.stats().error_traces <= round * 100 {
            tokio::task::yield_now().await;
        }
    }
    open.send(()).expect("the exporter waits");
    let receipt = telemetry.shutdown(Duration::from_secs(60)).await;
    assert!(receipt.is_complete(), "{receipt}");
    assert_eq!(exporter.delivered().len(), 2_001);
    assert_eq!(telemetry.ledger().dropped_total(), 0, "{}", telemetry.ledger());
}

#[tokio::test]
async fn every_failure_is_kept_while_an_export_goes_on_on_tokio() {
    let runtime = Tokio::current().expect("a test of tokio");
    keeps_every_failure_while_an_export_goes_on(runtime).await;
}

#[tokio::test]
async fn every_failure_is_kept_while_an_export_goes_on_on_a_thread() {
    let runtime = Thread::start().expect("the system gives a thread");
    keeps_every_failure_while_an_export_goes_on(runtime).await;
}
