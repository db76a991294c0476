//! `tracestate`, by the cases that the recommendation's test suite has for level 2.
//!
//! Rows TS-4 to TS-11, TP-8 and TP-9 of the requirements;
//! [tracestate](https://www.w3.org/TR/trace-context-2/#tracestate-header).

use crate::http::Received;
use crate::process::Relay;
use crate::traceparent::{PARENT, TRACE, sent};

/// The one `tracestate` that was sent, if one was.
fn state(request: &Received) -> Option<String> {
    let values = request.values("tracestate");
    assert!(values.len() <= 1, "{values:?}");
    values.first().map(|value| (*value).to_owned())
}

/// What goes on of these lines, beside a `traceparent` that always does.
fn goes_on(relay: &Relay, lines: &[(&str, &str)]) -> Option<String> {
    let headers: Vec<_> =
        [("traceparent", PARENT)].into_iter().chain(lines.iter().copied()).collect();
    let request = relay.forward(&headers);
    assert_eq!(sent(&request).0, TRACE, "{lines:?}");
    state(&request)
}

fn stays(relay: &Relay, value: &str) {
    assert_eq!(goes_on(relay, &[("tracestate", value)]).as_deref(), Some(value));
}

fn is_discarded(relay: &Relay, value: &str) {
    assert_eq!(goes_on(relay, &[("tracestate", value)]), None, "{value}");
}

/// TP-8.
pub(crate) fn without_traceparent(runtime: &str) {
    let relay = Relay::start(runtime);
    let lines = [("tracestate", "foo=1"), ("tracestate", "bar=2")];
    for count in 1..=2 {
        let request = relay.forward(&lines[..count]);
        sent(&request);
        assert_eq!(state(&request), None);
    }
}

pub(crate) fn with_traceparent(runtime: &str) {
    stays(&Relay::start(runtime), "foo=1,bar=2");
}

/// TP-1.
pub(crate) fn header_name(runtime: &str) {
    let relay = Relay::start(runtime);
    for name in ["trace-state", "trace.state"] {
        assert_eq!(goes_on(&relay, &[(name, "foo=1")]), None, "{name}");
    }
}

/// TP-1.
pub(crate) fn header_name_in_any_case(runtime: &str) {
    let relay = Relay::start(runtime);
    for name in ["TraceState", "TrAcEsTaTe", "TRACESTATE"] {
        assert_eq!(goes_on(&relay, &[(name, "foo=1")]).as_deref(), Some("foo=1"), "{name}");
    }
}

/// TS-10.
pub(crate) fn empty_header(runtime: &str) {
    let relay = Relay::start(runtime);
    is_discarded(&relay, "");
    for lines in [["foo=1", ""], ["", "foo=1"]] {
        let lines = lines.map(|line| ("tracestate", line));
        assert_eq!(goes_on(&relay, &lines).as_deref(), Some("foo=1"));
    }
}

/// TP-9.
pub(crate) fn several_headers_of_different_keys(runtime: &str) {
    let relay = Relay::start(runtime);
    for lines in [
        &["foo=1,bar=2", "rojo=1,congo=2", "baz=3"][..],
        &["foo=1", "", "bar=2,rojo=1", "congo=2,baz=3"],
    ] {
        let lines: Vec<_> = lines.iter().map(|line| ("tracestate", *line)).collect();
        assert_eq!(goes_on(&relay, &lines).as_deref(), Some("foo=1,bar=2,rojo=1,congo=2,baz=3"));
    }
}

/// TS-9: the most recent one of a key is kept.
pub(crate) fn duplicated_keys(runtime: &str) {
    let relay = Relay::start(runtime);
    for (lines, expected) in [
        (&["foo=1,foo=1"][..], "foo=1"),
        (&["foo=1,foo=2"], "foo=1"),
        (&["foo=1", "foo=1"], "foo=1"),
        (&["foo=1", "bar=2,foo=3"], "foo=1,bar=2"),
    ] {
        let lines: Vec<_> = lines.iter().map(|line| ("tracestate", *line)).collect();
        assert_eq!(goes_on(&relay, &lines).as_deref(), Some(expected), "{lines:?}");
    }
}

/// TS-4, TS-5.
pub(crate) fn all_allowed_characters(runtime: &str) {
    let relay = Relay::start(runtime);
    let key = "abcdefghijklmnopqrstuvwxyz0123456789_-*/";
    let value: String = (' '..='~').filter(|c| !",=".contains(*c)).collect();
    // A space at the beginning belongs to the value.
    stays(&relay, &format!("{key}={value}"));
    stays(&relay, &format!("a{key}@{key}={value}"));
    stays(&relay, "0a= 1");
}

/// TS-5, TS-10.
pub(crate) fn white_space_around(runtime: &str) {
    let relay = Relay::start(runtime);
    for lines in [
        &["foo=1 , bar=2", "baz=3"][..],
        &["foo=1\t,\tbar=2", "baz=3"],
        &[" foo=1", "\tbar=2", "\t baz=3"],
        &["foo=1 ", "bar=2\t", "baz=3 \t"],
        &["\tfoo=1,, \t ,bar=2 ", "baz=3,"],
    ] {
        let lines: Vec<_> = lines.iter().map(|line| ("tracestate", *line)).collect();
        assert_eq!(goes_on(&relay, &lines).as_deref(), Some("foo=1,bar=2,baz=3"), "{lines:?}");
    }
}

/// TS-4, TS-7.
pub(crate) fn keys_with_illegal_characters(runtime: &str) {
    let relay = Relay::start(runtime);
    for value in ["foo =1", "FOO=1", "foo.bar=1", "foo\t=1", "=1", "f\u{f6}=1", "foo"] {
        is_discarded(&relay, value);
        is_discarded(&relay, &format!("ok=1,{value}"));
    }
}

/// TS-4: of level 2, which asks of an `@` only that it is not the first.
pub(crate) fn keys_of_illegal_vendor_format(runtime: &str) {
    let relay = Relay::start(runtime);
    for value in ["@foo=1,bar=2", "@=1", "@@=1"] {
        is_discarded(&relay, value);
    }
    for value in ["foo@=1,bar=2", "foo@@bar=1,bar=2", "foo@bar@baz=1,bar=2", "0foo@bar=1"] {
        stays(&relay, value);
    }
}

/// TS-6, TS-7.
pub(crate) fn member_count_limit(runtime: &str) {
    let relay = Relay::start(runtime);
    let members: Vec<String> = (1..=33).map(|i| format!("bar{i:02}={i:02}")).collect();
    stays(&relay, &members[..32].join(","));
    is_discarded(&relay, &members.join(","));
    let lines = [("tracestate", members[..20].join(",")), ("tracestate", members[20..].join(","))];
    let lines = lines.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(goes_on(&relay, &lines), None);
}

/// TS-4.
pub(crate) fn key_length_limit(runtime: &str) {
    let relay = Relay::start(runtime);
    for key in [
        "z".repeat(256),
        format!("{}@{}", "t".repeat(241), "v".repeat(14)),
        format!("{}@v", "t".repeat(242)),
    ] {
        stays(&relay, &format!("foo=1,{key}=1"));
    }
    is_discarded(&relay, &format!("foo=1,{}=1", "z".repeat(257)));
    is_discarded(&relay, &format!("foo=1,{}@{}=1", "t".repeat(241), "v".repeat(15)));
}

/// TS-5, TS-7.
pub(crate) fn values_with_illegal_characters(runtime: &str) {
    let relay = Relay::start(runtime);
    for value in [
        "foo=bar=baz",
        "foo=,bar=3",
        "foo=",
        "foo=\u{f6}",
        "foo=a\tb",
        &format!("foo={}", "v".repeat(257)),
    ] {
        is_discarded(&relay, value);
    }
}

/// TS-11: what is too long loses whole members, the long ones first.
pub(crate) fn oversized(runtime: &str) {
    let relay = Relay::start(runtime);
    let exactly = format!("a={},b={}", "v".repeat(254), "w".repeat(253));
    assert_eq!(exactly.len(), 512);
    stays(&relay, &exactly);
    // The longest member there may be.
    stays(&relay, &format!("{}={}", "k".repeat(256), "v".repeat(256)));
    let long = format!("long={}", "v".repeat(200));
    let short: Vec<String> = (0..30).map(|i| format!("k{i:02}={}", "v".repeat(12))).collect();
    let short = short.join(",");
    assert_eq!(goes_on(&relay, &[("tracestate", &format!("{long},{short}"))]), Some(short));
}
