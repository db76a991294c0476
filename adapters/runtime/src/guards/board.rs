//! What guards have entered on each thread, for others to look at.
//!
//! Each thread has a board, on which it alone writes: two stores to enter, one to leave.
//! So a guard takes no lock to show that its span runs; who looks has the work. The
//! protocol is core's ([`Shown`]), where it has a model.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use throughline_core::{Shown, SpanContext};

use super::{Keeper, Registered};

/// The outermost guards of a thread.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// Keys; and whose they are: the keeper's number in the upper half, the version in the
    /// lower one.
    places: [Shown; DEPTH],
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

    /// Shows what is entered at this depth, at which nothing is shown.
    #[inline]
    pub(super) fn show(&self, depth: usize, keeper: Registered, key: u64, version: u32) {
        if let Some(place) = self.places.get(depth) {
            let whose = u64::from(keeper.0.number) << 32 | u64::from(version);
            place.show(key, whose);
        }
    }

    /// Shows nothing at this depth.
    #[inline]
    pub(super) fn clear(&self, depth: usize) {
        if let Some(place) = self.places.get(depth) {
            place.clear();
        }
    }

    /// The depths at which something is shown.
    pub(super) const fn depths() -> core::ops::Range<usize> {
        0..DEPTH
    }

    /// What is shown, by keys.
    #[cfg(test)]
    pub(super) fn keys(&self) -> Vec<u64> {
        self.places.iter().filter_map(Shown::read).map(|(key, _)| key).collect()
    }
}

/// The spans that guards are in, on any thread; each as it was when it was looked at.
pub fn entered() -> Vec<SpanContext> {
    // Nothing panics behind these locks, so a panic hook may ask too.
    let boards = BOARDS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let places: Vec<_> = boards
        .iter()
        .filter_map(Weak::upgrade)
        .flat_map(|board| board.places.iter().filter_map(Shown::read).collect::<Vec<_>>())
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
