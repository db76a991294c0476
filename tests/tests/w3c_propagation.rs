//! Contexts in and out of headers: what comes in goes through spans and tasks,
//! and out again.

use throughline::exporters::Memory;
use throughline::propagation::{Standard, preset_global};
use throughline::w3c::{BAGGAGE, Setter, TRACEPARENT, TRACESTATE};
use throughline::{
    AlwaysOff, AlwaysOn, Baggage, Context, InSpanExt, ParentBased, SpanId, Telemetry, Tokio,
    TraceFlags, builder, inject, span,
};
use throughline_tests::places::tokio_runtime;

/// Headers as a list, as HTTP libraries hand them out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Headers(Vec<(String, String)>);

impl Headers {
    fn of(headers: &[(&str, &str)]) -> Self {
        Headers(headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// What the current code would send.
    fn outgoing() -> Self {
        let mut headers = Headers::default();
        inject(&Context::current(), &mut headers);
        headers
    }
}

impl Setter for Headers {
    fn set(&mut self, name: &str, value: &str) {
        self.0.retain(|(key, _)| key != name);
        self.0.push((name.to_owned(), value.to_owned()));
    }
}

/// TP-11 ([Mutating traceparent](https://www.w3.org/TR/trace-context-2/#mutating-the-traceparent-field)).
#[test]
fn what_comes_in_goes_out_unchanged_where_no_span_begins() {
    for flags in ["00", "01", "02", "03"] {
        let parent = format!("00-{TRACE}-{SPAN}-{flags}");
        let headers = Headers::of(&[(TRACEPARENT, &parent), (TRACESTATE, STATE), (BAGGAGE, BAG)]);
        let context = extract(headers.0.as_slice());
        assert!(context.span_context().is_remote());
        assert_eq!(context.scope(Headers::outgoing), headers);
    }
}

#[test]
fn header_names_come_in_any_case_and_state_in_several_headers() {
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let headers = Headers::of(&[
        ("TraceParent", &parent),
        ("TRACESTATE", "rojo=1"),
        ("tracestate", "congo=2"),
        ("Baggage", "a=1"),
        ("baggage", "b=2"),
    ]);
    let out = extract(headers.0.as_slice()).scope(Headers::outgoing);
    assert_eq!(out.get(TRACESTATE), Some("rojo=1,congo=2"));
    assert_eq!(out.get(BAGGAGE), Some("a=1,b=2"));
}

#[test]
fn spans_and_tasks_keep_the_trace_its_state_and_its_baggage() {
    let memory = Memory::new();
    let runtime = tokio_runtime(2);
    let telemetry = start(&runtime, AlwaysOn, &memory);
    let (serving, out) = runtime.block_on(
        async {
            let context = extract(incoming("01").0.as_slice());
            async {
                let serving = Context::current().span_context();
                let task = throughline::tokio::spawn(async {
                    async {
                        tokio::task::yield_now().await;
                        Headers::outgoing()
                    }
                    .in_span(span!(kind: Client, "call"))
                    .await
                });
                (serving, task.await.expect("no panic"))
            }
            .in_span(span!(parent: &context, kind: Server, "serve"))
            .await
        }
        .with_context(telemetry.context()),
    );
    assert_eq!(out.get(TRACESTATE), Some(STATE));
    assert_eq!(out.get(BAGGAGE), Some(BAG));
    settle(&runtime, &telemetry, 2);
    let (serve, call) = (memory.span("serve"), memory.span("call"));
    let parent = format!("00-{TRACE}-{}-01", call.span_id);
    assert_eq!(out.get(TRACEPARENT), Some(parent.as_str()));
    assert!(serve.has_remote_parent && !call.has_remote_parent);
    assert_eq!(serve.parent_span_id, SpanId::from_hex(SPAN.as_bytes()).expect("16 digits"));
    assert_eq!((serve.span_id, call.parent_span_id), (serving.span_id(), serving.span_id()));
    assert_eq!((serve.trace_state.as_str(), call.trace_state.as_str()), (STATE, STATE));
}

#[test]
fn an_unsampled_parent_is_followed_and_told_to_the_next() {
    let memory = Memory::new();
    let runtime = tokio_runtime(0);
    let telemetry = start(&runtime, AlwaysOn, &memory);
    let context = extract(incoming("00").0.as_slice());
    let (serving, out) = telemetry.context().scope(|| {
        span!(parent: &context, "serve")
            .in_scope(|| (Context::current().span_context(), Headers::outgoing()))
    });
    let parent = format!("00-{TRACE}-{}-00", serving.span_id());
    assert_ne!(serving.span_id(), context.span_context().span_id());
    assert_eq!(out.get(TRACEPARENT), Some(parent.as_str()));
    assert_eq!(out.get(TRACESTATE), Some(STATE));
    assert_eq!(out.get(BAGGAGE), Some(BAG));
    settle(&runtime, &telemetry, 0);
}

/// TP-10 ([Mutating traceparent](https://www.w3.org/TR/trace-context-2/#mutating-the-traceparent-field)).
#[test]
fn a_sampler_that_drops_everything_clears_the_flag_and_keeps_the_trace() {
    let memory = Memory::new();
    let runtime = tokio_runtime(0);
    let telemetry = builder().sampler(AlwaysOff).start(tokio(&runtime), memory.clone());
    let context = extract(incoming("03").0.as_slice());
    let out =
        telemetry.context().scope(|| span!(parent: &context, "serve").in_scope(Headers::outgoing));
    let parent = out.get(TRACEPARENT).expect("a valid context");
    assert!(parent.starts_with(&format!("00-{TRACE}-")) && parent.ends_with("-02"), "{parent}");
    assert!(!parent.contains(SPAN), "a flag that changes takes a new id: {parent}");
    settle(&runtime, &telemetry, 0);
}

/// BAG-7 ([Overview](https://opentelemetry.io/docs/specs/otel/baggage/api/#overview)).
#[test]
fn without_a_pipeline_a_service_passes_on_what_it_got() {
    let headers = incoming("01");
    let context = extract(headers.0.as_slice());
    let out =
        span!(parent: &context, "serve").in_scope(|| span!("inner").in_scope(Headers::outgoing));
    assert_eq!(out, headers);
}

#[test]
fn without_a_pipeline_and_a_parent_nothing_is_sent() {
    assert_eq!(span!("alone").in_scope(Headers::outgoing), Headers::default());
}

#[test]
fn a_suppressed_context_passes_on_what_it_got() {
    let memory = Memory::new();
    let runtime = tokio_runtime(0);
    let telemetry = start(&runtime, AlwaysOn, &memory);
    let headers = incoming("01");
    let context = extract(headers.0.as_slice()).suppressed();
    let out =
        telemetry.context().scope(|| span!(parent: &context, "quiet").in_scope(Headers::outgoing));
    assert_eq!(out, headers);
    settle(&runtime, &telemetry, 0);
}

/// TP-15 ([Restarting](https://www.w3.org/TR/trace-context-2/#restart-trace)).
#[test]
fn broken_headers_begin_a_new_trace_and_baggage_stays() {
    let broken = [
        "",
        "00",
        "hello",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
    ];
    for parent in broken {
        let headers = Headers::of(&[(TRACEPARENT, parent), (TRACESTATE, STATE), (BAGGAGE, BAG)]);
        let context = extract(headers.0.as_slice());
        assert!(!context.span_context().is_valid(), "{parent}");
        let out = context.scope(Headers::outgoing);
        assert_eq!((out.get(TRACEPARENT), out.get(TRACESTATE)), (None, None), "{parent}");
        assert_eq!(out.get(BAGGAGE), Some(BAG), "{parent}");
    }
    let memory = Memory::new();
    let runtime = tokio_runtime(0);
    let telemetry = start(&runtime, AlwaysOn, &memory);
    let context = extract(Headers::of(&[(TRACEPARENT, "hello")]).0.as_slice());
    telemetry.context().scope(|| span!(parent: &context, "serve").end());
    settle(&runtime, &telemetry, 1);
    let serve = memory.span("serve");
    assert!(serve.trace_id.is_valid() && !serve.parent_span_id.is_valid());
}

#[test]
fn two_parents_are_none() {
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let headers = Headers::of(&[(TRACEPARENT, &parent), (TRACEPARENT, &parent)]);
    assert!(!extract(headers.0.as_slice()).span_context().is_valid());
}

/// BAG-2 ([Overview](https://opentelemetry.io/docs/specs/otel/baggage/api/#overview)).
/// BAG-5 ([Context interaction](https://opentelemetry.io/docs/specs/otel/baggage/api/#context-interaction)).
#[test]
fn baggage_that_a_service_adds_goes_on_below_and_not_beside() {
    let memory = Memory::new();
    let runtime = tokio_runtime(0);
    let telemetry = start(&runtime, AlwaysOn, &memory);
    let context = extract(incoming("01").0.as_slice());
    let (inside, outside) = telemetry.context().scope(|| {
        span!(parent: &context, "serve").in_scope(|| {
            let mut baggage = Baggage::current();
            baggage.insert("tenant", "Käse & Co", "").expect("room");
            let below = baggage.into_context(Context::current());
            let inside = below.scope(|| span!("call").in_scope(Headers::outgoing));
            (inside, Headers::outgoing())
        })
    });
    assert_eq!(outside.get(BAGGAGE), Some(BAG));
    assert_eq!(inside.get(TRACESTATE), Some(STATE), "the trace state stays");
    let received = extract(inside.0.as_slice());
    assert_eq!(Baggage::of(&received).get("tenant").as_deref(), Some("Käse & Co"));
    settle(&runtime, &telemetry, 2);
}

/// TP-13 ([Random flag](https://www.w3.org/TR/trace-context-2/#random-trace-id-flag)).
#[test]
fn a_new_trace_has_random_ids_and_says_so() {
    let memory = Memory::new();
    let runtime = tokio_runtime(0);
    let telemetry = start(&runtime, AlwaysOn, &memory);
    let out = telemetry.context().scope(|| span!("root").in_scope(Headers::outgoing));
    assert!(out.get(TRACEPARENT).is_some_and(|parent| parent.ends_with("-03")), "{out:?}");
    let flags = extract(out.0.as_slice()).span_context().trace_flags();
    assert_eq!(flags, TraceFlags::SAMPLED | TraceFlags::RANDOM);
    settle(&runtime, &telemetry, 1);
}

/// As in a program that is set up, with or without a pipeline.
fn extract(headers: &[(String, String)]) -> Context {
    preset_global(Standard);
    throughline::extract(headers)
}

fn incoming(flags: &str) -> Headers {
    let parent = format!("00-{TRACE}-{SPAN}-{flags}");
    Headers::of(&[(TRACEPARENT, &parent), (TRACESTATE, STATE), (BAGGAGE, BAG)])
}

fn start(runtime: &tokio::runtime::Runtime, root: AlwaysOn, memory: &Memory) -> Telemetry {
    builder().sampler(ParentBased::new(root)).start(tokio(runtime), memory.clone())
}

fn tokio(runtime: &tokio::runtime::Runtime) -> Tokio {
    Tokio::new(runtime.handle().clone())
}

fn settle(runtime: &tokio::runtime::Runtime, telemetry: &Telemetry, spans: u64) {
    let receipt = runtime.block_on(telemetry.shutdown(core::time::Duration::from_secs(60)));
    assert_eq!(receipt.ledger().exported(), spans, "{receipt}");
    assert_eq!(receipt.ledger().in_flight(), 0, "{receipt}");
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
const STATE: &str = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE";
const BAG: &str = "userId=alice,serverNode=DF%2028;ttl=30";
