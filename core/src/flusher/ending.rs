//! How a pipeline comes to its end.

use core::time::Duration;

use super::{Flusher, Shutdown, State};
use crate::DropReason;
use crate::batch::Entry;
use crate::tail::Stage;

impl<B, E, T> Flusher<B, E, T>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    E: AsRef<[Entry]> + AsMut<[Entry]>,
    T: Stage,
{
    /// Ends the pipeline: what has ended by now is sent, nothing later. At the
    /// deadline whatever is left is counted as lost.
    pub fn shutdown(&mut self, deadline: Duration) {
        self.pipeline.close();
        if self.state == State::Finished {
            return;
        }
        let deadline = self.shutdown.map_or(deadline, |former| former.deadline.min(deadline));
        self.shutdown = Some(Shutdown { deadline, hopeless: false });
        // A long wait for a repetition is not for a program that ends.
        if let State::Waiting { until, .. } = &mut self.state
            && *until >= deadline
        {
            *until = Duration::ZERO;
        }
    }

    /// Whether shutdown is over. A span whose producer was in the middle of
    /// queueing it when the deadline came is counted by a later
    /// [`poll`](Self::poll), and those queued behind it.
    pub fn is_finished(&self) -> bool {
        self.state == State::Finished
    }

    /// Whether shutdown is over because its deadline came, with spans that were
    /// not settled yet.
    pub fn is_cut_short(&self) -> bool {
        self.cut_short
    }

    /// Ends the pipeline now, since the time is over: everything that is left is
    /// counted as lost.
    pub fn cut_short(&mut self) {
        if self.state != State::Finished {
            let left = self.gathered() > 0 || !self.is_drained();
            self.cut_short = left;
        }
        self.abandon();
    }

    /// Counts everything that is left as lost.
    pub(super) fn abandon(&mut self) {
        self.pipeline.close();
        let lost = self.gathered() as u64;
        if let Some(tail) = self.tail.buffer_mut() {
            tail.leave();
        }
        self.count = 0;
        self.used = 0;
        self.state = State::Finished;
        self.served = self.tickets;
        self.pipeline.counters().count_dropped(DropReason::Abandoned, lost);
        self.sweep();
    }

    /// Takes what is committed, and counts it as lost.
    fn sweep(&mut self) {
        let mut left = 0;
        for consumer in &mut self.consumers {
            while let Some(frame) = consumer.peek() {
                frame.take();
                left += 1;
            }
        }
        self.pipeline.counters().count_dropped(DropReason::Abandoned, left);
    }

    /// Whether nothing is in the rings, which are closed.
    pub(super) fn is_swept(&mut self) -> bool {
        self.sweep();
        self.is_drained()
    }
}
