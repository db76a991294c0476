//! The samplers that the specification names, by what becomes of a span.

use core::fmt;
use core::time::Duration;

use throughline::exporters::Memory;
use throughline::{
    Additions, AlwaysOff, AlwaysOn, AlwaysRecord, Context, Decision, DropReason, ParentBased,
    Sampler, SamplingParameters, Span, SpanContext, SpanId, Telemetry, Thread, TraceFlags, TraceId,
    TraceIdRatioBased, builder, span,
};

struct Always(Decision);

impl Sampler for Always {
    fn should_sample(&self, _: &SamplingParameters<'_>, _: &mut Additions<'_>) -> Decision {
        self.0
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Always({:?})", self.0)
    }
}

fn pipeline(sampler: impl Sampler + Send + 'static) -> (Memory, Telemetry) {
    let memory = Memory::new();
    let thread = Thread::start().expect("a thread");
    let telemetry = builder().sampler(sampler).start(thread, memory.clone());
    (memory, telemetry)
}

/// Whether a span of this sampler is recorded, is sampled, and reaches the exporter.
fn becomes(sampler: impl Sampler + Send + 'static) -> (bool, bool, bool) {
    let (memory, telemetry) = pipeline(sampler);
    let (is_recording, is_sampled) = telemetry.context().scope(|| {
        let span: Span = span!("work");
        (span.is_recording(), span.span_context().is_sampled())
    });
    assert!(telemetry.shutdown_blocking(Duration::from_secs(30)).is_complete());
    let only_recorded = telemetry.ledger().dropped(DropReason::RecordOnly);
    assert_eq!(only_recorded, u64::from(is_recording && !is_sampled));
    (is_recording, is_sampled, !memory.spans().is_empty())
}

/// SMP-2 ([ShouldSample](https://opentelemetry.io/docs/specs/otel/trace/sdk/#shouldsample)).
/// SMP-4, SMP-5 ([Sampling](https://opentelemetry.io/docs/specs/otel/trace/sdk/#sampling)).
#[test]
fn each_decision_is_recorded_and_flagged_as_it_says() {
    assert_eq!(becomes(Always(Decision::Drop)), (false, false, false));
    assert_eq!(becomes(Always(Decision::RecordOnly)), (true, false, false));
    assert_eq!(becomes(Always(Decision::RecordAndSample)), (true, true, true));
}

/// SAM-5 ([AlwaysRecord](https://opentelemetry.io/docs/specs/otel/trace/sdk/#alwaysrecord)).
#[test]
fn always_record_records_what_its_root_drops() {
    assert_eq!(becomes(AlwaysRecord::new(AlwaysOff)), (true, false, false));
    assert_eq!(becomes(AlwaysRecord::new(AlwaysOn)), (true, true, true));
    assert_eq!(becomes(AlwaysRecord::new(Always(Decision::RecordOnly))), (true, false, false));
}

/// Whether a child of this trace id and flags is recorded.
fn keeps(telemetry: &Telemetry, trace_id: TraceId, flags: TraceFlags) -> bool {
    let parent = SpanContext::new(trace_id, SpanId::from_bytes([1; 8]), flags);
    let context = Context::remote(parent, Default::default());
    context.with_pipeline(telemetry.pipeline()).scope(|| {
        let span: Span = span!("work");
        span.is_recording()
    })
}

/// SAM-2 ([TraceIdRatioBased](https://opentelemetry.io/docs/specs/otel/trace/sdk/#traceidratiobased)).
#[test]
fn the_ratio_goes_by_the_trace_id_alone_and_a_larger_one_keeps_more() {
    let ratios = [0.0, 0.1, 0.5, 0.9, 1.0].map(|ratio| pipeline(TraceIdRatioBased::new(ratio)).1);
    for step in 0..64u64 {
        let id = 1 << 64 | u128::from(step << 58 | 1);
        let trace_id = TraceId::from_bytes(id.to_be_bytes());
        let kept = ratios.each_ref().map(|telemetry| {
            let unsampled = keeps(telemetry, trace_id, TraceFlags::from_bits(0));
            let sampled = keeps(telemetry, trace_id, TraceFlags::SAMPLED);
            assert_eq!(unsampled, sampled, "the parent's flag does not count");
            sampled
        });
        assert!(!kept[0] && kept[4], "{kept:?}");
        assert!(kept.is_sorted(), "a larger ratio keeps what a smaller one keeps: {kept:?}");
    }
    for telemetry in ratios {
        telemetry.shutdown_blocking(Duration::ZERO);
    }
    let default = ParentBased::new(AlwaysOn);
    assert_eq!(becomes(default), (true, true, true));
}
