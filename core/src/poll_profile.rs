//! How futures and streams in spans were polled.
//!
//! ```text
//!   span   ├─────────────────────────────────────────┤
//!   polls      ███      █        ██████        ██         4
//!   busy       ─3─      1        ───6──        2─        12
//!   idle   ─────────────── the rest ───────────────      29
//!   longest                      ───6──                   6
//! ```

use crate::live::{Live, Slot};
use crate::start::UNIX;
use crate::writer::Writer;
use crate::{Key, Platform, Value};

/// Whether the polls of futures, streams and sinks in spans are timed.
///
/// A span that was polled says when it ends how often
/// ([`POLL_COUNT_ATTRIBUTE`]), how long in all ([`BUSY_ATTRIBUTE`]), how long it
/// was not ([`IDLE_ATTRIBUTE`]) and how long the longest poll took
/// ([`POLL_LONGEST_ATTRIBUTE`]). A poll that takes the threshold or longer, and so
/// keeps its executor from other work, is the event [`LONG_POLL_EVENT`], at the
/// time at which it began. That takes two readings of the clock per poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollProfile {
    is_on: bool,
    long_nanos: u64,
}

/// Attribute: how many times the work was polled.
pub const POLL_COUNT_ATTRIBUTE: &str = COUNT.as_str();
/// Attribute: nanoseconds in polls.
pub const BUSY_ATTRIBUTE: &str = BUSY.as_str();
/// Attribute: nanoseconds from the span's start to its end that were not in polls.
pub const IDLE_ATTRIBUTE: &str = IDLE.as_str();
/// Attribute: nanoseconds of the longest poll.
pub const POLL_LONGEST_ATTRIBUTE: &str = LONGEST.as_str();
/// Event: a poll that took long, with the attribute
/// `throughline.poll.duration_ns`.
pub const LONG_POLL_EVENT: &str = "throughline.poll.long";

static COUNT: Key = Key::new("throughline.poll.count");
static BUSY: Key = Key::new("throughline.busy_ns");
static IDLE: Key = Key::new("throughline.idle_ns");
static LONGEST: Key = Key::new("throughline.poll.longest_ns");

impl PollProfile {
    /// Polls are not timed.
    pub const OFF: Self = PollProfile { is_on: false, long_nanos: u64::MAX };

    /// Polls are timed; one of so many nanoseconds or more is long.
    pub const fn new(long_nanos: u64) -> Self {
        PollProfile { is_on: true, long_nanos }
    }
}

/// The polls of one future or stream.
#[derive(Debug)]
pub(crate) struct Tally {
    /// That of the span, while it lives and polls are timed.
    slot: Option<&'static Slot>,
    polls: u32,
    /// A poll of so many ticks is long.
    long: u64,
    busy: u64,
    longest: u64,
}

impl Tally {
    pub(crate) const fn new() -> Self {
        Tally { slot: None, polls: 0, long: u64::MAX, busy: 0, longest: 0 }
    }

    /// Before the first poll.
    pub(crate) fn begin<P: Platform>(&mut self, span: Option<&Live>) {
        let PollProfile { is_on, long_nanos } =
            span.map_or(PollProfile::OFF, |span| span.pipeline().poll_profile());
        self.slot = span.filter(|_| is_on).map(Live::slot);
        if long_nanos < u64::MAX {
            self.long = P::ticks_of(long_nanos);
        }
    }

    /// The time before a poll.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(crate) fn before<P: Platform>(&self) -> u64 {
        let Some(slot) = self.slot else { return 0 };
        let now = P::ticks();
        slot.begin_poll(now);
        now
    }

    /// Counts a poll that began then; returns the time, if it was read.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(crate) fn after<P: Platform>(
        &mut self,
        before: u64,
        span: Option<&mut Live>,
    ) -> Option<u64> {
        let slot = self.slot?;
        let now = P::ticks();
        slot.end_poll(now);
        // The clock of another core may be behind by a tick.
        let took = now.saturating_sub(before);
        self.polls = self.polls.saturating_add(1);
        self.busy += took;
        self.longest = self.longest.max(took);
        if took >= self.long
            && let Some(span) = span
        {
            long_poll::<P>(span, before, now);
        }
        Some(now)
    }

    /// The span ends: its slot will be another's.
    pub(crate) fn end(&mut self) {
        self.slot = None;
    }

    /// Says on the span what was counted; it ends now. Apart from the places where
    /// futures are polled, which are many.
    #[inline(never)]
    pub(crate) fn write<P: Platform>(&self, live: &mut Live, end: u64) {
        if self.polls == 0 {
            return;
        }
        let start = live.start();
        let mut add = |key, number| Writer::new(live).add_distinct(key, Value::I64(number));
        let nanos = |ticks: u64| P::nanos_of(ticks, end) as i64;
        add(&COUNT, self.polls.into());
        let busy = nanos(self.busy);
        add(&BUSY, busy);
        // A start that the program gave is on another clock.
        if start & UNIX == 0 {
            add(&IDLE, nanos(end.saturating_sub(start).saturating_sub(self.busy)));
        }
        add(&LONGEST, nanos(self.longest).min(busy));
    }
}

#[cold]
fn long_poll<P: Platform>(span: &mut Live, began: u64, now: u64) {
    let took = Value::I64(P::nanos_of(now.saturating_sub(began), now) as i64);
    let attributes = [("throughline.poll.duration_ns", took)];
    Writer::new(span).add_event(LONG_POLL_EVENT, began, &attributes);
}
