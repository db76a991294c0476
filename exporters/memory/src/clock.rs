//! A clock that only the test moves.

use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

use throughline_runtime::FixedClock;

/// A clock that stands still until it is advanced. Clones are the same clock.
///
/// It is the clock of what is [captured](crate::Capture::clock) with it: a span that
/// begins, waits for `advance(250 ms)` and ends is 250 ms long, exactly, whatever the
/// machine did meanwhile. Spans still take the time of the real clock, so they cost
/// what they cost and nothing of the program is replaced; the clock notes at which
/// real moments it was advanced, and afterwards each time becomes what the clock
/// showed then. So it is not asked by the program: sleeps take as long as they take
/// (a paused clock of the runtime helps), and the poll profile, a rule about durations
/// at the tail and a budget per call site count real time. A sampler of the capture
/// that limits rates counts the time of this clock. A time that the program itself
/// gives a span stays if it is before the clock was made.
#[derive(Clone, Debug)]
pub struct VirtualClock {
    fixed: FixedClock,
    /// From which real moment on it showed which time, in nanoseconds since the Unix
    /// epoch; in order, never empty.
    steps: Arc<Mutex<Vec<(u64, u64)>>>,
}

impl VirtualClock {
    /// A clock that shows 2000-01-01T00:00:00Z.
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves it forward. It never reaches the year 2554.
    pub fn advance(&self, by: Duration) {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        let shown = steps.last().map_or(EPOCH, |(_, shown)| *shown);
        steps.push((self.fixed.boundary(), shown.saturating_add(by)));
    }

    /// What it shows, in nanoseconds since the Unix epoch.
    pub fn unix_nanos(&self) -> u64 {
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        steps.last().map_or(EPOCH, |(_, shown)| *shown)
    }

    pub(crate) fn fixed(&self) -> FixedClock {
        self.fixed
    }

    /// What it showed at a real moment; that moment, if it was not there yet.
    pub(crate) fn at(&self, real: u64) -> u64 {
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = steps.partition_point(|(from, _)| *from <= real);
        passed.checked_sub(1).and_then(|last| steps.get(last)).map_or(real, |(_, shown)| *shown)
    }
}

impl Default for VirtualClock {
    fn default() -> Self {
        let fixed = FixedClock::new();
        VirtualClock { fixed, steps: Arc::new(Mutex::new(vec![(fixed.boundary(), EPOCH)])) }
    }
}

/// 2000-01-01.
const EPOCH: u64 = 946_684_800_000_000_000;
