//! Spans that hold more than most, as many as there are at a time, and what they take.

use core::time::Duration;

use throughline::exporters::{CapturedSpan, Memory};
use throughline::{Ledger, Span, StatusCode, Telemetry, Thread, Value, builder, span};

#[test]
fn every_live_span_may_be_large_and_memory_follows_the_most_at_a_time() {
    let before = resident();
    let memory = Memory::new();
    let builder = builder().max_live_spans(COUNT).max_queue_size(COUNT);
    let telemetry = builder.start(Thread::start().expect("a thread"), memory.clone());
    // The slots and the heads of the queue, and no block.
    let at_start = grown(before);
    assert!(at_start < Some(24_000_000), "{at_start:?} bytes at the start");
    // As many again and again use the same blocks.
    for _ in 0..10 {
        let spans = large_ones(&telemetry, 1_000);
        spans.into_iter().for_each(Span::end);
        assert!(telemetry.flush_blocking(Duration::from_secs(60)).is_complete());
        let arrived = memory.take();
        assert_eq!(arrived.len(), 1_000);
        assert!(arrived.iter().all(is_whole), "{:?}", arrived.iter().find(|span| !is_whole(span)));
    }
    let after = grown(before);
    // A page for each, and what they were queued and captured in.
    assert!(after < at_start.map(|start| start + 1_000 * 4_096 + 24_000_000), "{after:?}");
}

#[test]
fn every_one_of_two_thousand_live_spans_keeps_its_error() {
    let memory = Memory::new();
    let builder = builder().max_queue_size(COUNT);
    let telemetry = builder.start(Thread::start().expect("a thread"), memory.clone());
    let error = std::io::Error::other("e".repeat(230));
    let mut spans: Vec<_> =
        telemetry.context().scope(|| (0..2_000).map(|_| span!("call")).collect());
    spans.iter_mut().for_each(|span| span.record_error(&error));
    spans.into_iter().for_each(Span::end);
    assert!(telemetry.flush_blocking(Duration::from_secs(60)).is_complete());
    let arrived = memory.take();
    let has_error = |span: &&CapturedSpan| {
        span.events.iter().any(|(name, _)| name == "exception") && span.status.1.len() == 230
    };
    assert_eq!(arrived.iter().filter(has_error).count(), 2_000);
}

#[test]
fn an_attribute_longer_than_the_memory_of_a_span_is_cut_and_the_span_is_counted() {
    let (span, ledger) = one(|span| {
        span.set_attribute("text", &*"ä".repeat(17_000));
        span.set_attribute("after", "the text");
    });
    let text = span.attribute("text").expect("the text");
    assert!((10_000..SPAN_BYTES).contains(&text.len()), "{} bytes", text.len());
    assert!(text.chars().all(|each| each == 'ä'));
    assert_eq!(span.attribute("after"), Some("the text"));
    assert_eq!((ledger.memory_limited(), ledger.limited()), (1, 0));
    let (span, ledger) = one(|span| span.set_attribute("text", &*"x".repeat(16_000)));
    assert_eq!(span.attribute("text").map(str::len), Some(16_000));
    assert_eq!((ledger.memory_limited(), ledger.limited()), (0, 0));
}

#[test]
fn an_error_message_longer_than_the_memory_of_a_span_leaves_the_exception_and_the_status() {
    let message = format!("begins so {}", "漢".repeat(20_000));
    let (span, ledger) = one(|span| {
        span.record_error(&std::io::Error::other(message.clone()));
        span.set_attribute("after", 1);
        span.record_error(&std::io::Error::other("the next one"));
    });
    let [(first, attributes), (second, _)] = &span.events[..] else { panic!("{span:?}") };
    assert_eq!((&**first, &**second), ("exception", "exception"));
    let attribute = |key| attributes.iter().find(|(other, _)| other == key).map(|(_, text)| text);
    assert_eq!(attribute("exception.type").map(String::as_str), Some("std::io::error::Error"));
    let told = attribute("exception.message").expect("a message");
    assert!(told.len() > 4_000 && message.starts_with(told.as_str()), "{} bytes", told.len());
    assert_eq!(span.status, (StatusCode::Error, "the next one".to_owned()));
    assert_eq!((span.attribute("after"), ledger.memory_limited()), (Some("1"), 1));
    let (span, _) = one(|span| span.record_error(&std::io::Error::other(message.clone())));
    let (code, told) = span.status;
    assert!(code == StatusCode::Error && told.len() > 3_000, "{} bytes", told.len());
    assert!(message.starts_with(&told));
}

#[test]
fn a_name_longer_than_the_memory_of_a_span_replaces_the_former_one_as_far_as_it_fits() {
    let name = "long ".repeat(4_000);
    let (span, ledger) = one(|span| span.update_name(&name));
    assert!(span.name.len() > 3_000 && name.starts_with(&span.name), "{} bytes", span.name.len());
    assert_eq!((ledger.memory_limited(), ledger.limited()), (1, 0));
}

#[test]
fn what_cannot_be_cut_is_left_out_and_the_span_is_counted() {
    let numbers = vec![i64::MAX; 2_000];
    let (span, ledger) = one(|span| span.set_attribute("numbers", Value::I64s(&numbers)));
    assert_eq!(span.attributes, []);
    assert_eq!((ledger.memory_limited(), ledger.limited()), (1, 0));
}

#[test]
fn spans_beyond_the_number_of_large_ones_have_what_fits_and_are_counted() {
    let memory = Memory::new();
    let builder = builder().max_live_spans(100).max_large_spans(10);
    let telemetry = builder.start(Thread::start().expect("a thread"), memory.clone());
    let spans = large_ones(&telemetry, 30);
    spans.into_iter().for_each(Span::end);
    assert!(telemetry.flush_blocking(Duration::from_secs(60)).is_complete());
    let arrived = memory.take();
    assert_eq!(arrived.iter().filter(|span| is_whole(span)).count(), 10);
    assert_eq!((telemetry.ledger().memory_limited(), telemetry.ledger().limited()), (20, 0));
}

/// A span that this is done with, and the ledger.
fn one(work: impl FnOnce(&mut Span)) -> (CapturedSpan, Ledger) {
    let memory = Memory::new();
    let telemetry = builder().start(Thread::start().expect("a thread"), memory.clone());
    let mut span = telemetry.context().scope(|| span!("work"));
    work(&mut span);
    span.end();
    assert!(telemetry.flush_blocking(Duration::from_secs(60)).is_complete());
    (memory.take().remove(0), telemetry.ledger())
}

const SPAN_BYTES: usize = 16_384;
const COUNT: usize = 8_192;

/// Live spans, each with thirteen attributes of an HTTP server's.
fn large_ones(telemetry: &Telemetry, count: usize) -> Vec<Span> {
    telemetry.context().scope(|| {
        let one = |number: usize| {
            let mut span = span!("GET");
            for (key, value) in ATTRIBUTES {
                span.set_attribute(key, value);
            }
            span.set_attribute("url.path", &*format!("/orders/{number}"));
            span
        };
        (0..count).map(one).collect()
    })
}

fn is_whole(span: &CapturedSpan) -> bool {
    ATTRIBUTES.iter().all(|(key, value)| span.attribute(key) == Some(*value))
        && span.attribute("url.path").is_some()
}

const ATTRIBUTES: [(&str, &str); 12] = [
    ("http.request.method", "GET"),
    ("http.route", "/orders/{order}"),
    ("http.response.status_code", "200"),
    ("url.scheme", "https"),
    ("server.address", "shop.example.com"),
    ("server.port", "443"),
    ("client.address", "2001:db8:85a3:8d3:1319:8a2e:370:7348"),
    ("network.protocol.version", "1.1"),
    ("network.peer.address", "10.200.13.7"),
    ("network.peer.port", "49152"),
    (
        "user_agent.original",
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    ),
    ("enduser.id", "7f5e1c52-9d0c-4b5e-8a51-0c7a3a1b9d11"),
];

/// The memory that the process has resident, in bytes, where the system tells it.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(1_024 * line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?)
}

fn grown(before: Option<u64>) -> Option<u64> {
    Some(resident()?.saturating_sub(before?))
}
