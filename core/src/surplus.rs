//! What is told of children that are not exported one by one: how many, and how
//! long they took.
//!
//! ```text
//!   gate   generation of the parent │ RESET │ who is inside
//!            32 bits                    1      31 bits
//!
//!   begin: another generation, nobody inside ─▶ RESET, clear, let others in
//!          this generation ─▶ enter            else: no summary, an ordinary child
//!   end:   this generation ─▶ enter            else: the parent is gone
//! ```
//!
//! Each slot of the live-span table has one. It is claimed by the first surplus
//! child of a span, and again by that of a later span in the same slot. Nobody
//! waits: who finds it in other hands does without.

use crate::sync::{Ordering, Wide, const_fn};

/// Room for what one live span tells of its surplus children.
#[derive(Debug)]
pub struct SurplusSummary {
    gate: Number,
    begun: Number,
    timed: Number,
    sum_nanos: Number,
    min_nanos: Number,
    max_nanos: Number,
}

/// A reading of a summary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Surplus {
    /// Children that were not exported.
    pub begun: u64,
    /// Those of them that ended before their parent, whose durations are known.
    pub timed: u64,
    /// All their durations together, in nanoseconds.
    pub sum_nanos: u64,
    /// The shortest.
    pub min_nanos: u64,
    /// The longest.
    pub max_nanos: u64,
}

impl SurplusSummary {
    const_fn! {
        /// One that nobody has claimed.
        pub fn new() -> Self {
            SurplusSummary {
                gate: Number::new(),
                begun: Number::new(),
                timed: Number::new(),
                sum_nanos: Number::new(),
                min_nanos: Number::new(),
                max_nanos: Number::new(),
            }
        }
    }

    /// Counts a child that begins. Returns whether it was counted; if not, it is an
    /// ordinary child.
    pub(crate) fn begin(&self, generation: u32) -> bool {
        let is_inside = self.enter(generation) || self.claim(generation);
        if is_inside {
            self.begun.add(1);
            self.leave();
        }
        is_inside
    }

    /// Adds what a child took, if its parent is still there.
    pub(crate) fn end(&self, generation: u32, nanos: u64) {
        if self.enter(generation) {
            self.sum_nanos.add(nanos);
            self.min_nanos.at_most(nanos);
            self.max_nanos.at_least(nanos);
            // Ordering: Release, so that what is counted is in all the others.
            self.timed.0.fetch_add(1, Ordering::Release);
            self.leave();
        }
    }

    /// What there is to tell. A child that ends at this moment may be in the durations
    /// and not be counted yet.
    pub(crate) fn read(&self, generation: u32) -> Surplus {
        // Ordering: Acquire synchronizes with the end of the reset.
        let gate = self.gate.load(Ordering::Acquire);
        if generation_of(gate) != generation || gate & RESET != 0 {
            return Surplus::default();
        }
        // Ordering: Acquire synchronizes with the ends that it counts.
        let timed = self.timed.load(Ordering::Acquire);
        let read = |number: &Number| number.load(Ordering::Relaxed);
        Surplus {
            begun: read(&self.begun),
            timed,
            sum_nanos: read(&self.sum_nanos),
            min_nanos: if timed == 0 { 0 } else { read(&self.min_nanos) },
            max_nanos: read(&self.max_nanos),
        }
    }

    fn enter(&self, generation: u32) -> bool {
        // Ordering: Relaxed; the exchange validates it.
        let mut gate = self.gate.load(Ordering::Relaxed);
        while generation_of(gate) == generation && gate & RESET == 0 {
            // Ordering: Acquire synchronizes with the end of the reset.
            match self.gate.exchange(gate, gate + 1, Ordering::Acquire) {
                Ok(()) => return true,
                Err(now) => gate = now,
            }
        }
        false
    }

    /// Takes it from a span that is gone; the caller is inside then.
    fn claim(&self, generation: u32) -> bool {
        // Ordering: Relaxed, as in `enter`.
        let gate = self.gate.load(Ordering::Relaxed);
        if gate & (RESET | INSIDE) != 0 || !is_later(generation, generation_of(gate)) {
            return false;
        }
        let claimed = u64::from(generation) << 32 | RESET | 1;
        // Ordering: Acquire synchronizes with all who left: their additions come before
        // the reset.
        if self.gate.exchange(gate, claimed, Ordering::Acquire).is_err() {
            return false;
        }
        for number in [&self.begun, &self.timed, &self.sum_nanos, &self.max_nanos] {
            number.set(0);
        }
        self.min_nanos.set(u64::MAX);
        // Ordering: Release lets others in, who see the reset.
        self.gate.clear(RESET, Ordering::Release);
        true
    }

    fn leave(&self) {
        // Ordering: Release, for `read` and `claim`.
        self.gate.subtract_one(Ordering::Release);
    }
}

impl Default for SurplusSummary {
    fn default() -> Self {
        Self::new()
    }
}

fn generation_of(gate: u64) -> u32 {
    (gate >> 32) as u32
}

/// Whether a span of the slot came after another one: who was held up since an earlier
/// span takes nothing from a later one. Of 31 bits, so that half of them are later.
fn is_later(generation: u32, than: u32) -> bool {
    let distance = generation.wrapping_sub(than) & (u32::MAX >> 1);
    distance != 0 && distance < 1 << 30
}

const RESET: u64 = 1 << 31;
const INSIDE: u64 = RESET - 1;

/// A number of 64 bits. Where there are no such atomics it has fewer, and nobody
/// uses it: see [`crate::flood`].
#[derive(Debug)]
struct Number(Wide);

#[allow(clippy::unnecessary_cast, reason = "necessary where words are smaller")]
impl Number {
    const_fn! {
        fn new() -> Self {
            Number(Wide::new(0))
        }
    }

    fn load(&self, ordering: Ordering) -> u64 {
        self.0.load(ordering) as u64
    }

    fn exchange(&self, from: u64, to: u64, ordering: Ordering) -> Result<(), u64> {
        match self.0.compare_exchange(from as _, to as _, ordering, Ordering::Relaxed) {
            Ok(_) => Ok(()),
            Err(now) => Err(now as u64),
        }
    }

    fn clear(&self, bits: u64, ordering: Ordering) {
        self.0.fetch_and(!bits as _, ordering);
    }

    fn subtract_one(&self, ordering: Ordering) {
        self.0.fetch_sub(1, ordering);
    }

    // Ordering: Relaxed here and below; whoever reads it came through the gate.

    fn set(&self, value: u64) {
        self.0.store(value as _, Ordering::Relaxed);
    }

    fn add(&self, value: u64) {
        self.0.fetch_add(value as _, Ordering::Relaxed);
    }

    fn at_most(&self, value: u64) {
        self.0.fetch_min(value as _, Ordering::Relaxed);
    }

    fn at_least(&self, value: u64) {
        self.0.fetch_max(value as _, Ordering::Relaxed);
    }
}
