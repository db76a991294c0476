//! Something that is told once, noted by whoever meets it.
//!
//! ```text
//!   unknown ── somebody notes it ──▶ noted ── a pipeline tells it ──▶ told
//! ```

use core::sync::atomic::{AtomicU8, Ordering};

/// Whether something happened, and was told.
#[derive(Debug)]
pub(crate) struct Notice(AtomicU8);

impl Notice {
    pub(crate) const fn new() -> Self {
        Notice(AtomicU8::new(UNKNOWN))
    }

    /// It happened; whether that is new.
    pub(crate) fn note(&self) -> bool {
        // Ordering: Relaxed here and below, no value is read through it. Looked at first, so
        // that threads share the cache line.
        self.0.load(Ordering::Relaxed) == UNKNOWN
            && self.0.compare_exchange(UNKNOWN, NOTED, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Whether it is to be told now.
    pub(crate) fn take(&self) -> bool {
        self.0.load(Ordering::Relaxed) == NOTED
            && self.0.compare_exchange(NOTED, TOLD, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

const UNKNOWN: u8 = 0;
const NOTED: u8 = 1;
const TOLD: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_once_however_often_it_happens() {
        let notice = Notice::new();
        assert!(!notice.take());
        assert!(notice.note());
        assert!(!notice.note());
        assert!(notice.take());
        assert!(!notice.note());
        assert!(!notice.take());
    }
}
