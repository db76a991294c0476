//! Span processors: what they see, what they may do, and what they cannot do to a program.
//! What holds on every runtime is in `src/conformance/processors.rs`.

use core::fmt;
use core::time::Duration;
use std::panic::catch_unwind;
use std::sync::{Arc, Mutex};

use throughline::exporters::{CapturedSpan, Memory};
use throughline::tail::AnyTrace;
use throughline::{
    Additions, AlwaysOff, AlwaysRecord, Baggage, Builder, Context, Decision, Diagnostic,
    Diagnostics, DropReason, EndedSpan, Ending, PipelineOptions, Sampler, SamplingParameters, Span,
    SpanBudgets, SpanContext, SpanId, SpanKind, SpanLimits, SpanOptions, SpanProcessor,
    StartedSpan, StatusCode, TailSampling, Telemetry, Thread, TraceFlags, TraceId, Value, builder,
    span,
};
use throughline_tests::recorder::Recorder;

struct Always(Decision);

impl Sampler for Always {
    fn should_sample(&self, _: &SamplingParameters<'_>, _: &mut Additions<'_>) -> Decision {
        self.0
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Always({:?})", self.0)
    }
}

fn start(builder: Builder) -> (Memory, Telemetry) {
    let memory = Memory::new();
    let thread = Thread::start().expect("a thread");
    (memory.clone(), builder.start(thread, memory))
}

/// Runs the work, ends the pipeline, and gives what was exported.
fn run(builder: Builder, work: impl FnOnce()) -> (Vec<CapturedSpan>, Telemetry) {
    let (memory, telemetry) = start(builder);
    telemetry.context().scope(work);
    let receipt = telemetry.shutdown_blocking(Duration::from_secs(60));
    assert!(receipt.is_complete(), "{receipt}");
    assert_eq!(receipt.ledger().in_flight(), 0, "{receipt}");
    (memory.spans(), telemetry)
}

fn remote(flags: TraceFlags) -> SpanContext {
    SpanContext::remote(TraceId::from_bytes([7; 16]), SpanId::from_bytes([9; 8]), flags)
}

const START: u64 = 1_700_000_000_000_000_000;

/// A span with all that spans have.
fn full_span() {
    let parent = Context::current().below_remote(remote(TraceFlags::SAMPLED), Default::default());
    let to = Context::remote(remote(TraceFlags::RANDOM), Default::default());
    let options = SpanOptions::new().parent(&parent).kind(SpanKind::Server);
    let options = options.start_unix_nanos(START);
    static WORK: throughline::Callsite =
        throughline::Callsite::new("work", &throughline::Scope::new("library", "1.0"));
    let mut span = Span::start_with(&WORK, options, |span| span.set_attribute("id", 7));
    span.add_event("began", &[]);
    span.add_event_at("retry", START + 5, &[("attempt", Value::I64(2))]);
    span.add_event("one too many", &[]);
    span.add_link(&to, &[("of", Value::Str("a link"))]);
    span.add_link(&to, &[]);
    span.set_attribute("of 16 KiB at most", "x".repeat(1_000).as_str());
    span.set_attribute("id", 8);
    span.set_attribute("one too many", true);
    span.update_name("renamed");
    span.set_status(StatusCode::Error, "refused");
    span.end_at(START + 10);
}

fn limits() -> SpanLimits {
    let mut limits = SpanLimits::new();
    (limits.attribute_count, limits.event_count, limits.link_count) = (2, 2, 1);
    limits
}

fn is_seen_with_all_it_has(builder: Builder) -> (Recorder, Vec<CapturedSpan>, Telemetry) {
    let recorder = Recorder::default();
    let builder = builder.limits(limits()).processor(recorder.clone());
    let (exported, telemetry) = run(builder, full_span);
    let seen = recorder.span("renamed");
    assert_eq!(recorder.ended().len(), 1);
    assert_eq!(seen.context.trace_id(), TraceId::from_bytes([7; 16]));
    assert_eq!(seen.parent, (SpanId::from_bytes([9; 8]), true));
    assert_eq!((seen.kind, seen.scope), (SpanKind::Server, "library"));
    assert_eq!(seen.times, (START, START + 10));
    assert_eq!(seen.ending, Ending::Completed);
    assert_eq!(seen.status, (StatusCode::Error, "refused".to_owned()));
    let text = "x".repeat(1_000);
    assert!(seen.attributes.contains(&("id".to_owned(), "8".to_owned())));
    assert!(seen.attributes.contains(&("of 16 KiB at most".to_owned(), text)));
    assert_eq!(seen.attributes.len(), 2);
    let [began, retry] = &seen.events[..] else { panic!("{seen:#?}") };
    assert_eq!((&*began.0, began.2.len()), ("began", 0));
    assert!(began.1 > START, "the time of an event that happens now is a Unix time");
    let attempt = vec![("attempt".to_owned(), "2".to_owned())];
    assert_eq!(*retry, ("retry".to_owned(), START + 5, attempt));
    let [(to, attributes)] = &seen.links[..] else { panic!("{seen:#?}") };
    assert_eq!(*to, remote(TraceFlags::RANDOM));
    assert_eq!(attributes[..], [("of".to_owned(), "a link".to_owned())]);
    assert_eq!(seen.dropped, [1, 1, 1]);
    assert_eq!(recorder.started(), [("work".to_owned(), seen.context.span_id())]);
    (recorder, exported, telemetry)
}

/// SP-2, SP-5 and OP-16 ([OnEnd](https://opentelemetry.io/docs/specs/otel/trace/sdk/#onendspan)),
/// SMP-5 ([Sampling](https://opentelemetry.io/docs/specs/otel/trace/sdk/#sampling)).
#[test]
fn a_span_that_is_only_recorded_is_seen_with_all_it_has_and_not_exported() {
    let early = builder().sampler(AlwaysRecord::new(AlwaysOff));
    let late = builder().sampler(Always(Decision::RecordOnly));
    for builder in [early, late] {
        let (recorder, exported, telemetry) = is_seen_with_all_it_has(builder);
        assert!(!recorder.span("renamed").context.is_sampled());
        assert!(exported.is_empty());
        assert_eq!(telemetry.ledger().dropped(DropReason::RecordOnly), 1);
    }
}

/// SP-5 and OP-16 ([OnEnd](https://opentelemetry.io/docs/specs/otel/trace/sdk/#onendspan)).
#[test]
fn a_sampled_span_is_seen_as_it_is_exported() {
    for builder in [builder(), builder().sampler(Always(Decision::RecordAndSample))] {
        let (recorder, exported, _) = is_seen_with_all_it_has(builder);
        assert_eq!(exported.len(), 1);
        recorder.span("renamed").assert_is(&exported[0]);
    }
}

/// SP-2 ([Span processor](https://opentelemetry.io/docs/specs/otel/trace/sdk/#span-processor)).
#[test]
fn what_is_not_recorded_is_not_seen() {
    let recorder = Recorder::default();
    let of_parents = builder().processor(recorder.clone());
    let (exported, _) = run(of_parents, || {
        let unsampled = remote(TraceFlags::RANDOM);
        let parent = Context::current().below_remote(unsampled, Default::default());
        parent.scope(|| span!("below").in_scope(|| span!("further below").end()));
    });
    assert!(exported.is_empty());
    let dropped_late = builder().sampler(Always(Decision::Drop)).processor(recorder.clone());
    run(dropped_late, || span!("root", id = 7).in_scope(|| span!("child").end()));
    assert!(recorder.started().is_empty() && recorder.ended().is_empty());
}

#[test]
fn times_are_those_of_the_wall_clock() {
    let recorder = Recorder::default();
    let (exported, _) = run(builder().processor(recorder.clone()), || {
        span!("outer").in_scope(|| {
            let mut inner: Span = span!("inner");
            inner.add_event("event", &[]);
            inner.end();
        });
    });
    let (outer, inner) = (recorder.span("outer").times, recorder.span("inner").times);
    let event = recorder.span("inner").events[0].1;
    assert!(outer.0 <= inner.0 && inner.0 <= event && event <= inner.1 && inner.1 <= outer.1);
    for span in exported {
        let seen = recorder.span(&span.name).times;
        // Ticks would be decades off.
        assert!(seen.0.abs_diff(span.start_unix_nanos) < 60_000_000_000);
        assert!(seen.1.abs_diff(span.end_unix_nanos) < 60_000_000_000);
    }
}

/// Writes down the calls of several in their order.
struct Named(&'static str, Arc<Mutex<Vec<String>>>);

impl SpanProcessor for Named {
    fn on_start(&self, span: &mut StartedSpan<'_>) {
        self.1.lock().expect("no panic").push(format!("{} starts {}", self.0, span.name()));
    }

    fn on_end(&self, span: &EndedSpan<'_>) {
        self.1.lock().expect("no panic").push(format!("{} ends {}", self.0, span.name()));
    }
}

/// SP-2 ([Span processor](https://opentelemetry.io/docs/specs/otel/trace/sdk/#span-processor)).
#[test]
fn processors_are_called_in_the_order_in_which_they_were_given() {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let [first, second, third] =
        ["first", "second", "third"].map(|name| Named(name, calls.clone()));
    run(builder().processor(first).processor(second).processor(third), || span!("work").end());
    let expected = ["starts", "ends"]
        .into_iter()
        .flat_map(|what| ["first", "second", "third"].map(|name| format!("{name} {what} work")));
    assert!(calls.lock().expect("no panic").iter().eq(&expected.collect::<Vec<_>>()));
}

/// Adds to each span, and looks at it then.
struct Annotating;

impl SpanProcessor for Annotating {
    fn on_start(&self, span: &mut StartedSpan<'_>) {
        assert_eq!((span.name(), span.kind()), ("work", SpanKind::Internal));
        assert!(span.is_sampled() && span.has_remote_parent());
        assert_eq!(span.parent_span_id(), SpanId::from_bytes([9; 8]));
        assert_eq!(span.attribute("id").and_then(|id| id.as_str()), Some("7"));
        let baggage = span.baggage();
        let tenant = baggage.entries().find(|entry| entry.key() == "tenant").expect("it is there");
        span.set_attribute("tenant", tenant.raw_value());
        span.set_attribute("id", "8");
        assert_eq!(span.attribute("id").and_then(|id| id.as_str()), Some("8"));
        assert_eq!(span.attributes().count(), 2);
    }

    fn on_end(&self, _: &EndedSpan<'_>) {}
}

/// SP-3 ([OnStart](https://opentelemetry.io/docs/specs/otel/trace/sdk/#onstart)).
#[test]
fn what_a_processor_adds_to_a_span_that_began_is_exported() {
    let recorder = Recorder::default();
    let (exported, _) = run(builder().processor(Annotating).processor(recorder.clone()), || {
        let mut baggage = Baggage::default();
        baggage.insert("tenant", "acme", "").expect("it fits");
        let parent = remote(TraceFlags::SAMPLED);
        let parent = Context::current().below_remote(parent, Default::default());
        baggage.into_context(parent).scope(|| span!("work", id = "7").end());
    });
    let added = [("tenant", "acme"), ("id", "8")].map(|(key, value)| (key.into(), value.into()));
    assert_eq!(exported[0].attributes, added);
    recorder.span("work").assert_is(&exported[0]);
}

/// Begins spans, and hands over their contexts.
struct Tracing(Recorder);

impl SpanProcessor for Tracing {
    fn on_start(&self, _: &mut StartedSpan<'_>) {
        let mine: Span = span!("of a processor");
        assert!(!mine.is_recording() && Context::current().is_suppressed());
        mine.in_scope(|| span!("and below").end());
    }

    fn on_end(&self, span: &EndedSpan<'_>) {
        let (context, mine) = (Context::current(), span!("of a processor"));
        assert!(!mine.is_recording());
        std::thread::spawn(move || context.scope(|| span!("elsewhere").end()))
            .join()
            .expect("it ends");
        drop(mine);
        self.0.on_end(span);
    }
}

#[test]
fn spans_that_a_processor_begins_are_none() {
    let recorder = Recorder::default();
    let (exported, telemetry) = run(builder().processor(Tracing(recorder.clone())), || {
        span!("outer").in_scope(|| {
            let before = Context::current().span_context();
            span!("inner").end();
            assert_eq!(Context::current().span_context(), before);
        });
    });
    assert_eq!(recorder.names(), ["inner", "outer"]);
    assert_eq!((exported.len(), telemetry.ledger().started()), (2, 2));
}

/// Fails at each occasion.
struct Broken;

impl SpanProcessor for Broken {
    fn on_start(&self, span: &mut StartedSpan<'_>) {
        span.set_attribute("broken", true);
        panic!("at the start of {}", span.name());
    }

    fn on_end(&self, _: &EndedSpan<'_>) {
        std::panic::panic_any(7);
    }

    fn name(&self) -> &str {
        "broken"
    }
}

/// ERR-4 ([Error handling](https://opentelemetry.io/docs/specs/otel/error-handling/#guidance)).
#[test]
fn a_processor_that_panics_is_told_once_and_harms_nobody() {
    let (recorder, said) = (Recorder::default(), Arc::new(Mutex::new(Vec::new())));
    let told = said.clone();
    let diagnostics =
        Diagnostics::to(move |what| told.lock().expect("no panic").push(what.clone()));
    let builder = builder().diagnostics(diagnostics);
    let (exported, _) = run(builder.processor(Broken).processor(recorder.clone()), || {
        for _ in 0..3 {
            span!("work").end();
        }
        let unwinding = catch_unwind(|| span!("failing").in_scope(|| panic!("of the program")));
        let panic = unwinding.expect_err("the program's own panic goes on");
        assert_eq!(panic.downcast_ref(), Some(&"of the program"));
    });
    assert_eq!(exported.len(), 4);
    assert!(exported.iter().all(|span| span.attribute("broken") == Some("true")));
    assert_eq!(recorder.names(), ["work", "work", "work", "failing"]);
    assert_eq!(recorder.span("failing").ending, Ending::Panicked);
    let expected = Diagnostic::ProcessorPanicked {
        processor: "broken".to_owned(),
        problem: "at the start of work".to_owned(),
    };
    assert_eq!(said.lock().expect("no panic")[..], [expected]);
}

/// A child that is one too many has the ids of its parent, and is not recorded.
#[test]
fn a_child_too_many_is_not_seen_and_its_parent_tells_of_it() {
    let recorder = Recorder::default();
    let mut budgets = SpanBudgets::new();
    budgets.children_per_span = 2;
    let (exported, telemetry) = run(builder().budgets(budgets).processor(recorder.clone()), || {
        span!("parent").in_scope(|| (0..5).for_each(|_| span!("child").end()));
    });
    assert_eq!(recorder.names(), ["child", "child", "parent"]);
    assert_eq!(recorder.started().len(), 3);
    let parent = recorder.span("parent");
    assert!(parent.attributes.contains(&("throughline.surplus.count".to_owned(), "3".to_owned())));
    parent.assert_is(&exported[2]);
    assert_eq!(telemetry.ledger().dropped(DropReason::Surplus), 3);
}

/// Whatever becomes of the trace afterwards.
#[test]
fn what_tail_sampling_drops_is_seen() {
    let recorder = Recorder::default();
    let none = TailSampling::new().sample(AnyTrace, 0.0).build().expect("it is small");
    let (exported, _) = run(builder().tail(&none).processor(recorder.clone()), || {
        span!("work").in_scope(|| span!("below").end());
    });
    assert!(exported.is_empty());
    assert_eq!(recorder.names(), ["below", "work"]);
}

#[test]
fn spans_with_seeded_ids_are_seen() {
    let recorder = Recorder::default();
    let mut options = PipelineOptions::default();
    options.id_seed = Some(7);
    options.processors.push(Arc::new(recorder.clone()));
    let thread = Thread::start().expect("a thread");
    let telemetry = Telemetry::start(&options, thread, Memory::new());
    telemetry.context().scope(|| span!("work").in_scope(|| span!("below").end()));
    telemetry.shutdown_blocking(Duration::from_secs(60));
    assert_eq!(recorder.names(), ["below", "work"]);
}

/// After [Shutdown](https://opentelemetry.io/docs/specs/otel/trace/sdk/#shutdown-1) a processor is
/// called no more.
#[test]
fn a_span_that_ends_after_shutdown_is_not_seen() {
    let recorder = Recorder::default();
    let (_, telemetry) = start(builder().processor(recorder.clone()));
    let late: Span = telemetry.context().scope(|| {
        span!("early").end();
        span!("late")
    });
    telemetry.shutdown_blocking(Duration::from_secs(60));
    late.end();
    telemetry.context().scope(|| span!("later").end());
    assert_eq!(recorder.names(), ["early"]);
    assert_eq!(recorder.started().len(), 2);
    assert_eq!(telemetry.ledger().dropped(DropReason::AfterShutdown), 1);
}

/// What fills a span is code of the program.
#[test]
fn a_span_that_is_filled_with_another_one_or_by_a_panic_is_seen_to_end() {
    static OUTER: throughline::Callsite =
        throughline::Callsite::new("outer", &throughline::Scope::new("tests", ""));
    let recorder = Recorder::default();
    run(builder().processor(recorder.clone()), || {
        Span::start_with(&OUTER, SpanOptions::new(), |span| *span = span!("instead")).end();
        let fails =
            || Span::start_with(&OUTER, SpanOptions::new(), |_| panic!("as the test wants"));
        assert!(catch_unwind(fails).is_err());
    });
    let seen: Vec<_> = recorder.ended().into_iter().map(|span| (span.name, span.ending)).collect();
    let seen: Vec<_> = seen.iter().map(|(name, ending)| (&**name, *ending)).collect();
    let expected =
        [("outer", Ending::Dropped), ("instead", Ending::Completed), ("outer", Ending::Panicked)];
    assert_eq!(seen, expected);
    assert_eq!(recorder.started().len(), 1, "none is seen to begin twice");
}
