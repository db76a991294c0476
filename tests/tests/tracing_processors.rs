//! Span processors see the spans of `tracing`, and may use it.

use std::sync::{Arc, Mutex};

use throughline::tracing::TracingLayer;
use throughline::{EndedSpan, SpanProcessor, StartedSpan, builder, span};
use throughline_tests::subscribed::Stage;
use tracing::dispatcher::Dispatch;
use tracing::{info, info_span};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;

/// Uses `tracing` at each occasion.
#[derive(Clone, Default)]
struct Talking(Arc<Mutex<Vec<String>>>);

fn talk() {
    let span = info_span!("of a processor", outcome = tracing::field::Empty);
    span.in_scope(|| info!("seen"));
    tracing::Span::current().record("outcome", "seen");
}

impl SpanProcessor for Talking {
    fn on_start(&self, _: &mut StartedSpan<'_>) {
        talk();
    }

    fn on_end(&self, span: &EndedSpan<'_>) {
        talk();
        let events = span.events().map(|event| event.name().to_owned());
        let events = events.collect::<Vec<_>>().join(",");
        self.0.lock().expect("no panic").push(format!("{} [{events}]", span.name()));
    }
}

#[test]
fn a_processor_may_use_tracing_wherever_a_span_of_tracing_ends() {
    let talking = Talking::default();
    let dispatch = Dispatch::new(registry().with(TracingLayer::new()));
    let stage = Stage::with_settings(builder().processor(talking.clone()), dispatch);
    stage.run(|| {
        let outer = info_span!("outer");
        outer.in_scope(|| {
            info!("it happened");
            span!("ours").in_scope(|| info_span!("inner").in_scope(|| info!("inside")));
        });
        let entered = info_span!("entered").entered();
        let child = info_span!("child");
        drop(entered);
        drop(child);
    });
    let memory = stage.finish();
    let expected = ["inner [inside]", "ours []", "outer [it happened]", "child []", "entered []"];
    let mut seen = talking.0.lock().expect("no panic").clone();
    assert_eq!(memory.spans().len(), expected.len());
    // A parent of `tracing` stays open until its last child is closed.
    seen.sort();
    let mut expected = expected.map(str::to_owned);
    expected.sort();
    assert_eq!(seen, expected);
}
