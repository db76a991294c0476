//! What a thread shows to others without a lock: a key, and what belongs to it.
//!
//! ```text
//!   the thread     show: whose, then key       clear: key = 0       show: whose, then key
//!   who looks      key, then whose, and the key again: the same, or there is nothing
//! ```

use crate::sync::{Ordering, Wide, const_fn};

/// A place in which one thread shows a pair of numbers, and any other looks at them.
///
/// A platform shows here what [guards](crate::Pushed) have entered, for the list of live
/// spans. To show is two stores, to clear is one; who looks has the work.
#[derive(Debug)]
pub struct Shown {
    /// 0 if nothing is shown.
    key: Wide,
    whose: Wide,
}

impl Shown {
    const_fn! {
        /// Nothing.
        pub fn new() -> Self {
            Shown { key: Wide::new(0), whose: Wide::new(0) }
        }
    }

    /// Shows a key, which is not 0, and whose it is, where nothing is shown.
    ///
    /// For one thread alone. What was shown before is to be [cleared](Self::clear):
    /// otherwise who looks may see its key beside the new owner.
    #[inline]
    pub fn show(&self, key: u64, whose: u64) {
        // Ordering: Release keeps it behind the former key's end: who reads it here sees
        // no former key any more.
        self.whose.store(whose, Ordering::Release);
        // Ordering: Release publishes whose it is.
        self.key.store(key, Ordering::Release);
    }

    /// Shows nothing. For the thread that shows.
    #[inline]
    pub fn clear(&self) {
        // Ordering: Relaxed, nothing is read through it.
        self.key.store(0, Ordering::Relaxed);
    }

    /// The key and whose it is, as they were shown together at one moment of this call.
    pub fn read(&self) -> Option<(u64, u64)> {
        // Ordering: Acquire, twice: each synchronizes with its Release store in `show`.
        let key = self.key.load(Ordering::Acquire);
        let whose = self.whose.load(Ordering::Acquire);
        // Ordering: Relaxed is enough behind the Acquire load above.
        (key != 0 && self.key.load(Ordering::Relaxed) == key).then_some((key, whose))
    }
}

impl Default for Shown {
    fn default() -> Self {
        Self::new()
    }
}
