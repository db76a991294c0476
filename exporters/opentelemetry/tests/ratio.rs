//! The sampler of the official SDK beside ours.

use opentelemetry::trace::{SpanKind as TheirKind, TraceId as TheirId};
use opentelemetry_sdk::trace::{Sampler as Theirs, SamplingDecision, ShouldSample};
use throughline_core::{
    Additions, Decision, IdGenerator, Sampler, SamplingParameters, SpanContext, SpanKind, TraceId,
    TraceIdRatioBased,
};

/// SAM-2 ([TraceIdRatioBased](https://opentelemetry.io/docs/specs/otel/trace/sdk/#traceidratiobased)):
/// services with either SDK keep the same traces, at the same ratio and, as a larger one
/// keeps more, at different ones.
#[test]
fn a_ratio_keeps_the_same_traces_as_in_the_official_sdk() {
    let mut kept = 0;
    for ratio in (0..=13).map(|exponent| 0.5_f64.powi(exponent)).chain([0.0, 0.1, 0.3, 0.999]) {
        let (ours, theirs) = (TraceIdRatioBased::new(ratio), Theirs::TraceIdRatioBased(ratio));
        let ids = IdGenerator::new(9);
        // Where it changes its mind, and at the ends.
        let bound = (ratio * (1_u64 << 63) as f64) as u64;
        let edges = [bound.wrapping_sub(1), bound, bound + 1, 0, u64::MAX >> 1];
        let edges = edges.into_iter().flat_map(|low| [low << 1, low << 1 | 1]).map(|low| {
            TraceId::from_bytes((u128::from(ids.next() | 1) << 64 | u128::from(low)).to_be_bytes())
        });
        let edges: Vec<_> = edges.collect();
        for trace in edges.into_iter().chain((0..10_000).map(|_| ids.trace_id())) {
            let their_id = TheirId::from_bytes(trace.to_bytes());
            let result =
                theirs.should_sample(None, their_id, "span", &TheirKind::Internal, &[], &[]);
            let parent = SpanContext::INVALID;
            let span = SamplingParameters::new(&parent, trace, "span", SpanKind::Internal);
            let decision = ours.should_sample(&span, &mut Additions::new(&mut |_| ()));
            assert_eq!(
                decision == Decision::RecordAndSample,
                result.decision == SamplingDecision::RecordAndSample,
                "{trace} at {ratio}"
            );
            kept += usize::from(decision == Decision::RecordAndSample);
        }
    }
    assert!(kept > 30_000, "{kept}");
}
