//! What guards have entered on each thread, for others to look at.
//!
//! Each thread has a board, on which it alone writes: two stores to enter, one to leave.
//! So a guard takes no lock to show that its span runs; who looks has the work.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use throughline_core::SpanContext;

use super::{Keeper, Registered};

/// The outermost guards of a thread.
#[derive(Debug, Default)]
pub(super) struct Board {
    places: [Place; DEPTH],
}

#[derive(Debug, Default)]
struct Place {
    /// 0 if nothing is entered here.
    key: AtomicU64,
    /// The keeper's number in the upper half, the version in the lower one.
    whose: AtomicU64,
}

impl Board {
    /// One of the current thread, which others see as long as it is there.
    #[cold]
    pub(super) fn new() -> Arc<Self> {
        let board = Arc::new(Board::default());
        let mut all = BOARDS.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|board| board.strong_count() > 0);
        all.push(Arc::downgrade(&board));
        board
    }

    /// Shows what is entered at this depth.
    #[inline]
    pub(super) fn show(&self, depth: usize, keeper: Registered, key: u64, version: u32) {
        if let Some(place) = self.places.get(depth) {
            let whose = u64::from(keeper.0.number) << 32 | u64::from(version);
            // Ordering: Release keeps it behind the former key's end: who reads it here sees
            // no former key any more.
            place.whose.store(whose, Ordering::Release);
            // Ordering: Release publishes the keeper and the version.
            place.key.store(key, Ordering::Release);
        }
    }

    /// Shows nothing at this depth.
    #[inline]
    pub(super) fn clear(&self, depth: usize) {
        if let Some(place) = self.places.get(depth) {
            // Ordering: Relaxed, nothing is read through it.
            place.key.store(0, Ordering::Relaxed);
        }
    }

    /// The depths at which something is shown.
    pub(super) const fn depths() -> core::ops::Range<usize> {
        0..DEPTH
    }

    /// What is shown, by keys.
    #[cfg(test)]
    pub(super) fn keys(&self) -> Vec<u64> {
        self.places.iter().filter_map(Place::read).map(|(key, _)| key).collect()
    }
}

impl Place {
    fn read(&self) -> Option<(u64, u64)> {
        // Ordering: Acquire, twice: each synchronizes with its Release store in `show`.
        let key = self.key.load(Ordering::Acquire);
        let whose = self.whose.load(Ordering::Acquire);
        // Ordering: Relaxed is enough behind the Acquire load above.
        (key != 0 && self.key.load(Ordering::Relaxed) == key).then_some((key, whose))
    }
}

/// The spans that guards are in, on any thread; each as it was when it was looked at.
pub fn entered() -> Vec<SpanContext> {
    // Nothing panics behind these locks, so a panic hook may ask too.
    let boards = BOARDS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let places: Vec<_> = boards
        .iter()
        .filter_map(Weak::upgrade)
        .flat_map(|board| board.places.iter().filter_map(Place::read).collect::<Vec<_>>())
        .collect();
    let keepers = KEEPERS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let context = |(key, whose): (u64, u64)| {
        let keeper = keepers.get((whose >> 32) as usize)?;
        keeper.context(key, whose as u32).map(|context| context.span_context())
    };
    places.into_iter().filter_map(context).collect()
}

/// The number of a keeper, by which it is found again.
pub(super) fn register(keeper: &'static dyn Keeper) -> u32 {
    let mut keepers = KEEPERS.lock().unwrap_or_else(PoisonError::into_inner);
    keepers.push(keeper);
    // So many would not fit into the memory.
    (keepers.len() - 1) as u32
}

static BOARDS: Mutex<Vec<Weak<Board>>> = Mutex::new(Vec::new());
static KEEPERS: Mutex<Vec<&'static dyn Keeper>> = Mutex::new(Vec::new());

/// What is entered below so many others is not shown.
const DEPTH: usize = 32;
