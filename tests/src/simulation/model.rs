//! What must be so: the books of a pipeline, kept independently of it.

use core::time::Duration;
use std::collections::{BTreeMap, HashSet};

use throughline_core::{
    Accepted, Action, DropReason, ExportError, Ledger, Pipeline, Retry, SpanId, Ticket,
};

use super::{Answer, Setup, Size, VirtualFlusher};

/// The books of a pipeline.
#[derive(Debug)]
pub struct Model {
    slots: usize,
    batch_spans: usize,
    batch_bytes: usize,
    one_shard: bool,
    retry: Retry,
    started: u64,
    exported: u64,
    dropped: BTreeMap<&'static str, u64>,
    /// Ended, queued or gathered, not settled; in the order of their ends.
    pending: Vec<Pending>,
    delivered: HashSet<SpanId>,
    /// The unsettled rest of the batch that was first sent together.
    batch: Vec<SpanId>,
    /// What the next transmission must be, if that is known.
    next: Option<Vec<SpanId>>,
    /// What is with the exporter, or was before it failed.
    sending: Vec<SpanId>,
    attempt: u32,
    /// Between which times the repetition must come.
    repetition: Option<(Duration, Duration)>,
    tickets: Vec<(Ticket, HashSet<SpanId>)>,
    deadline: Option<Duration>,
    finished: bool,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    id: SpanId,
    too_large: bool,
}

impl Model {
    /// The books of a pipeline that has done nothing yet.
    pub fn new(setup: &Setup) -> Self {
        Model {
            slots: setup.slots,
            batch_spans: setup.batch_spans(),
            batch_bytes: setup.batch_bytes,
            one_shard: setup.shards == 1,
            retry: setup.settings.retry,
            started: 0,
            exported: 0,
            dropped: BTreeMap::new(),
            pending: Vec::new(),
            delivered: HashSet::new(),
            batch: Vec::new(),
            next: None,
            sending: Vec::new(),
            attempt: 0,
            repetition: None,
            tickets: Vec::new(),
            deadline: None,
            finished: false,
        }
    }

    /// Spans that ended and are not settled.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// A span starts while `live` others are under way; whether it is recorded.
    pub fn on_start(&mut self, live: usize) -> bool {
        if self.deadline.is_some() {
            return false;
        }
        self.started += 1;
        if live == self.slots {
            self.lose(DropReason::LiveTableFull, 1);
        }
        live < self.slots
    }

    /// A span ended; whether it is queued.
    pub fn on_end(&mut self, id: SpanId, size: Size, was_empty: bool, ledger: &Ledger) -> bool {
        let full = ledger.dropped(DropReason::QueueFull) - self.lost(DropReason::QueueFull);
        let lost = match size {
            Size::RecordOnly => Some(DropReason::RecordOnly),
            Size::TooLargeForRing => Some(DropReason::TooLarge),
            _ if self.deadline.is_some() => Some(DropReason::AfterShutdown),
            _ if full > 0 => {
                assert!(!was_empty, "an empty queue had no room");
                Some(DropReason::QueueFull)
            }
            _ => None,
        };
        match lost {
            Some(reason) => self.lose(reason, 1),
            None => self.pending.push(Pending { id, too_large: size == Size::TooLargeForBatch }),
        }
        lost.is_none()
    }

    /// The flusher was polled; `sent` is the batch it wants to send.
    pub fn on_poll(
        &mut self,
        now: Duration,
        action: Action,
        was_exporting: bool,
        sent: Option<Vec<SpanId>>,
        flusher: &VirtualFlusher,
        pipeline: &Pipeline,
    ) {
        // Of a batch in parts, later spans may hold up a flush that covers none.
        let is_served = !was_exporting && self.next.is_none() && self.covers_nothing();
        self.settle_too_large(pipeline);
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            assert_eq!(action, Action::Finished, "shutdown goes on after its deadline");
        }
        if self.finished {
            assert_eq!(action, Action::Finished, "something happens after the end");
        }
        match action {
            Action::Export => {
                assert!(!was_exporting, "two batches are sent at once");
                self.on_sent(now, sent.unwrap_or_default());
                let bytes: usize =
                    flusher.batch().spans().map(|(_, span)| span.as_bytes().len()).sum();
                assert!(bytes <= self.batch_bytes, "a batch of {bytes} bytes");
            }
            Action::Wait { until } => {
                let until = until.unwrap_or(Duration::MAX);
                assert!(until > now, "the wait is over before it begins");
                assert!(self.deadline.is_none_or(|deadline| until <= deadline), "sleeps too long");
                if let Some((from, to)) = self.repetition {
                    assert!((from..=to).contains(&until), "{until:?} is not in {from:?}..{to:?}");
                }
            }
            Action::Yield => assert!(!was_exporting),
            Action::Finished => self.on_finished(),
        }
        if is_served && action != Action::Yield {
            for (ticket, _) in &self.tickets {
                assert!(flusher.is_served(*ticket), "{ticket:?} covers nothing and waits");
            }
        }
    }

    /// Whether all that the flushes cover is settled.
    fn covers_nothing(&self) -> bool {
        let covers = |id| self.tickets.iter().any(|(_, covered)| covered.contains(id));
        !self.pending.iter().any(|span| covers(&span.id) || self.is_unsure(span))
    }

    fn on_sent(&mut self, now: Duration, sent: Vec<SpanId>) {
        assert!(!sent.is_empty(), "an empty batch is sent");
        assert!(sent.len() <= self.batch_spans, "a batch of {} spans", sent.len());
        if let Some((from, _)) = self.repetition.take() {
            assert!(now >= from, "repeated at {now:?}, not to be before {from:?}");
        }
        match self.next.take() {
            Some(expected) => assert_eq!(sent, expected, "another batch than the failed one"),
            None => {
                self.attempt = 0;
                self.batch = sent.clone();
                let pending = self.pending.iter().filter(|span| !span.too_large);
                if self.one_shard {
                    let oldest: Vec<_> = pending.take(sent.len()).map(|span| span.id).collect();
                    assert_eq!(sent, oldest, "not the oldest spans in their order");
                } else {
                    let pending: HashSet<_> = pending.map(|span| span.id).collect();
                    assert!(sent.iter().all(|id| pending.contains(id)), "sent out of nowhere");
                }
            }
        }
        self.sending = sent;
    }

    /// The exporter answered.
    pub fn on_answer(&mut self, now: Duration, answer: Answer, flusher: &VirtualFlusher) {
        let spans = self.sending.len() as u64;
        match answer {
            Ok(Accepted { rejected }) => {
                for id in &self.sending {
                    assert!(self.delivered.insert(*id), "{id} is exported twice");
                }
                self.exported += spans - rejected.min(spans);
                self.lose(DropReason::Rejected, rejected.min(spans));
                self.on_settled();
            }
            Err(ExportError::TooLarge) if spans > 1 => {
                self.next = Some(self.sending[..self.sending.len() / 2].to_vec());
            }
            Err(ExportError::TooLarge) => {
                self.lose(DropReason::TooLarge, 1);
                self.on_settled();
            }
            Err(ExportError::Retry { after, .. }) => self.on_failed(now, after, flusher),
            Err(_) => {
                self.lose(DropReason::ExportFailed, spans);
                self.on_settled();
            }
        }
    }

    fn on_failed(&mut self, now: Duration, after: Option<Duration>, flusher: &VirtualFlusher) {
        let doubled = self.retry.initial_delay * 2u32.pow(self.attempt);
        let longest = doubled.min(self.retry.max_delay);
        let asked = after.unwrap_or(Duration::ZERO).min(self.retry.max_delay);
        let (from, to) = (asked.max(longest / 2), asked.max(longest));
        let (from, to) = (now.saturating_add(from), now.saturating_add(to));
        let repeats = match self.deadline {
            _ if self.attempt >= self.retry.max_repetitions => false,
            // One repetition, if it comes before the deadline.
            Some(deadline) if self.attempt > 0 || from >= deadline => false,
            Some(deadline) if to >= deadline => !flusher.is_finished(),
            _ => true,
        };
        if repeats {
            self.next = Some(self.sending.clone());
            self.repetition = Some((from, to));
            self.attempt += 1;
        } else {
            self.lose(DropReason::RetriesExhausted, self.sending.len() as u64);
            self.on_settled();
            if self.deadline.is_some() {
                self.on_finished();
            }
        }
    }

    /// The batch is sent again at once.
    pub fn on_interrupted(&mut self) {
        if self.next.is_none() && !self.sending.is_empty() {
            self.next = Some(self.sending.clone());
        }
    }

    /// A flush was asked for.
    pub fn on_flush(&mut self, ticket: Ticket) {
        self.tickets.push((ticket, self.pending.iter().map(|span| span.id).collect()));
    }

    /// The end was asked for.
    pub fn on_shutdown(&mut self, deadline: Duration) {
        let deadline = self.deadline.map_or(deadline, |former| former.min(deadline));
        self.deadline = Some(deadline);
        if self.repetition.is_some_and(|(_, to)| to >= deadline) {
            self.repetition = None;
        }
    }

    /// Compares the books with what the pipeline says.
    pub fn check(&self, ledger: &Ledger, live: usize, flusher: &VirtualFlusher) {
        assert_eq!(ledger.started(), self.started);
        assert_eq!(ledger.exported(), self.exported);
        for reason in DropReason::ALL {
            assert_eq!(ledger.dropped(reason), self.lost(reason), "{}", reason.as_str());
        }
        let in_flight = (live + self.pending.len()) as u64;
        let balance = ledger.exported() + ledger.dropped_total() + in_flight;
        assert_eq!(ledger.started(), balance, "the ledger does not balance: {ledger}");
        assert_eq!(ledger.in_flight(), in_flight);
        assert!(flusher.gathered() <= self.pending.len());
        for (ticket, covered) in &self.tickets {
            let waits = |span: &&Pending| covered.contains(&span.id) && !self.is_unsure(span);
            let waits = self.pending.iter().find(waits);
            assert!(!flusher.is_served(*ticket) || waits.is_none(), "{waits:?} is not settled");
        }
    }

    fn on_settled(&mut self) {
        let settled: HashSet<SpanId> = self.sending.drain(..).collect();
        self.pending.retain(|span| !settled.contains(&span.id));
        self.batch.retain(|id| !settled.contains(id));
        self.attempt = 0;
        self.repetition = None;
        self.next = (!self.batch.is_empty()).then(|| self.batch.clone());
    }

    fn on_finished(&mut self) {
        let left = self.pending.len() as u64;
        self.lose(DropReason::Abandoned, left);
        self.pending.clear();
        self.sending.clear();
        self.finished = true;
    }

    /// Of several spans that no batch can hold, in several shards, it is not
    /// known which one was met.
    fn is_unsure(&self, span: &Pending) -> bool {
        span.too_large && !self.one_shard
    }

    /// Spans that no batch can hold are counted when they are met.
    fn settle_too_large(&mut self, pipeline: &Pipeline) {
        let reason = DropReason::TooLarge;
        let met = pipeline.ledger().dropped(reason) - self.lost(reason);
        for _ in 0..met {
            let first = self.pending.iter().position(|span| span.too_large);
            self.pending.remove(first.expect("only spans that are too large are dropped"));
        }
        self.lose(reason, met);
    }

    fn lose(&mut self, reason: DropReason, spans: u64) {
        *self.dropped.entry(reason.as_str()).or_default() += spans;
    }

    fn lost(&self, reason: DropReason) -> u64 {
        self.dropped.get(reason.as_str()).copied().unwrap_or(0)
    }
}
