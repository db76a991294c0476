//! Span processors see the spans of both APIs, and may use both.

use std::sync::{Arc, Mutex};

use opentelemetry::Context as Theirs;
use opentelemetry::global::BoxedTracer;
use opentelemetry::trace::{Span as _, TraceContextExt, Tracer};
use throughline::{Context, EndedSpan, Span, SpanProcessor, StartedSpan, builder, span};

use crate::Stage;

/// Notes what ended, and what a processor asks and begins meanwhile.
#[derive(Clone, Default)]
struct Curious(Arc<Mutex<Vec<(String, bool)>>>);

impl Curious {
    fn look() -> bool {
        let theirs = Theirs::current();
        theirs.span().set_attribute(opentelemetry::KeyValue::new("by a processor", true));
        let mine: Span = span!("of a processor");
        let tracer: BoxedTracer = opentelemetry::global::tracer("a processor");
        let recorded = tracer.in_span("of a processor", |context| context.span().is_recording());
        let suppressed = Theirs::is_current_telemetry_suppressed();
        suppressed && Context::current().is_suppressed() && !mine.is_recording() && !recorded
    }
}

impl SpanProcessor for Curious {
    fn on_start(&self, _: &mut StartedSpan<'_>) {
        if !Curious::look() {
            self.0.lock().expect("no panic").push(("at a start".to_owned(), false));
        }
    }

    fn on_end(&self, span: &EndedSpan<'_>) {
        let is_apart = Curious::look();
        self.0.lock().expect("no panic").push((span.name().to_owned(), is_apart));
    }
}

#[test]
fn a_processor_may_use_both_apis_wherever_a_span_ends() {
    let curious = Curious::default();
    let stage = Stage::with(builder().processor(curious.clone()));
    let tracer = stage.tracer();
    stage.run(|| {
        span!("ours").in_scope(|| tracer.in_span("theirs", |_| span!("ours in theirs").end()));
        tracer.start("ended").end();
        // By the last of its contexts, which a guard puts away.
        let guard = Theirs::current_with_span(tracer.start("kept by a guard")).attach();
        drop(guard);
        let context = Theirs::current_with_span(tracer.start("kept by a context"));
        context.clone().attach();
        drop(context);
    });
    stage.finish();
    let seen = curious.0.lock().expect("no panic").clone();
    let names =
        ["ours in theirs", "theirs", "ours", "ended", "kept by a guard", "kept by a context"];
    assert_eq!(seen, names.map(|name| (name.to_owned(), true)));
}
