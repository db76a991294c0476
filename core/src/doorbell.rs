//! The doorbell: how producers wake a sleeping flusher, without a lost ring.
//!
//! ```text
//!            arm                     ring: wake!
//!   IDLE ───────────▶ ARMED ─────────────────────▶ RUNG
//!    ▲ │                                            │ ▲
//!    │ └───────────────── ring ─────────────────────┼─┘
//!    └──────────────────── answer ──────────────────┘
//! ```
//!
//! A ring is latched: when it comes before the flusher arms, arming fails and
//! the flusher looks again instead of sleeping.

use crate::sync::{AtomicU32, Ordering, const_fn};

/// One flusher sleeps on it, any number of producers ring it.
#[derive(Debug)]
pub struct Doorbell {
    state: AtomicU32,
}

impl Doorbell {
    const_fn! {
        /// A bell that nobody has rung.
        pub fn new() -> Self {
            Doorbell { state: AtomicU32::new(IDLE) }
        }
    }

    /// Rings. Returns whether the flusher sleeps, so that the caller must wake it.
    #[must_use]
    pub fn ring(&self) -> bool {
        // Ordering: Release publishes what the flusher shall see when it
        // answers; a sleeping flusher is woken by the caller.
        self.state.swap(RUNG, Ordering::Release) == ARMED
    }

    /// Notes that the flusher looks again at everything.
    pub fn answer(&self) {
        // Ordering: Acquire synchronizes with every ring before it: what was
        // published by then is found.
        self.state.swap(IDLE, Ordering::Acquire);
    }

    /// Prepares to sleep. Returns false when it was rung since the last answer.
    #[must_use]
    pub fn arm(&self) -> bool {
        // Ordering: Relaxed; a failure is followed by `answer`, which acquires.
        match self.state.compare_exchange(IDLE, ARMED, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => true,
            Err(state) => state == ARMED,
        }
    }
}

impl Default for Doorbell {
    fn default() -> Self {
        Self::new()
    }
}

const IDLE: u32 = 0;
const ARMED: u32 = 1;
const RUNG: u32 = 2;
