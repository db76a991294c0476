//! Panics with their messages. The hook is the whole process', so these tests are
//! apart from those of what happens without it.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::Once;

use throughline::exporters::{CapturedSpan, Memory};
use throughline::{InSpanExt, StatusCode, Thread, builder, record_panics, span};

/// Runs the work on a thread, in a pipeline of its own.
fn traced(work: impl FnOnce() + Send + 'static) -> Memory {
    let memory = Memory::new();
    let telemetry =
        builder().long_poll(None).start(Thread::start().expect("a thread"), memory.clone());
    let context = telemetry.context();
    install();
    assert!(std::thread::spawn(move || context.scope(work)).join().is_err());
    assert!(telemetry.shutdown_blocking(Duration::from_secs(60)).is_complete());
    memory
}

fn exception<'a>(span: &'a CapturedSpan, key: &str) -> Option<&'a str> {
    let [(name, attributes)] = &span.events[..] else { panic!("one event: {span:?}") };
    assert_eq!(name, "exception");
    attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

#[test]
fn a_panic_is_recorded_where_it_happens_and_goes_on() {
    let memory = traced(|| {
        let work = async { span!("inner").in_scope(|| panic!("no {}", "bread")) };
        futures::executor::block_on(work.in_span(span!("outer")))
    });
    memory.assert_tree(
        "
        outer (panicked)
          inner (panicked, error)
        ",
    );
    let inner = memory.span("inner");
    assert_eq!(inner.status, (StatusCode::Error, "no bread".to_owned()));
    assert_eq!(exception(&inner, "exception.type"), Some("panic"));
    assert_eq!(exception(&inner, "exception.message"), Some("no bread"));
    let place = exception(&inner, "exception.stacktrace").expect("a place");
    assert!(place.starts_with(&format!("at {}:", file!())), "{place}");
}

#[test]
fn a_panic_of_another_kind_and_one_in_a_future_are_recorded() {
    let memory = traced(|| {
        let work = async { std::panic::panic_any(7) };
        futures::executor::block_on(work.in_span(span!("future")))
    });
    let span = memory.span("future");
    assert_eq!(span.ending(), Some("panicked"));
    assert_eq!(exception(&span, "exception.message"), Some("a panic without a text"));
}

#[test]
fn the_hook_that_was_there_still_runs() {
    let memory = traced(|| panic!("outside of a span"));
    memory.assert_tree("");
    assert!(FORMER_RAN.load(Ordering::SeqCst));
}

static FORMER_RAN: AtomicBool = AtomicBool::new(false);

/// Installs both hooks, once, this one first.
fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|_| FORMER_RAN.store(true, Ordering::SeqCst)));
        record_panics();
        record_panics();
    });
}
