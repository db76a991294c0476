//! Providers and tracers.

use core::time::Duration;

use opentelemetry::trace::{Span, TraceContextExt, Tracer, TracerProvider as _};
use opentelemetry::{Context as Theirs, InstrumentationScope, global};
use throughline::exporters::Memory;
use throughline::{Thread, builder, span};
use throughline_bridge_opentelemetry::TracerProvider;

use crate::Stage;

/// PV-2 and PV-6 of [Get a tracer](https://opentelemetry.io/docs/specs/otel/trace/api/#get-a-tracer).
#[test]
fn a_tracer_has_the_name_of_its_library() {
    let stage = Stage::new();
    let scope = InstrumentationScope::builder("library").with_version("1.2.3").build();
    stage.provider.tracer_with_scope(scope).start("a").end();
    stage.provider.tracer("other").start("b").end();
    // PV-3: an empty name works.
    stage.provider.tracer("").start("c").end();
    let memory = stage.finish();
    let scopes = ["a", "b", "c"].map(|name| memory.span(name).scope);
    assert_eq!(scopes, ["library", "other", ""]);
}

/// PV-1 of [TracerProvider](https://opentelemetry.io/docs/specs/otel/trace/api/#tracerprovider).
#[test]
fn the_global_provider_serves_each_pipeline_by_its_context() {
    TracerProvider::default().install();
    let stages = [Stage::new(), Stage::new()];
    let tracer = global::tracer("library");
    for stage in &stages {
        stage.run(|| {
            span!("ours").in_scope(|| tracer.in_span("theirs", |_| span!("inner").end()));
        });
    }
    for stage in &stages {
        stage.finish_with_tree(
            "
            ours
              theirs
                inner
            ",
        );
    }
}

#[test]
fn below_a_span_of_an_isolated_pipeline_spans_go_there_on_every_thread() {
    let stage = Stage::new();
    let tracer = stage.tracer();
    let context = stage.run(|| span!("ours").in_scope(Theirs::current));
    let other = Theirs::new().with_span(tracer.start("theirs"));
    for context in [context, other] {
        std::thread::spawn(move || {
            let _guard = context.attach();
            span!("on a thread").end();
        })
        .join()
        .expect("no panic");
    }
    stage.finish_with_tree(
        "
        ours
          on a thread
        theirs
          on a thread
        ",
    );
}

/// PV-7 and PV-8 of [Shutdown](https://opentelemetry.io/docs/specs/otel/trace/sdk/#shutdown).
#[test]
fn after_the_shutdown_spans_are_not_recorded_and_hand_contexts_on() {
    let stage = Stage::new();
    let tracer = stage.tracer();
    let parent = Theirs::new().with_span(tracer.start("parent"));
    let ids = parent.span().span_context().clone();
    parent.span().end();
    stage.finish();
    let late = tracer.start_with_context("late", &parent);
    assert!(!late.is_recording());
    assert_eq!(late.span_context().span_id(), ids.span_id());
    assert!(!stage.provider.tracer("new").start("later").is_recording());
    // A second shutdown waits for nothing.
    assert!(stage.provider.shutdown(Duration::from_secs(20)).is_complete());
    stage.memory.assert_tree("parent");
}

/// PV-9 of [ForceFlush](https://opentelemetry.io/docs/specs/otel/trace/sdk/#forceflush).
#[test]
fn a_flush_sends_what_has_ended() {
    let stage = Stage::new();
    let tracer = stage.tracer();
    tracer.start("ended").end();
    let _open = tracer.start("open");
    assert!(stage.provider.force_flush(Duration::from_secs(20)).is_complete());
    stage.memory.assert_tree("ended");
    let nobody = TracerProvider::default().force_flush(Duration::ZERO);
    assert!(nobody.is_complete());
}

#[test]
fn the_context_decides_before_the_provider() {
    let (stage, memory) = (Stage::new(), Memory::new());
    let other = builder().start(Thread::start().expect("a thread"), memory.clone());
    other.context().scope(|| stage.tracer().start("of the context").end());
    stage.tracer().start("of the provider").end();
    assert!(other.shutdown_blocking(Duration::from_secs(20)).is_complete());
    memory.assert_tree("of the context");
    stage.finish_with_tree("of the provider");
}
