//! The time of one sample.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Measures the part of a sample that counts, without its preparation.
#[derive(Debug, Default)]
pub(crate) struct Stopwatch {
    elapsed: Duration,
}

impl Stopwatch {
    /// Does the work and adds the time that it takes on this thread.
    ///
    /// A function that is not inlined, so that `scripts/instructions` can tell
    /// what counts from what does not.
    #[inline(never)]
    pub(crate) fn time<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let began = Instant::now();
        let result = work();
        self.elapsed += began.elapsed();
        result
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.elapsed
    }
}

/// Does the operation so many times. A closure of its own is inlined, as work is that is
/// written where it is done; a function is called.
#[inline(always)]
pub(crate) fn repeat<R>(times: u32, mut operation: impl FnMut() -> R) {
    for _ in 0..times {
        let result = operation();
        // Where it is: to move it is no part of the operation.
        black_box(&result);
    }
}
