//! [Propagators API](https://opentelemetry.io/docs/specs/otel/context/api-propagators/)

use throughline_core::w3c::{Getter, Setter};
use throughline_core::{Carry, SpanContext};
use throughline_propagation::{
    AnyGetter, B3, Baggage, Composite, Jaeger, Propagator, Standard, TraceContext,
};
use throughline_runtime::Context;

use crate::carrier::{List, PARENT, SPAN, TRACE, baggage, extracted, forwarded, injected};

fn each() -> [Box<dyn Propagator>; 5] {
    [
        Box::new(TraceContext),
        Box::new(Baggage),
        Box::new(B3::single()),
        Box::new(B3::multi()),
        Box::new(Jaeger),
    ]
}

/// PROP-1: [Operations](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#operations);
/// PROP-12: [Distribution](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#propagators-distribution).
#[test]
fn what_one_propagator_writes_it_reads_again() {
    let context = extracted(&Standard, &[("traceparent", PARENT), ("baggage", "a=1,b=%20")]);
    for propagator in each() {
        let list = injected(&*propagator, &context);
        assert!(!list.0.is_empty(), "{propagator:?}");
        let again = propagator.extract(Context::empty(), &list);
        assert_eq!(injected(&*propagator, &again), list, "{propagator:?}");
    }
}

/// PROP-2: [Extract](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#extract).
#[test]
fn a_failed_extract_keeps_what_the_context_had() {
    let known = extracted(&Standard, &[("traceparent", PARENT), ("baggage", "a=1")]);
    let broken = [
        ("traceparent", "00-zz"),
        ("tracestate", "x=1"),
        ("baggage", "no member"),
        ("b3", "nothing"),
        ("x-b3-traceid", "nothing"),
        ("uber-trace-id", "1:2"),
    ];
    for carrier in [List::default(), List::of(&broken)] {
        for propagator in each() {
            let after = propagator.extract(known.clone(), &carrier);
            assert_eq!(after.span_context(), known.span_context(), "{propagator:?}");
            assert_eq!(baggage(&after), "a=1", "{propagator:?}");
            assert!(after.carried().trace_state().is_empty(), "{propagator:?}");
        }
    }
}

/// PROP-3: [TextMap Propagator](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#textmap-propagator).
#[test]
fn names_and_values_are_ascii_that_http_allows() {
    let context = extracted(&Standard, &[("traceparent", PARENT), ("baggage", "a=%C3%A4;p,b=%0A")]);
    for propagator in each() {
        for (name, value) in injected(&*propagator, &context).0 {
            assert!(name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':'), "{name}");
            assert!(value.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{value}");
        }
    }
}

/// PROP-4: [Getter argument](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#getter-argument).
#[test]
fn a_carrier_is_borrowed_as_it_is_and_nothing_is_wrapped() {
    let slice = [("traceparent", PARENT)];
    let carrier: &dyn AnyGetter = &&slice[..];
    let context = TraceContext.extract(Context::empty(), carrier);
    assert_eq!(context.span_context().trace_id().to_string(), TRACE);
    assert_eq!(size_of_val(&carrier.first("traceparent")), size_of::<&[u8]>());
}

/// PROP-5: [Fields](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#fields).
#[test]
fn fields_name_everything_but_jaegers_baggage_that_is_written() {
    let context =
        extracted(&Standard, &[("traceparent", PARENT), ("tracestate", "a=1"), ("baggage", "a=1")]);
    for propagator in each() {
        for (name, _) in injected(&*propagator, &context).0 {
            let is_field = propagator.fields().contains(&name.as_str());
            assert!(is_field || name.starts_with("uberctx-"), "{name}");
        }
    }
    assert_eq!(Standard.fields(), ["traceparent", "tracestate", "baggage"]);
}

/// PROP-6: [Set](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#set).
#[test]
fn injecting_replaces_what_a_carrier_had() {
    let context = extracted(&TraceContext, &[("traceparent", PARENT)]);
    let mut list = List::of(&[("traceparent", "old"), ("accept", "*/*")]);
    TraceContext.inject(&context, &mut list);
    assert_eq!(list.0.len(), 2);
    assert_eq!(list.get("traceparent"), Some(PARENT));
    list.set("Kept-Case", "1");
    assert_eq!(list.get("Kept-Case"), Some("1"));
}

/// PROP-7: [Get](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#get);
/// PROP-8: [Keys](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#keys),
/// [GetAll](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#getall).
#[test]
fn a_getter_has_the_first_value_all_values_in_order_and_all_names() {
    let list = List::of(&[("A", "1"), ("b", "2"), ("a", "3")]);
    let carrier: &dyn AnyGetter = &list;
    assert_eq!(carrier.first("a"), Some(&b"1"[..]));
    assert_eq!(carrier.first("c"), None);
    assert_eq!(carrier.all("a"), [b"1", b"3"]);
    assert!(carrier.all("c").is_empty());
    let mut names = Vec::new();
    carrier.for_each_key(&mut |name| names.push(name));
    assert_eq!(names, ["A", "b", "a"]);
    let pairs = [("A", "1"), ("b", "2")];
    assert_eq!(Getter::keys(&&pairs[..]).collect::<Vec<_>>(), ["A", "b"]);
}

/// PROP-9: [Composite propagator](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#composite-propagator).
#[test]
fn members_of_a_composite_run_in_the_given_order() {
    let other = "00-00000000000000000000000000000001-0000000000000002-01";
    let both = [("traceparent", other), ("b3", &format!("{TRACE}-{SPAN}-1"))];
    let b3_last =
        Composite::new([Box::new(TraceContext) as Box<dyn Propagator>, Box::new(B3::single())]);
    let b3_first =
        Composite::new([Box::new(B3::single()) as Box<dyn Propagator>, Box::new(TraceContext)]);
    assert_eq!(extracted(&b3_last, &both).span_context().trace_id().to_string(), TRACE);
    assert!(extracted(&b3_first, &both).span_context().trace_id().to_string().ends_with("01"));
    let names = |by| forwarded(by, &both).0.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(&b3_last), ["traceparent", "b3"]);
    assert_eq!(names(&b3_first), ["b3", "traceparent"]);
    assert_eq!(b3_first.fields(), ["b3", "traceparent", "tracestate"]);
}

/// Where two formats tell of one span, neither loses what the other cannot say.
#[test]
fn a_second_format_of_the_same_span_takes_nothing_away() {
    let by =
        Composite::new([Box::new(TraceContext) as Box<dyn Propagator>, Box::new(B3::single())]);
    let parent = format!("00-{TRACE}-{SPAN}-03");
    for state in ["", "-1", "-d"] {
        let b3 = format!("{TRACE}-{SPAN}{state}");
        let headers = [("traceparent", parent.as_str()), ("tracestate", "a=1"), ("b3", &b3)];
        let out = forwarded(&by, &headers);
        assert_eq!(out.get("traceparent"), Some(parent.as_str()), "{state}");
        assert_eq!(out.get("tracestate"), Some("a=1"), "{state}");
        let expected = if state == "-d" { "-d" } else { "-1" };
        assert_eq!(out.get("b3"), Some(format!("{TRACE}-{SPAN}{expected}").as_str()));
    }
}

#[test]
fn pipeline_and_suppression_of_the_given_context_stay() {
    for propagator in each() {
        let all = [
            ("traceparent", PARENT),
            ("baggage", "a=1"),
            ("b3", &format!("{TRACE}-{SPAN}-1")),
            ("uber-trace-id", &format!("{TRACE}:{SPAN}:0:1")),
        ];
        let context = Context::empty().suppressed();
        let context = propagator.extract(context, &List::of(&all));
        assert!(context.is_suppressed(), "{propagator:?}");
        assert!(!injected(&*propagator, &context).0.is_empty(), "{propagator:?}");
    }
}

#[test]
fn no_propagator_reads_or_writes_anything() {
    let none = Composite::none();
    let context = extracted(&none, &[("traceparent", PARENT), ("baggage", "a=1")]);
    assert_eq!(context.span_context(), SpanContext::INVALID);
    assert!(context.carried().is_empty() && none.fields().is_empty());
    assert_eq!(injected(&none, &crate::carrier::local(Default::default())), List::default());
}
