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
//! read apart. The anchor is in [`anchor`](crate::anchor).

use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::OnceLock;
use std::time::Instant;

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
pub(crate) struct Origin {
    counts_cycles: bool,
    pub(crate) ticks: u64,
    instant: Instant,
}

impl Origin {
    #[cold]
    pub(crate) fn get() -> &'static Self {
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
    pub(crate) fn read<T>(&self, clock: impl Fn() -> T) -> (u64, T) {
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
    pub(crate) fn nanos_per_tick(&self) -> f64 {
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
/// has doubled; so it errs over a duration as an [`Anchor`](crate::anchor::Anchor)'s does.
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

pub(crate) fn nanos(nanos: u128) -> u64 {
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

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
}
