//! `traceparent`, by the cases that the recommendation's test suite has for level 2.
//!
//! Rows TP-1 to TP-13 of the requirements;
//! [traceparent](https://www.w3.org/TR/trace-context-2/#traceparent-header).

use std::collections::HashSet;

use crate::http::Received;
use crate::process::Relay;

pub(crate) const TRACE: &str = "12345678901234567890123456789012";
pub(crate) const PARENT: &str = "00-12345678901234567890123456789012-1234567890123456-01";

/// The parts of the one `traceparent` that was sent, which is well-formed.
pub(crate) fn sent(request: &Received) -> (String, String, String) {
    let values = request.values("traceparent");
    let [value] = values[..] else { panic!("one traceparent: {values:?}") };
    let parts: Vec<&str> = value.split('-').collect();
    let [version, trace, parent, flags] = parts[..] else { panic!("four parts: {value}") };
    let is_hex =
        |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    assert!(is_hex(trace) && is_hex(parent) && is_hex(flags), "{value}");
    assert_eq!((version, trace.len(), parent.len(), flags.len()), ("00", 32, 16, 2), "{value}");
    assert!(trace.contains(|c| c != '0') && parent.contains(|c| c != '0'), "{value}");
    assert!(matches!(flags, "00" | "01" | "02" | "03"), "{value}");
    (trace.to_owned(), parent.to_owned(), flags.to_owned())
}

/// The trace goes on, below a span of the relay's.
fn continues(relay: &Relay, headers: &[(&str, &str)]) {
    let (trace, parent, flags) = sent(&relay.forward(headers));
    assert_eq!((trace.as_str(), flags.as_str()), (TRACE, "01"), "{headers:?}");
    assert_ne!(parent, "1234567890123456", "{headers:?}");
}

/// A new trace begins, and the one that came is not heard of.
fn restarts(relay: &Relay, headers: &[(&str, &str)]) {
    let request = relay.forward(headers);
    let (trace, _, flags) = sent(&request);
    assert_ne!(trace, TRACE, "{headers:?}");
    assert_eq!(flags, "03", "a new trace is sampled and random");
    assert!(request.values("tracestate").is_empty(), "{headers:?}");
}

fn each_restarts(runtime: &str, parents: &[&str]) {
    let relay = Relay::start(runtime);
    for parent in parents {
        restarts(&relay, &[("traceparent", parent), ("tracestate", "foo=1")]);
    }
}

fn with(version: &str, trace: &str, parent: &str, flags: &str) -> String {
    format!("{version}-{trace}-{parent}-{flags}")
}

pub(crate) fn both_missing(runtime: &str) {
    restarts(&Relay::start(runtime), &[]);
}

pub(crate) fn traceparent_without_tracestate(runtime: &str) {
    continues(&Relay::start(runtime), &[("traceparent", PARENT)]);
}

/// TP-6.
pub(crate) fn duplicated(runtime: &str) {
    let relay = Relay::start(runtime);
    let other = PARENT.replace("9012-", "9011-");
    restarts(&relay, &[("traceparent", &other), ("traceparent", PARENT)]);
    restarts(&relay, &[("traceparent", PARENT), ("traceparent", &other)]);
    restarts(&relay, &[("traceparent", PARENT), ("Traceparent", PARENT), ("tracestate", "a=1")]);
    restarts(&relay, &[("traceparent", &format!("{PARENT},{PARENT}"))]);
}

/// TP-1.
pub(crate) fn header_name(runtime: &str) {
    let relay = Relay::start(runtime);
    for name in ["trace-parent", "trace.parent", "traceparent2"] {
        restarts(&relay, &[(name, PARENT)]);
    }
}

/// TP-1.
pub(crate) fn header_name_in_any_case(runtime: &str) {
    let relay = Relay::start(runtime);
    for name in ["TraceParent", "TrAcEpArEnT", "TRACEPARENT"] {
        continues(&relay, &[(name, PARENT)]);
    }
}

/// TP-2.
pub(crate) fn version_00(runtime: &str) {
    each_restarts(
        runtime,
        &[
            &format!("{PARENT}."),
            &format!("{PARENT}-"),
            &format!("{PARENT}-what-the-future-will-be-like"),
        ],
    );
}

/// TP-5.
pub(crate) fn version_cc(runtime: &str) {
    let relay = Relay::start(runtime);
    let newer = PARENT.replacen("00", "cc", 1);
    continues(&relay, &[("traceparent", &newer)]);
    continues(&relay, &[("traceparent", &format!("{newer}-"))]);
    continues(&relay, &[("traceparent", &format!("{newer}-what-the-future-will-be-like"))]);
    restarts(&relay, &[("traceparent", &format!("{newer}.what-the-future-will-be-like"))]);
}

/// TP-4.
pub(crate) fn version_ff(runtime: &str) {
    each_restarts(runtime, &[&PARENT.replacen("00", "ff", 1)]);
}

/// TP-4.
pub(crate) fn version_with_illegal_characters(runtime: &str) {
    let each = [".0", "0.", "CC", "0g"].map(|version| PARENT.replacen("00", version, 1));
    each_restarts(runtime, &each.each_ref().map(String::as_str));
}

/// TP-4.
pub(crate) fn version_too_long(runtime: &str) {
    let each = ["000", "0000"].map(|version| PARENT.replacen("00", version, 1));
    each_restarts(runtime, &each.each_ref().map(String::as_str));
}

/// TP-4.
pub(crate) fn version_too_short(runtime: &str) {
    each_restarts(runtime, &[&PARENT.replacen("00", "0", 1), &PARENT[2..], &PARENT[3..]]);
}

/// TP-3.
pub(crate) fn trace_id_all_zero(runtime: &str) {
    each_restarts(runtime, &[&PARENT.replace(TRACE, &"0".repeat(32))]);
}

/// TP-2, TP-3.
pub(crate) fn trace_id_with_illegal_characters(runtime: &str) {
    let each = [
        ".2345678901234567890123456789012",
        "1234567890123456789012345678901.",
        "1234567890123456789012345678901A",
        "1234567890123456 890123456789012",
    ]
    .map(|trace| PARENT.replace(TRACE, trace));
    each_restarts(runtime, &each.each_ref().map(String::as_str));
}

/// TP-2.
pub(crate) fn trace_id_too_long(runtime: &str) {
    each_restarts(runtime, &[&PARENT.replace(TRACE, &format!("{TRACE}3"))]);
}

/// TP-2.
pub(crate) fn trace_id_too_short(runtime: &str) {
    each_restarts(runtime, &[&PARENT.replace(TRACE, &TRACE[1..])]);
}

/// TP-3.
pub(crate) fn parent_id_all_zero(runtime: &str) {
    each_restarts(runtime, &[&with("00", TRACE, &"0".repeat(16), "01")]);
}

/// TP-2, TP-3.
pub(crate) fn parent_id_with_illegal_characters(runtime: &str) {
    let each = [".234567890123456", "123456789012345.", "123456789012345F"]
        .map(|parent| with("00", TRACE, parent, "01"));
    each_restarts(runtime, &each.each_ref().map(String::as_str));
}

/// TP-2.
pub(crate) fn parent_id_too_long(runtime: &str) {
    each_restarts(runtime, &[&with("00", TRACE, "12345678901234567", "01")]);
}

/// TP-2.
pub(crate) fn parent_id_too_short(runtime: &str) {
    each_restarts(runtime, &[&with("00", TRACE, "123456789012345", "01")]);
}

/// TP-2.
pub(crate) fn trace_flags_with_illegal_characters(runtime: &str) {
    let each = [".0", "0.", "0A", " 1"].map(|flags| with("00", TRACE, "1234567890123456", flags));
    each_restarts(runtime, &each.each_ref().map(String::as_str));
}

/// TP-2.
pub(crate) fn trace_flags_too_long(runtime: &str) {
    each_restarts(runtime, &[&with("00", TRACE, "1234567890123456", "001")]);
}

/// TP-2.
pub(crate) fn trace_flags_too_short(runtime: &str) {
    each_restarts(runtime, &[&with("00", TRACE, "1234567890123456", "1")]);
}

/// TP-7.
pub(crate) fn white_space_around(runtime: &str) {
    let relay = Relay::start(runtime);
    for (before, after) in [(" ", ""), ("\t", ""), ("", " "), ("", "\t"), ("\t ", " \t")] {
        continues(&relay, &[("traceparent", &format!("{before}{PARENT}{after}"))]);
    }
}

/// TP-10: each request has a parent id of its own.
pub(crate) fn several_requests_with_a_valid_traceparent(runtime: &str) {
    let requests =
        Relay::start(runtime).forward_to(&[("traceparent", PARENT)], &["/1", "/2", "/3"]);
    let sent: Vec<_> = requests.iter().map(sent).collect();
    assert!(sent.iter().all(|(trace, _, _)| trace == TRACE), "{sent:?}");
    assert_eq!(sent.iter().map(|(_, parent, _)| parent).collect::<HashSet<_>>().len(), 3);
}

pub(crate) fn several_requests_without_a_traceparent(runtime: &str) {
    one_new_trace(&Relay::start(runtime), &[]);
}

pub(crate) fn several_requests_with_an_illegal_traceparent(runtime: &str) {
    one_new_trace(&Relay::start(runtime), &[("traceparent", "00-0-0-0"), ("tracestate", "foo=1")]);
}

fn one_new_trace(relay: &Relay, headers: &[(&str, &str)]) {
    let requests = relay.forward_to(headers, &["/1", "/2", "/3"]);
    let sent: Vec<_> = requests.iter().map(sent).collect();
    assert_eq!(sent.iter().map(|(trace, _, _)| trace).collect::<HashSet<_>>().len(), 1);
    assert_eq!(sent.iter().map(|(_, parent, _)| parent).collect::<HashSet<_>>().len(), 3);
    assert_ne!(sent[0].0, TRACE);
}

/// TP-3, TP-8: obsolete text of HTTP is no identity, and harms nothing else.
pub(crate) fn bytes_that_are_not_ascii(runtime: &str) {
    let relay = Relay::start(runtime);
    for parent in
        [format!("{PARENT}\u{a0}"), format!("\u{feff}{PARENT}"), PARENT.replace('1', "１")]
    {
        restarts(&relay, &[("traceparent", &parent), ("tracestate", "a=1")]);
    }
    continues(&relay, &[("traceparent", PARENT), ("x-other", "größe")]);
}

/// TP-12, TP-13, SC-9: the random flag goes on as it came, and no unknown one.
pub(crate) fn random_flag(runtime: &str) {
    let relay = Relay::start(runtime);
    for (came, goes) in [
        ("00", "00"),
        ("01", "01"),
        ("02", "02"),
        ("03", "03"),
        ("04", "00"),
        ("fd", "01"),
        ("fe", "02"),
        ("ff", "03"),
    ] {
        let parent = with("00", TRACE, "1234567890123456", came);
        let (trace, _, flags) = sent(&relay.forward(&[("traceparent", &parent)]));
        assert_eq!((trace.as_str(), flags.as_str()), (TRACE, goes), "{came}");
    }
}
