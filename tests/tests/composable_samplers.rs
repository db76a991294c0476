//! Composable samplers and their like in a pipeline: what is exported, what it
//! carries, and what the spans below and other processes see.

use core::time::Duration;

use throughline::exporters::{CapturedSpan, Memory};
use throughline::w3c::{BaggageBuf, Setter, TraceStateBuf};
use throughline::{
    AlwaysOff, AlwaysOn, AlwaysRecord, AnySpan, Carried, ComposableAlwaysOff, ComposableAlwaysOn,
    ComposableAnnotating, ComposableParentThreshold, ComposableProbability, ComposableRateLimiting,
    ComposableRuleBased, ComposableSampler, CompositeSampler, Context, DropReason, HasAttribute,
    HasKind, HasName, HasRoute, IsRoot, OtelTraceState, ParentBased, Picked, Predicate,
    ProbabilitySampler, Rule, Sampler, SamplerSwitch, SamplingIntent, SamplingParameters,
    SpanContext, SpanId, SpanKind, Telemetry, Thread, TraceFlags, TraceId, Value, builder, inject,
    span,
};

fn pipeline(sampler: impl Sampler + Send + 'static) -> (Memory, Telemetry) {
    let memory = Memory::new();
    let thread = Thread::start().expect("a thread");
    (memory.clone(), builder().sampler(sampler).start(thread, memory))
}

/// The names of what was exported, in the order of their ends.
fn exported(memory: &Memory, telemetry: &Telemetry) -> Vec<String> {
    assert!(telemetry.flush_blocking(Duration::from_secs(60)).is_complete());
    memory.spans().into_iter().map(|span| span.name).collect()
}

fn incoming(flags: TraceFlags, state: &str) -> Context {
    let remote =
        SpanContext::remote(TraceId::from_bytes([0x99; 16]), SpanId::from_bytes([2; 8]), flags);
    let state = TraceStateBuf::from_headers([state.as_bytes()]).expect("a valid state");
    Context::remote(remote, Carried::new(state, &BaggageBuf::new()))
}

fn header(name: &str) -> Option<String> {
    let mut headers = Headers::default();
    inject(&Context::current(), &mut headers);
    headers.0.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
}

#[derive(Debug, Default)]
struct Headers(Vec<(String, String)>);

impl Setter for Headers {
    fn set(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }
}

/// PRB-3
/// ([ProbabilitySampler](https://opentelemetry.io/docs/specs/otel/trace/sdk/#probabilitysampler)).
#[test]
fn every_span_of_a_kept_trace_tells_for_how_many_it_stands() {
    let sampler = ComposableParentThreshold::new(ComposableProbability::new(0.25));
    let (memory, telemetry) = pipeline(CompositeSampler::new(sampler));
    let mut kept = 0;
    telemetry.context().scope(|| {
        for _ in 0..400 {
            span!("root").in_scope(|| {
                span!("child").in_scope(|| {
                    let is_kept = Context::current().span_context().is_sampled();
                    kept += u64::from(is_kept);
                    let state = is_kept.then(|| "ot=th:c".to_owned());
                    assert_eq!(header("tracestate"), state);
                });
            });
        }
    });
    assert_eq!(exported(&memory, &telemetry).len() as u64, 2 * kept);
    // A quarter of 400, give or take six deviations of 8.7.
    assert!((48..=152).contains(&kept), "{kept}");
    for span in memory.spans() {
        assert_eq!(span.trace_state, "ot=th:c", "{}", span.name);
    }
    let ledger = telemetry.ledger();
    assert_eq!((ledger.started(), ledger.unsampled()), (2 * kept, 800 - 2 * kept), "{ledger}");
}

#[test]
fn a_remote_parent_is_followed_with_its_count_and_what_others_wrote() {
    let sampler = ComposableParentThreshold::new(ComposableAlwaysOff);
    let (memory, telemetry) = pipeline(CompositeSampler::new(sampler));
    telemetry.context().scope(|| {
        let state = "vendor=1,ot=rv:f0000000000000;th:e";
        span!(parent: &incoming(TraceFlags::SAMPLED, state), "counted").in_scope(|| {
            span!("below").end();
        });
        // 99… is below e0…: the flag is right, the threshold is not.
        let state = "vendor=1,ot=th:e";
        span!(parent: &incoming(TraceFlags::SAMPLED, state), "contradictory").end();
        span!(parent: &incoming(TraceFlags::NONE, state), "left out").in_scope(|| {
            assert_eq!(header("tracestate").as_deref(), Some("vendor=1"));
        });
        span!("no parent").end();
    });
    exported(&memory, &telemetry);
    let states: Vec<_> =
        memory.spans().into_iter().map(|span| (span.name, span.trace_state)).collect();
    let state = |name: &str| {
        let found = states.iter().find(|(other, _)| other == name);
        found.map(|(_, state)| state.as_str())
    };
    for name in ["counted", "below"] {
        assert_eq!(state(name), Some("vendor=1,ot=rv:f0000000000000;th:e"), "{name}");
    }
    assert_eq!(state("contradictory"), Some("vendor=1"));
    assert_eq!(states.len(), 3, "{states:?}");
}

#[test]
fn the_root_of_a_new_trace_has_nothing_of_the_trace_around_it() {
    let (memory, telemetry) = pipeline(ParentBased::new(AlwaysOn));
    let around = incoming(TraceFlags::SAMPLED, "vendor=1,ot=th:4");
    telemetry.context().scope(|| {
        span!(parent: &around, "around").in_scope(|| {
            span!(root, "fresh").in_scope(|| {
                assert_eq!(header("tracestate"), None);
                span!("below").end();
            });
        });
    });
    exported(&memory, &telemetry);
    assert_eq!(memory.span("around").trace_state, "vendor=1,ot=th:4");
    for name in ["fresh", "below"] {
        assert_eq!(memory.span(name).trace_state, "", "{name}");
    }
}

#[test]
fn the_first_rule_that_matches_decides() {
    let rules = ComposableRuleBased::new()
        .rule(HasRoute("/health*"), ComposableAlwaysOff)
        .rule(HasAttribute("tenant", "7"), ComposableAlwaysOn)
        .rule(HasKind(SpanKind::Server).and(HasName("*import*").not()), ComposableAlwaysOn)
        .rule(HasName("nightly").or(HasName("weekly")), ComposableAlwaysOn)
        .rule(Picked(|span: &SamplingParameters<'_>| span.links().count() > 1), ComposableAlwaysOn)
        .rule(IsRoot.not(), ComposableAlwaysOn)
        .rule(HasAttribute("beta", "true"), ComposableAlwaysOn);
    let sampler = CompositeSampler::new(rules);
    assert!(!sampler.decides_early());
    let (memory, telemetry) = pipeline(sampler);
    telemetry.context().scope(|| {
        span!("health", http.route = "/healthz", tenant = 7).end();
        span!("tenant", tenant = 7).in_scope(|| span!("below").end());
        span!("other tenant", tenant = 77).end();
        span!(kind: Server, "serve").end();
        span!(kind: Server, "an import of things").end();
        span!("weekly").end();
        span!("beta", beta = true).end();
        span!("no beta", beta = false).end();
        span!("anything").end();
    });
    assert_eq!(exported(&memory, &telemetry), ["below", "tenant", "serve", "weekly", "beta"]);
    assert_eq!(telemetry.pipeline().live_count(), 0);
}

#[test]
fn rules_of_names_and_kinds_need_no_memory_for_what_they_drop() {
    let early = ComposableRuleBased::new()
        .rule(HasName("a*").and(IsRoot).or(HasKind(SpanKind::Client)), ComposableAlwaysOff)
        .rule(AnySpan, ComposableProbability::new(0.1));
    assert!(CompositeSampler::new(ComposableParentThreshold::new(early)).decides_early());
    let late = ComposableRuleBased::new().rule(AnySpan, ComposableAnnotating::new(&[], early));
    assert!(!late.decides_early());
}

#[test]
fn rules_may_be_made_at_run_time() {
    type Boxed = Rule<Box<dyn Predicate + Send>, Box<dyn ComposableSampler + Send>>;
    let rule = |name: &'static str, ratio| -> Boxed {
        let predicate = Box::new(HasName(name));
        Rule { predicate, sampler: Box::new(ComposableProbability::new(ratio)) }
    };
    let rules: &'static [Boxed] = vec![rule("no", 0.0), rule("*o*", 1.0)].leak();
    let (memory, telemetry) = pipeline(CompositeSampler::new(ComposableRuleBased::of(rules)));
    telemetry.context().scope(|| {
        span!("no").end();
        span!("so").end();
        span!("never").end();
    });
    assert_eq!(exported(&memory, &telemetry), ["so"]);
}

#[test]
fn annotations_are_on_what_is_kept_by_the_rule_and_on_nothing_else() {
    static BUSY: [(&str, Value<'static>); 2] =
        [("sampler.rule", Value::Str("busy")), ("sampler.rank", Value::I64(1))];
    static ALL: [(&str, Value<'static>); 1] = [("sampler.name", Value::Str("ours"))];
    let rules = ComposableRuleBased::new()
        .rule(HasName("busy"), ComposableAnnotating::new(&BUSY, ComposableAlwaysOn))
        .rule(HasName("dropped"), ComposableAnnotating::new(&BUSY, ComposableAlwaysOff))
        .rule(AnySpan, ComposableAlwaysOn);
    let sampler = CompositeSampler::new(ComposableAnnotating::new(&ALL, rules));
    let (memory, telemetry) = pipeline(AlwaysRecord::new(sampler));
    telemetry.context().scope(|| {
        span!("busy", sampler.rank = 9).end();
        span!("other").end();
        span!("dropped").end();
    });
    assert_eq!(exported(&memory, &telemetry), ["busy", "other"]);
    let attributes = |name| -> Vec<String> {
        let span = memory.span(name);
        span.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect()
    };
    assert_eq!(attributes("busy"), ["sampler.rule=busy", "sampler.rank=1", "sampler.name=ours"]);
    assert_eq!(attributes("other"), ["sampler.name=ours"]);
}

/// Hands on a trace state of its own, and tries to set what is not its own.
struct Marking;

impl ComposableSampler for Marking {
    fn sampling_intent(&self, span: &SamplingParameters<'_>) -> SamplingIntent {
        assert!(!span.trace_id.is_valid(), "a rule does not see the trace's randomness");
        ComposableProbability::new(1.0).sampling_intent(span)
    }

    fn description(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Marking")
    }

    fn trace_state(
        &self,
        span: &SamplingParameters<'_>,
        is_sampled: bool,
    ) -> Option<TraceStateBuf> {
        let mark = if is_sampled { "kept" } else { "not" };
        span.trace_state.insert("mark", mark).ok()?.insert("ot", "th:fff;rv:00000000000000").ok()
    }
}

#[test]
fn a_composable_sampler_changes_the_trace_state_but_not_what_is_in_ot() {
    let (memory, telemetry) = pipeline(CompositeSampler::new(Marking));
    telemetry.context().scope(|| {
        span!("root").end();
        let state = "ot=th:8;rv:99999999999999;x:y,vendor=1";
        span!(parent: &incoming(TraceFlags::SAMPLED, state), "child").end();
    });
    exported(&memory, &telemetry);
    let state = memory.span("root").trace_state;
    assert_eq!(state, "ot=th:0,mark=kept");
    let state = memory.span("child").trace_state;
    assert_eq!(state, "ot=th:0;rv:99999999999999;x:y,mark=kept,vendor=1");
}

/// PRB-8
/// ([General requirements](https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/#general-requirements)).
#[test]
fn a_composable_sampler_is_not_told_which_trace_it_is() {
    struct Curious;
    impl ComposableSampler for Curious {
        fn sampling_intent(&self, span: &SamplingParameters<'_>) -> SamplingIntent {
            match span.trace_id.is_valid() {
                true => SamplingIntent::NOTHING,
                false => ComposableProbability::new(1.0).sampling_intent(span),
            }
        }
        fn description(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            f.write_str("Curious")
        }
    }
    let (memory, telemetry) = pipeline(CompositeSampler::new(Curious));
    telemetry.context().scope(|| span!("root").end());
    assert_eq!(exported(&memory, &telemetry), ["root"]);
}

#[test]
fn what_is_recorded_only_is_seen_in_the_process_and_never_exported() {
    let (memory, telemetry) = pipeline(AlwaysRecord::new(ParentBased::new(AlwaysOff)));
    telemetry.context().scope(|| {
        span!("aside", id = 7).in_scope(|| {
            let context = Context::current().span_context();
            assert!(context.is_valid() && !context.is_sampled());
            assert!(header("traceparent").is_some_and(|header| header.ends_with("-02")));
            assert!(throughline::CurrentSpan::set_attribute("recorded", true));
            span!("below").in_scope(|| {
                let mut names: Vec<_> =
                    telemetry.pipeline().live_spans().map(|span| span.name).collect();
                names.sort_unstable();
                assert_eq!(names, ["aside", "below"]);
            });
        });
    });
    assert!(exported(&memory, &telemetry).is_empty());
    let ledger = telemetry.ledger();
    assert_eq!((ledger.started(), ledger.unsampled(), ledger.exported()), (2, 0, 0), "{ledger}");
    assert_eq!(ledger.dropped(DropReason::RecordOnly), 2, "{ledger}");
}

#[test]
fn an_exchanged_sampler_decides_for_new_traces_only() {
    static ALL: ProbabilitySampler = ProbabilitySampler::new(1.0);
    static NONE: ProbabilitySampler = ProbabilitySampler::new(0.0);
    static SWITCH: SamplerSwitch<ProbabilitySampler> = SamplerSwitch::new(&ALL);
    let (memory, telemetry) = pipeline(ParentBased::new(&SWITCH));
    telemetry.context().scope(|| {
        span!("first").in_scope(|| {
            assert!(core::ptr::eq(SWITCH.exchange(&NONE), &ALL));
            span!("of first").end();
            span!(root, "second, a trace of its own").end();
        });
        span!("third").in_scope(|| {
            SWITCH.exchange(&ALL);
            span!("of third").end();
        });
        span!("fourth").end();
    });
    let names = exported(&memory, &telemetry);
    assert_eq!(names, ["of first", "first", "fourth"]);
    assert_eq!(memory.span("of first").trace_state, "ot=th:0");
}

/// A sampler that keeps what has an attribute, and can only decide late.
fn by_attribute() -> Box<dyn Sampler + Send> {
    let rules = ComposableRuleBased::new().rule(HasAttribute("tenant", "gold"), ComposableAlwaysOn);
    Box::new(CompositeSampler::new(ComposableParentThreshold::new(rules)))
}

#[test]
fn an_exchanged_sampler_sees_attributes_also_after_one_that_did_without() {
    type Any = Box<dyn Sampler + Send>;
    let leak = |sampler: Any| -> &'static Any { Box::leak(Box::new(sampler)) };
    let (early, late) = (leak(Box::new(ProbabilitySampler::new(0.0))), leak(by_attribute()));
    for is_below in [false, true] {
        let switch: &'static SamplerSwitch<Any> = Box::leak(Box::new(SamplerSwitch::new(early)));
        let (memory, telemetry) = match is_below {
            false => pipeline(switch),
            true => pipeline(ParentBased::new(switch)),
        };
        let both = || {
            telemetry.context().scope(|| {
                span!("gold", tenant = "gold").end();
                span!("other", tenant = "tin").end();
            });
        };
        both();
        switch.exchange(late);
        both();
        switch.exchange(early);
        both();
        assert_eq!(exported(&memory, &telemetry), ["gold"]);
        let ledger = telemetry.ledger();
        assert_eq!((ledger.started(), ledger.unsampled()), (1, 5), "{ledger}");
    }
}

#[test]
fn a_switch_is_composable_if_its_samplers_are() {
    type Any = Box<dyn ComposableSampler + Send>;
    let leak = |sampler: Any| -> &'static Any { Box::leak(Box::new(sampler)) };
    let half = leak(Box::new(ComposableProbability::new(1.0)));
    let rules = ComposableRuleBased::new().rule(HasAttribute("tenant", "gold"), ComposableAlwaysOn);
    let rules = leak(Box::new(rules));
    let switch: &'static SamplerSwitch<Any> = Box::leak(Box::new(SamplerSwitch::new(half)));
    let sampler = CompositeSampler::new(ComposableParentThreshold::new(switch));
    assert!(sampler.follows_local_parent() && sampler.decides_early());
    assert_eq!(
        throughline_core::Described(&sampler).to_string(),
        "CompositeSampler{ComposableParentThreshold{ComposableProbability{1.000000}}}"
    );
    let (memory, telemetry) = pipeline(sampler);
    telemetry.context().scope(|| {
        span!("first").in_scope(|| {
            switch.exchange(rules);
            span!("of first").end();
        });
        span!("gold", tenant = "gold").in_scope(|| span!("of gold").end());
        span!("other").in_scope(|| span!("of other", tenant = "gold").end());
    });
    assert_eq!(exported(&memory, &telemetry), ["of first", "first", "of gold", "gold"]);
    assert_eq!(memory.span("gold").trace_state, "ot=th:0");
}

#[test]
fn a_switch_follows_local_parents_if_all_that_it_may_ask_do() {
    type Following = ParentBased<AlwaysOn>;
    static FOLLOWING: Following = ParentBased::new(AlwaysOn);
    static SWITCH: SamplerSwitch<Following> = SamplerSwitch::new(&FOLLOWING);
    assert!(SWITCH.follows_local_parent());
    assert!(ParentBased::new(&SWITCH).follows_local_parent());
    // A box may be exchanged for one that does not.
    type Any = Box<dyn Sampler + Send>;
    let any: Any = Box::new(FOLLOWING);
    let any: &'static Any = Box::leak(Box::new(any));
    assert!(any.follows_local_parent() && !SamplerSwitch::new(any).follows_local_parent());
    // Those that are not constant by their type may differ.
    type Deaf = ParentBased<AlwaysOn, AlwaysOn, AlwaysOff, AlwaysOff, AlwaysOff>;
    let deaf: &'static Deaf = Box::leak(Box::new(ParentBased {
        root: AlwaysOn,
        remote_sampled: AlwaysOn,
        remote_not_sampled: AlwaysOff,
        local_sampled: AlwaysOff,
        local_not_sampled: AlwaysOff,
    }));
    assert!(!SamplerSwitch::new(deaf).follows_local_parent());
    // No exchange may make untrue what stands in spans that wait.
    assert_eq!(SWITCH.root_threshold(), None);
}

#[test]
fn a_limit_holds_for_traces_by_the_clock_of_the_platform() {
    // So long a time that the bucket gets no token while the test runs.
    let limit = ComposableRateLimiting::new(20, Duration::from_secs(1 << 30));
    let limit: &'static ComposableRateLimiting = Box::leak(Box::new(limit));
    let sampler = CompositeSampler::new(ComposableParentThreshold::new(limit));
    let (memory, telemetry) = pipeline(sampler);
    telemetry.context().scope(|| {
        for _ in 0..1_000 {
            span!("root").in_scope(|| span!("child").end());
        }
    });
    let names = exported(&memory, &telemetry);
    let roots = names.iter().filter(|name| *name == "root").count();
    // Half the bucket goes without a threshold, and never more than is in it.
    assert!((10..=20).contains(&roots) && names.len() == 2 * roots, "{names:?}");
    let stands_for = |span: CapturedSpan| {
        let state = TraceStateBuf::from_headers([span.trace_state.as_bytes()]).expect("valid");
        OtelTraceState::of(state.as_trace_state()).threshold().map(|th| th.adjusted_count())
    };
    assert!(memory.spans().into_iter().all(|span| stands_for(span).is_some()));
}

#[test]
fn descriptions_name_the_samplers_inside() {
    let rules = ComposableRuleBased::new()
        .rule(HasName("a").and(IsRoot), ComposableAlwaysOff)
        .rule(AnySpan, ComposableProbability::new(0.25));
    let sampler = AlwaysRecord::new(CompositeSampler::new(ComposableParentThreshold::new(rules)));
    assert_eq!(
        throughline_core::Described(&sampler).to_string(),
        "AlwaysRecord{CompositeSampler{ComposableParentThreshold{ComposableRuleBased{\
         [(name=a&root):ComposableAlwaysOff][any:ComposableProbability{0.250000}]}}}}"
    );
    let sampler = ProbabilitySampler::new(0.000_1);
    assert_eq!(throughline_core::Described(&sampler).to_string(), "ProbabilitySampler{0.000100}");
}
