//! The matrix of flush and shutdown: from every place of every runtime, with a
//! collector in every state.
//!
//! A runtime mounts it by [`flush_matrix!`](crate::flush_matrix!), with an
//! expression that makes one. What counts is the receipt; a watchdog turns a
//! call that does not come back into a failure.

use core::time::Duration;
use std::collections::HashSet;
use std::sync::{Barrier, Mutex, PoisonError};

use throughline::exporters::{Memory, Protocol};
use throughline::{DropReason, Exporter, Outcome, Receipt, Thread};
use throughline_core::{ExportError, Failure};

use crate::conformance::TestRuntime;
pub use crate::destinations::{
    a_destination_that_hangs_holds_up_no_other, each_of_several_destinations_gets_everything,
};
use crate::faulty::{Fault, Receiver};
use crate::places::{
    Call, Place, SPANS, What, block_on, calls, make_spans, on_place, settle, settle_as, start,
    watched,
};
pub use crate::processor_calls::{
    a_processor_that_does_not_return_costs_the_deadline_and_no_span,
    processors_are_flushed_in_their_order_and_shut_down_once,
};
use crate::scripted::{Script, Scripted, Switched};

/// Mounts the matrix on a runtime: the expression makes one for each case. After
/// it stand the places which the runtime does not have.
#[macro_export]
macro_rules! flush_matrix {
    ($runtime:expr $(, without $($place:ident),+)?) => {
        $crate::flush_matrix!(@mount $runtime, (&[$($($crate::places::Place::$place),+)?]);
            a_collector_that_answers_gets_everything,
            an_absent_collector_is_given_up,
            a_collector_that_hangs_up_is_given_up,
            a_collector_that_forbids_is_told_at_once,
            a_black_hole_costs_the_deadline,
            a_collector_that_hangs_costs_the_deadline,
            a_collector_that_asks_to_come_back_in_an_hour_is_not_waited_for,
            an_exporter_that_panics_loses_its_batch_and_not_the_pipeline,
            a_second_call_reports_what_the_first_did,
            callers_at_the_same_time_all_get_a_true_receipt,
            each_invocation_is_flushed_on_its_own,
            the_background_task_drives_again_after_callers_gave_up,
            a_deadline_without_end_is_a_deadline,
            a_destination_that_hangs_holds_up_no_other,
            each_of_several_destinations_gets_everything,
            processors_are_flushed_in_their_order_and_shut_down_once,
            a_processor_that_does_not_return_costs_the_deadline_and_no_span,
        );
    };
    (@mount $runtime:expr, $without:tt; $($case:ident,)*) => {$(
        #[test]
        fn $case() {
            $crate::flush::$case($crate::flush::Matrix::new(|| $runtime, $without));
        }
    )*};
}

/// Makes a runtime.
pub trait Make<R>: Fn() -> R + Copy + Send + Sync {}
impl<R, M: Fn() -> R + Copy + Send + Sync> Make<R> for M {}

/// A runtime, and the places it has.
#[derive(Debug)]
pub struct Matrix<M> {
    make: M,
    without: &'static [Place],
}

impl<M> Matrix<M> {
    /// All places but these, of runtimes that are made so.
    pub fn new(make: M, without: &'static [Place]) -> Self {
        Matrix { make, without }
    }

    pub(crate) fn make(&self) -> &M {
        &self.make
    }

    pub(crate) fn calls(&self) -> impl Iterator<Item = Call> {
        calls().filter(|call| !self.without.contains(&call.place))
    }

    /// Makes every call, with a collector that meets it with the fault.
    fn meet<R: TestRuntime>(
        &self,
        fault: Fault,
        within: impl Fn(What) -> Duration + Sync,
        check: impl Fn(&Met<'_>) + Sync,
    ) where
        M: Make<R>,
    {
        let make = self.make;
        let cases = self.calls().flat_map(|call| {
            [Protocol::HttpProtobuf, Protocol::Grpc].map(|protocol| (call, protocol))
        });
        at_once(cases, |(call, protocol)| {
            let receiver = Receiver::start(protocol, [fault]);
            let exporter = receiver.exporter();
            let receipt = settle(make, call, exporter, within(call.what));
            let met = Met { call, receipt: &receipt, receiver: &receiver };
            let ledger = receipt.ledger();
            let settled = ledger.exported() + ledger.dropped_total();
            assert_eq!(ledger.started(), SPANS, "{}", met.name());
            assert_eq!(settled + ledger.in_flight(), SPANS, "{}", met.name());
            check(&met);
        });
    }
}

/// Runs many cases at once, since most of them only wait.
pub(crate) fn at_once<T>(cases: impl Iterator<Item = T> + Send, run: impl Fn(T) + Sync) {
    let cases = Mutex::new(cases);
    let next = || cases.lock().unwrap_or_else(PoisonError::into_inner).next();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = next() {
                    run(case);
                }
            });
        }
    });
}

/// What a call met with.
struct Met<'a> {
    call: Call,
    receipt: &'a Receipt,
    receiver: &'a Receiver,
}

impl Met<'_> {
    fn name(&self) -> String {
        format!("{:?}, {:?}: {}", self.call, self.receiver.protocol(), self.receipt)
    }

    fn assert_complete_without(&self, lost: Option<(DropReason, u64)>) {
        assert_eq!(self.receipt.outcome(), Outcome::Complete, "{}", self.name());
        self.assert_lost(lost);
        assert_eq!(self.receipt.ledger().in_flight(), 0, "{}", self.name());
    }

    /// What was under way when the time was over is in flight after a flush, and
    /// lost after a shutdown.
    fn assert_out_of_time(&self) {
        assert_eq!(self.receipt.outcome(), Outcome::DeadlinePassed, "{}", self.name());
        self.assert_lost(match self.call.what {
            What::Flush => None,
            What::Shutdown => Some((DropReason::Abandoned, SPANS)),
        });
    }

    fn assert_lost(&self, lost: Option<(DropReason, u64)>) {
        let found: Vec<_> = self.receipt.ledger().losses().collect();
        assert_eq!(found, lost.into_iter().collect::<Vec<_>>(), "{}", self.name());
    }
}

/// The receipt is complete, and so is what arrived.
pub fn a_collector_that_answers_gets_everything<R: TestRuntime>(matrix: Matrix<impl Make<R>>) {
    matrix.meet(
        Fault::Nothing,
        |_| LONG,
        |met| {
            met.assert_complete_without(None);
            assert_eq!(met.receipt.ledger().exported(), SPANS, "{}", met.name());
            assert_eq!(met.receipt.failure(), None, "{}", met.name());
            let spans = met.receiver.spans();
            let distinct: HashSet<_> = spans.iter().copied().collect();
            let counts = (spans.len() as u64, distinct.len() as u64);
            assert_eq!(counts, (SPANS, SPANS), "each once: {}", met.name());
        },
    );
}

/// Nobody listens: that is known at once, and it is not tried for ever.
pub fn an_absent_collector_is_given_up<R: TestRuntime>(matrix: Matrix<impl Make<R>>) {
    matrix.meet(
        Fault::IsAbsent,
        |_| LONG,
        |met| {
            met.assert_complete_without(Some((DropReason::RetriesExhausted, SPANS)));
            let failure = ExportError::Retry { after: None, failure: Failure::Connect };
            assert_eq!(
                met.receipt.failure().map(|failed| failed.error()),
                Some(failure),
                "{}",
                met.name()
            );
        },
    );
}

/// Each connection is closed as soon as it is made.
pub fn a_collector_that_hangs_up_is_given_up<R: TestRuntime>(matrix: Matrix<impl Make<R>>) {
    matrix.meet(
        Fault::HangsUp,
        |_| LONG,
        |met| {
            met.assert_complete_without(Some((DropReason::RetriesExhausted, SPANS)));
            let failure = met.receipt.failure().map(|failed| failed.error());
            assert!(matches!(failure, Some(ExportError::Retry { .. })), "{}", met.name());
        },
    );
}

/// A refusal is not repeated.
pub fn a_collector_that_forbids_is_told_at_once<R: TestRuntime>(matrix: Matrix<impl Make<R>>) {
    matrix.meet(
        Fault::Forbids,
        |_| LONG,
        |met| {
            met.assert_complete_without(Some((DropReason::ExportFailed, SPANS)));
            let failure = met.receipt.failure().map(|failed| failed.error());
            assert!(matches!(failure, Some(ExportError::Permanent(_))), "{}", met.name());
        },
    );
}

/// Not even a connection comes about.
pub fn a_black_hole_costs_the_deadline<R: TestRuntime>(matrix: Matrix<impl Make<R>>) {
    matrix.meet(Fault::IsBlackHole, |_| SHORT, |met| met.assert_out_of_time());
}

/// The request is read, and that is all.
pub fn a_collector_that_hangs_costs_the_deadline<R: TestRuntime>(matrix: Matrix<impl Make<R>>) {
    matrix.meet(Fault::Hangs, |_| SHORT, |met| met.assert_out_of_time());
}

/// Status 503, and a `Retry-After` far behind any deadline.
pub fn a_collector_that_asks_to_come_back_in_an_hour_is_not_waited_for<R: TestRuntime>(
    matrix: Matrix<impl Make<R>>,
) {
    let fault = Fault::Unavailable { retry_after: Some(3_600) };
    // A flush waits for it; a shutdown knows that it would be in vain.
    let within = |what| if what == What::Flush { SHORT } else { LONG };
    matrix.meet(fault, within, |met| match met.call.what {
        What::Flush => met.assert_out_of_time(),
        What::Shutdown => {
            met.assert_complete_without(Some((DropReason::RetriesExhausted, SPANS)));
            let after = Some(Duration::from_secs(3_600));
            let failure = met.receipt.failure().map(|failed| failed.error());
            assert!(
                matches!(failure, Some(ExportError::Retry { after: a, .. }) if a == after),
                "{}",
                met.name()
            );
        }
    });
}

/// Before it sends, or while it does.
pub fn an_exporter_that_panics_loses_its_batch_and_not_the_pipeline<R: TestRuntime>(
    matrix: Matrix<impl Make<R>>,
) {
    for script in [Script::PanicsAtOnce, Script::PanicsWhileSending] {
        // A panic while a panic hook runs ends the process, whoever catches it.
        for call in matrix.calls().filter(|call| call.place != Place::PanicHook) {
            let receipts = watched(format!("{script:?}, {call:?}"), {
                let runtime = (matrix.make)();
                move || {
                    on_place(
                        runtime,
                        call.place,
                        |runtime| start(runtime, Scripted(script)),
                        move |telemetry| {
                            Box::pin(async move {
                                let flush = Call { what: What::Flush, ..call };
                                let first = settle_as(&telemetry, flush, LONG).await;
                                make_spans(&telemetry);
                                [first, settle_as(&telemetry, call, LONG).await]
                            })
                        },
                    )
                }
            });
            for (receipt, spans) in receipts.iter().zip([SPANS, 2 * SPANS]) {
                let failure = Some(ExportError::Permanent(Failure::Panicked));
                assert!(receipt.is_complete(), "{call:?}: {receipt}");
                let lost = receipt.ledger().dropped(DropReason::ExportFailed);
                assert_eq!(lost, spans, "{call:?}: {receipt}");
                assert_eq!(receipt.ledger().in_flight(), 0, "{call:?}: {receipt}");
                assert_eq!(receipt.failure().map(|failed| failed.error()), failure, "{call:?}");
            }
        }
    }
}

/// Also when there is more to do, and when the first ran out of time.
pub fn a_second_call_reports_what_the_first_did<R: TestRuntime>(matrix: Matrix<impl Make<R>>) {
    at_once(matrix.calls(), |call| {
        let receipts = repeated((matrix.make)(), call, Memory::new(), LONG);
        let [first, second] = receipts;
        assert!(first.is_complete() && second.is_complete(), "{call:?}: {first}; {second}");
        assert_eq!(second.ledger().exported(), SPANS, "{call:?}: {first}; {second}");

        let receipts = repeated((matrix.make)(), call, Scripted(Script::Hangs), SHORT);
        let lost = receipts[1].ledger().dropped(DropReason::Abandoned);
        assert_eq!(lost, SPANS, "{call:?}: {}", receipts[1]);
        for receipt in receipts {
            assert_eq!(receipt.outcome(), Outcome::DeadlinePassed, "{call:?}: {receipt}");
        }
    });
}

/// Makes the call and then shuts down twice, where the second shutdown has
/// nothing to add.
fn repeated<R, E>(runtime: R, call: Call, exporter: E, within: Duration) -> [Receipt; 2]
where
    R: TestRuntime,
    E: Exporter<R::Runtime> + Exporter<Thread>,
{
    let [first, second, third] = watched(format!("{call:?}, repeated"), move || {
        on_place(
            runtime,
            call.place,
            |runtime| start(runtime, exporter),
            move |telemetry| {
                Box::pin(async move {
                    let first = settle_as(&telemetry, call, within).await;
                    let shutdown = Call { what: What::Shutdown, ..call };
                    let second = settle_as(&telemetry, shutdown, within).await;
                    // Nothing is recorded any more.
                    make_spans(&telemetry);
                    [first, second, settle_as(&telemetry, shutdown, within).await]
                })
            },
        )
    });
    assert_eq!(second.ledger(), third.ledger(), "{call:?}: {second}; {third}");
    assert_eq!(second.outcome(), third.outcome(), "{call:?}: {second}; {third}");
    assert_eq!(second.ledger().in_flight(), 0, "{call:?}: {second}");
    [first, second]
}

/// Flushes and shutdowns, awaited and blocking, from threads beside the runtime.
pub fn callers_at_the_same_time_all_get_a_true_receipt<R: TestRuntime>(
    matrix: Matrix<impl Make<R>>,
) {
    let runtime = (matrix.make)();
    watched("concurrent callers", move || {
        let memory = Memory::new();
        let telemetry = runtime.block_on(async { start(runtime.runtime(), memory.clone()) });
        let barrier = Barrier::new(8);
        std::thread::scope(|scope| {
            for caller in 0..8 {
                let (telemetry, barrier) = (&telemetry, &barrier);
                scope.spawn(move || {
                    make_spans(telemetry);
                    barrier.wait();
                    let receipt = match caller % 4 {
                        0 => telemetry.flush_blocking(LONG),
                        1 => block_on(telemetry.flush(LONG)),
                        2 => telemetry.shutdown_blocking(LONG),
                        _ => block_on(telemetry.shutdown(LONG)),
                    };
                    // All had ended before the barrier.
                    assert_eq!(receipt.ledger().exported(), 8 * SPANS, "{caller}: {receipt}");
                    assert!(receipt.is_complete(), "{caller}: {receipt}");
                });
            }
        });
        assert_eq!(memory.spans().len() as u64, 8 * SPANS);
    });
}

/// As on a serverless platform: between two invocations nobody drives the
/// runtime, and what a flush left behind might be gone.
pub fn each_invocation_is_flushed_on_its_own<R: TestRuntime>(matrix: Matrix<impl Make<R>>) {
    for protocol in [Protocol::HttpProtobuf, Protocol::Grpc] {
        let runtime = (matrix.make)();
        watched("invocations", move || {
            let receiver = Receiver::start(protocol, [Fault::Nothing]);
            let exporter = receiver.exporter();
            let telemetry = runtime.block_on(async { start(runtime.runtime(), exporter) });
            let mut made = HashSet::new();
            for invocation in 0..6 {
                let receipt = runtime.block_on(async {
                    made.extend(make_spans(&telemetry));
                    let what = What::Flush;
                    let call = Call { place: Place::BlockOn, what, blocks: invocation % 2 == 1 };
                    settle_as(&telemetry, call, LONG).await
                });
                assert!(receipt.is_complete(), "{invocation}: {receipt}");
                assert_eq!(receipt.ledger().in_flight(), 0, "{invocation}: {receipt}");
                let spans = receiver.spans();
                assert_eq!(spans.len(), made.len(), "each once, {invocation}: {receipt}");
                let arrived: HashSet<_> = spans.into_iter().collect();
                assert_eq!(arrived, made, "{invocation}: {receipt}");
            }
        });
    }
}

/// Callers whose deadline passed leave the seat to whom it belongs.
pub fn the_background_task_drives_again_after_callers_gave_up<R: TestRuntime>(
    matrix: Matrix<impl Make<R>>,
) {
    let runtime = (matrix.make)();
    watched("callers that overlap", move || {
        let exporter = Switched::default();
        let telemetry = runtime.block_on(async {
            let mut retry = throughline::Retry::new();
            retry.initial_delay = Duration::from_millis(1);
            retry.max_delay = Duration::from_millis(10);
            retry.max_repetitions = u32::MAX;
            throughline::builder()
                .retry(retry)
                .export_timeout(Some(Duration::from_millis(50)))
                .start(runtime.runtime(), exporter.clone())
        });
        make_spans(&telemetry);
        // Nobody drives the runtime meanwhile, unless it does so itself.
        std::thread::scope(|scope| {
            for within in [300, 600] {
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

/// No clock overflows.
pub fn a_deadline_without_end_is_a_deadline<R: TestRuntime>(matrix: Matrix<impl Make<R>>) {
    for call in matrix.calls() {
        let receipt = settle(matrix.make, call, Memory::new(), Duration::MAX);
        assert!(receipt.is_complete(), "{call:?}: {receipt}");
        assert_eq!(receipt.ledger().exported(), SPANS, "{call:?}: {receipt}");
    }
}

/// Cases that wait at the same time.
const AT_ONCE: usize = 8;

/// A deadline that is not reached.
pub const LONG: Duration = Duration::from_secs(20);
/// A deadline that is.
pub const SHORT: Duration = Duration::from_millis(200);
