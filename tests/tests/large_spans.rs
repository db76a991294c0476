//! Spans that hold more than most, as many as there are at a time, and what they take.

#[path = "large_spans/made.rs"]
mod made;

use core::time::Duration;

use made::{is_whole, large_ones};

use throughline::exporters::{CapturedSpan, Memory};
use throughline::{Ledger, Span, StatusCode, Thread, Value, builder, span};

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
