//! The pipeline's sampler decides about spans of this API.

use core::fmt;
use std::sync::{Arc, Mutex};

use opentelemetry::Context as Theirs;
use opentelemetry::KeyValue;
use opentelemetry::trace::{
    Link, Span, SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState,
    Tracer,
};
use throughline::{
    Additions, AlwaysOff, AlwaysOn, AlwaysRecord, Decision, ParentBased, Sampler,
    SamplingParameters, TraceIdRatioBased, builder, span,
};

use crate::Stage;

/// Writes down what it is told, and decides by the name.
#[derive(Clone, Debug, Default)]
struct Attentive(Arc<Mutex<Vec<String>>>);

impl Sampler for Attentive {
    fn should_sample(&self, span: &SamplingParameters<'_>, adds: &mut Additions<'_>) -> Decision {
        let attributes: Vec<_> = span.attributes().map(|(key, _)| key.to_owned()).collect();
        let links: Vec<_> = span.links().map(|link| link.span_context().span_id()).collect();
        self.0.lock().expect("no panic").push(format!(
            "{} {:?} {} {} {attributes:?} {links:?} {}",
            span.name,
            span.kind,
            span.parent.is_valid(),
            span.parent.trace_id() == span.trace_id,
            span.trace_state.as_str(),
        ));
        match span.name {
            "drop" => Decision::Drop,
            "record" => Decision::RecordOnly,
            _ => {
                adds.set_attribute("sampler", "attentive");
                Decision::RecordAndSample
            }
        }
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Attentive")
    }
}

fn remote(flags: TraceFlags, is_remote: bool) -> Theirs {
    let state = "rojo=1".parse::<TraceState>().expect("valid");
    let ids = (TraceId::from(0x77), SpanId::from(0x5));
    let span = SpanContext::new(ids.0, ids.1, flags, is_remote, state);
    Theirs::new().with_remote_span_context(span)
}

/// SMP-1 of [ShouldSample](https://opentelemetry.io/docs/specs/otel/trace/sdk/#shouldsample),
/// SPN-7 of [span creation](https://opentelemetry.io/docs/specs/otel/trace/sdk/#sdk-span-creation).
#[test]
fn a_sampler_is_told_parent_trace_name_kind_attributes_links_and_state() {
    let sampler = Attentive::default();
    let stage = Stage::with(builder().sampler(sampler.clone()));
    let tracer = stage.tracer();
    let to = SpanContext::new(
        TraceId::from(1),
        SpanId::from(2),
        TraceFlags::default(),
        false,
        TraceState::NONE,
    );
    tracer
        .span_builder("GET /")
        .with_kind(SpanKind::Server)
        .with_attributes([KeyValue::new("http.route", "/")])
        .with_links(vec![Link::new(to, vec![], 0)])
        .start_with_context(&tracer, &remote(TraceFlags::SAMPLED, true))
        .end();
    tracer.start("root").end();
    let told = sampler.0.lock().expect("no panic").clone();
    assert_eq!(
        told,
        [
            "GET / Server true true [\"http.route\"] [SpanId(0000000000000002)] rojo=1",
            "root Internal false false [] [] ",
        ]
    );
    // SMP-3: what it adds is on the span.
    assert_eq!(stage.finish().span("GET /").attribute("sampler"), Some("attentive"));
}

/// SMP-2, SMP-4 and SMP-5 of [Sampling](https://opentelemetry.io/docs/specs/otel/trace/sdk/#sampling).
#[test]
fn each_decision_shows_in_is_recording_and_in_the_sampled_flag() {
    let stage = Stage::with(builder().sampler(Attentive::default()));
    let tracer = stage.tracer();
    let shown = |name: &'static str| {
        let span = tracer.start(name);
        assert!(span.span_context().is_valid());
        (span.is_recording(), span.span_context().is_sampled())
    };
    assert_eq!(shown("drop"), (false, false));
    assert_eq!(shown("record"), (true, false));
    assert_eq!(shown("keep"), (true, true));
    stage.finish_with_tree("keep");
}

/// SMP-3: the [state](https://opentelemetry.io/docs/specs/otel/trace/sdk/#shouldsample)
/// that a sampler gives is that of the new span, in both APIs.
#[test]
fn a_sampler_changes_the_trace_state() {
    #[derive(Debug)]
    struct Writes;

    impl Sampler for Writes {
        fn should_sample(
            &self,
            span: &SamplingParameters<'_>,
            adds: &mut Additions<'_>,
        ) -> Decision {
            let state = span.trace_state.insert("seen", "1").expect("valid");
            adds.set_trace_state(&state);
            Decision::RecordAndSample
        }

        fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Writes")
        }
    }

    let stage = Stage::with(builder().sampler(Writes));
    let tracer = stage.tracer();
    let span = tracer.start_with_context("a", &remote(TraceFlags::SAMPLED, true));
    assert_eq!(span.span_context().trace_state().header(), "seen=1,rojo=1");
    drop(span);
    stage.finish();
}

/// SAM-1 of [built-in samplers](https://opentelemetry.io/docs/specs/otel/trace/sdk/#built-in-samplers):
/// the default follows the parent, and keeps roots.
#[test]
fn by_default_a_span_follows_its_parent_and_roots_are_kept() {
    let stage = Stage::new();
    let tracer = stage.tracer();
    tracer.start("root").end();
    for is_remote in [true, false] {
        let kept = tracer.start_with_context("kept", &remote(TraceFlags::SAMPLED, is_remote));
        assert!(kept.is_recording());
        let dropped = remote(TraceFlags::NOT_SAMPLED, is_remote);
        let span = tracer.start_with_context("dropped", &dropped);
        assert!(!span.is_recording() && !span.span_context().is_sampled());
        // It has an id of its own, in the same trace.
        assert_eq!(span.span_context().trace_id(), TraceId::from(0x77));
        assert_ne!(span.span_context().span_id(), SpanId::from(0x5));
        let _guard = opentelemetry::trace::mark_span_as_active(span);
        assert!(!span!("below").is_recording());
    }
    assert_eq!(stage.finish().spans().len(), 3);
}

/// SAM-2 of [TraceIdRatioBased](https://opentelemetry.io/docs/specs/otel/trace/sdk/#traceidratiobased).
#[test]
fn a_ratio_decides_alike_in_both_apis() {
    let stage = Stage::with(builder().sampler(TraceIdRatioBased::new(0.5)));
    let tracer = stage.tracer();
    stage.run(|| {
        for trace in 1..=64_u128 {
            let ids = SpanContext::new(
                TraceId::from(trace << 120 | trace << 58),
                SpanId::from(1),
                TraceFlags::NOT_SAMPLED,
                true,
                TraceState::NONE,
            );
            let _guard = Theirs::new().with_remote_span_context(ids).attach();
            assert_eq!(tracer.start("theirs").is_recording(), span!("ours").is_recording());
        }
    });
    let spans = stage.finish().spans();
    assert!((2..126).contains(&spans.len()), "{}", spans.len());
}

/// SAM-4 of [ParentBased](https://opentelemetry.io/docs/specs/otel/trace/sdk/#parentbased).
#[test]
fn parents_of_other_processes_and_of_this_one_are_told_apart() {
    let sampler = ParentBased {
        root: AlwaysOff,
        remote_sampled: AlwaysOff,
        remote_not_sampled: AlwaysOff,
        local_sampled: AlwaysOn,
        local_not_sampled: AlwaysOn,
    };
    let stage = Stage::with(builder().sampler(sampler));
    let tracer = stage.tracer();
    let is_kept =
        |flags, is_remote| tracer.start_with_context("a", &remote(flags, is_remote)).is_recording();
    assert!(!tracer.start("root").is_recording());
    assert!(!is_kept(TraceFlags::SAMPLED, true));
    assert!(is_kept(TraceFlags::SAMPLED, false));
    assert!(!is_kept(TraceFlags::NOT_SAMPLED, true));
    assert!(is_kept(TraceFlags::NOT_SAMPLED, false));
    stage.finish();
}

/// SAM-5 of [AlwaysRecord](https://opentelemetry.io/docs/specs/otel/trace/sdk/#alwaysrecord).
#[test]
fn always_record_records_without_sampling() {
    let stage = Stage::with(builder().sampler(AlwaysRecord::new(AlwaysOff)));
    let span = stage.tracer().start("a");
    assert!(span.is_recording() && !span.span_context().is_sampled());
    drop(span);
    stage.finish_with_tree("");
}
