//! [B3](https://github.com/openzipkin/b3-propagation) and
//! [B3 requirements](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#b3-requirements)

use throughline_core::TraceFlags;
use throughline_core::w3c::Setter;
use throughline_propagation::{B3, Propagator, TraceContext};
use throughline_runtime::{Context, SamplingState};

use crate::carrier::{List, PARENT, SPAN, TRACE, extracted, forwarded, injected, local};
use proptest::prelude::*;

/// B3-1: [Extract](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#b3-extract).
#[test]
fn the_single_header_is_read_first_and_the_others_if_it_is_missing_or_broken() {
    let single = format!("{TRACE}-{SPAN}-1");
    let multi = [("x-b3-traceid", "00000000000000aa"), ("x-b3-spanid", "00000000000000bb")];
    let read = |single: &str| {
        let mut list = List::of(&multi);
        list.set("b3", single);
        let context = B3::multi().extract(Context::empty(), &list);
        context.span_context().span_id().to_string()
    };
    assert_eq!(read(&single), SPAN);
    assert_eq!(read("broken"), "00000000000000bb");
    let context = extracted(&B3::single(), &multi);
    assert!(context.span_context().is_valid() && context.span_context().is_remote());
}

/// B3-2: [Extract](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#b3-extract);
/// B3-8: [Sampling state](https://github.com/openzipkin/b3-propagation#sampling-state).
#[test]
fn debug_is_sampled_and_goes_on_and_is_no_flag_of_w3c() {
    let single = format!("{TRACE}-{SPAN}-d");
    let context = extracted(&B3::single(), &[("b3", &single)]);
    let span = context.span_context();
    assert_eq!(span.trace_flags(), TraceFlags::SAMPLED);
    assert_eq!(injected(&B3::single(), &context).get("b3"), Some(single.as_str()));
    let multi = injected(&B3::multi(), &context);
    assert_eq!((multi.get("x-b3-flags"), multi.get("x-b3-sampled")), (Some("1"), None));
    assert_eq!(injected(&TraceContext, &context).get("traceparent"), Some(PARENT));
    let again = B3::single().extract(Context::empty(), &multi);
    assert_eq!(injected(&B3::single(), &again).get("b3"), Some(single.as_str()));
}

/// B3-2: also where another format says that it is not sampled.
#[test]
fn debug_outranks_a_decision_of_another_format() {
    let unsampled = PARENT.replace("-01", "-02");
    let debug = format!("{TRACE}-{SPAN}-d");
    let both = List::of(&[("traceparent", &unsampled), ("b3", &debug)]);
    let context = TraceContext.extract(Context::empty(), &both);
    let context = B3::single().extract(context, &both);
    let expected = PARENT.replace("-01", "-03");
    assert_eq!(injected(&TraceContext, &context).get("traceparent"), Some(expected.as_str()));
    assert_eq!(injected(&B3::single(), &context).get("b3"), Some(debug.as_str()));
}

/// B3-2, B3-8: the state belongs to its trace, and ends with it.
#[test]
fn debug_of_one_trace_does_not_leak_into_the_next() {
    let debug = extracted(&B3::single(), &[("b3", &format!("{TRACE}-{SPAN}-d"))]);
    let other = "00000000000000000000000000000001-0000000000000002-0";
    let context = B3::single().extract(debug, &List::of(&[("b3", other)]));
    assert_eq!(injected(&B3::single(), &context).get("b3"), Some(other));
    assert_eq!(
        context.carried().sampling_state(context.span_context().trace_id()),
        SamplingState::InFlags
    );
}

/// B3-4: [Inject](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#b3-inject);
/// B3-5: [Fields](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#fields).
#[test]
fn single_is_the_default_and_fields_are_those_of_the_form() {
    let context = local(TraceFlags::NONE);
    let single = injected(&B3::default(), &context);
    assert_eq!(single, List::of(&[("b3", &format!("{TRACE}-{SPAN}-0"))]));
    let multi = injected(&B3::multi(), &context);
    let expected = [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN), ("x-b3-sampled", "0")];
    assert_eq!(multi, List::of(&expected));
    assert_eq!(B3::default().fields(), ["b3"]);
    assert_eq!(B3::multi().fields(), ["x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags"]);
}

/// B3-4, B3-6: [Single header](https://github.com/openzipkin/b3-propagation#single-header).
#[test]
fn each_form_of_the_single_header_goes_on_without_the_parent() {
    for (sent, expected) in [
        ("-1", "-1"),
        ("-0", "-0"),
        ("-d", "-d"),
        ("", ""),
        ("-1-05e3ac9a4f6e3b90", "-1"),
        ("-0-05e3ac9a4f6e3b90", "-0"),
    ] {
        let out = forwarded(&B3::single(), &[("B3", &format!(" {TRACE}-{SPAN}{sent}\t"))]);
        assert_eq!(out.get("b3"), Some(format!("{TRACE}-{SPAN}{expected}").as_str()));
    }
    let short = forwarded(&B3::single(), &[("b3", &format!("{SPAN}-{SPAN}-1"))]);
    let padded = format!("0000000000000000{SPAN}-{SPAN}-1");
    assert_eq!(short.get("b3"), Some(padded.as_str()));
}

/// B3-6: [Single header](https://github.com/openzipkin/b3-propagation#single-header).
#[test]
fn a_lone_decision_names_no_trace_and_is_kept_for_the_next() {
    let denied = extracted(&B3::single(), &[("b3", "0")]);
    assert!(denied.is_suppressed() && !denied.span_context().is_valid());
    assert_eq!(injected(&B3::single(), &denied), List::of(&[("b3", "0")]));
    assert_eq!(injected(&B3::multi(), &denied), List::of(&[("x-b3-sampled", "0")]));
    let accepted = extracted(&B3::single(), &[("b3", "1")]);
    assert!(!accepted.is_suppressed() && accepted.is_empty());
    let debug = extracted(&B3::multi(), &[("x-b3-flags", "1")]);
    let root = local(TraceFlags::SAMPLED).with_carried(debug.carried().clone());
    assert_eq!(
        injected(&B3::single(), &root).get("b3"),
        Some(format!("{TRACE}-{SPAN}-d").as_str())
    );
    let known = B3::single().extract(local(TraceFlags::SAMPLED), &List::of(&[("b3", "0")]));
    assert!(!known.is_suppressed(), "a trace that is named has its own decision");
}

/// B3-7: [Multiple headers](https://github.com/openzipkin/b3-propagation#multiple-headers).
#[test]
fn each_form_of_the_multiple_headers_goes_on() {
    let ids = [("X-B3-TraceId", TRACE), ("X-B3-SpanId", SPAN)];
    for (sampled, expected) in [("1", "-1"), ("0", "-0"), ("true", "-1"), ("false", "-0")] {
        let headers = [ids[0], ids[1], ("X-B3-Sampled", sampled), ("X-B3-ParentSpanId", SPAN)];
        let context = extracted(&B3::multi(), &headers);
        let single = injected(&B3::single(), &context);
        assert_eq!(single.get("b3"), Some(format!("{TRACE}-{SPAN}{expected}").as_str()));
        assert_eq!(injected(&B3::multi(), &context).get("x-b3-parentspanid"), None);
    }
    let deferred = forwarded(&B3::multi(), &ids);
    assert_eq!(deferred.get("x-b3-sampled"), None);
    let twice = [ids[0], ids[1], ("x-b3-spanid", "00000000000000ff")];
    assert_eq!(extracted(&B3::multi(), &twice).span_context().span_id().to_string(), SPAN);
}

/// B3-6, B3-7, PROP-2: what is malformed is as if it had not been sent.
#[test]
fn malformed_headers_are_ignored() {
    for single in [
        "",
        "2",
        "-",
        "d-",
        TRACE,
        &format!("{TRACE}-"),
        &format!("{TRACE}-{SPAN}-"),
        &format!("{TRACE}-{SPAN}-2"),
        &format!("{TRACE}-{SPAN}-true"),
        &format!("{TRACE}-{SPAN}-1-"),
        &format!("{TRACE}-{SPAN}-1-{SPAN}-1"),
        &format!("{}-{SPAN}-1", &TRACE[1..]),
        &format!("{}-{SPAN}-1", TRACE.to_uppercase()),
        &format!("{TRACE}-{}-1", SPAN.to_uppercase()),
        &format!("{}-{SPAN}-1", "0".repeat(32)),
        &format!("{TRACE}-{}-1", "0".repeat(16)),
    ] {
        assert!(extracted(&B3::single(), &[("b3", single)]).is_empty(), "{single}");
    }
    for multi in [
        &[("x-b3-traceid", TRACE)][..],
        &[("x-b3-spanid", SPAN), ("x-b3-sampled", "1")],
        &[("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN), ("x-b3-sampled", "yes")],
        &[("x-b3-traceid", "zz"), ("x-b3-spanid", SPAN)],
    ] {
        assert!(extracted(&B3::multi(), multi).is_empty(), "{multi:?}");
    }
}

/// TP-14: [Shorter ids](https://www.w3.org/TR/trace-context-2/#interoperating-with-existing-systems-which-use-shorter-identifiers).
#[test]
fn an_id_with_zeros_on_its_left_is_not_called_random() {
    let context = extracted(&B3::single(), &[("b3", &format!("{SPAN}-{SPAN}-1"))]);
    assert!(!context.span_context().trace_flags().is_random());
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_what_is_read_is_written_alike(
        value in "[0-9a-fd-]{0,70}", sampled in "[01dt]?", is_multi: bool,
    ) {
        let by = if is_multi { B3::multi() } else { B3::single() };
        let headers = [("b3", value.as_str()), ("x-b3-traceid", &value), ("x-b3-sampled", &sampled)];
        let context = extracted(&by, &headers);
        let once = injected(&by, &context);
        let again = by.extract(Context::empty(), &once);
        prop_assert_eq!(injected(&by, &again), once);
    }

    #[test]
    fn whatever_span_is_written_is_read_back(trace in 1u128.., span in 1u64.., state in 0usize..4) {
        let state = ["-0", "-1", "-d", ""][state];
        let value = format!("{trace:032x}-{span:016x}{state}");
        for by in [B3::single(), B3::multi()] {
            let context = extracted(&by, &[("b3", &value)]);
            let again = by.extract(Context::empty(), &injected(&by, &context));
            let written = injected(&B3::single(), &again);
            prop_assert_eq!(written.get("b3"), Some(value.as_str()));
        }
    }
}
