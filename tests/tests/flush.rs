//! Flush and shutdown: what only tokio's clock and its only thread can show. The
//! matrix of each runtime is mounted beside its conformance suite.

use core::time::Duration;
use std::sync::{Arc, Mutex, OnceLock};

use futures::future::BoxFuture;
use throughline::exporters::Memory;
use throughline::{
    DropReason, Exporter, Outcome, Receipt, Runtime, Telemetry, Thread, Tokio, builder,
};
use throughline_core::{Accepted, Batch, ExportError, SpanExporter};
use throughline_tests::flush::{LONG, SHORT};
use throughline_tests::places::{SPANS, make_spans, start, tokio_runtime, watched};
use throughline_tests::scripted::{Gated, Script, Scripted};

#[test]
fn what_a_blocked_caller_sends_itself_is_not_sent_by_the_background_task_too() {
    watched("a transmission that is taken over", || {
        let (exporter, open) = Gated::new();
        let runtime = tokio_runtime(0);
        let receipt = runtime.block_on(async {
            let telemetry = start(Tokio::current().expect("inside"), exporter.clone());
            make_spans(&telemetry);
            let flush = tokio::spawn({
                let telemetry = telemetry.clone();
                async move { telemetry.flush(LONG).await }
            });
            while !exporter.is_reached() {
                tokio::task::yield_now().await;
            }
            let receipt = telemetry.flush_blocking(Duration::from_secs(2));
            let _ = open.send(());
            flush.await.expect("no panic");
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            receipt
        });
        assert!(receipt.is_complete(), "{receipt}");
        assert_eq!(exporter.delivered().len() as u64, SPANS);
    });
}

#[test]
fn an_awaited_flush_leaves_a_transmission_to_a_task_that_answers() {
    watched("a slow transmission", || {
        let (exporter, open) = Gated::new();
        let runtime = tokio_runtime(1);
        let receipt = runtime.block_on(async {
            let telemetry = start(Tokio::current().expect("inside"), exporter.clone());
            make_spans(&telemetry);
            let receipt = telemetry.flush(SHORT).await;
            assert_eq!(receipt.outcome(), Outcome::DeadlinePassed, "{receipt}");
            assert_eq!(receipt.ledger().in_flight(), SPANS, "{receipt}");
            let _ = open.send(());
            telemetry.flush(LONG).await
        });
        assert!(receipt.is_complete(), "{receipt}");
        // Nobody sent it a second time meanwhile.
        assert_eq!(exporter.delivered().len() as u64, SPANS);
    });
}

#[test]
fn an_exporter_that_flushes_its_own_pipeline_does_not_wait_for_itself() {
    watched("an exporter that flushes", || {
        let exporter = Flushing::default();
        let telemetry = start(Thread::start().expect("a thread"), exporter.clone());
        exporter.telemetry.set(telemetry.clone()).expect("the first");
        make_spans(&telemetry);
        let receipt = telemetry.flush_blocking(LONG);
        assert!(receipt.is_complete(), "{receipt}");
        assert_eq!(receipt.ledger().exported(), SPANS, "{receipt}");
        let inner = exporter.receipts.lock().expect("no panic").clone();
        // While it was given the batch, and while it sent.
        assert_eq!(inner.len(), 2);
        for receipt in inner {
            assert_eq!(receipt.outcome(), Outcome::DeadlinePassed, "{receipt}");
            assert_eq!(receipt.ledger().in_flight(), SPANS, "{receipt}");
        }
    });
}

#[test]
fn a_few_spans_leave_after_the_delay_though_nobody_flushes() {
    watched("the delay", || {
        let runtime = tokio_runtime(0);
        runtime.block_on(async {
            let memory = Memory::new();
            let builder = builder().schedule_delay(Duration::from_secs(5));
            let telemetry = builder.start(Tokio::current().expect("inside"), memory.clone());
            tokio::time::pause();
            // The flusher sleeps before the first span ends.
            tokio::time::sleep(Duration::from_secs(60)).await;
            make_spans(&telemetry);
            tokio::time::sleep(Duration::from_secs(6)).await;
            assert_eq!(memory.spans().len() as u64, SPANS);
        });
    });
}

#[test]
fn under_a_paused_clock_the_deadline_is_a_virtual_one() {
    watched("a paused clock", || {
        let runtime = tokio_runtime(0);
        runtime.block_on(async {
            let telemetry = start(Tokio::current().expect("inside"), Scripted(Script::Hangs));
            tokio::time::pause();
            make_spans(&telemetry);
            let receipt = telemetry.flush(Duration::from_secs(10)).await;
            assert_eq!(receipt.outcome(), Outcome::DeadlinePassed);
            let receipt = telemetry.shutdown(Duration::from_secs(10)).await;
            assert_eq!(receipt.ledger().dropped(DropReason::Abandoned), SPANS);
            assert_eq!(receipt.ledger().in_flight(), 0);
        });
    });
}

/// An exporter that flushes its own pipeline, as a panic hook in it would.
#[derive(Clone, Debug, Default)]
struct Flushing {
    telemetry: Arc<OnceLock<Telemetry>>,
    receipts: Arc<Mutex<Vec<Receipt>>>,
}

impl Flushing {
    fn flush(&self) {
        let receipt = self.telemetry.get().expect("set").flush_blocking(LONG);
        self.receipts.lock().expect("no panic").push(receipt);
    }
}

impl<R: Runtime> Exporter<R> for Flushing {
    type Connection = Flushing;

    fn connect(&self, _: &R) -> Flushing {
        self.clone()
    }
}

impl SpanExporter for Flushing {
    type Sending = BoxFuture<'static, Result<Accepted, ExportError>>;

    fn export(&mut self, _: &Batch<'_>) -> Self::Sending {
        self.flush();
        let exporter = self.clone();
        Box::pin(async move {
            exporter.flush();
            Ok(Accepted::default())
        })
    }
}
