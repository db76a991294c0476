//! The flusher: from rings to batches to an exporter, as a machine that is told
//! the time.
//!
//! ```text
//!                 full, due, flush or shutdown
//!   ┌───────────┐ ───────────────────────────▶ ┌───────────┐
//!   │ Gathering │                              │ Exporting │ ◀──────┐
//!   └───────────┘ ◀─────────────────────────── └───────────┘        │
//!      │            delivered, or given up        │                 │
//!      │ all drained                              │ failed          │ due
//!      ▼                                          ▼                 │
//!   ┌──────────┐                               ┌─────────┐          │
//!   │ Finished │                               │ Waiting │ ─────────┘
//!   └──────────┘                               └─────────┘
//! ```
//!
//! It does no I/O. Its driver calls [`poll`](Flusher::poll), does what the
//! [`Action`] says, and calls again when something has changed: time passed, the
//! doorbell rang, an export ended, a flush was asked for. A call too many does
//! nothing.

use core::time::Duration;

use crate::backoff::Retry;
use crate::batch::{Batch, Entry};
use crate::frame::{self, FrameTag};
use crate::ring::{Consumer, Mark};
use crate::scopes::Scopes;
use crate::tail::{Buffer, NoTail, Sink, Stage, TURN, Taken, Turn};
use crate::{Accepted, DropReason, ExportError, Ledger, Pipeline, wire};

/// When batches are sent, and what happens when that fails.
///
/// Names and defaults are those of the [batching
/// processor](https://opentelemetry.io/docs/specs/otel/trace/sdk/#batching-processor).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlusherSettings {
    /// How long a span waits for others before it is sent. 5 s by default.
    pub schedule_delay: Duration,
    /// The most spans of a batch. 512 by default.
    pub max_export_batch_size: usize,
    /// How long one transmission may take; `None` is without limit. 30 s by
    /// default.
    pub export_timeout: Option<Duration>,
    /// Repetitions of a failed transmission.
    pub retry: Retry,
}

impl FlusherSettings {
    /// The specification's defaults.
    pub const fn new() -> Self {
        FlusherSettings {
            schedule_delay: Duration::from_millis(5_000),
            max_export_batch_size: 512,
            export_timeout: Some(Duration::from_millis(30_000)),
            retry: Retry::new(),
        }
    }
}

impl Default for FlusherSettings {
    fn default() -> Self {
        Self::new()
    }
}

/// What the driver does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Hand [`Flusher::batch`] to the exporter, and its result to
    /// [`Flusher::on_export`].
    Export,
    /// Nothing until then, or until the doorbell rings.
    Wait {
        /// The time, on the clock of [`Flusher::poll`]; `None` is without end.
        until: Option<Duration>,
    },
    /// Let others run, then call again at once.
    Yield,
    /// Everything is said and done.
    Finished,
}

/// A flush that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// The machine. `B` and `E` are the memory of one batch: its bytes and its
/// entries. `T` is what samples at the [tail](crate::tail), mostly nothing.
#[derive(Debug)]
pub struct Flusher<B, E, T = NoTail> {
    pipeline: &'static Pipeline,
    consumers: heapless::Vec<Consumer<FrameTag>, MAX_SHARDS>,
    /// The shard that is drained first in the next turn.
    next_shard: usize,
    settings: FlusherSettings,
    bytes: B,
    entries: E,
    tail: T,
    used: usize,
    count: usize,
    scopes: Scopes,
    /// Until when the oldest span of the batch may wait; there if there is one.
    due: Option<Duration>,
    /// When the rings were last drained: what is found next ended later.
    drained: Option<Duration>,
    state: State,
    flushing: Option<Flush>,
    next_flush: Option<Flush>,
    tickets: u64,
    served: u64,
    shutdown: Option<Shutdown>,
    /// The deadline of shutdown came before something was settled.
    cut_short: bool,
    failing: Option<ExportError>,
    jitter: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Gathering,
    /// The entries `from..to` are being sent.
    Exporting {
        from: usize,
        to: usize,
        attempt: u32,
    },
    /// The entries `from..to` are sent again then.
    Waiting {
        from: usize,
        to: usize,
        attempt: u32,
        until: Duration,
    },
    Finished,
}

#[derive(Clone, Copy, Debug)]
struct Flush {
    ticket: u64,
    marks: [Mark; MAX_SHARDS],
}

#[derive(Clone, Copy, Debug)]
struct Shutdown {
    deadline: Duration,
    /// The receiver cannot be reached: nothing more is tried.
    hopeless: bool,
}

impl<B, E> Flusher<B, E>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    E: AsRef<[Entry]> + AsMut<[Entry]>,
{
    /// The flusher of a pipeline; `None` if it has one already.
    ///
    /// A batch holds as many spans as the settings say, as there are `entries`,
    /// and as fit into `bytes`, whatever is least.
    pub fn new(
        pipeline: &'static Pipeline,
        settings: FlusherSettings,
        bytes: B,
        entries: E,
        seed: u64,
    ) -> Option<Self> {
        Self::with_tail(pipeline, settings, bytes, entries, NoTail, seed)
    }
}

impl<B, E, T> Flusher<B, E, T>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    E: AsRef<[Entry]> + AsMut<[Entry]>,
    T: Stage,
{
    /// As [`new`](Flusher::new), and samples at the tail; `None` also if as many
    /// pipelines as possible share its book already.
    pub fn with_tail(
        pipeline: &'static Pipeline,
        settings: FlusherSettings,
        bytes: B,
        entries: E,
        mut tail: T,
        seed: u64,
    ) -> Option<Self> {
        let mut consumers = heapless::Vec::new();
        for shard in pipeline.shards().iter().take(MAX_SHARDS) {
            consumers.push(shard.ring().consumer()?).ok()?;
        }
        if let Some(tail) = tail.buffer_mut()
            && !tail.join(pipeline)
        {
            return None;
        }
        Some(Flusher {
            pipeline,
            consumers,
            next_shard: 0,
            settings,
            bytes,
            entries,
            tail,
            used: 0,
            count: 0,
            scopes: Scopes::new(),
            due: None,
            drained: None,
            state: State::Gathering,
            flushing: None,
            next_flush: None,
            tickets: 0,
            served: 0,
            shutdown: None,
            cut_short: false,
            failing: None,
            jitter: seed,
        })
    }

    /// What to do now. `unix_nanos` turns clock ticks into nanoseconds since the
    /// Unix epoch.
    pub fn poll(&mut self, now: Duration, unix_nanos: impl Fn(u64) -> u64) -> Action {
        // Answered in every state: a bell that nobody answers keeps the driver
        // awake.
        self.pipeline.bell().answer();
        if self.shutdown.is_some_and(|shutdown| now >= shutdown.deadline) {
            self.cut_short();
        }
        match self.state {
            State::Finished => match self.is_swept() {
                true => Action::Finished,
                false => Action::Wait { until: Some(now.saturating_add(PREEMPTED)) },
            },
            State::Exporting { .. } => {
                Action::Wait { until: self.shutdown.map(|shutdown| shutdown.deadline) }
            }
            State::Waiting { until, .. } if now < until => Action::Wait { until: Some(until) },
            State::Waiting { from, to, attempt, .. } => {
                self.state = State::Exporting { from, to, attempt };
                Action::Export
            }
            State::Gathering => self.gather(now, unix_nanos),
        }
    }

    /// The batch to send, after [`Action::Export`].
    pub fn batch(&self) -> Batch<'_> {
        let (from, to) = match self.state {
            State::Exporting { from, to, .. } => (from, to),
            _ => (0, 0),
        };
        let entries = self.entries.as_ref();
        let before = from.checked_sub(1).and_then(|last| entries.get(last));
        let start = before.map_or(0, Entry::end);
        let bytes = self.bytes.as_ref().get(..self.used).unwrap_or_default();
        let entries = entries.get(from..to).unwrap_or_default();
        Batch::new(self.pipeline, bytes, start, entries)
    }

    /// How long the transmission of [`batch`](Self::batch) may take.
    pub fn export_timeout(&self) -> Option<Duration> {
        self.settings.export_timeout
    }

    /// What became of the batch. Ignored unless one is being sent.
    pub fn on_export(&mut self, now: Duration, result: Result<Accepted, ExportError>) {
        let State::Exporting { from, to, attempt } = self.state else { return };
        let spans = (to - from) as u64;
        let counters = self.pipeline.counters();
        self.failing = result.err();
        let (reason, lost) = match result {
            Ok(Accepted { rejected }) => {
                let rejected = rejected.min(spans);
                counters.count_exported(spans - rejected);
                (DropReason::Rejected, rejected)
            }
            Err(ExportError::TooLarge) if spans > 1 => {
                let to = from + (to - from) / 2;
                self.state = State::Waiting { from, to, attempt, until: now };
                return;
            }
            Err(ExportError::TooLarge) => (DropReason::TooLarge, spans),
            Err(ExportError::Permanent(_)) => (DropReason::ExportFailed, spans),
            Err(ExportError::Retry { after, .. }) => {
                self.jitter = self.jitter.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                if let Some(until) = self.retry_at(now, attempt, after) {
                    self.state = State::Waiting { from, to, attempt: attempt + 1, until };
                    return;
                }
                if let Some(shutdown) = &mut self.shutdown {
                    shutdown.hopeless = true;
                }
                (DropReason::RetriesExhausted, spans)
            }
        };
        counters.count_dropped(reason, lost);
        self.next_part(to);
    }

    /// The transmission was lost with its driver: sends the batch again at the
    /// next poll.
    pub fn on_interrupted(&mut self, now: Duration) {
        if let State::Exporting { from, to, attempt } = self.state {
            self.state = State::Waiting { from, to, attempt, until: now };
        }
    }

    /// Somebody else took the batch over, copied it, and will [settle](Self::settle)
    /// it: goes on as after an answer, and counts nothing. Ignored unless a batch is
    /// being sent.
    ///
    /// What was handed over is not the flusher's any more: neither a ticket nor the end
    /// waits for it.
    pub fn hand_over(&mut self) {
        if let State::Exporting { to, .. } = self.state {
            self.next_part(to);
        }
    }

    /// Counts what became of spans that were [handed over](Self::hand_over): those of
    /// this ledger that are exported, and those that are dropped.
    pub fn settle(&mut self, settled: &Ledger) {
        let counters = self.pipeline.counters();
        counters.count_exported(settled.exported());
        counters.count_heartbeats(settled.heartbeats());
        for (reason, spans) in settled.losses() {
            counters.count_dropped(reason, spans);
        }
    }

    /// The last flush for which [`is_served`](Self::is_served) holds.
    pub fn served(&self) -> Ticket {
        Ticket(if self.state == State::Finished { self.tickets } else { self.served })
    }

    /// Asks that everything which has ended by now is sent at once.
    pub fn flush(&mut self) -> Ticket {
        self.tickets += 1;
        let flush = Flush { ticket: self.tickets, marks: self.marks() };
        if self.flushing.is_none() {
            self.flushing = Some(flush);
        } else {
            self.next_flush = Some(flush);
        }
        Ticket(self.tickets)
    }

    /// Whether all that the ticket covers is exported or counted as lost.
    pub fn is_served(&self, ticket: Ticket) -> bool {
        ticket.0 <= self.served || self.state == State::Finished
    }

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

    /// Whether a batch is with the exporter.
    pub fn is_exporting(&self) -> bool {
        matches!(self.state, State::Exporting { .. })
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

    /// The failure of the last transmission; `None` after a success.
    pub fn failing(&self) -> Option<ExportError> {
        self.failing
    }

    /// Spans that were taken from the rings and are not settled yet.
    pub fn gathered(&self) -> usize {
        let batched = match self.state {
            State::Exporting { from, .. } | State::Waiting { from, .. } => self.count - from,
            _ => self.count,
        };
        batched + self.tail.buffer().map_or(0, |tail| tail.len())
    }

    /// What samples at the tail.
    pub fn tail(&self) -> &T {
        &self.tail
    }

    /// Spans that the exporter was handed and that are not settled yet, through all
    /// repetitions.
    pub fn in_export(&self) -> usize {
        match self.state {
            State::Exporting { .. } | State::Waiting { .. } => self.gathered(),
            State::Gathering | State::Finished => 0,
        }
    }

    fn gather(&mut self, now: Duration, unix_nanos: impl Fn(u64) -> u64) -> Action {
        // Before anything new is taken: spans that keep ending would otherwise
        // hold up a flush whose own spans are settled.
        self.serve_flushes();
        let turn = match self.tail.buffer() {
            None => self.drain(unix_nanos),
            Some(_) => self.drain_by_tail(now, unix_nanos),
        };
        // An export may take long.
        self.consumers.iter_mut().for_each(Consumer::give_back);
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
            _ => {
                let idle = self.settings.schedule_delay.max(IDLE);
                now.saturating_add(if is_awaited { PREEMPTED } else { idle })
            }
        };
        let deadline = self.shutdown.map_or(until, |shutdown| shutdown.deadline);
        let until = until.min(deadline);
        let decision = self.tail.buffer().and_then(|tail| tail.until());
        Action::Wait { until: Some(decision.map_or(until, |decision| until.min(decision))) }
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
        match self.at_tail(now, first_shard, |tail, turn| tail.turn(turn, unix_nanos)) {
            Turn::Empty if self.is_awaited() => self.force(now),
            turn => turn,
        }
    }

    /// Has the tail stage decide what a flush or shutdown waits for, once it is
    /// out of the rings.
    fn force(&mut self, now: Duration) -> Turn {
        let flush = match &self.flushing {
            _ if self.shutdown.is_some() && self.is_drained() => u64::MAX,
            Some(flush) if self.has_passed(&flush.marks) => flush.ticket,
            _ => return Turn::Empty,
        };
        self.at_tail(now, 0, |tail, turn| tail.force(flush, turn))
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
        let sink = Sink { bytes, entries, used, count, scopes, most };
        let (consumers, counters) = (&mut self.consumers, self.pipeline.counters());
        work(tail, Taken { now, consumers, first_shard, sink, counters })
    }

    /// Goes on behind a part of the batch that is settled.
    fn next_part(&mut self, from: usize) {
        if self.shutdown.is_some_and(|shutdown| shutdown.hopeless) {
            // What is before is settled.
            self.state = State::Waiting { from, to: from, attempt: 0, until: Duration::ZERO };
            self.abandon();
        } else if from < self.count {
            let until = Duration::ZERO;
            self.state = State::Waiting { from, to: self.count, attempt: 0, until };
        } else {
            self.count = 0;
            self.used = 0;
            self.due = None;
            self.state = State::Gathering;
        }
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
    fn abandon(&mut self) {
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
    fn is_swept(&mut self) -> bool {
        self.sweep();
        self.is_drained()
    }

    /// When to send again; `None` to give up.
    fn retry_at(&self, now: Duration, attempt: u32, after: Option<Duration>) -> Option<Duration> {
        let delay = self.settings.retry.delay(attempt, after, self.jitter)?;
        let until = now.saturating_add(delay);
        match self.shutdown {
            // One repetition, and only if it comes before the deadline.
            Some(shutdown) => (attempt == 0 && until < shutdown.deadline).then_some(until),
            None => Some(until),
        }
    }

    fn marks(&self) -> [Mark; MAX_SHARDS] {
        let mut marks = [Mark::default(); MAX_SHARDS];
        for (mark, consumer) in marks.iter_mut().zip(&self.consumers) {
            *mark = consumer.mark();
        }
        marks
    }

    /// Whether everything that is claimed now has been taken.
    fn is_drained(&self) -> bool {
        self.consumers.iter().all(|consumer| consumer.has_passed(consumer.mark()))
    }

    fn has_passed(&self, marks: &[Mark; MAX_SHARDS]) -> bool {
        self.consumers.iter().zip(marks).all(|(consumer, mark)| consumer.has_passed(*mark))
    }
}

/// The most rings of a pipeline.
pub const MAX_SHARDS: usize = 16;

/// How soon to look again for a frame whose producer was preempted.
const PREEMPTED: Duration = Duration::from_millis(1);

/// How often an idle flusher looks at most, also when spans shall not wait.
const IDLE: Duration = Duration::from_millis(10);
