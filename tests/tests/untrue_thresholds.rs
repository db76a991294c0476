//! A threshold that comes in and is not that by which a span is kept: it goes no further,
//! or spans would count for too many
//! ([General requirements](https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/#general-requirements)).

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use throughline::exporters::Memory;
use throughline::w3c::{BaggageBuf, Setter, TraceStateBuf};
use throughline::{
    Additions, AlwaysOff, AlwaysOn, AlwaysRecord, Carried, ComposableParentThreshold,
    ComposableProbability, CompositeSampler, Context, Decision, ParentBased, ProbabilitySampler,
    Sampler, SamplingParameters, SpanContext, SpanId, Thread, TraceFlags, TraceId,
    TraceIdRatioBased, builder, inject, span,
};

type Any = Arc<dyn Sampler + Send + Sync>;

/// By the trace id, R is `99999999999999`.
const TRACE: TraceId = TraceId::from_bytes([0x99; 16]);
/// R is above this one, and below that one.
const KEEPS: &str = "a=b,ot=th:8;x:1";
const DROPS: &str = "a=b,ot=th:c;x:1";
/// What is left of either.
const ERASED: &str = "ot=x:1,a=b";

const SAMPLED: TraceFlags = TraceFlags::SAMPLED;
const NOT_SAMPLED: TraceFlags = TraceFlags::RANDOM;

/// What a service says to the next one and to the collector, of a span below this parent.
#[derive(Debug, PartialEq)]
struct Said {
    next: String,
    /// Of the span and of its child.
    exported: Option<[String; 2]>,
}

impl Said {
    fn sampled(state: &str) -> Said {
        Said { next: state.to_owned(), exported: Some([state.to_owned(), state.to_owned()]) }
    }

    fn dropped(state: &str) -> Said {
        Said { next: state.to_owned(), exported: None }
    }
}

fn said(sampler: Any, flags: TraceFlags, state: &str) -> Said {
    let memory = Memory::new();
    let thread = Thread::start().expect("a thread");
    let telemetry = builder().sampler(sampler).start(thread, memory.clone());
    let remote = SpanContext::remote(TRACE, SpanId::from_bytes([2; 8]), flags);
    let state = TraceStateBuf::from_headers([state.as_bytes()]).expect("a valid state");
    let parent = Context::remote(remote, Carried::new(state, &BaggageBuf::new()));
    let mut headers = Headers::default();
    parent.with_pipeline(telemetry.pipeline()).scope(|| {
        span!("span").in_scope(|| {
            span!("child").in_scope(|| inject(&Context::current(), &mut headers));
        });
    });
    assert!(telemetry.flush_blocking(Duration::from_secs(60)).is_complete());
    let exported =
        ["span", "child"].map(|name| memory.spans().into_iter().find(|s| s.name == name));
    let exported = match exported {
        [Some(span), Some(child)] => Some([span.trace_state, child.trace_state]),
        _ => None,
    };
    let next = headers.0.into_iter().find(|(key, _)| *key == "tracestate");
    Said { next: next.map(|(_, value)| value).unwrap_or_default(), exported }
}

#[derive(Debug, Default)]
struct Headers(Vec<(String, String)>);

impl Setter for Headers {
    fn set(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }
}

/// PRB-7: a parent-based stage erases a threshold that contradicts the flag.
#[test]
fn a_threshold_that_contradicts_the_flag_is_erased_below_a_parent_that_is_followed() {
    let samplers: [fn() -> Any; 3] = [
        || Arc::new(ParentBased::new(AlwaysOn)),
        || Arc::new(AlwaysRecord::new(ParentBased::new(AlwaysOff))),
        || {
            let root = ComposableProbability::new(0.5);
            Arc::new(CompositeSampler::new(ComposableParentThreshold::new(root)))
        },
    ];
    for sampler in samplers {
        assert_eq!(said(sampler(), SAMPLED, DROPS), Said::sampled(ERASED));
        assert_eq!(said(sampler(), NOT_SAMPLED, KEEPS), Said::dropped(ERASED));
        assert_eq!(said(sampler(), SAMPLED, "a=b"), Said::sampled("a=b"));
    }
}

/// PRB-7: what agrees is handed on as it is.
#[test]
fn a_threshold_that_agrees_with_the_flag_stays_below_a_parent_that_is_followed() {
    let sampler = || Arc::new(ParentBased::new(AlwaysOff));
    assert_eq!(said(sampler(), SAMPLED, KEEPS), Said::sampled(KEEPS));
    assert_eq!(said(sampler(), NOT_SAMPLED, DROPS), Said::dropped(DROPS));
    // The explicit randomness is what counts.
    let above = "ot=th:c;rv:ffffffffffffff";
    assert_eq!(said(sampler(), SAMPLED, above), Said::sampled(above));
    let below = "ot=th:8;rv:00000000000001";
    assert_eq!(said(sampler(), SAMPLED, below), Said::sampled("ot=rv:00000000000001"));
}

/// PRB-7: a sampler that does not go by the threshold erases it.
#[test]
fn a_threshold_that_is_not_followed_is_erased() {
    let on = || -> Any { Arc::new(AlwaysOn) };
    assert_eq!(said(on(), NOT_SAMPLED, DROPS), Said::sampled(ERASED));
    assert_eq!(said(on(), NOT_SAMPLED, KEEPS), Said::sampled(ERASED));
    assert_eq!(said(on(), SAMPLED, KEEPS), Said::sampled(KEEPS));
    let all = || -> Any { Arc::new(TraceIdRatioBased::new(1.0)) };
    for (flags, state) in
        [(SAMPLED, KEEPS), (SAMPLED, DROPS), (NOT_SAMPLED, KEEPS), (NOT_SAMPLED, DROPS)]
    {
        assert_eq!(said(all(), flags, state), Said::sampled(ERASED));
    }
    let off: Any = Arc::new(AlwaysOff);
    assert_eq!(said(off, SAMPLED, KEEPS), Said::dropped(ERASED));
    let mixed = ParentBased { remote_not_sampled: AlwaysOn, ..mixed() };
    assert_eq!(said(Arc::new(mixed), NOT_SAMPLED, DROPS), Said::sampled(ERASED));
}

fn mixed() -> ParentBased<AlwaysOn, AlwaysOn, AlwaysOn> {
    ParentBased {
        root: AlwaysOn,
        remote_sampled: AlwaysOn,
        remote_not_sampled: AlwaysOn,
        local_sampled: AlwaysOn,
        local_not_sampled: AlwaysOff,
    }
}

/// A sampler of the program's own, which has never heard of thresholds.
struct Own {
    decision: Decision,
    is_early: bool,
}

impl Sampler for Own {
    fn should_sample(&self, _: &SamplingParameters<'_>, _: &mut Additions<'_>) -> Decision {
        self.decision
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Own")
    }

    fn decides_early(&self) -> bool {
        self.is_early
    }
}

/// PRB-7: as far as it can be seen, for samplers of the program's own.
#[test]
fn a_threshold_that_contradicts_the_decision_of_any_sampler_is_erased() {
    for is_early in [true, false] {
        let own = |decision| -> Any { Arc::new(Own { decision, is_early }) };
        let sampled = || own(Decision::RecordAndSample);
        assert_eq!(said(sampled(), SAMPLED, DROPS), Said::sampled(ERASED));
        assert_eq!(said(sampled(), SAMPLED, KEEPS), Said::sampled(KEEPS));
        assert_eq!(said(own(Decision::Drop), SAMPLED, KEEPS), Said::dropped(ERASED));
        assert_eq!(said(own(Decision::RecordOnly), SAMPLED, KEEPS), Said::dropped(ERASED));
    }
}

/// PRB-1, PRB-3: a sampler of probability writes its own, whatever came in.
#[test]
fn a_sampler_of_probability_replaces_the_threshold_of_the_parent() {
    for flags in [SAMPLED, NOT_SAMPLED] {
        let half = || -> Any { Arc::new(ProbabilitySampler::new(0.5)) };
        for state in [KEEPS, DROPS] {
            let said = said(half(), flags, state);
            let [span, child] = said.exported.expect("R is above");
            assert!(
                span.contains("ot=th:8;x:1") && child.contains("ot=th:8;x:1"),
                "{span} {child}"
            );
        }
    }
}
