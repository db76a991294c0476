//! A wrapped exporter, and what it does that it should not.

use core::future::Future;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::{Arc, Mutex};

use opentelemetry::{Context as OtelContext, Key};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use throughline::{Builder, DropReason, Outcome, Receipt, Retry, Telemetry, Thread, builder, span};
use throughline_core::{ExportError, Failure};
use throughline_exporter_opentelemetry::OpenTelemetry;

/// Does what it is told to, and writes down what it is asked.
#[derive(Clone, Debug, Default)]
struct Scripted(Arc<Script>);

#[derive(Debug, Default)]
struct Script {
    /// What the next exports do; afterwards all succeed.
    next: Mutex<Vec<Does>>,
    log: Mutex<Vec<String>>,
    exports: AtomicUsize,
    running: AtomicUsize,
    overlapped: AtomicBool,
    was_suppressed: AtomicBool,
}

#[derive(Clone, Copy, Debug)]
enum Does {
    Fail,
    TimeOut,
    BeShutDown,
    Panic,
    Hang,
}

impl Scripted {
    fn that(does: impl IntoIterator<Item = Does>) -> Self {
        let script = Scripted::default();
        script.0.next.lock().expect("no panic").extend(does);
        script
    }

    fn log(&self) -> Vec<String> {
        self.0.log.lock().expect("no panic").clone()
    }

    fn note(&self, what: impl Into<String>) {
        self.0.log.lock().expect("no panic").push(what.into());
    }
}

/// Notes that an export is under way.
struct Running<'a>(&'a Script);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl SpanExporter for Scripted {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let script = &*self.0;
        script.exports.fetch_add(1, Ordering::SeqCst);
        let running = script.running.fetch_add(1, Ordering::SeqCst);
        let _running = Running(script);
        script.overlapped.fetch_or(running > 0, Ordering::SeqCst);
        script
            .was_suppressed
            .store(OtelContext::is_current_telemetry_suppressed(), Ordering::SeqCst);
        let names: Vec<_> = batch.iter().map(|span| span.name.to_string()).collect();
        let does = {
            let mut next = script.next.lock().expect("no panic");
            if next.is_empty() { None } else { Some(next.remove(0)) }
        };
        match does {
            Some(Does::Fail) => Err(OTelSdkError::InternalFailure("out of paper".to_owned())),
            Some(Does::TimeOut) => Err(OTelSdkError::Timeout(Duration::from_secs(1))),
            Some(Does::BeShutDown) => Err(OTelSdkError::AlreadyShutdown),
            Some(Does::Panic) => panic!("as asked"),
            Some(Does::Hang) => core::future::pending().await,
            None => {
                self.note(format!("export {}", names.join(" ")));
                Ok(())
            }
        }
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.note("shutdown");
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.note("force_flush");
        Ok(())
    }

    fn set_resource(&mut self, resource: &Resource) {
        let name = resource.get(&Key::new("service.name"));
        self.note(format!("resource {}", name.map(|name| name.to_string()).unwrap_or_default()));
    }
}

const DEADLINE: Duration = Duration::from_secs(60);

/// A pipeline that tries again as soon as possible, and sends only when it is flushed.
fn settings() -> Builder {
    let mut retry = Retry::new();
    retry.initial_delay = Duration::from_millis(1);
    builder().service_name("shop").retry(retry).schedule_delay(Duration::from_secs(3_600))
}

fn lost(receipt: &Receipt, reason: DropReason) -> u64 {
    receipt.ledger().losses().filter(|(of, _)| *of == reason).map(|(_, spans)| spans).sum()
}

fn start(exporter: OpenTelemetry<impl SpanExporter + 'static>) -> Telemetry {
    settings().start(Thread::start().expect("a thread"), exporter)
}

fn make(telemetry: &Telemetry, name: &'static str) {
    let mut span = span!(parent: &telemetry.context(), "span");
    span.update_name(name);
    span.end();
}

#[track_caller]
fn flushed(telemetry: &Telemetry) -> Receipt {
    let receipt = telemetry.flush_blocking(DEADLINE);
    assert!(receipt.is_complete(), "{receipt}");
    receipt
}

/// EXP-1, EXP-6 of [Span Exporter](https://opentelemetry.io/docs/specs/otel/trace/sdk/#span-exporter),
/// SP-6, SP-7: [ForceFlush](https://opentelemetry.io/docs/specs/otel/trace/sdk/#forceflush-1)
/// and Shutdown reach the exporter after everything is sent.
#[test]
fn resource_batches_flush_and_shutdown_come_in_their_order_and_once() {
    let script = Scripted::default();
    let telemetry = start(OpenTelemetry::new(script.clone()));
    make(&telemetry, "a");
    flushed(&telemetry);
    make(&telemetry, "b");
    assert!(telemetry.shutdown_blocking(DEADLINE).is_complete());
    assert!(telemetry.shutdown_blocking(DEADLINE).is_complete());
    let expected = ["resource shop", "export a", "force_flush", "export b", "shutdown"];
    assert_eq!(script.log(), expected);
    assert!(script.0.was_suppressed.load(Ordering::SeqCst));
}

/// ([Span exporter](https://opentelemetry.io/docs/specs/otel/trace/sdk/#span-exporter): EXP-1)
#[test]
fn a_flush_that_is_awaited_reaches_the_exporter_too() {
    let script = Scripted::default();
    let telemetry = start(OpenTelemetry::new(script.clone()));
    futures::executor::block_on(async {
        make(&telemetry, "a");
        assert!(telemetry.flush(DEADLINE).await.is_complete());
        assert!(telemetry.shutdown(DEADLINE).await.is_complete());
    });
    assert_eq!(script.log(), ["resource shop", "export a", "force_flush", "shutdown"]);
}

/// EXP-5, OTLP-8: what failed is tried again, with the batch and its order as they were.
#[test]
fn a_failure_or_timeout_is_tried_again() {
    let script = Scripted::that([Does::Fail, Does::TimeOut]);
    let exporter = OpenTelemetry::new(script.clone());
    let telemetry = start(exporter.clone());
    make(&telemetry, "a");
    make(&telemetry, "b");
    let receipt = flushed(&telemetry);
    assert_eq!(receipt.ledger().exported(), 2);
    assert_eq!(script.log(), ["resource shop", "export a b", "force_flush"]);
    assert_eq!(script.0.exports.load(Ordering::SeqCst), 3);
    assert_eq!(exporter.last_error().as_deref(), Some("Operation timed out after 1s"));
    telemetry.shutdown_blocking(DEADLINE);
}

/// EXP-4 of [Export](https://opentelemetry.io/docs/specs/otel/trace/sdk/#exportbatch).
#[test]
fn without_repetitions_a_failure_costs_the_batch() {
    let script = Scripted::that([Does::Fail]);
    let telemetry = start(OpenTelemetry::new(script.clone()).retry_failures(false));
    make(&telemetry, "a");
    let receipt = flushed(&telemetry);
    assert_eq!(
        receipt.failure().map(|failed| failed.error()),
        Some(ExportError::Permanent(Failure::Exporter))
    );
    assert_eq!(lost(&receipt, DropReason::ExportFailed), 1);
    assert_eq!(script.0.exports.load(Ordering::SeqCst), 1);
    telemetry.shutdown_blocking(DEADLINE);
}

#[test]
fn an_exporter_that_is_shut_down_or_panics_costs_the_batch_and_nothing_else() {
    for (does, failure, detail) in [
        (Does::BeShutDown, Failure::Shutdown, "Shutdown already invoked"),
        (Does::Panic, Failure::Panicked, "as asked"),
    ] {
        let script = Scripted::that([does]);
        let telemetry = start(OpenTelemetry::new(script.clone()));
        make(&telemetry, "lost");
        let receipt = flushed(&telemetry);
        assert_eq!(
            receipt.failure().map(|failed| failed.error()),
            Some(ExportError::Permanent(failure))
        );
        let told = receipt.failure().and_then(|failed| failed.detail());
        assert_eq!(told, Some(detail));
        make(&telemetry, "kept");
        flushed(&telemetry);
        assert_eq!(script.log(), ["resource shop", "force_flush", "export kept", "force_flush"]);
        telemetry.shutdown_blocking(DEADLINE);
    }
}

/// EXP-3 of [Export](https://opentelemetry.io/docs/specs/otel/trace/sdk/#exportbatch):
/// one that never returns is given up, and its future dropped before the next begins
/// (EXP-2).
#[test]
fn an_export_that_hangs_is_given_up_and_begun_again() {
    let script = Scripted::that([Does::Hang, Does::Hang]);
    let telemetry = settings()
        .export_timeout(Some(Duration::from_millis(1)))
        .start(Thread::start().expect("a thread"), OpenTelemetry::new(script.clone()));
    make(&telemetry, "a");
    flushed(&telemetry);
    assert_eq!(script.log(), ["resource shop", "export a", "force_flush"]);
    assert!(!script.0.overlapped.load(Ordering::SeqCst));
    telemetry.shutdown_blocking(DEADLINE);
}

/// EXP-2: the flusher is taken over while the former driver still has its transmission.
#[test]
fn a_caller_that_takes_over_ends_the_transmission_of_the_former_driver() {
    let script = Scripted::that([Does::Hang]);
    let runtime = throughline_tests::places::tokio_runtime(0);
    let tokio = throughline::Tokio::new(runtime.handle().clone());
    let telemetry = settings().start(tokio, OpenTelemetry::new(script.clone()));
    make(&telemetry, "a");
    runtime.block_on(async {
        // The background task begins to send ...
        let asked = telemetry.clone();
        let flush = tokio::spawn(async move { asked.flush(DEADLINE).await });
        while script.0.exports.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        // ... and is stuck; this blocks the only thread that would poll it.
        assert!(telemetry.flush_blocking(DEADLINE).is_complete());
        assert!(flush.await.expect("no panic").is_complete());
    });
    assert!(script.log().contains(&"export a".to_owned()));
    assert!(!script.0.overlapped.load(Ordering::SeqCst));
    telemetry.shutdown_blocking(DEADLINE);
}

#[test]
fn a_flush_or_shutdown_of_the_exporter_that_fails_or_hangs_is_told_by_the_deadline() {
    #[derive(Debug)]
    struct Stubborn;

    impl SpanExporter for Stubborn {
        fn export(&self, _: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
            core::future::ready(Ok(()))
        }

        fn force_flush(&self) -> OTelSdkResult {
            Err(OTelSdkError::InternalFailure("no".to_owned()))
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            loop {
                std::thread::park();
            }
        }
    }

    let telemetry = start(OpenTelemetry::new(Stubborn));
    make(&telemetry, "a");
    let receipt = flushed(&telemetry);
    let failed = receipt.failure().expect("it failed");
    assert_eq!(failed.error(), ExportError::Permanent(Failure::Exporter));
    assert_eq!(failed.detail(), Some("Operation failed: no"));
    assert_eq!(receipt.ledger().exported(), 1);
    let receipt = telemetry.shutdown_blocking(Duration::from_millis(200));
    assert_eq!(receipt.outcome(), Outcome::DeadlinePassed);
    let again = telemetry.shutdown_blocking(Duration::from_millis(200));
    assert_eq!(again.ledger().exported(), 1);
}

/// A runtime that stands still is said to, and the batch stays.
#[cfg(feature = "tokio")]
#[test]
fn a_tokio_exporter_whose_runtime_is_blocked_says_so_and_loses_nothing() {
    let script = Scripted::default();
    let runtime = throughline_tests::places::tokio_runtime(0);
    let exporter = OpenTelemetry::on_tokio(script.clone(), runtime.handle().clone());
    let tokio = throughline::Tokio::new(runtime.handle().clone());
    let telemetry = settings().start(tokio, exporter);
    make(&telemetry, "a");
    runtime.block_on(async {
        // The only thread that could run it.
        let receipt = telemetry.flush_blocking(Duration::from_secs(1));
        assert_eq!(receipt.outcome(), Outcome::DeadlinePassed);
        let failure = Failure::NoRuntime;
        assert_eq!(
            receipt.failure().map(|failed| failed.error()),
            Some(ExportError::Retry { after: None, failure })
        );
        assert_eq!(script.0.exports.load(Ordering::SeqCst), 0);
        // It runs again.
        assert!(telemetry.flush(DEADLINE).await.is_complete());
    });
    assert!(script.log().contains(&"export a".to_owned()));
    telemetry.shutdown_blocking(Duration::from_secs(1));
}

/// What needs a reactor finds it from every thread.
#[cfg(feature = "tokio")]
#[test]
fn a_tokio_exporter_works_from_any_thread_while_its_runtime_runs() {
    #[derive(Debug)]
    struct NeedsTokio;

    impl SpanExporter for NeedsTokio {
        async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
            tokio::time::sleep(Duration::from_millis(1)).await;
            tokio::spawn(async {}).await.map_err(|e| OTelSdkError::InternalFailure(e.to_string()))
        }
    }

    let runtime = throughline_tests::places::tokio_runtime(1);
    let exporter = OpenTelemetry::on_tokio(NeedsTokio, runtime.handle().clone());
    let pipelines = [
        start(exporter.clone()),
        settings().start(throughline::Smol::global(), exporter.clone()),
        settings().start(throughline::AsyncStd, exporter),
    ];
    for telemetry in pipelines {
        make(&telemetry, "a");
        let receipt = telemetry.shutdown_blocking(DEADLINE);
        assert!(receipt.is_complete(), "{receipt}");
        assert_eq!(receipt.ledger().exported(), 1, "{receipt}");
    }
}

/// Without its runtime, such an exporter panics, which is caught and counted.
#[test]
fn an_exporter_without_the_reactor_that_it_needs_costs_the_batch() {
    #[derive(Debug)]
    struct NeedsTokio;

    impl SpanExporter for NeedsTokio {
        async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(())
        }
    }

    let telemetry = start(OpenTelemetry::new(NeedsTokio));
    make(&telemetry, "a");
    let receipt = telemetry.shutdown_blocking(DEADLINE);
    assert!(receipt.is_complete(), "{receipt}");
    assert_eq!(lost(&receipt, DropReason::ExportFailed), 1, "{receipt}");
    let failed = receipt.failure().expect("it failed");
    assert_eq!(failed.error(), ExportError::Permanent(Failure::Panicked));
    assert!(failed.detail().is_some_and(|text| text.contains("no reactor running")), "{failed}");
}
