//! The clock of spans: ticks while they run, Unix time when they leave.
//!
//! A tick is one step of the processor's invariant counter where there is one,
//! else a nanosecond of the operating system's monotonic clock. Both ends of a
//! span are converted at the same moment and with the same rate, so a duration
//! is never negative and never sees the wall clock being set.

use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use quanta::Clock;
use throughline_core::cycles;

/// The current tick. Each thread of a program sees the same clock.
#[inline]
pub(crate) fn ticks() -> u64 {
    // Ordering: Relaxed; the value says all there is.
    if COUNTS_CYCLES.load(Ordering::Relaxed)
        && let Some(cycles) = cycles()
    {
        return cycles;
    }
    ticks_of_clock()
}

/// Whether the clock's raw ticks are the processor's cycles.
static COUNTS_CYCLES: AtomicBool = AtomicBool::new(false);

#[cold]
fn ticks_of_clock() -> u64 {
    clock().raw()
}

/// One moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anchor {
    ticks: u64,
    unix_nanos: u64,
}

impl Anchor {
    pub(crate) fn now() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Anchor { ticks: ticks(), unix_nanos: u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX) }
    }

    /// The Unix time of a tick, in nanoseconds.
    pub(crate) fn unix_nanos(&self, ticks: u64) -> u64 {
        let clock = clock();
        if ticks <= self.ticks {
            self.unix_nanos.saturating_sub(clock.delta_as_nanos(ticks, self.ticks))
        } else {
            self.unix_nanos.saturating_add(clock.delta_as_nanos(self.ticks, ticks))
        }
    }
}

fn clock() -> &'static Clock {
    static CLOCK: OnceLock<Clock> = OnceLock::new();
    CLOCK.get_or_init(|| {
        let clock = Clock::new();
        // The crate finds out whether the counter can be relied on, and keeps it
        // to itself; but it shows in what it reads.
        let (before, raw, after) = (cycles(), Some(clock.raw()), cycles());
        // Ordering: Relaxed; both kinds of reading give the same ticks.
        COUNTS_CYCLES.store(before.is_some() && before <= raw && raw <= after, Ordering::Relaxed);
        clock
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_tick_is_a_later_time_on_both_sides_of_the_anchor() {
        let before = ticks();
        let anchor = Anchor::now();
        let after = ticks();
        let [before, at, after] = [before, anchor.ticks, after].map(|t| anchor.unix_nanos(t));
        assert_eq!(at, anchor.unix_nanos);
        assert!(before <= at && at <= after);
    }
}
