//! Which trace has been quiet for long enough to count as complete.
//!
//! ```text
//!   spans arrive ──touch──> waiting, due at now + settle   (root is there)
//!        ▲                  waiting, due at now + give_up  (no root yet)
//!        └──── more spans ──┘      │
//!                                  └──poll at or after due──> given out
//! ```
//!
//! A machine: the time comes in as an argument, and it holds one entry per
//! waiting trace, no more than the store holds traces.

use core::time::Duration;
use std::collections::BTreeMap;
use std::time::Instant;

/// The waiting traces, by when they are due.
#[derive(Debug)]
pub(crate) struct Quiet {
    settle: Duration,
    give_up: Duration,
    waiting: BTreeMap<Due, [u8; 16]>,
}

/// When a trace is due; the number makes it unique and is the trace's own.
pub(crate) type Due = (Instant, u64);

impl Quiet {
    pub(crate) fn new(settle: Duration, give_up: Duration) -> Self {
        Self { settle, give_up, waiting: BTreeMap::new() }
    }

    /// Something came for a trace. `due` is the trace's own entry; touching it
    /// again at the same moment changes nothing.
    pub(crate) fn touch(
        &mut self,
        now: Instant,
        trace_id: [u8; 16],
        number: u64,
        has_root: bool,
        due: &mut Option<Due>,
    ) {
        let wait = if has_root { self.settle } else { self.give_up };
        // A wait beyond what the clock can express is as good as a day.
        let at = now.checked_add(wait).unwrap_or(now + Duration::from_secs(86_400));
        let new = (at, number);
        if *due == Some(new) {
            return;
        }
        self.forget(due);
        self.waiting.insert(new, trace_id);
        *due = Some(new);
    }

    /// The trace is gone or given out.
    pub(crate) fn forget(&mut self, due: &mut Option<Due>) {
        if let Some(due) = due.take() {
            self.waiting.remove(&due);
        }
    }

    /// The trace due first, if it is due by `now`. It keeps waiting until it is
    /// forgotten.
    pub(crate) fn poll(&self, now: Instant) -> Option<[u8; 16]> {
        let (&(due, _), &trace_id) = self.waiting.first_key_value()?;
        (due <= now).then_some(trace_id)
    }

    /// When [`Quiet::poll`] will have an answer, if nothing more comes.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        Some(self.waiting.first_key_value()?.0.0)
    }

    /// The trace due first, due or not.
    pub(crate) fn first(&self) -> Option<[u8; 16]> {
        self.waiting.values().next().copied()
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::time::Instant;

    use super::Quiet;

    const SETTLE: Duration = Duration::from_millis(500);
    const GIVE_UP: Duration = Duration::from_secs(5);

    #[test]
    fn a_trace_with_its_root_is_due_after_settling() {
        let (start, mut due) = (Instant::now(), None);
        let mut quiet = Quiet::new(SETTLE, GIVE_UP);
        quiet.touch(start, [1; 16], 1, true, &mut due);
        assert_eq!(quiet.poll(start + SETTLE - Duration::from_nanos(1)), None);
        assert_eq!(quiet.poll(start + SETTLE), Some([1; 16]));
        quiet.forget(&mut due);
        assert_eq!(quiet.poll(start + GIVE_UP), None);
        assert_eq!(quiet.next_due(), None);
    }

    #[test]
    fn each_arrival_starts_the_wait_again() {
        let (start, mut due) = (Instant::now(), None);
        let mut quiet = Quiet::new(SETTLE, GIVE_UP);
        quiet.touch(start, [1; 16], 1, true, &mut due);
        quiet.touch(start + SETTLE / 2, [1; 16], 1, true, &mut due);
        assert_eq!(quiet.poll(start + SETTLE), None);
        assert_eq!(quiet.next_due(), Some(start + SETTLE / 2 + SETTLE));
    }

    #[test]
    fn a_trace_without_a_root_waits_longer_and_the_root_shortens_it() {
        let (start, mut due) = (Instant::now(), None);
        let mut quiet = Quiet::new(SETTLE, GIVE_UP);
        quiet.touch(start, [1; 16], 1, false, &mut due);
        assert_eq!(quiet.next_due(), Some(start + GIVE_UP));
        quiet.touch(start, [1; 16], 1, true, &mut due);
        assert_eq!(quiet.next_due(), Some(start + SETTLE));
    }

    #[test]
    fn traces_due_at_once_are_all_given_out() {
        let start = Instant::now();
        let mut dues = [None, None];
        let mut quiet = Quiet::new(SETTLE, GIVE_UP);
        quiet.touch(start, [1; 16], 1, true, &mut dues[0]);
        quiet.touch(start, [2; 16], 2, true, &mut dues[1]);
        assert_eq!(quiet.poll(start + SETTLE), Some([1; 16]));
        quiet.forget(&mut dues[0]);
        assert_eq!(quiet.poll(start + SETTLE), Some([2; 16]));
        assert_eq!(quiet.first(), Some([2; 16]));
    }
}
