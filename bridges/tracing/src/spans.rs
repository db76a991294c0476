//! The spans of one layer that are open, by the ids that `tracing` gave them.

use core::fmt;
use core::num::NonZero;
use core::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use throughline_core::{Ending, StatusCode};
use throughline_runtime::guards::Keeper;
use throughline_runtime::{Context, Span};
use tracing::span::Id;

use crate::fields::Status;
use crate::profile::Profile;
use crate::site::Site;

/// Open spans, behind so many locks that two threads rarely want one, and few spans are
/// behind each: to look through their ids takes less than to hash one.
///
/// The registry's extensions would do as well, at the price of an allocation for each span
/// and of two look-ups behind two locks each time. No code of others runs behind a lock
/// here: what it would format is formatted before.
pub(crate) struct Spans {
    parts: Box<[Part]>,
}

/// On two cache lines of its own.
#[repr(align(128))]
#[derive(Default)]
struct Part {
    few: Mutex<Few>,
    /// How many spans were removed, with wrapping. Moved behind the lock.
    removed: AtomicU32,
}

#[derive(Default)]
struct Few {
    /// As a rule there is no other.
    first: Option<(NonZero<u64>, Open)>,
    /// The ids of the others, in their order.
    keys: Vec<NonZero<u64>>,
    more: Vec<Open>,
}

/// An open span.
pub(crate) struct Open {
    pub(crate) span: Span,
    pub(crate) site: &'static Site,
    pub(crate) profile: Option<Box<Profile>>,
    /// How many spans had been removed from its part when it came.
    version: u32,
    /// Whether its status has a description, which a code that comes later keeps.
    is_described: bool,
}

impl Part {
    #[inline]
    fn lock(&self) -> MutexGuard<'_, Few> {
        self.few.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    fn version(&self) -> u32 {
        // Ordering: Relaxed here and below. Whoever uses an id legitimately knows of the
        // creation of its span, and so of the end of all that had the id before.
        self.removed.load(Ordering::Relaxed)
    }
}

impl Few {
    #[inline]
    fn find(&mut self, key: NonZero<u64>) -> Option<&mut Open> {
        match &mut self.first {
            Some((first, open)) if *first == key => Some(open),
            _ => {
                let index = self.keys.iter().rposition(|each| *each == key)?;
                self.more.get_mut(index)
            }
        }
    }

    /// What is inserted is made where it stays.
    #[inline(always)]
    fn insert(&mut self, key: NonZero<u64>, open: impl FnOnce() -> Open) {
        if self.first.is_none() {
            self.first = Some((key, open()));
        } else {
            self.insert_more(key, open());
        }
    }

    #[cold]
    #[inline(never)]
    fn insert_more(&mut self, key: NonZero<u64>, open: Open) {
        self.keys.push(key);
        self.more.push(open);
    }

    #[cold]
    #[inline(never)]
    fn remove_more(&mut self, key: NonZero<u64>) -> Option<Open> {
        let index = self.keys.iter().rposition(|each| *each == key)?;
        self.keys.swap_remove(index);
        Some(self.more.swap_remove(index))
    }
}

impl Spans {
    /// Stays for ever, as guards anywhere may name it. A program has one or a few.
    pub(crate) fn leaked() -> &'static Spans {
        Box::leak(Box::new(Spans { parts: (0..PARTS).map(|_| Part::default()).collect() }))
    }

    /// What the registry gives out as ids are places, which are dense for each thread; the
    /// thread's number, from bit 38; and from bit 51 how often the place was used, which is
    /// left out here: so a loop of spans stays in one part. Other ids are served as well, if
    /// they differ in their lower bits.
    #[inline]
    fn part(&self, key: NonZero<u64>) -> &Part {
        let (place, thread) = (key.get(), key.get() >> 38 & 0x1fff);
        &self.parts[place.wrapping_add(thread.wrapping_mul(37)) as usize % PARTS]
    }

    /// Ids of spans that are open are distinct: that is the registry's promise.
    #[inline(always)]
    pub(crate) fn insert(
        &self,
        id: &Id,
        span: Span,
        site: &'static Site,
        profile: Option<Box<Profile>>,
    ) {
        let key = id.into_non_zero_u64();
        let part = self.part(key);
        let mut few = part.lock();
        let version = part.version();
        few.insert(key, || Open { span, site, profile, version, is_described: false });
    }

    /// Ends the span, if it is there.
    #[inline(always)]
    pub(crate) fn end(&self, id: &Id) {
        let key = id.into_non_zero_u64();
        let part = self.part(key);
        let mut few = part.lock();
        part.removed.store(part.version().wrapping_add(1), Ordering::Relaxed);
        // In two ways, so that the usual one needs no memory for what is moved.
        if let Some((_, open)) = few.first.take_if(|(first, _)| *first == key) {
            drop(few);
            return open.end();
        }
        let open = few.remove_more(key);
        drop(few);
        if let Some(open) = open {
            open.end_unusual();
        }
    }

    /// As [`with`](Self::with), if the span's version is not higher than this.
    #[inline]
    pub(crate) fn with_version<R>(
        &self,
        key: u64,
        version: u32,
        use_it: impl FnOnce(&mut Open) -> R,
    ) -> Option<R> {
        let key = NonZero::new(key)?;
        let mut few = self.part(key).lock();
        let open = few.find(key)?;
        // Half of the numbers are higher than one of them.
        let is_it = version.wrapping_sub(open.version) <= u32::MAX / 2;
        is_it.then(|| use_it(open))
    }

    /// What this span's version is not higher than, and that of the next one with its id is.
    #[inline]
    pub(crate) fn version(&self, id: &Id) -> u32 {
        self.part(id.into_non_zero_u64()).version()
    }

    /// The context in which the span is the current one.
    pub(crate) fn context(&self, id: &Id) -> Option<Context> {
        self.part(id.into_non_zero_u64())
            .lock()
            .find(id.into_non_zero_u64())
            .map(|open| open.span.context())
    }

    /// Hands the span to a closure that runs no code of others.
    pub(crate) fn with<R>(&self, id: &Id, use_it: impl FnOnce(&mut Open) -> R) -> Option<R> {
        self.part(id.into_non_zero_u64()).lock().find(id.into_non_zero_u64()).map(use_it)
    }
}

impl Open {
    pub(crate) fn set_status(&mut self, status: &Status) {
        match (status.code, status.description.as_deref()) {
            (None, None) => {}
            // A description without a code is that of an error.
            (code, Some(description)) => {
                self.is_described = true;
                self.span.set_status(code.unwrap_or(StatusCode::Error), description);
            }
            (Some(StatusCode::Error), None) if self.is_described => {}
            (Some(code), None) => self.span.set_status(code, ""),
        }
    }

    /// Ends the span now.
    #[inline(always)]
    fn end(self) {
        if self.profile.is_some() || std::thread::panicking() {
            return self.end_unusual();
        }
        self.span.end();
    }

    #[cold]
    #[inline(never)]
    fn end_unusual(mut self) {
        if let Some(profile) = &self.profile {
            profile.write(&mut self.span);
        }
        let is_panicking = std::thread::panicking();
        self.span.end_as(if is_panicking { Ending::Panicked } else { Ending::Completed });
    }
}

impl Keeper for Spans {
    fn context(&self, key: u64, version: u32) -> Option<Context> {
        self.with_version(key, version, |open| open.span.context())
    }

    fn with_span(
        &self,
        key: u64,
        version: u32,
        write: &mut dyn FnMut(&mut Span) -> bool,
    ) -> Option<bool> {
        // A surplus child has a slot, but not for others to add to.
        self.with_version(key, version, |open| open.span.is_recording() && write(&mut open.span))
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spans").finish_non_exhaustive()
    }
}

const PARTS: usize = 512;

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_two_cache_lines() {
        assert_eq!(size_of::<Part>(), 128);
    }

    #[test]
    fn spans_that_follow_each_other_in_one_place_are_in_one_part_and_neighbours_are_not() {
        let spans = Spans::leaked();
        let part = |place: u64, thread: u64, times: u64| {
            let key = NonZero::new(times << 51 | thread << 38 | place).expect("not zero");
            core::ptr::from_ref(spans.part(key)).addr()
        };
        for times in 0..8191 {
            assert_eq!(part(7, 3, times), part(7, 3, 0));
        }
        for other in [part(8, 3, 0), part(7, 4, 0)] {
            assert_ne!(other, part(7, 3, 0));
        }
    }

    #[test]
    fn a_span_is_found_by_versions_since_it_came_also_after_they_wrapped() {
        let spans = Spans::leaked();
        let metadata = || tracing::info_span!("span").metadata();
        let metadata = tracing::subscriber::with_default(tracing_subscriber::registry(), metadata);
        let site = Site::of(metadata.expect("it is enabled"));
        let (id, other) = (Id::from_u64(1), Id::from_u64(1 + PARTS as u64));
        let part = spans.part(id.into_non_zero_u64());
        part.removed.store(u32::MAX - 1, Ordering::Relaxed);
        let is_found = |version| spans.with_version(1, version, |_| ()).is_some();
        let before = spans.version(&id);
        spans.insert(&id, Span::none(), site, None);
        for _ in 0..4 {
            assert!(is_found(before) && is_found(spans.version(&id)));
            spans.insert(&other, Span::none(), site, None);
            spans.end(&other);
        }
        spans.end(&id);
        assert!(!is_found(before));
        spans.insert(&id, Span::none(), site, None);
        assert!(!is_found(before) && is_found(spans.version(&id)));
    }
}
