//! [W3C Trace Context](https://www.w3.org/TR/trace-context-2/)

use throughline_core::{Carry, TraceFlags};
use throughline_propagation::TraceContext;

use crate::carrier::{List, PARENT, SPAN, TRACE, extracted, forwarded, injected, local};

fn is_restart(pairs: &[(&str, &str)]) -> bool {
    let context = extracted(&TraceContext, pairs);
    assert_eq!(context.span_context().is_valid(), context.span_context().is_remote());
    !context.span_context().is_valid() && context.carried().is_empty()
}

/// TP-1: [Header name](https://www.w3.org/TR/trace-context-2/#header-name).
#[test]
fn names_are_read_in_any_case_and_sent_in_lower_case() {
    let out = forwarded(&TraceContext, &[("TraceParent", PARENT), ("TRACESTATE", "a=1")]);
    assert_eq!(out, List::of(&[("traceparent", PARENT), ("tracestate", "a=1")]));
}

/// TP-2, TP-3, TP-4: [traceparent](https://www.w3.org/TR/trace-context-2/#traceparent-header).
#[test]
fn a_malformed_traceparent_restarts_the_trace() {
    for parent in [
        "",
        "00",
        &PARENT[..54],
        &format!("{PARENT}-"),
        &format!("{PARENT}.x"),
        &PARENT.to_uppercase(),
        &PARENT.replace(TRACE, &"0".repeat(32)),
        &PARENT.replace(SPAN, &"0".repeat(16)),
        &PARENT.replace('8', "g"),
        &PARENT.replacen("00-", "ff-", 1),
        &PARENT.replacen("00-", "0-", 1),
        &PARENT.replacen("00-", "000-", 1),
        &PARENT.replacen("00-", ".0-", 1),
    ] {
        assert!(is_restart(&[("traceparent", parent), ("tracestate", "a=1")]), "{parent}");
    }
}

/// TP-5: [Versioning](https://www.w3.org/TR/trace-context-2/#versioning-of-traceparent).
#[test]
fn a_higher_version_is_read_as_far_as_it_is_known_and_sent_as_00() {
    for tail in ["", "-", "-x"] {
        let parent = format!("{}{tail}", PARENT.replacen("00-", "cc-", 1));
        let out = forwarded(&TraceContext, &[("traceparent", &parent)]);
        assert_eq!(out.get("traceparent"), Some(PARENT), "{tail}");
    }
    let broken = format!("{}.x", PARENT.replacen("00-", "cc-", 1));
    assert!(is_restart(&[("traceparent", &broken)]));
}

/// TP-6: [traceparent](https://www.w3.org/TR/trace-context-2/#traceparent-header).
#[test]
fn two_traceparent_headers_restart_the_trace() {
    assert!(is_restart(&[("traceparent", PARENT), ("traceparent", PARENT)]));
    assert!(is_restart(&[("traceparent", PARENT), ("Traceparent", "")]));
}

/// TP-7: [Field values](https://www.w3.org/TR/trace-context-2/#traceparent-header-field-values).
#[test]
fn white_space_around_the_values_is_ignored() {
    let parent = format!(" \t{PARENT}\t ");
    let out =
        forwarded(&TraceContext, &[("traceparent", &parent), ("tracestate", "\t a=1 ,\tb=2 ")]);
    assert_eq!(out, List::of(&[("traceparent", PARENT), ("tracestate", "a=1,b=2")]));
}

/// TP-8: [tracestate](https://www.w3.org/TR/trace-context-2/#tracestate-header).
#[test]
fn tracestate_needs_a_traceparent_and_not_the_other_way_round() {
    assert!(is_restart(&[("tracestate", "a=1")]));
    let out = forwarded(&TraceContext, &[("traceparent", PARENT), ("tracestate", "BAD")]);
    assert_eq!(out, List::of(&[("traceparent", PARENT)]));
}

/// TP-9: [Field values](https://www.w3.org/TR/trace-context-2/#tracestate-header-field-values);
/// TP-11: [Mutating](https://www.w3.org/TR/trace-context-2/#mutating-the-traceparent-field).
#[test]
fn several_tracestate_headers_are_one_list_that_nobody_touches() {
    let headers = [
        ("traceparent", PARENT),
        ("tracestate", "a=1"),
        ("tracestate", ""),
        ("tracestate", "b=2,,c=3"),
    ];
    let out = forwarded(&TraceContext, &headers);
    assert_eq!(out.get("tracestate"), Some("a=1,b=2,c=3"));
    let empty = forwarded(&TraceContext, &[("traceparent", PARENT), ("tracestate", "")]);
    assert_eq!(empty, List::of(&[("traceparent", PARENT)]));
}

/// TP-12: [Random flag](https://www.w3.org/TR/trace-context-2/#random-trace-id-flag);
/// SC-9: [Other flags](https://www.w3.org/TR/trace-context-2/#other-flags).
#[test]
fn sampled_and_random_go_on_as_they_came_and_no_other_flag() {
    for flags in 0..=255u8 {
        let parent = format!("00-{TRACE}-{SPAN}-{flags:02x}");
        let out = forwarded(&TraceContext, &[("traceparent", &parent)]);
        let expected = format!("00-{TRACE}-{SPAN}-{:02x}", flags & 3);
        assert_eq!(out.get("traceparent"), Some(expected.as_str()));
    }
}

/// TP-15: [Restart trace](https://www.w3.org/TR/trace-context-2/#restart-trace).
#[test]
fn a_span_of_another_sender_takes_its_own_tracestate_only() {
    let first = [("traceparent", PARENT), ("tracestate", "a=1")];
    let context = extracted(&TraceContext, &first);
    let second = List::of(&[("traceparent", &PARENT.replace(SPAN, "00000000000000ff"))]);
    let context = throughline_propagation::Propagator::extract(&TraceContext, context, &second);
    assert_eq!(injected(&TraceContext, &context), second);
}

#[test]
fn a_context_without_a_valid_span_writes_nothing() {
    let empty = throughline_runtime::Context::empty();
    assert_eq!(injected(&TraceContext, &empty), List::default());
    assert_eq!(
        injected(&TraceContext, &local(TraceFlags::SAMPLED)).get("traceparent"),
        Some(PARENT)
    );
}
