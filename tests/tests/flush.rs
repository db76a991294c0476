//! Flush and shutdown from everywhere, with exporters that do their worst: what
//! counts is the receipt. A watchdog turns a call that does not come back into
//! a failure.

use core::time::Duration;

use throughline::exporters::Memory;
use throughline::{DropReason, Outcome, Receipt, Retry, Thread, Tokio, builder};
use throughline_core::{ExportError, Failure};
use throughline_tests::places::{
    Call, SPANS, What, calls, make_spans, on_place, settle, settle_as, start, tokio_runtime,
    watched,
};
use throughline_tests::scripted::{Gated, Script, Scripted, Switched};

#[test]
fn everything_is_exported_wherever_flush_and_shutdown_are_called() {
    for call in calls() {
        let memory = Memory::new();
        let receipt = settle(call, memory.clone(), LONG);
        assert_eq!(receipt.outcome(), Outcome::Complete, "{call:?}: {receipt}");
        assert_eq!(receipt.ledger().exported(), SPANS, "{call:?}: {receipt}");
        assert_eq!(receipt.ledger().in_flight(), 0, "{call:?}: {receipt}");
        assert_eq!(memory.spans().len() as u64, SPANS, "{call:?}");
        assert_eq!(receipt.failure(), None, "{call:?}");
    }
}

#[test]
fn an_exporter_that_hangs_costs_the_deadline_and_the_receipt_says_so() {
    for call in calls() {
        let receipt = settle(call, Scripted(Script::Hangs), SHORT);
        let ledger = receipt.ledger();
        assert_eq!(ledger.exported(), 0, "{call:?}: {receipt}");
        match call.what {
            What::Flush => {
                assert_eq!(receipt.outcome(), Outcome::DeadlinePassed, "{call:?}: {receipt}");
                assert_eq!(ledger.in_flight(), SPANS, "{call:?}: {receipt}");
            }
            What::Shutdown => {
                assert_eq!(ledger.dropped(DropReason::Abandoned), SPANS, "{call:?}: {receipt}");
                assert_eq!(ledger.in_flight(), 0, "{call:?}: {receipt}");
            }
        }
    }
}

#[test]
fn an_exporter_that_always_asks_to_retry_is_given_up_and_counted() {
    for call in calls() {
        let receipt = settle(call, Scripted(Script::AsksToRetry), LONG);
        let ledger = receipt.ledger();
        assert_eq!(receipt.outcome(), Outcome::Complete, "{call:?}: {receipt}");
        assert_eq!(ledger.dropped(DropReason::RetriesExhausted), SPANS, "{call:?}: {receipt}");
        assert_eq!(ledger.in_flight(), 0, "{call:?}: {receipt}");
        assert!(matches!(receipt.failure(), Some(ExportError::Retry { .. })), "{call:?}");
    }
}

#[test]
fn an_exporter_that_fails_for_good_loses_what_it_was_given_and_says_why() {
    for call in calls() {
        let receipt = settle(call, Scripted(Script::Fails), LONG);
        assert_lost(&receipt, Failure::Http(400), call);
    }
}

#[test]
fn an_exporter_that_panics_loses_its_batch_and_not_the_pipeline() {
    for script in [Script::PanicsAtOnce, Script::PanicsWhileSending] {
        for call in calls() {
            let receipt = settle(call, Scripted(script), LONG);
            assert_lost(&receipt, Failure::Panicked, call);
        }
    }
}

#[test]
fn a_pipeline_whose_exporter_panicked_goes_on() {
    let telemetry = start(Thread::start().expect("a thread"), Scripted(Script::PanicsAtOnce));
    for flushes in 1..=3 {
        make_spans(&telemetry);
        let receipt = telemetry.flush_blocking(LONG);
        assert_eq!(receipt.ledger().dropped(DropReason::ExportFailed), flushes * SPANS);
        assert_eq!(receipt.ledger().in_flight(), 0);
    }
}

#[test]
fn a_second_shutdown_reports_what_the_first_did() {
    for call in calls() {
        let memory = Memory::new();
        let [first, second] = watched(format!("{call:?}, twice"), move || {
            on_place(call.place, memory, move |telemetry| async move {
                let first = settle_as(&telemetry, call, LONG).await;
                let again = Call { what: What::Shutdown, ..call };
                settle_as(&telemetry, again, LONG).await;
                // Nothing is recorded any more.
                make_spans(&telemetry);
                [first, settle_as(&telemetry, again, LONG).await]
            })
        });
        assert_eq!(first.ledger(), second.ledger(), "{call:?}");
        assert!(second.is_complete(), "{call:?}");
    }
}

#[test]
fn callers_at_the_same_time_all_get_a_true_receipt() {
    watched("concurrent callers", || {
        let memory = Memory::new();
        let runtime = tokio_runtime(2);
        let telemetry = start(Tokio::new(runtime.handle().clone()), memory.clone());
        let barrier = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for caller in 0..8 {
                let (telemetry, barrier) = (&telemetry, &barrier);
                scope.spawn(move || {
                    make_spans(telemetry);
                    barrier.wait();
                    let receipt = match caller % 4 {
                        0 => telemetry.flush_blocking(LONG),
                        1 => futures::executor::block_on(telemetry.flush(LONG)),
                        2 => telemetry.shutdown_blocking(LONG),
                        _ => futures::executor::block_on(telemetry.shutdown(LONG)),
                    };
                    // All had ended before the barrier.
                    assert_eq!(receipt.ledger().exported(), 8 * SPANS, "{caller}: {receipt}");
                    assert!(receipt.is_complete());
                });
            }
        });
        assert_eq!(memory.spans().len() as u64, 8 * SPANS);
    });
}

#[test]
fn the_background_task_drives_again_after_callers_gave_up() {
    watched("callers that overlap", || {
        let exporter = Switched::default();
        let runtime = tokio_runtime(2);
        let mut retry = Retry::new();
        retry.initial_delay = Duration::from_millis(1);
        retry.max_delay = Duration::from_millis(10);
        retry.max_repetitions = u32::MAX;
        let telemetry = builder()
            .retry(retry)
            .export_timeout(Some(Duration::from_millis(50)))
            .start(Tokio::new(runtime.handle().clone()), exporter.clone());
        make_spans(&telemetry);
        // The second takes the seat from the first and leaves after it.
        std::thread::scope(|scope| {
            for within in [600, 1_000] {
                let telemetry = &telemetry;
                scope.spawn(move || telemetry.flush_blocking(Duration::from_millis(within)));
            }
        });
        exporter.answer_from_now_on();
        make_spans(&telemetry);
        let receipt = runtime.block_on(telemetry.flush(LONG));
        assert!(receipt.is_complete(), "{receipt}");
        assert_eq!(receipt.ledger().exported(), 2 * SPANS, "{receipt}");
    });
}

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
fn an_async_flush_comes_back_while_nobody_drives_its_runtime() {
    watched("an idle runtime", || {
        let runtime = tokio_runtime(0);
        let telemetry = start(Tokio::new(runtime.handle().clone()), Memory::new());
        make_spans(&telemetry);
        // Not `runtime.block_on`: neither its task nor its timer runs.
        let receipt = futures::executor::block_on(telemetry.flush(SHORT));
        let (exported, in_flight) = (receipt.ledger().exported(), receipt.ledger().in_flight());
        assert_eq!(receipt.is_complete(), exported == SPANS, "{receipt}");
        assert_eq!(exported + in_flight, SPANS, "{receipt}");
    });
}

#[test]
fn a_deadline_without_end_is_a_deadline() {
    for call in calls() {
        let receipt = settle(call, Memory::new(), Duration::MAX);
        assert!(receipt.is_complete(), "{call:?}: {receipt}");
    }
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

fn assert_lost(receipt: &Receipt, failure: Failure, call: Call) {
    let ledger = receipt.ledger();
    assert_eq!(receipt.outcome(), Outcome::Complete, "{call:?}: {receipt}");
    assert_eq!(ledger.dropped(DropReason::ExportFailed), SPANS, "{call:?}: {receipt}");
    assert_eq!(ledger.in_flight(), 0, "{call:?}: {receipt}");
    assert_eq!(receipt.failure(), Some(ExportError::Permanent(failure)), "{call:?}");
}

/// A deadline that is not reached.
const LONG: Duration = Duration::from_secs(20);
/// A deadline that is.
const SHORT: Duration = Duration::from_millis(200);
