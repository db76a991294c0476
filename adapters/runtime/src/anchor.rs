//! What ticks are converted by when spans leave: one moment on both clocks, and the rate
//! between them.
//!
//! Both ends of a span are converted alike, so a duration is never negative and never sees
//! the wall clock being set.

use core::cell::Cell;
use std::sync::{Mutex, TryLockError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::clock::{Origin, nanos, ticks, ticks_of};

/// One moment on both clocks, and the rate between them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anchor {
    ticks: u64,
    unix_nanos: u64,
    nanos_per_tick: f64,
}

impl Anchor {
    /// What ticks are converted by now: for all pipelines the same, and the same
    /// as before as long as the wall clock agrees with it. Spans that leave at
    /// different times keep their order.
    pub(crate) fn current() -> Self {
        static CURRENT: Mutex<Option<Anchor>> = Mutex::new(None);
        Anchor::known_to(&CURRENT)
    }

    /// What is known there, after another look at the clocks.
    fn known_to(current: &Mutex<Option<Anchor>>) -> Self {
        // Only flushers come here, and threads that have processors, once a second.
        for _ in 0..PATIENCE {
            let mut current = match current.try_lock() {
                Ok(current) => current,
                Err(TryLockError::Poisoned(current)) => current.into_inner(),
                Err(TryLockError::WouldBlock) => {
                    std::thread::yield_now();
                    continue;
                }
            };
            let now = Anchor::now();
            let next = current.map_or(now, |anchor| anchor.renewed(now));
            *current = Some(next);
            return next;
        }
        // In a forked process, nobody may be left to release what was locked at the fork.
        Anchor::now()
    }

    /// The same, unless the other one is better.
    fn renewed(self, now: Anchor) -> Self {
        let expected = self.unix_nanos(now.ticks);
        if expected.abs_diff(now.unix_nanos) > TOLERANCE_NANOS {
            return now;
        }
        // The rate of twice the time is known twice as well.
        let age = |anchor: Anchor| anchor.ticks.saturating_sub(Origin::get().ticks);
        if age(now) / 2 > age(self) { Anchor { unix_nanos: expected, ..now } } else { self }
    }

    fn now() -> Self {
        let origin = Origin::get();
        let (ticks, time) = origin.read(SystemTime::now);
        let unix = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Anchor {
            ticks,
            unix_nanos: nanos(unix.as_nanos()),
            nanos_per_tick: origin.nanos_per_tick(),
        }
    }

    /// The Unix time of a tick, in nanoseconds.
    #[inline]
    pub(crate) fn unix_nanos(&self, ticks: u64) -> u64 {
        let since = ticks.wrapping_sub(self.ticks) as i64;
        self.unix_nanos.saturating_add_signed((since as f64 * self.nanos_per_tick) as i64)
    }
}

/// The Unix time of a tick that is not older than a moment, in nanoseconds, on the thread
/// that asks: what it knows of the clocks it looks up again once a second, and as often as the
/// program's life doubles before that.
pub(crate) fn unix_nanos(ticks: u64) -> u64 {
    let known = KNOWN.get().filter(|(_, until)| ticks < *until);
    let (anchor, _) = known.unwrap_or_else(|| {
        let (anchor, now) = (Anchor::current(), self::ticks());
        let age = now.saturating_sub(Origin::get().ticks);
        let known = (anchor, now.saturating_add(age.min(ticks_of(SECOND))));
        KNOWN.set(Some(known));
        known
    });
    anchor.unix_nanos(ticks)
}

thread_local! {
    /// And until when it is known well enough.
    static KNOWN: Cell<Option<(Anchor, u64)>> = const { Cell::new(None) };
}

/// A conversion of clock ticks that stays the same, for test kits: an order of
/// moments that no setting of the wall clock changes.
#[derive(Clone, Copy, Debug)]
pub struct FixedClock(Anchor);

impl FixedClock {
    /// The conversion as it is now.
    #[expect(clippy::new_without_default, reason = "two of them are not alike")]
    pub fn new() -> Self {
        loop {
            let anchor = Anchor::now();
            // At the very first tick nothing is known of a tick's length.
            if anchor.nanos_per_tick > 0.001 {
                return FixedClock(anchor);
            }
        }
    }

    /// A moment, in nanoseconds since the Unix epoch, that is later than whatever was
    /// timed before the call, and earlier than whatever is timed after it.
    pub fn boundary(&self) -> u64 {
        let later_than = |nanos| loop {
            let now = self.unix_nanos(ticks());
            if now > nanos {
                return now;
            }
            core::hint::spin_loop();
        };
        let boundary = later_than(self.unix_nanos(ticks()));
        later_than(boundary);
        boundary
    }

    pub(crate) fn anchor(self) -> Anchor {
        self.0
    }

    fn unix_nanos(&self, ticks: u64) -> u64 {
        self.0.unix_nanos(ticks)
    }
}

const SECOND: u64 = 1_000_000_000;
/// So often a lock is tried that is held for less than a microsecond.
const PATIENCE: usize = 100;
/// How far the wall clock may be from what it was expected to be.
const TOLERANCE_NANOS: u64 = 100_000;

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

    #[test]
    fn a_boundary_is_between_what_was_timed_before_and_after() {
        let clock = FixedClock::new();
        for _ in 0..1_000 {
            let before = clock.unix_nanos(ticks());
            let boundary = clock.boundary();
            let after = clock.unix_nanos(ticks());
            assert!(before < boundary && boundary < after, "{before} {boundary} {after}");
        }
    }

    #[test]
    fn a_rate_is_that_of_the_clocks() {
        let anchor = Anchor { ticks: 1_000, unix_nanos: 5_000_000, nanos_per_tick: 0.25 };
        assert_eq!(anchor.unix_nanos(5_000), 5_001_000);
        assert_eq!(anchor.unix_nanos(0), 4_999_750);
        assert_eq!(Anchor { unix_nanos: 10, ..anchor }.unix_nanos(0), 0);
    }

    #[test]
    fn a_lock_that_nobody_releases_holds_up_nobody() {
        let lock = Mutex::new(None);
        let known = Anchor::known_to(&lock);
        assert_eq!(lock.lock().unwrap().map(|anchor| anchor.ticks), Some(known.ticks));
        let _held_at_a_fork = lock.lock().unwrap();
        assert!(Anchor::known_to(&lock).ticks >= known.ticks);
    }

    #[test]
    fn an_anchor_is_kept_until_the_wall_clock_departs_from_it() {
        let origin = Origin::get().ticks;
        let at = |ticks, unix_nanos| Anchor { ticks, unix_nanos, nanos_per_tick: 1.0 };
        let kept = at(origin + 1_000_000, 50_000_000);
        let renewed = |now: Anchor| {
            let Anchor { ticks, unix_nanos, .. } = kept.renewed(now);
            (ticks, unix_nanos)
        };
        let (ticks, unix_nanos) = (kept.ticks, kept.unix_nanos);
        assert_eq!(renewed(at(ticks + 10, unix_nanos + 110)), (ticks, unix_nanos));
        // The rate is renewed, the time goes on.
        let later = ticks + 1_000_002;
        assert_eq!(renewed(at(later, unix_nanos + 1_000_900)), (later, unix_nanos + 1_000_002));
        // Somebody set the clock.
        assert_eq!(renewed(at(ticks + 10, 7)), (ticks + 10, 7));
    }
}
