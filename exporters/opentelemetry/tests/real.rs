//! opentelemetry-otlp and opentelemetry-stdout behind a pipeline, on every runtime.

#![cfg(all(feature = "http", feature = "tokio"))]

use core::time::Duration;
use std::process::Command;

use opentelemetry_otlp::{
    RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::trace::SpanExporter as Theirs;
use throughline::{AsyncStd, Runtime, Smol, Thread, Tokio, builder, span};
use throughline_exporter_opentelemetry::{HttpClient, OpenTelemetry};
use throughline_tests::places::tokio_runtime;
use throughline_viewer::{Viewer, ViewerConfig};

const DEADLINE: Duration = Duration::from_secs(60);

fn viewer() -> Viewer {
    Viewer::bind(ViewerConfig::any_port()).expect("a port of loopback")
}

/// Sends a tree of spans and ends; the receiver has it whole.
#[track_caller]
fn deliver(viewer: &Viewer, runtime: impl Runtime, exporter: OpenTelemetry<impl Theirs + 'static>) {
    let before = viewer.store().integrity().spans;
    let telemetry = builder().start(runtime, exporter.clone());
    telemetry.context().scope(|| {
        span!("parent", n = 1).in_scope(|| (0..100).for_each(|i| span!("child", i).end()));
    });
    let receipt = telemetry.shutdown_blocking(DEADLINE);
    assert!(receipt.is_complete(), "{receipt}; {:?}", exporter.last_error());
    assert_eq!(receipt.ledger().exported(), 101, "{receipt}; {:?}", exporter.last_error());
    let found = viewer.store().integrity();
    assert!(found.is_whole(), "{found:?}");
    assert_eq!(found.spans, before + 101);
}

/// opentelemetry-otlp over the sockets of the runtime.
fn over_http<R: Runtime>(viewer: &Viewer, runtime: &R) -> SpanExporter {
    SpanExporter::builder()
        .with_http()
        .with_http_client(HttpClient::new(runtime.clone()))
        .with_endpoint(format!("http://{}/v1/traces", viewer.http_addr()))
        .with_retry_policy(RetryPolicy::default().with_max_retries(0))
        .build()
        .expect("a client is given")
}

/// OTLP-2 of [Specify protocol](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#specify-protocol).
#[test]
fn otlp_over_http_goes_over_the_sockets_of_each_runtime() {
    let viewer = viewer();
    let thread = Thread::start().expect("a thread");
    deliver(&viewer, thread.clone(), OpenTelemetry::new(over_http(&viewer, &thread)));
    let smol = Smol::global();
    deliver(&viewer, smol.clone(), OpenTelemetry::new(over_http(&viewer, &smol)));
    deliver(&viewer, AsyncStd, OpenTelemetry::new(over_http(&viewer, &AsyncStd)));
    let runtime = tokio_runtime(1);
    let tokio = Tokio::new(runtime.handle().clone());
    let exporter = over_http(&viewer, &tokio);
    let exporter = OpenTelemetry::on_tokio(exporter, runtime.handle().clone());
    deliver(&viewer, tokio, exporter);
}

#[test]
fn otlp_over_grpc_goes_wherever_tokio_is() {
    let viewer = viewer();
    let runtime = tokio_runtime(1);
    let exporter = || {
        let _entered = runtime.enter();
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(format!("http://{}", viewer.grpc_addr()))
            .with_retry_policy(RetryPolicy::default().with_max_retries(0))
            .build()
            .expect("a runtime is entered");
        OpenTelemetry::on_tokio(exporter, runtime.handle().clone())
    };
    deliver(&viewer, Tokio::new(runtime.handle().clone()), exporter());
    deliver(&viewer, Smol::global(), exporter());
    deliver(&viewer, Thread::start().expect("a thread"), exporter());
}

#[test]
fn a_collector_that_is_not_there_is_a_failure_that_is_told() {
    let thread = Thread::start().expect("a thread");
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(HttpClient::new(thread.clone()))
        // Port 1 of loopback has nobody.
        .with_endpoint("http://127.0.0.1:1/v1/traces")
        .with_retry_policy(RetryPolicy::default().with_max_retries(0))
        .build()
        .expect("a client is given");
    let exporter = OpenTelemetry::new(exporter).retry_failures(false);
    let telemetry = builder().start(thread, exporter.clone());
    span!(parent: &telemetry.context(), "lost").end();
    let receipt = telemetry.shutdown_blocking(DEADLINE);
    assert!(receipt.is_complete(), "{receipt}");
    assert_eq!((receipt.ledger().exported(), receipt.ledger().dropped_total()), (0, 1));
    assert!(exporter.last_error().is_some_and(|error| error.contains("failed")));
}

/// EXP-7: [standard output](https://opentelemetry.io/docs/specs/otel/library-guidelines/#requirements).
#[test]
fn stdout_prints_each_span() {
    const NAME: &str = "stdout_prints_each_span";
    const PRINTS: &str = "THROUGHLINE_TEST_PRINTS";
    if std::env::var_os(PRINTS).is_some() {
        let exporter = OpenTelemetry::new(opentelemetry_stdout::SpanExporter::default());
        let telemetry = builder().start(Thread::start().expect("a thread"), exporter);
        span!(parent: &telemetry.context(), "to be printed", shelf = 7).end();
        let receipt = telemetry.shutdown_blocking(DEADLINE);
        assert_eq!(receipt.ledger().exported(), 1, "{receipt}");
        return;
    }
    // What is printed is the process's: another one of this program.
    let output = Command::new(std::env::current_exe().expect("a test is a program"))
        .args([NAME, "--exact", "--nocapture"])
        .env(PRINTS, "1")
        .output()
        .expect("it ran before");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("to be printed") && text.contains("shelf"), "{text}");
}
