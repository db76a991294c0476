//! Suppressed telemetry is suppressed in both.

use opentelemetry::Context as Theirs;
use opentelemetry::trace::{Span, TraceContextExt, Tracer};
use throughline::{Context, span};

use crate::Stage;

#[test]
fn suppression_of_theirs_suppresses_ours() {
    let stage = Stage::new();
    let tracer = stage.tracer();
    stage.run(|| {
        span!("outer").in_scope(|| {
            let outer = Context::current().span_context();
            {
                let _guard = Theirs::enter_telemetry_suppressed_scope();
                assert!(Context::current().is_suppressed());
                let ours = span!("no");
                assert!(!ours.is_recording());
                // It hands on what is there.
                assert_eq!(ours.span_context(), outer);
                ours.in_scope(|| {
                    assert!(Theirs::is_current_telemetry_suppressed());
                    let theirs = tracer.start("no");
                    assert!(!theirs.is_recording());
                    assert_eq!(
                        theirs.span_context().span_id().to_string(),
                        outer.span_id().to_string()
                    );
                });
            }
            assert!(!Context::current().is_suppressed());
        });
        let suppressed = Theirs::current().with_telemetry_suppressed();
        assert!(!tracer.start_with_context("no", &suppressed).is_recording());
    });
    stage.finish_with_tree("outer");
}

#[test]
fn suppression_of_ours_suppresses_theirs() {
    let stage = Stage::new();
    let tracer = stage.tracer();
    stage.run(|| {
        Context::current().suppressed().scope(|| {
            assert!(Theirs::is_current_telemetry_suppressed());
            tracer.in_span("no", |context| {
                assert!(!context.span().is_recording());
                span!("no").end();
            });
        });
        assert!(!Theirs::is_current_telemetry_suppressed());
    });
    stage.finish_with_tree("");
}

#[test]
fn what_was_captured_outside_is_not_suppressed_by_who_runs_it() {
    let stage = Stage::new();
    let tracer = stage.tracer();
    stage.run(|| {
        let context = span!("work").in_scope(Context::current);
        let _guard = Theirs::enter_telemetry_suppressed_scope();
        context.scope(|| {
            assert!(!Theirs::is_current_telemetry_suppressed());
            tracer.start("theirs").end();
        });
    });
    stage.finish_with_tree(
        "
        work
          theirs
        ",
    );
}
