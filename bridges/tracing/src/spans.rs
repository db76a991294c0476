//! The spans of one layer that are open, by the ids that `tracing` gave them.

use core::fmt;
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

/// On a cache line of its own.
#[repr(align(64))]
#[derive(Default)]
struct Part(Mutex<Few>);

#[derive(Default)]
struct Few {
    /// The ids of the spans, in their order.
    keys: Vec<u64>,
    open: Vec<Open>,
}

impl Few {
    #[inline]
    fn find(&mut self, key: u64) -> Option<&mut Open> {
        let index = self.keys.iter().rposition(|each| *each == key)?;
        self.open.get_mut(index)
    }
}

/// An open span.
pub(crate) struct Open {
    pub(crate) span: Span,
    pub(crate) site: &'static Site,
    /// Whether its status has a description, which a code that comes later keeps.
    pub(crate) is_described: bool,
    pub(crate) profile: Option<Box<Profile>>,
}

impl Spans {
    /// Stays for ever, as guards anywhere may name it. A program has one or a few.
    pub(crate) fn leaked() -> &'static Spans {
        Box::leak(Box::new(Spans { parts: (0..PARTS).map(|_| Part::default()).collect() }))
    }

    #[inline]
    fn part(&self, key: u64) -> MutexGuard<'_, Few> {
        // Ids differ in few of their bits: the upper half of the product has them all.
        let place = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let part = &self.parts[place as usize % PARTS];
        part.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ids of spans that are open are distinct: that is the registry's promise.
    pub(crate) fn insert(&self, id: &Id, open: Open) {
        let mut part = self.part(id.into_u64());
        part.keys.push(id.into_u64());
        part.open.push(open);
    }

    pub(crate) fn remove(&self, id: &Id) -> Option<Open> {
        let mut part = self.part(id.into_u64());
        let index = part.keys.iter().rposition(|key| *key == id.into_u64())?;
        part.keys.swap_remove(index);
        Some(part.open.swap_remove(index))
    }

    /// The context in which the span is the current one.
    pub(crate) fn context(&self, id: &Id) -> Option<Context> {
        self.part(id.into_u64()).find(id.into_u64()).map(|open| open.span.context())
    }

    /// Hands the span to a closure that runs no code of others.
    pub(crate) fn with<R>(&self, id: &Id, use_it: impl FnOnce(&mut Open) -> R) -> Option<R> {
        self.part(id.into_u64()).find(id.into_u64()).map(use_it)
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
    pub(crate) fn end(mut self) {
        if let Some(profile) = &self.profile {
            profile.write(&mut self.span);
        }
        let is_panicking = std::thread::panicking();
        self.span.end_as(if is_panicking { Ending::Panicked } else { Ending::Completed });
    }
}

impl Keeper for Spans {
    fn with_span(&self, key: u64, write: &mut dyn FnMut(&mut Span) -> bool) -> bool {
        self.part(key).find(key).is_some_and(|open| write(&mut open.span))
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spans").finish_non_exhaustive()
    }
}

const PARTS: usize = 1024;
