//! The store by itself: integrity, eviction, queries, completions.

use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Wire};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use throughline_console::{END_ATTRIBUTE, Ending, Standing};

use super::Store;
use crate::StoreLimits;

fn span(trace: u8, id: u8, parent: u8) -> Span {
    Span {
        trace_id: vec![trace; 16],
        span_id: vec![id; 8],
        parent_span_id: if parent == 0 { Vec::new() } else { vec![parent; 8] },
        name: format!("span {id}"),
        start_time_unix_nano: 100 + u64::from(id),
        end_time_unix_nano: 200 + u64::from(id),
        ..Span::default()
    }
}

fn text(key: &str, text: &str) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(Wire::StringValue(text.into())) }),
        ..KeyValue::default()
    }
}

fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    }
}

fn store(limits: StoreLimits, spans: Vec<Span>) -> Arc<Store> {
    let store = Arc::new(Store::new(limits));
    store.take_in(request(spans), Instant::now());
    store
}

fn holding(spans: Vec<Span>) -> Arc<Store> {
    store(StoreLimits::default(), spans)
}

#[test]
fn a_whole_trace_is_whole_in_whatever_order_it_came() {
    let store = holding(vec![span(1, 3, 2), span(1, 2, 1), span(1, 1, 0)]);
    let report = store.integrity();
    assert!(report.is_whole(), "{report:?}");
    assert_eq!((report.traces, report.spans), (1, 3));
}

#[test]
fn a_span_that_still_runs_is_held_when_it_has_ended() {
    let heartbeat = Span { attributes: vec![text("throughline.heartbeat", "")], ..span(1, 1, 0) };
    let store = holding(vec![heartbeat]);
    assert_eq!(store.integrity().spans, 0);
    store.take_in(request(vec![span(1, 2, 1), span(1, 1, 0)]), Instant::now());
    let report = store.integrity();
    assert!(report.is_whole() && report.spans == 2, "{report:?}");
}

#[test]
fn an_empty_store_is_whole() {
    assert!(holding(Vec::new()).integrity().is_whole());
}

#[test]
fn a_span_whose_parent_never_came_is_an_orphan() {
    let report = holding(vec![span(1, 1, 0), span(1, 2, 9)]).integrity();
    assert_eq!(report.orphan_spans, 1);
    assert_eq!(report.incomplete_traces, 1);
    assert_eq!(report.foreign_parents, 0);
    assert_eq!(report.first_incomplete, Some([1; 16]));
    assert!(!report.is_whole());
}

#[test]
fn a_parent_in_another_trace_is_foreign_and_its_child_an_orphan() {
    let spans = vec![span(1, 1, 0), span(2, 2, 0), span(2, 3, 1)];
    let report = holding(spans).integrity();
    assert_eq!(report.foreign_parents, 1);
    assert_eq!(report.orphan_spans, 1);
    assert_eq!(report.first_incomplete, Some([2; 16]));
}

#[test]
fn a_span_that_came_twice_is_a_duplicate() {
    let report = holding(vec![span(1, 1, 0), span(1, 2, 1), span(1, 2, 1)]).integrity();
    assert_eq!(report.duplicate_spans, 1);
    assert_eq!(report.incomplete_traces, 0);
    assert!(!report.is_whole());
}

#[test]
fn an_id_that_two_traces_share_is_a_duplicate() {
    let report = holding(vec![span(1, 1, 0), span(2, 1, 0)]).integrity();
    assert_eq!(report.duplicate_spans, 1);
}

#[test]
fn two_roots_or_none_make_a_trace_incomplete() {
    let two = holding(vec![span(1, 1, 0), span(1, 2, 0)]).integrity();
    assert_eq!((two.incomplete_traces, two.orphan_spans), (1, 0));
    let none = holding(vec![span(1, 1, 2), span(1, 2, 1)]).integrity();
    assert_eq!((none.incomplete_traces, none.orphan_spans), (1, 0));
}

#[test]
fn ids_that_are_no_ids_are_rejected_and_counted() {
    let mut bad = vec![span(1, 1, 0), span(0, 1, 0), span(1, 0, 0)];
    bad[0].trace_id.pop();
    let mut parent = span(1, 1, 2);
    parent.parent_span_id.push(0);
    bad.push(parent);
    let store = Store::new(StoreLimits::default());
    assert_eq!(store.take_in(request(bad), Instant::now()), 4);
    let stats = store.stats();
    assert_eq!((stats.spans_received, stats.spans_rejected), (0, 4));
}

#[test]
fn a_parent_of_zeros_is_no_parent() {
    let mut root = span(1, 1, 0);
    root.parent_span_id = vec![0; 8];
    assert!(holding(vec![root]).integrity().is_whole());
}

#[test]
fn the_oldest_trace_makes_room_whole_and_is_counted() {
    let limits = StoreLimits { max_spans: 3, ..StoreLimits::default() };
    let spans = vec![span(1, 1, 0), span(1, 2, 1), span(2, 3, 0), span(3, 4, 0)];
    let store = store(limits, spans);
    let stats = store.stats();
    assert_eq!((stats.evicted_traces, stats.evicted_spans), (1, 2));
    assert_eq!((stats.traces_held, stats.spans_held), (2, 2));
    assert_eq!((stats.traces_received, stats.spans_received), (3, 4));
    assert!(store.trace([1; 16]).is_none());
    assert!(!store.integrity().is_whole());
}

#[test]
fn traces_and_bytes_are_limits_too() {
    let few = StoreLimits { max_traces: 2, ..StoreLimits::default() };
    let spans = || (1..=5).map(|id| span(id, id, 0)).collect::<Vec<_>>();
    assert_eq!(store(few, spans()).stats().traces_held, 2);

    let one = store(StoreLimits::default(), vec![span(1, 1, 0)]).stats();
    let small = StoreLimits { max_bytes: one.bytes_held * 3, ..StoreLimits::default() };
    let stats = store(small, spans()).stats();
    assert_eq!((stats.traces_held, stats.evicted_traces), (3, 2));
    assert!(stats.bytes_held <= small.max_bytes);
}

#[test]
fn limits_of_zero_still_hold_the_latest_span() {
    let none = StoreLimits { max_spans: 0, max_traces: 0, max_bytes: 0, detailed_traces: 0 };
    let store = store(none, vec![span(1, 1, 0), span(1, 2, 1), span(2, 3, 0)]);
    let stats = store.stats();
    assert_eq!((stats.spans_held, stats.evicted_traces), (1, 2));
}

#[test]
fn traces_beyond_the_detailed_ones_keep_shape_and_outcome() {
    let limits = StoreLimits { detailed_traces: 1, ..StoreLimits::default() };
    let with_detail = |trace, id| Span {
        attributes: vec![text("user", "7"), text(END_ATTRIBUTE, "cancelled")],
        status: Some(Status { code: 2, message: "late".into() }),
        ..span(trace, id, 0)
    };
    let store = store(limits, vec![with_detail(1, 1), with_detail(2, 2)]);
    let first = store.trace([1; 16]).expect("held");
    assert_eq!(first.spans()[0].attributes.len(), 2);
    let second = store.trace([2; 16]).expect("held");
    let bare = &second.spans()[0];
    assert_eq!(bare.name, "span 2");
    assert_eq!(bare.ending(), Ending::Cancelled);
    assert!(bare.is_error());
    assert_eq!(bare.attributes.len(), 1);
}

#[test]
fn queries_find_the_slowest_the_failed_and_the_cancelled() {
    let mut slow = span(2, 2, 0);
    slow.end_time_unix_nano = 9_000;
    let mut failed = span(3, 3, 0);
    failed.status = Some(Status { code: 2, message: String::new() });
    let mut cancelled = span(4, 4, 0);
    cancelled.attributes.push(text(END_ATTRIBUTE, "cancelled"));
    let store = holding(vec![span(1, 1, 0), slow, failed, cancelled]);
    let id = |trace: Option<throughline_console::Trace>| trace.map(|trace| trace.trace_id()[0]);
    assert_eq!(id(store.slowest()), Some(2));
    assert_eq!(id(store.slowest_where(|trace| trace.errors > 0)), Some(3));
    assert_eq!(id(store.first_error()), Some(3));
    assert_eq!(id(store.first_cancelled()), Some(4));
    assert_eq!(id(store.first_where(|trace| &*trace.name == "span 1")), Some(1));
    assert_eq!(id(store.first_where(|trace| trace.panicked > 0)), None);
    let all: Vec<u8> = store.traces().map(|trace| trace.trace_id()[0]).collect();
    assert_eq!(all, [1, 2, 3, 4]);
}

#[test]
fn the_remote_bit_of_the_flags_is_kept() {
    let mut entry = span(1, 1, 9);
    entry.flags = 0x300;
    let trace = holding(vec![entry]).trace([1; 16]).expect("held");
    assert_eq!(trace.standing(0), Standing::Entry);
}

#[test]
fn a_complete_trace_is_given_out_and_again_when_it_grows() {
    let store = holding(vec![span(1, 1, 0)]);
    let mut completions = store.completions(Duration::ZERO, Duration::ZERO);
    let first = completions.next().expect("complete at once");
    assert!(!first.is_late());
    assert_eq!(first.new_spans().count(), 1);

    store.take_in(request(vec![span(1, 2, 1)]), Instant::now());
    let second = completions.next().expect("complete at once");
    assert!(second.is_late());
    assert_eq!(second.trace().spans().len(), 2);
    let new: Vec<_> = second.new_spans().map(|span| span.span_id).collect();
    assert_eq!(new, [[2; 8]]);

    store.close();
    assert!(completions.next().is_none());
}

#[test]
fn closing_gives_out_what_was_still_waiting() {
    let forever = Duration::MAX;
    let store = holding(Vec::new());
    let completions = store.completions(forever, forever);
    store.take_in(request(vec![span(1, 1, 0), span(2, 2, 9)]), Instant::now());
    store.close();
    assert_eq!(completions.count(), 2);
}

#[test]
fn a_subscription_wakes_for_what_arrives_on_another_thread() {
    let store = holding(Vec::new());
    let mut completions = store.completions(Duration::ZERO, Duration::ZERO);
    let waiting = std::thread::spawn(move || completions.next());
    store.take_in(request(vec![span(1, 1, 0)]), Instant::now());
    let completed = waiting.join().expect("does not panic").expect("a trace");
    assert_eq!(completed.trace().trace_id(), [1; 16]);
}

#[test]
fn an_evicted_trace_is_not_waited_for() {
    let limits = StoreLimits { max_traces: 1, ..StoreLimits::default() };
    let store = store(limits, Vec::new());
    let completions = store.completions(Duration::MAX, Duration::MAX);
    store.take_in(request(vec![span(1, 1, 0), span(2, 2, 0)]), Instant::now());
    store.close();
    let ids: Vec<u8> = completions.map(|done| done.trace().trace_id()[0]).collect();
    assert_eq!(ids, [2]);
}
