//! What needs a subscriber for the whole process: with one for a scope, `tracing` ignores
//! what is made while it calls the subscriber.

use core::fmt;

use throughline::exporters::Memory;
use throughline::log::Lines;
use throughline::tracing::{LogFormat, TracingLayer};
use throughline::{Thread, builder};
use throughline_tests::conformance::DEADLINE;
use throughline_tests::logs::Caught;
use tracing::field::Empty;
use tracing::{info, info_span};
use tracing_subscriber::layer::SubscriberExt;

/// Makes a span and an event of its own.
struct Talking;

impl fmt::Debug for Talking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        info_span!("while formatting").in_scope(|| info!(inner = ?1, "said while formatting"));
        f.write_str("talking")
    }
}

#[test]
fn spans_and_events_may_be_made_while_a_field_is_formatted() {
    let caught = Caught::default();
    let logs = LogFormat::new(Lines::json().to(caught.output())).layer();
    let subscriber = tracing_subscriber::registry().with(TracingLayer::new()).with(logs);
    tracing::subscriber::set_global_default(subscriber).expect("it is the only one");
    let memory = Memory::new();
    let thread = Thread::start().expect("the system gives a thread");
    let telemetry = builder().start(thread, memory.clone());
    telemetry.context().scope(|| {
        let span = info_span!("span", first = ?Talking, later = Empty);
        span.in_scope(|| {
            span.record("later", tracing::field::debug(Talking));
            info!(value = ?Talking, "event");
        });
    });
    assert!(telemetry.shutdown_blocking(DEADLINE).is_complete());
    let span = memory.span("span");
    assert_eq!(span.attribute("first"), Some("talking"));
    assert_eq!(span.attribute("later"), Some("talking"));
    assert_eq!(span.events.len(), 1);
    // Of the event, the layer and the log line format each.
    memory.assert_tree(
        "
        span
          while formatting
          while formatting
          while formatting
        while formatting
        ",
    );
    let lines = caught.lines();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[4]["fields"]["value"], "talking");
    assert_eq!(lines[4]["span_id"], span.span_id.to_string());
}
