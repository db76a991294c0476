//! The clock of spans: ticks while they run, Unix time when they leave.
//!
//! A tick is one step of the processor's counter where the system tells time by
//! it, else a nanosecond of the system's monotonic clock.
//!
//! ```text
//!   origin                                        anchor, kept while it is right
//!     │ ticks, monotonic time                       │ ticks, Unix time
//!   ──┴──────────[ start ]──────────────[ end ]─────┴───────▶
//!     └── the rate is what both clocks counted from here ──┘
//! ```
//!
//! Nothing is calibrated at the start: a span is not longer than the time since
//! the origin, so over a span the rate errs by about as much as the clocks were
//! read apart.
//! Both ends are converted alike, so a duration is never negative and never sees
//! the wall clock being set.

use core::cell::Cell;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use throughline_core::cycles;

/// The current tick. Each thread of a program sees the same clock.
#[inline]
pub(crate) fn ticks() -> u64 {
    // Ordering: Relaxed; the value says all there is.
    if SOURCE.load(Ordering::Relaxed) == CYCLES
        && let Some(cycles) = cycles()
    {
        return cycles;
    }
    Origin::get().ticks()
}

/// Nanoseconds of the system's monotonic clock since the first tick. It costs
/// more than a tick, and its length is known from the beginning.
pub(crate) fn monotonic_nanos() -> u64 {
    nanos(Origin::get().instant.elapsed().as_nanos())
}

static SOURCE: AtomicU8 = AtomicU8::new(UNKNOWN);
const UNKNOWN: u8 = 0;
const CYCLES: u8 = 1;

/// The moment from which the clocks are compared: that of the first tick.
#[derive(Debug)]
struct Origin {
    counts_cycles: bool,
    ticks: u64,
    instant: Instant,
}

impl Origin {
    #[cold]
    fn get() -> &'static Self {
        static ORIGIN: OnceLock<Origin> = OnceLock::new();
        ORIGIN.get_or_init(|| {
            let mut origin =
                Origin { counts_cycles: is_reliable(), ticks: 0, instant: Instant::now() };
            if origin.counts_cycles {
                (origin.ticks, origin.instant) = origin.read(Instant::now);
                // Ordering: Relaxed; until it is seen, the ticks are read here.
                SOURCE.store(CYCLES, Ordering::Relaxed);
            }
            origin
        })
    }

    fn ticks(&self) -> u64 {
        match cycles() {
            Some(cycles) if self.counts_cycles => cycles,
            _ => nanos(self.instant.elapsed().as_nanos()),
        }
    }

    /// Another clock, and the ticks in the middle of its reading. A reading in
    /// which the thread lost the processor is made again.
    fn read<T>(&self, clock: impl Fn() -> T) -> (u64, T) {
        let read = || {
            let (before, time, after) = (self.ticks(), clock(), self.ticks());
            (after.saturating_sub(before), before, time)
        };
        let readings = core::iter::repeat_with(read).take(READINGS);
        let nearest = readings.min_by_key(|(width, ..)| *width).unwrap_or_else(read);
        let (width, before, time) = nearest;
        (before + width / 2, time)
    }

    /// How long a tick is, by what both clocks counted up to now.
    fn nanos_per_tick(&self) -> f64 {
        let (ticks, now) = self.read(Instant::now);
        let nanos = now.saturating_duration_since(self.instant).as_nanos();
        match ticks.saturating_sub(self.ticks) {
            counted if self.counts_cycles && counted > 0 => nanos as f64 / counted as f64,
            _ => 1.0,
        }
    }
}

/// Whether the processor counts at a constant rate and the system relies on it.
fn is_reliable() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::__cpuid;
        // The flag "invariant TSC" of the last extended leaf.
        let is_invariant =
            __cpuid(0x8000_0000).eax >= 0x8000_0007 && __cpuid(0x8000_0007).edx & 1 << 8 != 0;
        // Linux compares the counters of all processors as long as it runs.
        let trusted = std::fs::read_to_string(
            "/sys/devices/system/clocksource/clocksource0/current_clocksource",
        );
        is_invariant && trusted.map_or(cfg!(not(target_os = "linux")), |name| name.trim() == "tsc")
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// How many nanoseconds so many ticks took that ended by now.
///
/// The rate is that of the program's life so far, found out anew each time that this
/// has doubled; so it errs over a duration as an [`Anchor`]'s does.
#[inline]
pub(crate) fn nanos_of(ticks: u64, now: u64) -> u64 {
    // Ordering: Acquire synchronizes with `renew`: there is a rate once there is a time.
    if now >= RENEW_AT.load(Ordering::Acquire) {
        renew();
    }
    (ticks as f64 * f64::from_bits(NANOS_PER_TICK.load(Ordering::Relaxed))) as u64
}

/// How many ticks so many nanoseconds take; at most those of all time.
pub(crate) fn ticks_of(nanos: u64) -> u64 {
    // Ordering: Relaxed; the value says all there is.
    if NANOS_PER_TICK.load(Ordering::Relaxed) == 0 {
        renew();
    }
    (nanos as f64 / f64::from_bits(NANOS_PER_TICK.load(Ordering::Relaxed))) as u64
}

/// The bits of a number; zero before it is known.
static NANOS_PER_TICK: AtomicU64 = AtomicU64::new(0);
/// The tick from which on it could be known better.
static RENEW_AT: AtomicU64 = AtomicU64::new(0);

#[cold]
fn renew() {
    let origin = Origin::get();
    let rate = origin.nanos_per_tick();
    let now = origin.ticks();
    let next = if origin.counts_cycles {
        now.saturating_add(now.saturating_sub(origin.ticks))
    } else {
        u64::MAX
    };
    // Ordering: Relaxed where it is not read behind the time; then Release, for `nanos_of`.
    NANOS_PER_TICK.store(rate.to_bits(), Ordering::Relaxed);
    RENEW_AT.store(next, Ordering::Release);
}

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
        // Only flushers come here, and threads that have processors, once a second.
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Anchor::now();
        let next = current.map_or(now, |anchor| anchor.renewed(now));
        *current = Some(next);
        next
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

fn nanos(nanos: u128) -> u64 {
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

const SECOND: u64 = 1_000_000_000;
/// How far the wall clock may be from what it was expected to be.
const TOLERANCE_NANOS: u64 = 100_000;
/// Of so many readings the best counts.
const READINGS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_the_same_in_ticks_and_in_nanoseconds() {
        let now = ticks();
        for nanos in [0_u64, 1_000, 10_000_000, 3_600_000_000_000] {
            let again = nanos_of(ticks_of(nanos), now);
            assert!(nanos.abs_diff(again) <= 2 + nanos / 10, "{nanos} and {again}");
        }
        assert_eq!(ticks_of(u64::MAX).max(1 << 60), ticks_of(u64::MAX), "it is never over");
    }

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
