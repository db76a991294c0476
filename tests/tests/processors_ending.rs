//! What span processors add to a span while it ends.

use core::time::Duration;
use std::sync::{Arc, Mutex};

use throughline::exporters::{CapturedSpan, Memory};
use throughline::{
    AlwaysOff, AlwaysRecord, Builder, Context, EndedSpan, Ending, EndingSpan, Span, SpanBudgets,
    SpanContext, SpanId, SpanLimits, SpanOptions, SpanProcessor, StartedSpan, StatusCode, Thread,
    TraceFlags, TraceId, Value, ValueView, builder, span,
};
use throughline_tests::recorder::Recorder;

/// Runs the work, ends the pipeline, and gives what was exported.
fn run(builder: Builder, work: impl FnOnce()) -> Vec<CapturedSpan> {
    let memory = Memory::new();
    let telemetry = builder.start(Thread::start().expect("a thread"), memory.clone());
    telemetry.context().scope(work);
    let receipt = telemetry.shutdown_blocking(Duration::from_secs(60));
    assert!(receipt.is_complete(), "{receipt}");
    memory.spans()
}

fn remote() -> SpanContext {
    SpanContext::remote(
        TraceId::from_bytes([7; 16]),
        SpanId::from_bytes([9; 8]),
        TraceFlags::RANDOM,
    )
}

const START: u64 = 1_700_000_000_000_000_000;
const END: u64 = START + 10;

/// A span with times of its own.
fn work() {
    static WORK: throughline::Callsite =
        throughline::Callsite::new("work", &throughline::Scope::new("library", "1.0"));
    let options = SpanOptions::new().start_unix_nanos(START);
    let mut span = Span::start_with(&WORK, options, |span| span.set_attribute("id", 7));
    span.set_status(StatusCode::Error, "refused");
    span.end_at(END);
}

/// Adds all that can be added.
struct Adding;

impl SpanProcessor for Adding {
    fn on_ending(&self, span: &mut EndingSpan<'_>) {
        let so_far = span.so_far();
        assert_eq!((so_far.name(), so_far.ending()), ("work", Ending::Completed));
        assert_eq!((so_far.start_unix_nanos(), so_far.end_unix_nanos()), (START, END));
        assert!(matches!(so_far.attribute("id"), Some(ValueView::I64(7))));
        span.set_attribute("id", 8);
        span.set_attribute("added", "late");
        span.add_event("over", &[("by", Value::Str("a processor"))]);
        span.add_event_at("before", START + 5, &[]);
        span.add_link(&Context::remote(remote(), Default::default()), &[]);
        span.set_status(StatusCode::Ok, "");
        span.update_name("renamed");
        assert_eq!(span.so_far().attribute("added").and_then(|added| added.as_str()), Some("late"));
        assert!(format!("{span:?}").contains("renamed"));
    }

    fn on_end(&self, _: &EndedSpan<'_>) {}
}

/// SP-4 ([OnEnding](https://opentelemetry.io/docs/specs/otel/trace/sdk/#onending)): the end time
/// is fixed, and everything else may still be written.
#[test]
fn a_span_that_ends_takes_all_that_a_processor_adds() {
    let recorder = Recorder::default();
    let exported = run(builder().processor(recorder.clone()).processor(Adding), work);
    let seen = recorder.span("renamed");
    seen.assert_is(&exported[0]);
    assert_eq!(seen.times, (START, END));
    let texts = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    assert_eq!(seen.attributes, texts(&[("id", "8"), ("added", "late")]));
    let over = ("over".to_owned(), END, texts(&[("by", "a processor")]));
    assert_eq!(seen.events, [over, ("before".to_owned(), START + 5, vec![])]);
    assert_eq!(seen.links, [(remote(), vec![])]);
    assert_eq!(seen.status, (StatusCode::Ok, String::new()));
}

#[test]
fn an_event_at_the_end_of_a_span_has_its_time() {
    struct Marking;
    impl SpanProcessor for Marking {
        fn on_ending(&self, span: &mut EndingSpan<'_>) {
            span.add_event("over", &[]);
        }
        fn on_end(&self, _: &EndedSpan<'_>) {}
    }
    let recorder = Recorder::default();
    run(builder().processor(Marking).processor(recorder.clone()), || span!("timed").end());
    let seen = recorder.span("timed");
    let [(_, time, _)] = &seen.events[..] else { panic!("{seen:#?}") };
    // By the clock and not in its ticks.
    assert_eq!(*time, seen.times.1);
}

/// SP-4: all of them before the first OnEnd.
/// ([OnEnding](https://opentelemetry.io/docs/specs/otel/trace/sdk/#onending))
#[test]
fn all_processors_are_told_that_a_span_ends_before_one_is_told_that_it_did() {
    struct Named(&'static str, Arc<Mutex<Vec<String>>>);
    impl Named {
        fn note(&self, what: &str) {
            self.1.lock().expect("no panic").push(format!("{} {what}", self.0));
        }
    }
    impl SpanProcessor for Named {
        fn on_start(&self, _: &mut StartedSpan<'_>) {
            self.note("starts");
        }
        fn on_ending(&self, _: &mut EndingSpan<'_>) {
            self.note("is ending");
        }
        fn on_end(&self, _: &EndedSpan<'_>) {
            self.note("ended");
        }
    }
    let calls = Arc::new(Mutex::new(Vec::new()));
    let [first, second] = ["first", "second"].map(|name| Named(name, calls.clone()));
    // By a pointer, as by itself.
    run(builder().processor(Box::new(first)).processor(Arc::new(second)), || span!("work").end());
    let expected = ["starts", "is ending", "ended"]
        .into_iter()
        .flat_map(|what| ["first", "second"].map(|name| format!("{name} {what}")));
    assert!(calls.lock().expect("no panic").iter().eq(&expected.collect::<Vec<_>>()));
}

/// LIM-1 ([Span limits](https://opentelemetry.io/docs/specs/otel/trace/sdk/#span-limits)).
#[test]
fn the_limits_of_a_span_hold_for_what_processors_add() {
    let mut limits = SpanLimits::new();
    (limits.attribute_count, limits.event_count, limits.link_count) = (1, 1, 0);
    let recorder = Recorder::default();
    let builder = builder().limits(limits).processor(TooMuch).processor(recorder.clone());
    let exported = run(builder, work);
    let seen = recorder.span("work");
    seen.assert_is(&exported[0]);
    assert_eq!((seen.attributes.len(), seen.events.len(), seen.links.len()), (1, 1, 0));
    assert_eq!(seen.dropped, [1, 1, 1]);
}

/// Adds one of each too many.
struct TooMuch;

impl SpanProcessor for TooMuch {
    fn on_ending(&self, span: &mut EndingSpan<'_>) {
        span.set_attribute("added", 1);
        span.add_event("first", &[]);
        span.add_event("one too many", &[]);
        span.add_link(&Context::remote(remote(), Default::default()), &[]);
    }

    fn on_end(&self, _: &EndedSpan<'_>) {}
}

/// SMP-5 ([Sampling](https://opentelemetry.io/docs/specs/otel/trace/sdk/#sampling)).
#[test]
fn what_is_only_recorded_is_ending_too_and_a_child_too_many_is_not() {
    struct Counting(Arc<Mutex<Vec<String>>>);
    impl SpanProcessor for Counting {
        fn on_ending(&self, span: &mut EndingSpan<'_>) {
            self.0.lock().expect("no panic").push(span.so_far().name().to_owned());
        }
        fn on_end(&self, _: &EndedSpan<'_>) {}
    }
    let mut budgets = SpanBudgets::new();
    budgets.children_per_span = 1;
    let only_recorded = (builder().sampler(AlwaysRecord::new(AlwaysOff)), 1);
    for (builder, children) in [only_recorded, (builder().budgets(budgets), 3)] {
        let seen = Arc::new(Mutex::new(Vec::new()));
        run(builder.processor(Counting(seen.clone())), || {
            span!("parent").in_scope(|| (0..children).for_each(|_| span!("child").end()));
        });
        assert_eq!(seen.lock().expect("no panic")[..], ["child", "parent"]);
    }
}

/// ERR-4 ([Error handling](https://opentelemetry.io/docs/specs/otel/error-handling/#guidance)).
#[test]
fn a_processor_that_panics_at_an_ending_span_harms_neither_it_nor_others() {
    struct Panicking;
    impl SpanProcessor for Panicking {
        fn on_ending(&self, span: &mut EndingSpan<'_>) {
            span.set_attribute("before", true);
            panic!("as the test wants");
        }
        fn on_end(&self, _: &EndedSpan<'_>) {}
    }
    let recorder = Recorder::default();
    let quiet = throughline::Diagnostics::stderr(None);
    let builder = builder().diagnostics(quiet).processor(Panicking).processor(Adding);
    let exported = run(builder.processor(recorder.clone()), work);
    assert_eq!(exported[0].attribute("before"), Some("true"));
    assert_eq!(exported[0].attribute("added"), Some("late"));
    recorder.span("renamed").assert_is(&exported[0]);
}
