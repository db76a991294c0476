//! Several destinations: what holds from every place of every runtime, over real sockets.

use core::time::Duration;
use std::collections::HashSet;

use throughline::exporters::Protocol;
use throughline::{Destinations, DropReason, Outcome, Receipt, SpanId};

use crate::conformance::TestRuntime;
use crate::faulty::{Fault, Receiver};
use crate::flush::{LONG, Make, Matrix, at_once};
use crate::places::{Call, SPANS, What, settings, settle_with};

/// The other one has everything, though the call waits for both; who hangs is told.
///
/// OTLP-14 ([Multi-destination exporting](https://opentelemetry.io/docs/specs/otlp/#multi-destination-exporting)).
pub fn a_destination_that_hangs_holds_up_no_other<R: TestRuntime>(matrix: Matrix<impl Make<R>>) {
    let make = *matrix.make();
    at_once(matrix.calls(), |call| {
        let hanging = Receiver::start(Protocol::Grpc, [Fault::Hangs]);
        let good = Receiver::start(Protocol::HttpProtobuf, [Fault::Nothing]);
        let receipt = settle_both(make, call, &hanging, &good, 1, ENOUGH);
        let name = format!("{call:?}: {receipt}");
        assert_eq!(receipt.outcome(), Outcome::DeadlinePassed, "{name}");
        assert_eq!(arrived(&good).len() as u64, SPANS, "{name}");
        let [hung, took] = receipt.destinations() else { panic!("two: {name}") };
        assert!(hung.name().starts_with("otlp_grpc_span_exporter/"), "{name}");
        assert!(took.name().starts_with("otlp_http_span_exporter/"), "{name}");
        let ledger = took.ledger();
        assert_eq!((ledger.started(), ledger.exported()), (SPANS, SPANS), "{name}");
        let (ledger, all) = (hung.ledger(), receipt.ledger());
        assert_eq!((ledger.started(), ledger.exported()), (SPANS, 0), "{name}");
        match call.what {
            // It is settled when both have settled it.
            What::Flush => {
                assert_eq!((ledger.in_flight(), all.in_flight()), (SPANS, SPANS), "{name}");
            }
            // One took it, and that counts.
            What::Shutdown => {
                assert_eq!(ledger.dropped(DropReason::Abandoned), SPANS, "{name}");
                assert_eq!((all.exported(), all.in_flight()), (SPANS, 0), "{name}");
            }
        }
        assert_eq!(all.dropped_total(), 0, "{name}");
    });
}

/// Each span once in the books, with one request in flight and with several.
pub fn each_of_several_destinations_gets_everything<R: TestRuntime>(matrix: Matrix<impl Make<R>>) {
    let make = *matrix.make();
    let calls = matrix.calls().flat_map(|call| [1, 3].map(|requests| (call, requests)));
    at_once(calls, |(call, requests)| {
        let receivers = [Protocol::HttpProtobuf, Protocol::Grpc]
            .map(|protocol| Receiver::start(protocol, [Fault::Nothing]));
        let [first, second] = &receivers;
        let receipt = settle_both(make, call, first, second, requests, LONG);
        let name = format!("{call:?}, {requests}: {receipt}");
        assert!(receipt.is_complete(), "{name}");
        assert_eq!((receipt.ledger().exported(), receipt.failure()), (SPANS, None), "{name}");
        for (receiver, report) in receivers.iter().zip(receipt.destinations()) {
            let counts = (receiver.spans().len() as u64, arrived(receiver).len() as u64);
            assert_eq!(counts, (SPANS, SPANS), "each once: {name}");
            assert_eq!(report.ledger().exported(), SPANS, "{name}");
        }
    });
}

fn settle_both<R: TestRuntime>(
    make: impl Make<R>,
    call: Call,
    first: &Receiver,
    second: &Receiver,
    requests: usize,
    within: Duration,
) -> Receipt {
    let (first, second) = (first.exporter(), second.exporter());
    let start = move |runtime| {
        let destinations = Destinations::to(first).and(second);
        // Nothing leaves before the call: who blocks a runtime in the middle of a
        // transmission leaves it half of the time.
        settings().max_concurrent_exports(requests).start_to(runtime, destinations)
    };
    settle_with(make, call, start, within)
}

/// The spans that arrived, each once.
fn arrived(receiver: &Receiver) -> HashSet<SpanId> {
    receiver.spans().into_iter().collect()
}

/// A deadline that is reached, since one of them hangs, and until which the other one has
/// answered, however busy the machine is.
const ENOUGH: Duration = Duration::from_millis(1_500);
