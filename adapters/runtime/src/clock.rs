//! The clock of spans: ticks while they run, Unix time when they leave.
//!
//! A tick is one step of the processor's invariant counter where there is one,
//! else a nanosecond of the operating system's monotonic clock. Both ends of a
//! span are converted at the same moment and with the same rate, so a duration
//! is never negative and never sees the wall clock being set.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use quanta::Clock;

/// The current tick.
#[inline]
pub(crate) fn ticks() -> u64 {
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

#[inline]
fn clock() -> &'static Clock {
    static CLOCK: OnceLock<Clock> = OnceLock::new();
    CLOCK.get_or_init(Clock::new)
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
