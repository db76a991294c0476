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

mod ending;
mod gather;
mod settings;

use core::time::Duration;

pub use settings::FlusherSettings;

use crate::batch::{Batch, Entry};
use crate::frame::FrameTag;
use crate::ring::{Consumer, Mark};
use crate::scopes::Scopes;
use crate::tail::{NoTail, Stage};
use crate::{Accepted, DropReason, ExportError, Ledger, Pipeline};

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
                self.stow(now, self.shutdown.map(|shutdown| shutdown.deadline), unix_nanos)
            }
            State::Waiting { until, .. } if now < until => self.stow(now, Some(until), unix_nanos),
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

    /// Whether a batch is with the exporter.
    pub fn is_exporting(&self) -> bool {
        matches!(self.state, State::Exporting { .. })
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
            State::Exporting { from, .. } | State::Waiting { from, .. } => self.count - from,
            State::Gathering | State::Finished => 0,
        }
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
