//! What the relay promises beside tracing, and with it.

use std::collections::HashMap;
use std::io::Write;
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};

use crate::http::{answer, send};
use crate::https::SecureTarget;
use crate::process::Relay;
use crate::traceparent::{PARENT, TRACE, sent};

pub(crate) fn each_element_is_posted_in_order_with_its_arguments_as_they_came(runtime: &str) {
    let relay = Relay::start(runtime);
    let (first, second) = (relay.target.url("/status/404?a=1"), relay.target.url("/status/200"));
    let body = format!(
        r#"[{{"url":"{first}","arguments":[ 1.0,"é" ],"other":{{}}}},{{"arguments":null,"url":"{second}"}}]"#
    );
    let answer = relay.post(&[("Content-Type", "application/json")], &body);
    assert_eq!((answer.status(), answer.values("content-type")), (200, vec!["application/json"]));
    let expected = json!([{ "url": first, "status": 404 }, { "url": second, "status": 200 }]);
    assert_eq!(answer.body.parse::<Value>().expect("JSON"), expected);
    let (one, two) = (relay.target.next(), relay.target.next());
    assert_eq!(
        (one.first_line.as_str(), one.body.as_str()),
        ("POST /status/404?a=1 HTTP/1.1", r#"[ 1.0,"é" ]"#)
    );
    assert_eq!((two.first_line.as_str(), two.body.as_str()), ("POST /status/200 HTTP/1.1", "null"));
    assert_eq!(one.values("content-type"), ["application/json"]);
    assert_eq!(one.values("host"), [relay.target.address.to_string()]);
}

pub(crate) fn null_and_an_empty_array_forward_nothing(runtime: &str) {
    let relay = Relay::start(runtime);
    for body in ["null", "[]", " [ ] "] {
        let answer = relay.post(&[], body);
        assert_eq!((answer.status(), answer.body.as_str()), (200, "[]"));
    }
    assert!(relay.target.rest().is_empty());
}

pub(crate) fn any_other_body_is_answered_400(runtime: &str) {
    let relay = Relay::start(runtime);
    let url = relay.target.url("/");
    for body in
        ["", "{}", "[1]", r#"[{"url":1,"arguments":[]}]"#, &format!(r#"[{{"url":"{url}"}}]"#)]
    {
        assert_eq!(relay.post(&[], body).status(), 400, "{body}");
    }
    let half = format!(r#"[{{"url":"{url}","arguments":[]}},{{}}]"#);
    assert_eq!(relay.post(&[], &half).status(), 400);
    assert!(relay.target.rest().is_empty(), "nothing is forwarded of a body that is refused");
}

/// Whether it is an array is not known, so it is no 400.
pub(crate) fn a_body_that_is_too_long_to_be_read_is_answered_413(runtime: &str) {
    let relay = Relay::start(runtime);
    let mut stream = TcpStream::connect(relay.address).expect("it listens");
    let length = 16 * 1024 * 1024 + 1;
    let head = format!("POST /relay HTTP/1.1\r\nHost: relay\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("it reads");
    // It may have answered, and closed, before all of it is sent.
    let chunk = vec![b' '; 1024 * 1024];
    let mut left = length;
    while left > 0 && stream.write_all(&chunk[..chunk.len().min(left)]).is_ok() {
        left -= chunk.len().min(left);
    }
    assert_eq!(answer(&stream).status(), 413);
}

pub(crate) fn a_target_behind_https_is_reached_if_its_certificate_is_trusted(runtime: &str) {
    let target = SecureTarget::start(runtime);
    let url = format!("https://{}/", target.address);
    let body = format!(r#"[{{"url":"{url}","arguments":[7]}}]"#);
    let file = target.certificate.to_str().expect("text");
    let relay = Relay::with(runtime, &[("SSL_CERT_FILE", file)]);
    let answer = relay.post(&[("traceparent", PARENT)], &body);
    assert_eq!(answer.body, json!([{ "url": url, "status": 201 }]).to_string());
    let request = target.next();
    assert_eq!((sent(&request).0.as_str(), request.body.as_str()), (TRACE, "[7]"));
    // Nobody vouches for it.
    let strict = Relay::with(runtime, &[("SSL_CERT_FILE", "")]);
    let answer = strict.post(&[], &body);
    assert_eq!(answer.status(), 200);
    assert!(answer.body.contains("\"error\""), "{answer:?}");
}

pub(crate) fn an_element_that_hangs_leaves_time_for_the_next_one(runtime: &str) {
    let relay = Relay::start(runtime);
    let [hang, next] = ["/hang", "/status/503"].map(|path| relay.target.url(path));
    let body = json!([{ "url": hang, "arguments": [] }, { "url": next, "arguments": [] }]);
    let answer = relay.post(&[], &body.to_string());
    let answers: Vec<HashMap<String, Value>> = serde_json::from_str(&answer.body).expect("objects");
    assert_eq!((answer.status(), answers.len()), (200, 2));
    assert!(answers[0].contains_key("error"), "{answer:?}");
    assert_eq!(answers[1]["status"], 503);
}

pub(crate) fn another_path_or_method_is_refused(runtime: &str) {
    let relay = Relay::start(runtime);
    let status = |line: &str| answer(&send(relay.address, line, &[], "[]")).status();
    assert_eq!(status("POST /other HTTP/1.1"), 404);
    assert_eq!(status("GET /relay HTTP/1.1"), 405);
    assert_eq!(status("POST /relay HTTP/1.1"), 200);
}

pub(crate) fn a_target_that_fails_does_not_fail_the_request(runtime: &str) {
    let relay = Relay::start(runtime);
    // A port of which nobody else gets hold, and on which nobody listens.
    let closed = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    let refused = format!("http://{}/", closed.expect("a port"));
    let urls = [
        refused,
        relay.target.url("/close"),
        // Nobody speaks TLS there.
        relay.target.url("/").replace("http", "https"),
        "ftp://127.0.0.1/".to_owned(),
        "not a url".to_owned(),
        "/relative".to_owned(),
        relay.target.url("/hang"),
        relay.target.url("/status/500"),
    ];
    let body: Vec<Value> = urls.iter().map(|url| json!({ "url": url, "arguments": {} })).collect();
    let answer = relay.post(&[], &Value::Array(body).to_string());
    assert_eq!(answer.status(), 200);
    let answers: Vec<HashMap<String, Value>> = serde_json::from_str(&answer.body).expect("objects");
    let told: Vec<_> = answers.iter().map(|answer| answer["url"].as_str().expect("text")).collect();
    assert_eq!(told, urls);
    for (answer, url) in answers.iter().zip(&urls) {
        let key = if url.ends_with("/500") { "status" } else { "error" };
        assert!(answer.len() == 2 && answer.contains_key(key), "{answer:?}");
    }
    assert_eq!(answers[7]["status"], 500);
}

pub(crate) fn no_header_of_the_request_is_passed_on(runtime: &str) {
    let relay = Relay::start(runtime);
    let request = relay.forward(&[
        ("traceparent", PARENT),
        ("tracestate", "a=1"),
        ("baggage", "b=2"),
        ("Authorization", "secret"),
        ("Cookie", "a=1"),
        ("b3", "0"),
        ("X-Request-Id", "7"),
        ("User-Agent", "test"),
    ]);
    let mut names: Vec<_> =
        request.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.sort();
    let expected =
        ["baggage", "content-length", "content-type", "host", "traceparent", "tracestate"];
    assert_eq!(names, expected);
}

pub(crate) fn requests_are_served_at_once_and_contexts_never_mix(runtime: &str) {
    let relay = Relay::start(runtime);
    // Both are under way before either has its answer: the first one hangs.
    let body = |path: &str| format!(r#"[{{"url":"{}","arguments":[]}}]"#, relay.target.url(path));
    let line = "POST /relay HTTP/1.1";
    let hanging = send(relay.address, line, &[("traceparent", PARENT)], &body("/hang"));
    assert_eq!(sent(&relay.target.next()).0, TRACE);
    let streams: Vec<_> = (1..=50u64)
        .map(|i| {
            let (parent, state) = (format!("00-{i:032x}-{i:016x}-01"), format!("k={i}"));
            let headers = [("traceparent", parent.as_str()), ("tracestate", &state)];
            send(relay.address, line, &headers, &body(&format!("/{i}")))
        })
        .collect();
    for _ in &streams {
        let request = relay.target.next();
        let i: u64 = request
            .first_line
            .split(['/', ' '])
            .nth(2)
            .and_then(|i| i.parse().ok())
            .expect("a number");
        assert_eq!(sent(&request).0, format!("{i:032x}"));
        assert_eq!(request.values("tracestate"), [format!("k={i}")]);
    }
    assert!(streams.iter().all(|stream| answer(stream).status() == 200));
    assert_eq!(answer(&hanging).status(), 200, "with the error of its element");
}

pub(crate) fn header_fields_of_16_kib_are_taken(runtime: &str) {
    let relay = Relay::start(runtime);
    let long = "x".repeat(16 * 1024);
    // Each is of 16 KiB: what is too long is cut by whole members, or left out.
    let state = format!("{}{}", "k=1,", ",".repeat(16 * 1024 - 4));
    let baggage = format!("a=1,b={}", &long[..16 * 1024 - 6]);
    let mut headers =
        vec![("traceparent", PARENT), ("tracestate", state.as_str()), ("baggage", &baggage)];
    // Others too, more than a library takes by default.
    headers.extend([("x-other", long.as_str()); 40]);
    let request = relay.forward(&headers);
    assert_eq!(sent(&request).0, TRACE);
    assert_eq!(
        (request.values("tracestate"), request.values("baggage")),
        (vec!["k=1"], vec!["a=1"])
    );
    let request = relay.forward(&[("traceparent", &long), ("tracestate", "a=1")]);
    assert_ne!(sent(&request).0, TRACE);
}

/// TP-10.
pub(crate) fn each_element_has_a_span_of_its_own(runtime: &str) {
    let relay = Relay::start(runtime);
    let requests = relay.forward_to(&[("traceparent", PARENT)], &["/1", "/2"]);
    let parents: Vec<_> = requests.iter().map(|request| sent(request).1).collect();
    assert!(parents[0] != parents[1] && !parents.contains(&"1234567890123456".to_owned()));
}

pub(crate) fn an_unsampled_trace_goes_on_unsampled(runtime: &str) {
    let unsampled = PARENT.replace("-01", "-00");
    let headers = [("traceparent", unsampled.as_str()), ("tracestate", "a=1")];
    let request = Relay::start(runtime).forward(&headers);
    let (trace, parent, flags) = sent(&request);
    assert_eq!((trace.as_str(), flags.as_str()), (TRACE, "00"));
    assert_ne!(parent, "1234567890123456");
    assert_eq!(request.values("tracestate"), ["a=1"]);
    let off = Relay::with(runtime, &[("OTEL_TRACES_SAMPLER", "always_off")]);
    let (trace, _, flags) = sent(&off.forward(&[("traceparent", PARENT)]));
    assert_eq!((trace.as_str(), flags.as_str()), (TRACE, "00"));
}

/// WB-1, BAG-1.
pub(crate) fn baggage_goes_on(runtime: &str) {
    let relay = Relay::start(runtime);
    let request = relay.forward(&[("Baggage", " a = 1 ;p"), ("baggage", "b=%20,a=2")]);
    assert_eq!(request.values("baggage"), ["a=2,b=%20"]);
    sent(&request);
}

/// ENV-10, B3-3.
pub(crate) fn other_propagators_are_chosen_by_the_variable(runtime: &str) {
    let relay = Relay::with(runtime, &[("OTEL_PROPAGATORS", "b3")]);
    let request =
        relay.forward(&[("traceparent", PARENT), ("b3", &format!("{TRACE}-1234567890123456-1"))]);
    let [value] = request.values("b3")[..] else { panic!("{request:?}") };
    let parts: Vec<&str> = value.split('-').collect();
    assert!(parts.len() == 3 && parts[0] == TRACE && parts[2] == "1", "{value}");
    assert_ne!(parts[1], "1234567890123456", "it is the parent's");
    assert!(request.values("traceparent").is_empty());
}

/// ENV-7, TP-11: it stands for its caller.
pub(crate) fn a_program_that_is_switched_off_hands_on_what_came(runtime: &str) {
    let relay = Relay::with(runtime, &[("OTEL_SDK_DISABLED", "true")]);
    let headers = [("traceparent", PARENT), ("tracestate", "a=1"), ("baggage", "b=2")];
    let request = relay.forward(&headers);
    for (name, value) in headers {
        assert_eq!(request.values(name), [value]);
    }
}
