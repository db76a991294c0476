//! How frames come from the rings into the batch, and when that is to be sent.

use core::time::Duration;

use super::{Action, Flusher, PREEMPTED, State};
use crate::batch::Entry;
use crate::ring::Consumer;
use crate::tail::{Buffer, Sink, Stage, TURN, Taken, Turn};
use crate::{DropReason, frame, wire};

impl<B, E, T> Flusher<B, E, T>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    E: AsRef<[Entry]> + AsMut<[Entry]>,
    T: Stage,
{
    /// Takes what has ended from the rings, and says whether it is to be sent.
    pub(super) fn gather(&mut self, now: Duration, unix_nanos: impl Fn(u64) -> u64) -> Action {
        // Before anything new is taken: spans that keep ending would otherwise
        // hold up a flush whose own spans are settled.
        self.serve_flushes();
        let turn = match self.tail.buffer() {
            None => self.drain(unix_nanos),
            Some(_) => self.drain_by_tail(now, unix_nanos),
        };
        // What comes next may take long.
        self.give_back();
        if self.count > 0 && self.due.is_none() {
            let since = self.drained.unwrap_or(now);
            self.due = Some(since.saturating_add(self.settings.schedule_delay));
        }
        self.drained = Some(now);
        let is_last = turn == Turn::Empty && self.is_awaited();
        if turn == Turn::Full || self.due.is_some_and(|due| is_last || now >= due) {
            self.state = State::Exporting { from: 0, to: self.count, attempt: 0 };
            return Action::Export;
        }
        if turn == Turn::Limit {
            return Action::Yield;
        }
        // The rings are empty up to what a producer is still writing.
        self.serve_flushes();
        if self.shutdown.is_some() && self.is_drained() && self.has_left_tail() {
            self.state = State::Finished;
            self.served = self.tickets;
            if let Some(tail) = self.tail.buffer_mut() {
                tail.leave();
            }
            return Action::Finished;
        }
        let is_awaited = self.is_awaited();
        let until = match self.due {
            Some(due) if !is_awaited => due,
            // Producers ring for many spans only: a few are found by looking.
            _ => now.saturating_add(if is_awaited { PREEMPTED } else { self.pause() }),
        };
        let deadline = self.shutdown.map_or(until, |shutdown| shutdown.deadline);
        let until = until.min(deadline);
        let decision = self.tail.buffer().and_then(|tail| tail.until());
        Action::Wait { until: Some(decision.map_or(until, |decision| until.min(decision))) }
    }

    /// While a batch is with the exporter, until then at most: what has ended goes from the
    /// rings to the memory of tail sampling.
    pub(super) fn stow(
        &mut self,
        now: Duration,
        until: Option<Duration>,
        unix_nanos: impl Fn(u64) -> u64,
    ) -> Action {
        if self.tail.buffer().is_none() {
            return Action::Wait { until };
        }
        let first_shard = self.take_turn();
        let turn = self.at_tail(now, first_shard, |tail, turn| tail.turn(turn, unix_nanos));
        self.give_back();
        if turn == Turn::Limit {
            return Action::Yield;
        }
        let look = now.saturating_add(self.pause());
        let until = until.map_or(look, |until| until.min(look));
        let decision = self.tail.buffer().and_then(|tail| tail.until());
        Action::Wait { until: Some(decision.map_or(until, |decision| until.min(decision))) }
    }

    /// What was taken is free, for whoever looks.
    fn give_back(&mut self) {
        self.consumers.iter_mut().for_each(Consumer::give_back);
        #[cfg(not(target_os = "none"))]
        self.pipeline.returns().count();
    }

    /// How long an idle flusher does not look for a few spans, for which nobody rings.
    fn pause(&self) -> Duration {
        self.settings.schedule_delay.max(IDLE)
    }

    /// Whether nothing waits for a decision, or for room in the batch behind one.
    fn has_left_tail(&self) -> bool {
        self.tail.buffer().is_none_or(|tail| tail.is_empty() && self.count == 0)
    }

    /// Whether somebody waits for what is gathered.
    fn is_awaited(&self) -> bool {
        self.flushing.is_some() || self.shutdown.is_some()
    }

    /// Notes the flushes that are over: all they cover was taken, and nothing is
    /// gathered.
    fn serve_flushes(&mut self) {
        while let Some(flush) = &self.flushing
            && self.count == 0
            && self.has_passed(&flush.marks)
            && self.tail.buffer().is_none_or(|tail| tail.has_settled(flush.ticket))
        {
            self.served = flush.ticket;
            self.flushing = self.next_flush.take();
        }
    }

    /// Moves frames from the rings to the batch.
    fn drain(&mut self, unix_nanos: impl Fn(u64) -> u64) -> Turn {
        let first = self.take_turn();
        let bytes = self.bytes.as_mut();
        let entries = self.entries.as_mut();
        let most = entries.len().min(self.settings.max_export_batch_size.max(1));
        let shards = self.consumers.len();
        let mut moved = 0;
        for shard in first..first + shards {
            let shard = if shard < shards { shard } else { shard - shards };
            let Some(consumer) = self.consumers.get_mut(shard) else { continue };
            while let Some(frame) = consumer.peek() {
                let len = frame.bytes().len();
                if len > bytes.len() {
                    frame.take();
                    self.pipeline.counters().count_dropped(DropReason::TooLarge, 1);
                    continue;
                }
                let (Some(copy), Some(entry), true) = (
                    bytes.get_mut(self.used..self.used + len),
                    entries.get_mut(self.count),
                    self.count < most,
                ) else {
                    return Turn::Full;
                };
                if moved == TURN {
                    return Turn::Limit;
                }
                wire::copy(copy, frame.bytes());
                let tag = frame.take();
                frame::stamp(copy, &tag, |ticks| frame::unix_of(ticks, &unix_nanos));
                self.used += len;
                let scope = self.scopes.one_of(tag.callsite.scope());
                *entry = Entry::new(self.used as u32, scope);
                self.count += 1;
                moved += 1;
            }
        }
        if self.count == most { Turn::Full } else { Turn::Empty }
    }

    /// The shard that is drained first: another one each time.
    fn take_turn(&mut self) -> usize {
        let first = self.next_shard;
        self.next_shard = (first + 1) % self.consumers.len().max(1);
        first
    }

    /// Moves frames by way of the tail stage.
    fn drain_by_tail(&mut self, now: Duration, unix_nanos: impl Fn(u64) -> u64) -> Turn {
        let first_shard = self.take_turn();
        match self.at_tail(now, first_shard, |tail, turn| tail.turn(turn, &unix_nanos)) {
            Turn::Empty if self.is_awaited() => self.force(now, unix_nanos),
            turn => turn,
        }
    }

    /// Has the tail stage decide what a flush or shutdown waits for, once it is
    /// out of the rings.
    fn force(&mut self, now: Duration, unix_nanos: impl Fn(u64) -> u64) -> Turn {
        let flush = match &self.flushing {
            _ if self.shutdown.is_some() && self.is_drained() => u64::MAX,
            Some(flush) if self.has_passed(&flush.marks) => flush.ticket,
            _ => return Turn::Empty,
        };
        self.at_tail(now, 0, |tail, turn| tail.force(flush, turn, unix_nanos))
    }

    fn at_tail(
        &mut self,
        now: Duration,
        first_shard: usize,
        work: impl FnOnce(&mut Buffer<T::Units, T::Chains, T::Access>, Taken<'_>) -> Turn,
    ) -> Turn {
        let Some(tail) = self.tail.buffer_mut() else { return Turn::Empty };
        let entries = self.entries.as_mut();
        let most = entries.len().min(self.settings.max_export_batch_size.max(1));
        let bytes = self.bytes.as_mut();
        let (used, count, scopes) = (&mut self.used, &mut self.count, &mut self.scopes);
        let is_closed = self.state != State::Gathering;
        let sink = Sink { bytes, entries, used, count, scopes, most, is_closed };
        let (consumers, counters) = (&mut self.consumers, self.pipeline.counters());
        work(tail, Taken { now, consumers, first_shard, sink, counters })
    }
}

/// How often an idle flusher looks at most, also when spans shall not wait.
const IDLE: Duration = Duration::from_millis(10);
