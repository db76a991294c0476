//! Whole pipelines against receivers that fail in every way, over real sockets
//! and both protocols: the receipt says exactly what became of each span.
//!
//! Deadlines are given through the API; what is asserted is the outcome.

use core::time::Duration;

use throughline::exporters::{Otlp, Protocol};
use throughline::{
    Builder, DropReason, Outcome, Receipt, Retry, SpanId, Telemetry, Thread, Tokio, builder, span,
};
use throughline_core::{ExportError, Failure};
use throughline_tests::faulty::{Fault, Receiver};
use throughline_tests::places::{SPANS, make_spans, tokio_runtime, watched};

#[test]
fn each_fault_is_told_span_by_span() {
    for case in cases() {
        for protocol in PROTOCOLS {
            for driver in DRIVERS {
                each_span_is_accounted_for(case, protocol, driver);
            }
        }
    }
}

fn each_span_is_accounted_for(case: Case, protocol: Protocol, driver: Driver) {
    let receiver = Receiver::start(protocol, [case.fault]);
    // Only those that never answer reach it.
    let exporter = receiver.exporter().timeout(case.timeout);
    let url = exporter.url();
    let (flushed, shut, made) = driver.settle(quick(), exporter, LONG);
    let what = format!("{:?}, {protocol:?}, {driver:?}: {flushed}", case.fault);
    if let Some(failed) = flushed.failure() {
        assert_eq!(failed.endpoint(), Some(&*url), "{what}");
        assert!(flushed.to_string().ends_with(&failed.to_string()), "{what}");
    }
    let (exported, lost) = case.expected(protocol);
    let failure = case.failure(protocol);
    assert_eq!(flushed.outcome(), Outcome::Complete, "{what}");
    assert_eq!(flushed.ledger().started(), SPANS, "{what}");
    assert_eq!(flushed.ledger().exported(), exported, "{what}");
    assert_eq!(flushed.ledger().losses().collect::<Vec<_>>(), lost, "{what}");
    assert_eq!(flushed.ledger().in_flight(), 0, "{what}");
    match case.fault {
        // Whether it was seen before or after the first byte left.
        Fault::HangsUp => assert!(
            matches!(
                flushed.failure().map(|failed| failed.error()),
                Some(ExportError::Retry { failure: Failure::Connect | Failure::Disconnected, .. })
            ),
            "{what}"
        ),
        _ => assert_eq!(flushed.failure().map(|failed| failed.error()), failure, "{what}"),
    }
    // Nothing is left for the shutdown to do.
    assert_eq!(shut.outcome(), Outcome::Complete, "{what}");
    assert_eq!(shut.ledger(), flushed.ledger(), "{what}");
    // What counts as exported is what the receiver says it took, in order. A
    // receiver that says nothing may have taken it all the same.
    let taken = receiver.spans();
    match case.fault {
        Fault::CutsOff => assert_eq!(taken, [&made[..]; 3].concat(), "{what}"),
        Fault::TakesAllBut(some) => assert_eq!(taken, made[some..], "{what}"),
        _ if exported == SPANS => assert_eq!(taken, made, "{what}"),
        _ => assert_eq!(taken, [], "{what}"),
    }
    let sent = if receiver.requests() == 0 { 0 } else { case.requests(protocol) };
    assert_eq!(receiver.requests(), sent, "{what}");
    let answers = !matches!(case.fault, Fault::HangsUp | Fault::IsAbsent | Fault::IsBlackHole);
    assert_eq!(sent > 0, answers, "{what}");
}

/// EXP-3 ([Export](https://opentelemetry.io/docs/specs/otel/trace/sdk/#exportbatch)).
#[test]
fn what_never_answers_costs_the_deadline_and_the_receipt_says_what_is_left() {
    for fault in [Fault::Hangs, Fault::IsBlackHole] {
        for protocol in PROTOCOLS {
            for driver in DRIVERS {
                let receiver = Receiver::start(protocol, [fault]);
                let (flushed, shut, _) = driver.settle(quick(), receiver.exporter(), SHORT);
                let what = format!("{fault:?}, {protocol:?}, {driver:?}: {flushed}; {shut}");
                assert_eq!(flushed.outcome(), Outcome::DeadlinePassed, "{what}");
                assert_eq!(flushed.ledger().in_flight(), SPANS, "{what}");
                assert_eq!(shut.outcome(), Outcome::DeadlinePassed, "{what}");
                assert_eq!(
                    shut.ledger().losses().collect::<Vec<_>>(),
                    [(DropReason::Abandoned, SPANS)],
                    "{what}"
                );
                assert_eq!(shut.ledger().in_flight(), 0, "{what}");
            }
        }
    }
}

#[test]
fn a_receiver_that_comes_back_gets_everything() {
    let faults = [
        Fault::Unavailable { retry_after: Some(3_600) },
        Fault::Exhausted { retry_after: Some(3_600) },
        Fault::Unavailable { retry_after: None },
        Fault::Nothing,
    ];
    for protocol in PROTOCOLS {
        for driver in DRIVERS {
            let receiver = Receiver::start(protocol, faults);
            let builder = quick().retry(retry(10, Duration::from_millis(2)));
            let (flushed, _, made) = driver.settle(builder, receiver.exporter(), LONG);
            assert!(flushed.is_complete(), "{protocol:?}, {driver:?}: {flushed}");
            assert_eq!(flushed.ledger().exported(), SPANS, "{protocol:?}, {driver:?}: {flushed}");
            assert_eq!(flushed.failure(), None, "the last transmission arrived");
            assert_eq!(receiver.spans(), made, "each once, in order");
            assert_eq!(receiver.requests(), faults.len());
        }
    }
}

#[test]
fn an_answer_that_was_cut_off_is_asked_for_again() {
    for protocol in PROTOCOLS {
        for driver in DRIVERS {
            let receiver = Receiver::start(protocol, [Fault::CutsOff, Fault::Nothing]);
            let (flushed, _, made) = driver.settle(quick(), receiver.exporter(), LONG);
            assert_eq!(flushed.ledger().exported(), SPANS, "{protocol:?}, {driver:?}: {flushed}");
            // Delivery is at least once: the receiver alone could know better.
            assert_eq!(receiver.spans(), [&made[..]; 2].concat());
        }
    }
}

#[test]
fn a_shutdown_does_not_wait_as_long_as_the_receiver_asks() {
    for protocol in PROTOCOLS {
        for driver in DRIVERS {
            let fault = Fault::Unavailable { retry_after: Some(3_600) };
            let receiver = Receiver::start(protocol, [fault]);
            let builder = quick().retry(retry(10, Duration::from_secs(3_600)));
            let shut = driver.shut(builder, receiver.exporter(), LONG);
            let what = format!("{protocol:?}, {driver:?}: {shut}");
            assert_eq!(shut.outcome(), Outcome::Complete, "{what}");
            let lost: Vec<_> = shut.ledger().losses().collect();
            assert_eq!(lost, [(DropReason::RetriesExhausted, SPANS)], "{what}");
            let after = Some(Duration::from_secs(3_600));
            let failure = UNAVAILABLE(protocol);
            assert_eq!(
                shut.failure().map(|failed| failed.error()),
                Some(ExportError::Retry { after, failure }),
                "{what}"
            );
        }
    }
}

// Nobody but the work itself runs on the only thread until it yields, so
// whatever waited for the receiver would wait for ever.
#[test]
fn work_goes_on_in_bounded_memory_whatever_the_receiver_does() {
    const ALL: u64 = 50_000;
    for fault in [
        Fault::Hangs,
        Fault::IsBlackHole,
        Fault::IsAbsent,
        Fault::HangsUp,
        Fault::CutsOff,
        Fault::Unavailable { retry_after: Some(3_600) },
        Fault::Exhausted { retry_after: Some(3_600) },
    ] {
        for protocol in PROTOCOLS {
            let receiver = Receiver::start(protocol, [fault]);
            let exporter = receiver.exporter();
            let (under_way, shut) = watched(format!("{fault:?}"), move || {
                tokio_runtime(0).block_on(async {
                    let mut patient = retry(10, Duration::from_secs(3_600));
                    patient.initial_delay = Duration::from_secs(3_600);
                    let telemetry = quick()
                        .retry(patient)
                        .max_queue_size(QUEUE)
                        .max_export_batch_size(BATCH)
                        .start(Tokio::current().expect("inside"), exporter);
                    let context = telemetry.context();
                    for number in 1..=ALL {
                        span!(parent: &context, "work", number).end();
                        if number.is_multiple_of(100) {
                            tokio::task::yield_now().await;
                        }
                    }
                    let under_way = telemetry.ledger();
                    (under_way, telemetry.shutdown(SHORT).await)
                })
            });
            let what = format!("{fault:?}, {protocol:?}: {under_way}; {shut}");
            assert_eq!(under_way.started(), ALL, "{what}");
            assert_eq!(under_way.exported(), 0, "{what}");
            assert!(under_way.in_flight() <= MOST_HELD, "{what}");
            let refused = under_way.dropped(DropReason::QueueFull);
            assert_eq!(under_way.dropped_total(), refused, "{what}");
            assert_eq!(refused + under_way.in_flight(), ALL, "{what}");
            let ledger = shut.ledger();
            assert_eq!((ledger.in_flight(), ledger.exported()), (0, 0), "{what}");
            assert_eq!(ledger.dropped(DropReason::QueueFull), refused, "{what}");
            let given_up = ledger.dropped(DropReason::RetriesExhausted);
            assert!(given_up <= BATCH as u64, "{what}");
            assert_eq!(refused + given_up + ledger.dropped(DropReason::Abandoned), ALL, "{what}");
        }
    }
}

#[derive(Clone, Copy)]
struct Case {
    fault: Fault,
    timeout: Option<Duration>,
}

fn cases() -> impl Iterator<Item = Case> {
    let answering = [
        Fault::Nothing,
        Fault::TakesAllBut(3),
        Fault::TakesAtMost(3),
        Fault::Unavailable { retry_after: Some(3_600) },
        Fault::Unavailable { retry_after: None },
        Fault::Exhausted { retry_after: Some(3_600) },
        Fault::Exhausted { retry_after: None },
        Fault::Forbids,
        Fault::CutsOff,
        Fault::HangsUp,
        Fault::IsAbsent,
    ];
    let silent = [Fault::Hangs, Fault::IsBlackHole];
    let answering = answering.map(|fault| Case { fault, timeout: None });
    let silent = silent.map(|fault| Case { fault, timeout: Some(TIMEOUT) });
    answering.into_iter().chain(silent)
}

impl Case {
    /// Exported, and lost by reason.
    fn expected(self, protocol: Protocol) -> (u64, Vec<(DropReason, u64)>) {
        match self.fault {
            Fault::Nothing | Fault::TakesAtMost(_) => (SPANS, vec![]),
            Fault::TakesAllBut(some) => {
                (SPANS - some as u64, vec![(DropReason::Rejected, some as u64)])
            }
            _ if self.is_final(protocol) => (0, vec![(DropReason::ExportFailed, SPANS)]),
            _ => (0, vec![(DropReason::RetriesExhausted, SPANS)]),
        }
    }

    fn failure(self, protocol: Protocol) -> Option<ExportError> {
        let http_or_grpc = |http, grpc| match protocol {
            Protocol::Grpc => Failure::Grpc(grpc),
            _ => Failure::Http(http),
        };
        let (failure, after) = match self.fault {
            Fault::Nothing | Fault::TakesAllBut(_) | Fault::TakesAtMost(_) => return None,
            Fault::Unavailable { retry_after } => (UNAVAILABLE(protocol), retry_after),
            Fault::Exhausted { retry_after } => (http_or_grpc(429, 8), retry_after),
            Fault::Forbids => (http_or_grpc(403, 7), None),
            Fault::CutsOff | Fault::HangsUp => (Failure::Disconnected, None),
            Fault::IsAbsent => (Failure::Connect, None),
            Fault::Hangs | Fault::IsBlackHole => (Failure::Timeout, None),
        };
        let after = after.map(|seconds| Duration::from_secs(seconds.into()));
        Some(match self.is_final(protocol) {
            true => ExportError::Permanent(failure),
            false => ExportError::Retry { after, failure },
        })
    }

    /// Of gRPC exhaustion may be repeated only if the receiver says when.
    fn is_final(self, protocol: Protocol) -> bool {
        self.fault == Fault::Forbids
            || protocol == Protocol::Grpc && self.fault == Fault::Exhausted { retry_after: None }
    }

    fn requests(self, protocol: Protocol) -> usize {
        match self.fault {
            Fault::Nothing | Fault::TakesAllBut(_) => 1,
            // 10 and 5 are too many, 2 pass; 8 and 4, 2; 6, 3; 3.
            Fault::TakesAtMost(_) => 9,
            _ if self.is_final(protocol) => 1,
            _ => 1 + REPETITIONS as usize,
        }
    }
}

/// What drives the exporter, and how it is told to flush.
#[derive(Clone, Copy, Debug)]
enum Driver {
    /// A task of a runtime; flush is awaited.
    Tokio,
    /// A thread; flush blocks.
    Thread,
    /// The blocked caller itself, on the only thread of a runtime.
    Caller,
}

const DRIVERS: [Driver; 3] = [Driver::Tokio, Driver::Thread, Driver::Caller];

impl Driver {
    /// Makes spans, flushes, shuts down; gives the receipts and the spans.
    fn settle(
        self,
        builder: Builder,
        exporter: Otlp,
        within: Duration,
    ) -> (Receipt, Receipt, Vec<SpanId>) {
        self.run(builder, exporter, move |telemetry, awaits| async move {
            let made = make_spans(&telemetry);
            if awaits {
                (telemetry.flush(within).await, telemetry.shutdown(within).await, made)
            } else {
                (telemetry.flush_blocking(within), telemetry.shutdown_blocking(within), made)
            }
        })
    }

    /// Makes spans and shuts down.
    fn shut(self, builder: Builder, exporter: Otlp, within: Duration) -> Receipt {
        self.run(builder, exporter, move |telemetry, awaits| async move {
            make_spans(&telemetry);
            if awaits {
                telemetry.shutdown(within).await
            } else {
                telemetry.shutdown_blocking(within)
            }
        })
    }

    fn run<F, T>(
        self,
        builder: Builder,
        exporter: Otlp,
        work: impl FnOnce(Telemetry, bool) -> F + Send + 'static,
    ) -> T
    where
        F: Future<Output = T>,
        T: Send + 'static,
    {
        watched(format!("{self:?}"), move || match self {
            Driver::Tokio | Driver::Caller => {
                let awaits = matches!(self, Driver::Tokio);
                tokio_runtime(if awaits { 2 } else { 0 }).block_on(async {
                    let runtime = Tokio::current().expect("inside");
                    work(builder.start(runtime, exporter), awaits).await
                })
            }
            Driver::Thread => {
                let runtime = Thread::start().expect("a thread");
                futures::executor::block_on(work(builder.start(runtime, exporter), false))
            }
        })
    }
}

/// A pipeline that sends nothing by itself, and repeats at once.
fn quick() -> Builder {
    builder()
        .schedule_delay(Duration::from_secs(3_600))
        .retry(retry(REPETITIONS, Duration::from_millis(2)))
        .max_live_spans(64)
}

/// What the receiver asks for is cut to the longest delay.
fn retry(max_repetitions: u32, max_delay: Duration) -> Retry {
    let mut retry = Retry::new();
    retry.initial_delay = Duration::from_millis(1);
    retry.max_delay = max_delay;
    retry.max_repetitions = max_repetitions;
    retry
}

const UNAVAILABLE: fn(Protocol) -> Failure = |protocol| match protocol {
    Protocol::Grpc => Failure::Grpc(14),
    _ => Failure::Http(503),
};

const PROTOCOLS: [Protocol; 2] = [Protocol::HttpProtobuf, Protocol::Grpc];
const REPETITIONS: u32 = 2;
const QUEUE: usize = 256;
const BATCH: usize = 64;

/// The queue in spans of 512 bytes is 128 KiB, counted in units of 64 bytes of
/// which a span takes one at least, and one batch is with the exporter.
const MOST_HELD: u64 = (QUEUE * 512 / 64 + BATCH) as u64;

/// A deadline that is not reached.
const LONG: Duration = Duration::from_secs(20);
/// The time of one transmission to a receiver that never answers.
const TIMEOUT: Duration = Duration::from_millis(20);
/// A deadline that is reached.
const SHORT: Duration = Duration::from_millis(200);
