//! Whether a sampler took a trace id for random of which nobody says so: told once in
//! the life of the process.
//!
//! ```text
//!   unknown ── a sampler did ──▶ noted ── a pipeline tells ──▶ told
//! ```

use core::sync::atomic::{AtomicU8, Ordering};

/// A sampler did.
pub(crate) fn note() {
    // Ordering: Relaxed here and below, no value is read through it. Looked at first, so
    // that threads share the cache line.
    if STATE.load(Ordering::Relaxed) == UNKNOWN {
        let _ = STATE.compare_exchange(UNKNOWN, NOTED, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// Whether it is to be told now.
pub(crate) fn take() -> bool {
    STATE.load(Ordering::Relaxed) == NOTED
        && STATE.compare_exchange(NOTED, TOLD, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

const UNKNOWN: u8 = 0;
const NOTED: u8 = 1;
const TOLD: u8 = 2;

static STATE: AtomicU8 = AtomicU8::new(UNKNOWN);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_once_however_often_it_happens() {
        assert!(!take());
        note();
        note();
        assert!(take());
        note();
        assert!(!take());
    }
}
