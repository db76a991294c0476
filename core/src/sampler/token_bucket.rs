//! So many per time, counted in one atomic word.

use core::time::Duration;

use crate::sync::{AtomicUsize, Ordering, const_fn};

/// A bucket that fills at a constant rate, and from which whole tokens are taken.
///
/// Its only state is the moment at which it will be full, if nobody takes any
/// more; to take a token is to move that moment by the time that a token needs:
///
/// ```text
///   now ────────────────────── full_at ────────── now + size
///    └────────── missing ─────────┘└─── level ───────┘
/// ```
///
/// A moment is a number of units: nanoseconds, or about 16 µs where words have 32
/// bits. There, moments return after 19 hours. A bucket that nobody asked for
/// that long may then look empty for up to a minute, and a thread that was held
/// up for longer than that between its look at the clock and its look at the
/// bucket finds it full.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    full_at: AtomicUsize,
    /// How long a token takes, in units; above zero.
    interval: usize,
    /// How long the whole bucket takes.
    size: usize,
}

impl TokenBucket {
    const_fn! {
        /// A full bucket that holds so many tokens and fills at `per / tokens`
        /// for each.
        pub(crate) fn new(capacity: u32, tokens: u32, per: Duration) -> Self {
            let tokens = if tokens == 0 { 1 } else { tokens };
            let unit = (tokens as u128) << UNIT_BITS;
            let interval = per.as_nanos().div_ceil(unit);
            let most = (MAX_SIZE / capacity as usize) as u128;
            let interval = if interval > most { most } else { interval } as usize;
            let interval = if interval == 0 { 1 } else { interval };
            let size = interval * capacity as usize;
            TokenBucket { full_at: AtomicUsize::new(0), interval, size }
        }
    }

    /// How long it took to fill what is in the bucket; a token is
    /// [`interval`](Self::interval), full is [`size`](Self::size).
    pub(super) fn level(&self, nanos: u64) -> usize {
        // Ordering: Relaxed, the word is all there is.
        self.size - self.missing(self.full_at.load(Ordering::Relaxed), moment(nanos))
    }

    /// Takes a token, if there is one.
    pub(crate) fn take(&self, nanos: u64) -> bool {
        let now = moment(nanos);
        // Ordering: Relaxed, the word is all there is; that each change follows
        // the one before, and no token is given twice, is its own order.
        let taken = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            let missing = self.missing(full_at, now) + self.interval;
            (missing <= self.size).then(|| now.wrapping_add(missing))
        });
        taken.is_ok()
    }

    pub(super) fn interval(&self) -> usize {
        self.interval
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    fn missing(&self, full_at: usize, now: usize) -> usize {
        let missing = full_at.wrapping_sub(now);
        if missing <= self.size {
            missing
        } else if missing <= self.size + TOLERANCE {
            // Another thread was here later, with a later time.
            self.size
        } else {
            0
        }
    }
}

fn moment(nanos: u64) -> usize {
    (nanos >> UNIT_BITS) as usize
}

/// A unit is two to the power of so many nanoseconds.
const UNIT_BITS: u32 = if usize::BITS < 64 { 14 } else { 0 };
/// So long a thread may be held up.
const TOLERANCE: usize = if usize::BITS < 64 { 1 << 22 } else { usize::MAX >> 1 };
/// So long a bucket may take to fill: no moment is taken for another.
const MAX_SIZE: usize = usize::MAX >> 3;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn it_gives_what_it_holds_and_then_one_by_one() {
        let bucket = TokenBucket::new(3, 10, Duration::from_secs(1));
        let begin = 7 * SECOND;
        let taken = (0..5).map(|_| bucket.take(begin)).collect::<std::vec::Vec<_>>();
        assert_eq!(taken, [true, true, true, false, false]);
        assert!(!bucket.take(begin + SECOND / 10 - 100_000));
        assert!(bucket.take(begin + SECOND / 10 + 100_000));
        assert!(!bucket.take(begin + SECOND / 10 + 100_000));
        assert_eq!(bucket.level(begin + 60 * SECOND), bucket.size());
    }

    #[test]
    fn a_thread_with_an_earlier_time_takes_no_more_than_there_is() {
        let bucket = TokenBucket::new(2, 1, Duration::from_secs(1));
        assert!(bucket.take(20 * SECOND) && bucket.take(20 * SECOND));
        assert!(!bucket.take(19 * SECOND) && !bucket.take(11 * SECOND));
        assert_eq!(bucket.level(11 * SECOND), 0);
    }

    #[test]
    fn extremes_are_held_in_bounds() {
        for (capacity, tokens, per) in [
            (u32::MAX, u32::MAX, Duration::MAX),
            (u32::MAX, 1, Duration::MAX),
            (1, u32::MAX, Duration::ZERO),
            (16, 0, Duration::from_secs(1)),
        ] {
            let bucket = TokenBucket::new(capacity, tokens, per);
            assert!(bucket.interval() > 0 && bucket.size() <= MAX_SIZE);
            assert!(bucket.take(u64::MAX >> 2));
        }
    }

    proptest! {
        #[test]
        fn no_interval_of_time_has_more_than_its_share(
            capacity in 1u32..20,
            steps in proptest::collection::vec(0..SECOND / 4, 1..200),
        ) {
            let bucket = TokenBucket::new(capacity, 10, Duration::from_secs(1));
            let (mut now, mut times) = (SECOND, std::vec![]);
            for step in steps {
                now += step;
                if bucket.take(now) {
                    times.push(now);
                }
            }
            for (i, first) in times.iter().enumerate() {
                for (j, last) in times.iter().enumerate().skip(i) {
                    let most = u64::from(capacity) + (last - first) * 10 / SECOND;
                    prop_assert!((j - i + 1) as u64 <= most);
                }
            }
        }
    }
}
