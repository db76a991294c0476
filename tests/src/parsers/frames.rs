//! From spans to bytes and back.

use core::cell::RefCell;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use throughline_core::SpanLimits;

use crate::wire::{Bench, expected_request, plans_from};

/// Spans made as the bytes say are read back by the official messages, field by
/// field.
pub fn span_round_trip(data: &[u8]) {
    thread_local! {
        // Pipelines live for ever, so the cases share one.
        static BENCH: RefCell<Bench> = RefCell::new(Bench::new(SpanLimits::new()));
    }
    let plans = plans_from(data);
    BENCH.with_borrow_mut(|bench| {
        let limits = *bench.limits();
        bench.make(&plans, |made, batch| {
            let mut bytes = Vec::new();
            batch.encode(|chunk| bytes.extend_from_slice(chunk));
            assert_eq!(bytes.len(), batch.encoded_len());
            let request = ExportTraceServiceRequest::decode(&*bytes).expect("a request");
            let expected = expected_request(&plans, made, &limits);
            // Bytes, since not every number equals itself.
            assert_eq!(request.encode_to_vec(), expected.encode_to_vec(), "{plans:#?}");
        });
    });
}
