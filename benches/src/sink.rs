//! Where spans end that nobody looks at.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Takes so many spans, in place of a collector. Once it is [stalled](stall), this
/// does not return.
pub(crate) fn take(spans: usize) {
    // Ordering: Relaxed here and below; nothing is read through the flag, and the
    // count is read after a flush.
    while STALLED.load(Ordering::Relaxed) {
        std::thread::park();
    }
    TAKEN.fetch_add(spans as u64, Ordering::Relaxed);
}

/// The spans that were taken so far, of all systems.
pub(crate) fn taken() -> u64 {
    TAKEN.load(Ordering::Relaxed)
}

/// From now on the collector takes nothing.
pub(crate) fn stall() {
    STALLED.store(true, Ordering::Relaxed);
}

static STALLED: AtomicBool = AtomicBool::new(false);
static TAKEN: AtomicU64 = AtomicU64::new(0);
