//! What large spans take. Alone in its process: it looks at the memory of all of it.

#[path = "large_spans/made.rs"]
mod made;

use core::time::Duration;

use made::{is_whole, large_ones};
use throughline::exporters::Memory;
use throughline::{Span, Thread, builder};

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

const COUNT: usize = 8_192;

/// The memory that the process has resident, in bytes, where the system tells it.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(1_024 * line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?)
}

fn grown(before: Option<u64>) -> Option<u64> {
    Some(resident()?.saturating_sub(before?))
}
