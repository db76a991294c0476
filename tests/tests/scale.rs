//! A hundred thousand spans at a time, in the memory that was configured.

use core::time::Duration;
use std::sync::{Mutex, PoisonError};

use throughline::exporters::{CapturedSpan, Discard, Memory};
use throughline::{DropReason, Exporter, Span, Telemetry, Thread, builder, span};

#[test]
fn of_a_hundred_thousand_children_ten_thousand_are_exported_and_the_parent_tells_of_the_rest() {
    let _alone = alone();
    let before = resident();
    let memory = Memory::new();
    // Room for all that is exported, whenever the exporter comes to it.
    let telemetry = pipeline(16, 16_384, memory.clone());
    telemetry.context().scope(|| {
        span!("parent").in_scope(|| (0..COUNT).for_each(|_| span!("child").end()));
    });
    // What arrived is the test's own, some 400 bytes each.
    assert_within(before, configured(16, 16_384), 8_000_000);
    assert_eq!(telemetry.ledger().in_flight() + telemetry.ledger().exported(), 10_001);
    let ledger = finish(telemetry);
    assert_eq!((ledger.started(), ledger.exported()), (COUNT + 1, 10_001), "{ledger}");
    assert_eq!(ledger.dropped(DropReason::Surplus), COUNT - 10_000, "{ledger}");
    assert_eq!((ledger.dropped_total(), ledger.in_flight()), (COUNT - 10_000, 0), "{ledger}");
    let parent = memory.span("parent");
    let told = |key| number(&parent, key);
    assert_eq!(told("throughline.surplus.count"), COUNT - 10_000);
    assert_eq!(parent.attribute("throughline.surplus.untimed"), None);
    let (sum, min, max) = (
        told("throughline.surplus.sum_ns"),
        told("throughline.surplus.min_ns"),
        told("throughline.surplus.max_ns"),
    );
    assert!(min <= max && max <= sum, "{parent:?}");
    assert!((COUNT - 10_000) * min <= sum && sum <= (COUNT - 10_000) * max, "{parent:?}");
}

#[test]
fn the_roots_of_ten_thousand_threads_are_all_exported_or_counted() {
    let _alone = alone();
    let before = resident();
    let telemetry = pipeline(1_024, 32_768, Discard);
    for _ in 0..100 {
        let threads: Vec<_> = (0..100)
            .map(|_| {
                let context = telemetry.context();
                std::thread::spawn(move || {
                    context.scope(|| span!("root").in_scope(|| span!("child").end()));
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        assert_eq!(telemetry.live_spans().len(), 0);
    }
    // A thread that left only a page behind would be 40 MB in all; a hundred stacks and
    // their heaps are the system's.
    assert_within(before, configured(1_024, 32_768), 8_000_000);
    let ledger = finish(telemetry);
    assert_eq!((ledger.started(), ledger.in_flight()), (20_000, 0), "{ledger}");
    let recorded = ledger.dropped(DropReason::RecordOnly);
    assert_eq!((recorded, ledger.dropped_total()), (20_000, 20_000), "{ledger}");
}

#[test]
fn a_hundred_thousand_live_spans_are_listed_and_one_more_is_counted() {
    let _alone = alone();
    let before = resident();
    let telemetry = pipeline(COUNT as usize, 131_072, Discard);
    let context = telemetry.context();
    let spans: Vec<Span> = context.scope(|| (0..COUNT).map(|_| span!("live")).collect());
    let live = telemetry.live_spans();
    let ids: std::collections::HashSet<_> = live.iter().map(|span| span.span_id).collect();
    assert_eq!((live.len(), ids.len()), (COUNT as usize, COUNT as usize));
    assert!(context.scope(|| !span!("one too many").is_recording()));
    let ledger = telemetry.ledger();
    assert_eq!((ledger.started(), ledger.in_flight()), (COUNT + 1, COUNT), "{ledger}");
    drop((live, ids));
    drop(spans);
    let ledger = finish(telemetry);
    let recorded = ledger.dropped(DropReason::RecordOnly);
    assert_eq!((recorded, ledger.in_flight()), (COUNT, 0), "{ledger}");
    assert_eq!(ledger.dropped(DropReason::LiveTableFull), 1, "{ledger}");
    // The handles and the list are the test's own.
    assert_within(before, configured(COUNT, 131_072), COUNT * (32 + 2 * 144 + 32) + 16_000_000);
}

fn pipeline<E: Exporter<Thread>>(live: usize, queued: usize, exporter: E) -> Telemetry {
    let builder = builder().max_live_spans(live).max_queue_size(queued);
    builder.start(Thread::start().expect("a thread"), exporter)
}

fn finish(telemetry: Telemetry) -> throughline::Ledger {
    let receipt = telemetry.shutdown_blocking(Duration::from_secs(60));
    assert!(receipt.is_complete(), "{receipt}");
    *receipt.ledger()
}

fn number(span: &CapturedSpan, key: &str) -> u64 {
    span.attribute(key).and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{span:?}"))
}

/// What the documentation says: 560 bytes for each live span; 512 for each queued one, and
/// 24 for the head of each 64 bytes of them; nothing for large spans where there are none; a
/// batch.
fn configured(live: u64, queued: u64) -> u64 {
    live * 560 + queued * (512 + 8 * 24) + 4_000_000
}

/// The process has not taken more than so much since then, at any time.
fn assert_within(before: Option<u64>, configured: u64, own: u64) {
    if let (Some(before), Some(after)) = (before, peak()) {
        let grown = after.saturating_sub(before);
        assert!(grown <= configured + own, "{grown} bytes of {configured} and {own}");
    }
}

/// The memory that the process has resident, in bytes, where the system tells it; the
/// peak counts from here on.
fn resident() -> Option<u64> {
    std::fs::write("/proc/self/clear_refs", "5").ok()?;
    peak()
}

/// The most memory that the process had resident since then.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(1_024 * line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?)
}

/// Tests whose memory is looked at do not run beside each other.
fn alone() -> impl Drop {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const COUNT: u64 = 100_000;
