//! Spans that hold more than most, as many as there are at a time, and what they take.

use core::time::Duration;

use throughline::exporters::{CapturedSpan, Memory};
use throughline::{Span, Telemetry, Thread, builder, span};

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
    ATTRIBUTES.iter().all(|(key, value)| span.attribute(key).as_deref() == Some(*value))
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
