//! The doorbell: how producers wake a sleeping flusher, without a lost ring.
//!
//! ```text
//!            arm               ring or rouse: wake!
//!        ┌─────────▶ ARMED  ────────────────────────┐
//!        │   doze                   rouse: wake!    ▼
//!   IDLE ┼─────────▶ DOZING ─────────────────────▶ RUNG
//!    ▲   │               ring or rouse              ▲ │
//!    │   └──────────────────────────────────────────┘ │
//!    └──────────────────── answer ────────────────────┘
//! ```
//!
//! A ring is latched: when it comes before the flusher arms, arming fails and
//! the flusher looks again instead of sleeping.
//!
//! To wake a thread costs a producer as much as some hundred spans. A flusher that looks
//! again soon by itself dozes, and is woken only for what cannot wait.

use crate::sync::{AtomicU32, Ordering, const_fn};

/// One flusher sleeps on it, any number of producers ring it.
#[derive(Debug)]
// No span looks at the cache line.
#[cfg_attr(not(target_os = "none"), repr(align(64)))]
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

    /// Rings. Returns whether the flusher sleeps, so that the caller must wake it. One
    /// that dozes need not be woken.
    #[must_use]
    pub fn ring(&self) -> bool {
        // Ordering: Release, as in `rouse`; a flusher that dozes answers when it looks again.
        !(CAN_DOZE && self.replace(DOZING, DOZING, Ordering::Release).is_ok()) && self.rouse()
    }

    /// As [`ring`](Self::ring), for a flusher that dozes too.
    #[must_use]
    pub fn rouse(&self) -> bool {
        // Ordering: Release publishes what the flusher shall see when it
        // answers; a sleeping flusher is woken by the caller.
        matches!(self.state.swap(RUNG, Ordering::Release), ARMED | DOZING)
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
        self.replace(IDLE, ARMED, Ordering::Relaxed).map_or_else(|state| state == ARMED, |_| true)
    }

    /// Prepares to look again soon without being rung. Returns false when it was rung
    /// since the last answer.
    #[must_use]
    pub fn doze(&self) -> bool {
        // Ordering: as in `arm`.
        self.replace(IDLE, DOZING, Ordering::Relaxed).map_or_else(|state| state == DOZING, |_| true)
    }

    #[inline]
    fn replace(&self, from: u32, to: u32, ordering: Ordering) -> Result<u32, u32> {
        self.state.compare_exchange(from, to, ordering, Ordering::Relaxed)
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
const DOZING: u32 = 3;

/// Where code is dearer, a flusher sleeps or is awake.
const CAN_DOZE: bool = !cfg!(target_os = "none");
