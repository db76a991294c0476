//! What a sampler of the program's own sees, and what it adds.

use core::fmt;
use core::time::Duration;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use throughline::exporters::Memory;
use throughline::w3c::{BaggageBuf, Setter, TraceStateBuf};
use throughline::{
    Additions, Carried, Carry, Context, Decision, ParentBased, Sampler, SamplingParameters, Span,
    SpanContext, SpanId, Telemetry, Thread, TraceFlags, TraceId, builder, inject, span,
};

/// Drops health checks, and what follows from an order that was cancelled; marks
/// all else, in the span and in the trace state.
struct ByRoute;

impl Sampler for ByRoute {
    fn should_sample(&self, span: &SamplingParameters<'_>, adds: &mut Additions<'_>) -> Decision {
        let is = |key, value| span.attribute(key).and_then(|v| v.as_str()) == Some(value);
        if is("http.route", "/health") || span.links().any(|link| !link.span_context().is_sampled())
        {
            return Decision::Drop;
        }
        let seen = span.attributes().count() as i64;
        adds.set_attribute("sampler.seen", seen);
        adds.set_attribute("given", "by the sampler");
        if let Ok(state) = span.trace_state.insert("sampler", "kept") {
            adds.set_trace_state(&state);
        }
        if is("http.route", "/aside") { Decision::RecordOnly } else { Decision::RecordAndSample }
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByRoute")
    }
}

fn pipeline() -> (Memory, Telemetry) {
    let memory = Memory::new();
    let thread = Thread::start().expect("a thread");
    (memory.clone(), builder().sampler(ByRoute).start(thread, memory))
}

fn flushed(memory: &Memory, telemetry: &Telemetry) -> Vec<String> {
    assert!(telemetry.flush_blocking(Duration::from_secs(60)).is_complete());
    memory.spans().into_iter().map(|span| span.name).collect()
}

#[test]
fn it_decides_by_what_the_span_begins_with() {
    let (memory, telemetry) = pipeline();
    let cancelled = SpanContext::new(
        TraceId::from_bytes([1; 16]),
        SpanId::from_bytes([1; 8]),
        TraceFlags::NONE,
    );
    telemetry.context().scope(|| {
        span!("health", http.route = "/health").in_scope(|| {
            assert!(!Context::current().span_context().is_sampled());
            assert!(Context::current().span_context().is_valid());
        });
        span!("order", http.route = "/orders", id = 7).in_scope(|| {
            assert!(Context::current().span_context().is_sampled());
        });
        throughline::Span::start(&LATE, |span| {
            span.add_link(&Context::remote(cancelled, Carried::default()), &[]);
        })
        .end();
        span!("aside", http.route = "/aside").in_scope(|| {
            assert!(!Context::current().span_context().is_sampled());
        });
    });
    assert_eq!(flushed(&memory, &telemetry), ["order"]);
    let ledger = telemetry.ledger();
    assert_eq!((ledger.started(), ledger.unsampled()), (2, 2), "{ledger}");
    assert_eq!(ledger.dropped(throughline::DropReason::RecordOnly), 1);
    assert_eq!(telemetry.pipeline().live_count(), 0);
}

#[test]
fn a_span_about_which_nobody_decided_has_not_begun() {
    let (memory, telemetry) = pipeline();
    let swap = |with: &mut Span| Span::start(&LATE, |span| core::mem::swap(span, with));
    telemetry.context().scope(|| {
        let broken = || -> i64 { std::panic::resume_unwind(Box::new(())) };
        assert!(std::panic::catch_unwind(|| span!("broken", id = broken()).end()).is_err());
        let mut taken = Span::none();
        assert!(!swap(&mut taken).is_recording());
        taken.end();
        let mut decided = Span::start(&LATE, |_| ());
        swap(&mut decided).end();
        decided.end();
    });
    assert_eq!(flushed(&memory, &telemetry), ["late"]);
    let ledger = telemetry.ledger();
    assert_eq!((ledger.started(), ledger.dropped_total()), (1, 0), "{ledger}");
    assert_eq!(telemetry.pipeline().live_count(), 0);
}

static SCOPE: throughline::Scope = throughline::Scope::new("tests", "");
static LATE: throughline::Callsite = throughline::Callsite::new("late", &SCOPE);

#[test]
fn what_it_adds_is_on_the_span_once_per_key() {
    let (memory, telemetry) = pipeline();
    telemetry.context().scope(|| {
        let mut span = span!("order", id = 7, given = "by the program", last = true);
        span.add_event("first", &[]);
        span.end();
    });
    flushed(&memory, &telemetry);
    let span = memory.span("order");
    let text = |(key, value): &(String, String)| format!("{key}={value}");
    let attributes: Vec<String> = span.attributes.iter().map(text).collect();
    assert_eq!(attributes, ["id=7", "last=true", "sampler.seen=3", "given=by the sampler"]);
}

#[test]
fn its_trace_state_goes_on_to_children_and_other_processes() {
    let (memory, telemetry) = pipeline();
    let remote = SpanContext::remote(
        TraceId::from_bytes([2; 16]),
        SpanId::from_bytes([2; 8]),
        TraceFlags::SAMPLED,
    );
    let state = TraceStateBuf::from_headers([b"vendor=1".as_slice()]).expect("valid");
    let incoming = Context::remote(remote, Carried::new(state, &BaggageBuf::new()));
    let mut headers = Headers::default();
    telemetry.context().scope(|| {
        span!(parent: &incoming, "serve").in_scope(|| {
            span!("child").in_scope(|| inject(&Context::current(), &mut headers));
        });
    });
    flushed(&memory, &telemetry);
    for name in ["serve", "child"] {
        assert_eq!(memory.span(name).trace_state, "sampler=kept,vendor=1", "{name}");
    }
    assert_eq!(headers.0[1], ("tracestate".to_owned(), "sampler=kept,vendor=1".to_owned()));
}

#[test]
fn it_is_asked_for_roots_only_below_parent_based() {
    let memory = Memory::new();
    let thread = Thread::start().expect("a thread");
    let telemetry = builder().sampler(ParentBased::new(ByRoute)).start(thread, memory.clone());
    telemetry.context().scope(|| {
        span!("root").in_scope(|| span!("child", http.route = "/health").end());
    });
    flushed(&memory, &telemetry);
    memory.assert_tree("root\n  child");
    assert_eq!(memory.span("child").attribute("sampler.seen"), None);
}

/// Decides by the name alone, and notes what it was asked about.
struct ByName(Mutex<Vec<(String, TraceId)>>);

impl Sampler for ByName {
    fn should_sample(&self, span: &SamplingParameters<'_>, adds: &mut Additions<'_>) -> Decision {
        self.0.lock().expect("nobody panics").push((span.name.to_owned(), span.trace_id));
        if span.name.starts_with("told") {
            adds.set_trace_state(&span.trace_state.insert("sampler", "told").expect("short"));
        }
        match span.name {
            "kept" | "told and kept" => Decision::RecordAndSample,
            "recorded" => Decision::RecordOnly,
            _ => Decision::Drop,
        }
    }

    fn decides_early(&self) -> bool {
        true
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByName")
    }
}

#[test]
fn it_is_asked_once_about_each_root_and_sees_the_id_that_the_root_has() {
    let (memory, sampler) = (Memory::new(), Arc::new(ByName(Mutex::default())));
    let thread = Thread::start().expect("a thread");
    let telemetry = builder().sampler(Arc::clone(&sampler)).start(thread, memory.clone());
    let mut began = Vec::new();
    let mut note = |name: &str, is_sampled: bool, trace_state: &str| {
        let context = Context::current();
        let span = context.span_context();
        assert!(span.is_valid() && span.trace_flags().is_random(), "{name}");
        assert_eq!(span.is_sampled(), is_sampled, "{name}");
        assert_eq!(Carry::trace_state(context.carried()).as_str(), trace_state, "{name}");
        began.push((name.to_owned(), span.trace_id()));
    };
    telemetry.context().scope(|| {
        span!("dropped").in_scope(|| note("dropped", false, ""));
        span!("kept").in_scope(|| note("kept", true, ""));
        span!("recorded").in_scope(|| note("recorded", false, ""));
        span!("told").in_scope(|| note("told", false, "sampler=told"));
        span!("told and kept").in_scope(|| note("told and kept", true, "sampler=told"));
        span!("dropped").in_scope(|| note("dropped", false, ""));
    });
    assert_eq!(*sampler.0.lock().expect("nobody panicked"), began);
    let distinct: HashSet<TraceId> = began.iter().map(|(_, trace)| *trace).collect();
    assert_eq!(distinct.len(), began.len());
    assert_eq!(flushed(&memory, &telemetry), ["kept", "told and kept"]);
    let begun = telemetry.ledger();
    assert_eq!((begun.started(), begun.unsampled()), (3, 3));
}

#[derive(Debug, Default)]
struct Headers(Vec<(String, String)>);

impl Setter for Headers {
    fn set(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }
}
