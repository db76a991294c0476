//! The spans of one layer that are open, by the ids that `tracing` gave them.

use core::fmt;
use core::hash::{BuildHasherDefault, Hasher};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use throughline_core::{Ending, StatusCode};
use throughline_runtime::guards::Keeper;
use throughline_runtime::{Context, Span};
use tracing::span::Id;

use crate::fields::Status;
use crate::profile::Profile;
use crate::site::Site;

/// Open spans, behind as many locks as make it rare that two threads want one.
///
/// A table of its own costs a third of what the registry's extensions do, which are
/// looked up, locked, and boxed. No code of others runs behind a lock: what it would
/// format is formatted before.
pub(crate) struct Spans {
    parts: [Part; PARTS],
}

/// On a cache line of its own.
#[repr(align(128))]
#[derive(Default)]
struct Part(Mutex<HashMap<u64, Open, BuildHasherDefault<Spread>>>);

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
        Box::leak(Box::new(Spans { parts: core::array::from_fn(|_| Part::default()) }))
    }

    fn part(&self, key: u64) -> MutexGuard<'_, HashMap<u64, Open, BuildHasherDefault<Spread>>> {
        let part = &self.parts[(spread(key) >> 32) as usize % PARTS];
        part.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn insert(&self, id: &Id, open: Open) {
        let former = self.part(id.into_u64()).insert(id.into_u64(), open);
        // There is none, unless the registry gives an id twice.
        drop(former);
    }

    pub(crate) fn remove(&self, id: &Id) -> Option<Open> {
        self.part(id.into_u64()).remove(&id.into_u64())
    }

    /// The context in which the span is the current one.
    pub(crate) fn context(&self, id: &Id) -> Option<Context> {
        self.part(id.into_u64()).get(&id.into_u64()).map(|open| open.span.context())
    }

    /// Hands the span to a closure that runs no code of others.
    pub(crate) fn with<R>(&self, id: &Id, use_it: impl FnOnce(&mut Open) -> R) -> Option<R> {
        self.part(id.into_u64()).get_mut(&id.into_u64()).map(use_it)
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
        self.part(key).get_mut(&key).is_some_and(|open| write(&mut open.span))
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spans").finish_non_exhaustive()
    }
}

/// Ids differ in few of their bits, and are nobody's choice.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = spread(self.0 ^ number);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Every bit of the number has its part in the upper and the lower ones.
fn spread(number: u64) -> u64 {
    let product = u128::from(number) * 0x9e37_79b9_7f4a_7c15;
    (product >> 64) as u64 ^ product as u64
}

const PARTS: usize = 64;
