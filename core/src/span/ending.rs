//! How a span ends: once, by its owner.

use core::ptr;

use crate::live::Live;
use crate::start::UNIX;
use crate::state::{Held, Holder, State};
use crate::{Ending, Pipeline, Platform, Span};

impl<P: Platform> Span<P> {
    /// Ends the span now, completed.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn end(mut self) {
        self.end_in_place();
        core::mem::forget(self);
    }

    /// Ends the span and takes its parts from where they are: to move the whole takes
    /// longer than all the rest. Nothing is left to drop.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(super) fn end_in_place(&mut self) {
        match &mut self.state {
            State::Plain { .. } => {}
            State::Held(Held { by: Holder::Ids { .. }, .. }) => self.state = State::NOTHING,
            State::Held(Held { carried, by: Holder::Span(live) }) => {
                // Before the parts are taken: the platform's clock may panic.
                let end = P::ticks();
                // SAFETY: what was read is overwritten, and not dropped, before other
                // code runs.
                let (live, carried) = unsafe {
                    let parts = (ptr::read(live), ptr::read(carried));
                    ptr::write(&mut self.state, State::NOTHING);
                    parts
                };
                write_frame::<P>(live, end);
                drop(carried);
            }
        }
    }

    /// Ends the span now, in another way.
    pub fn end_as(mut self, ending: Ending) {
        self.finish(ending);
    }

    /// Ends the span with an end time in nanoseconds since the Unix epoch.
    pub fn end_at(mut self, unix_nanos: u64) {
        self.finish_at(Ending::Completed, || unix_nanos | UNIX);
    }

    #[inline]
    pub(crate) fn finish(&mut self, ending: Ending) {
        self.finish_at(ending, P::ticks);
    }

    #[inline(always)]
    pub(crate) fn finish_at(&mut self, ending: Ending, end: impl FnOnce() -> u64) {
        if self.state.live().is_none() {
            return;
        }
        // Before the state is taken: the platform's clock may panic.
        let end = end();
        if let State::Held(Held { by: Holder::Span(live), .. }) =
            core::mem::replace(&mut self.state, State::NOTHING)
        {
            match ending {
                Ending::Completed => write_frame::<P>(live, end),
                _ => Pipeline::finish(live, end, ending),
            }
        }
    }
}

impl<P: Platform> Drop for Span<P> {
    #[inline]
    fn drop(&mut self) {
        if self.state.live().is_some() {
            self.finish(if P::is_panicking() { Ending::Panicked } else { Ending::Dropped });
        }
    }
}

/// Apart from the places where spans end, which are many.
#[inline(never)]
fn write_frame<P: Platform>(live: Live, end: u64) {
    // Where code is dearer than calls, one way is enough.
    #[cfg(target_os = "none")]
    Pipeline::finish(live, end, Ending::Completed);
    #[cfg(not(target_os = "none"))]
    Pipeline::complete(live, end, |live| {
        P::with_local(|local| live.release_inline(local.place()));
    });
}
