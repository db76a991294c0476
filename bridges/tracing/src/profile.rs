//! How a span was entered, in the terms of polls.

use throughline_core::{
    BUSY_ATTRIBUTE, IDLE_ATTRIBUTE, POLL_COUNT_ATTRIBUTE, POLL_LONGEST_ATTRIBUTE, Platform,
};
use throughline_runtime::{Span, Std};

/// The times for which a span was entered, on any thread; times that overlap count
/// once. Each poll of a future that is instrumented enters its span.
#[derive(Debug)]
pub(crate) struct Profile {
    created: u64,
    /// How often it is entered now.
    entered: u32,
    since: u64,
    count: u32,
    busy: u64,
    longest: u64,
}

impl Profile {
    pub(crate) fn new() -> Self {
        Profile { created: Std::ticks(), entered: 0, since: 0, count: 0, busy: 0, longest: 0 }
    }

    pub(crate) fn enter(&mut self, now: u64) {
        if self.entered == 0 {
            self.since = now;
            self.count = self.count.saturating_add(1);
        }
        self.entered = self.entered.saturating_add(1);
    }

    pub(crate) fn exit(&mut self, now: u64) {
        // What was never entered is not left.
        let Some(entered) = self.entered.checked_sub(1) else { return };
        self.entered = entered;
        if entered == 0 {
            // The clock of another core may be behind by a tick.
            let took = now.saturating_sub(self.since);
            self.busy = self.busy.saturating_add(took);
            self.longest = self.longest.max(took);
        }
    }

    pub(crate) fn write(&self, span: &mut Span) {
        let now = Std::ticks();
        let nanos = |ticks: u64| Std::nanos_of(ticks, now);
        let idle = now.saturating_sub(self.created).saturating_sub(self.busy);
        span.set_attribute(POLL_COUNT_ATTRIBUTE, self.count);
        span.set_attribute(BUSY_ATTRIBUTE, nanos(self.busy));
        span.set_attribute(IDLE_ATTRIBUTE, nanos(idle));
        span.set_attribute(POLL_LONGEST_ATTRIBUTE, nanos(self.longest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_overlap_count_once() {
        let mut profile = Profile::new();
        profile.enter(10);
        profile.enter(20);
        profile.exit(30);
        profile.exit(40);
        profile.enter(50);
        profile.exit(55);
        profile.exit(60);
        assert_eq!((profile.count, profile.busy, profile.longest), (2, 35, 30));
    }
}
