//! A pipeline with several destinations on a virtual clock, beside books that are kept
//! independently of it and compared after every step.

mod checks;

use core::ops::Range;
use core::time::Duration;
use std::collections::{BTreeMap, HashSet};

use throughline_core::{
    Accepted, Callsite, DropReason, ExportError, FlusherSettings, Pipeline, Retry, Scope, SpanId,
    Ticket,
};

use super::{Body, Bounds, FanOut, Order, Place};
use crate::anchor::Anchor;
use crate::export::dispatch::Step;
use crate::export::engine::{Goal, State};
use crate::setup::pipeline::{Created, create};
use crate::{Context, PipelineOptions, Span};

/// A pipeline, its destinations, and the books.
pub(super) struct Simulation {
    pub(super) pipeline: &'static Pipeline,
    pub(super) state: State,
    pub(super) now: Duration,
    pub(super) bounds: Vec<Bounds>,
    retry: Retry,
    /// Ended and not handed over, the oldest first.
    queued: Vec<SpanId>,
    /// Handed over: what became of each span at each destination.
    fates: BTreeMap<SpanId, Vec<Fate>>,
    /// The order in which spans were handed over.
    order: Vec<SpanId>,
    /// What was handed over together.
    batches: Vec<Vec<SpanId>>,
    lanes: Vec<Books>,
    tickets: Vec<(Ticket, HashSet<SpanId>)>,
    pub(super) deadline: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Open,
    Taken,
    Lost(DropReason),
}

#[derive(Debug, Default)]
struct Books {
    slots: Vec<Slot>,
    queue_full: u64,
    abandoned: u64,
    hopeless: bool,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    sending: Option<Vec<SpanId>>,
    /// What must be sent next, and not before.
    next: Option<(Vec<SpanId>, Duration)>,
    attempt: u32,
}

impl Simulation {
    pub(super) fn new(batch: usize, retry: Retry, bounds: &[Bounds]) -> Self {
        let mut settings = FlusherSettings::new();
        settings.max_export_batch_size = batch;
        settings.retry = retry;
        let options = PipelineOptions {
            flusher: settings,
            max_live_spans: 4,
            max_queue_size: 16,
            max_large_spans: Some(0),
            max_batch_bytes: 0,
            ..PipelineOptions::default()
        };
        let Created { pipeline, flusher, .. } = create(&options);
        let fan_out = FanOut::new(pipeline, settings, bounds.iter().copied(), 7);
        let lanes = bounds
            .iter()
            .map(|lane| Books { slots: vec![Slot::default(); lane.in_flight], ..Books::default() });
        Simulation {
            pipeline,
            state: State::new(flusher, Some(fan_out), None),
            now: Duration::ZERO,
            bounds: bounds.to_vec(),
            retry,
            queued: Vec::new(),
            fates: BTreeMap::new(),
            order: Vec::new(),
            batches: Vec::new(),
            lanes: lanes.collect(),
            tickets: Vec::new(),
            deadline: None,
        }
    }

    pub(super) fn fan_out(&mut self) -> &mut FanOut {
        self.state.fan_out.as_mut().expect("it fans out")
    }

    pub(super) fn places(&self) -> Vec<Place> {
        self.state.fan_out.as_ref().expect("it fans out").places()
    }

    /// Starts and ends a span.
    pub(super) fn span(&mut self) {
        let full = self.pipeline.ledger().dropped(DropReason::QueueFull);
        let id = Context::empty().with_pipeline(self.pipeline).scope(|| {
            let span = Span::start(&WORK, |_| ());
            span.is_recording().then(|| span.span_context().span_id())
        });
        let lost = self.pipeline.ledger().dropped(DropReason::QueueFull) > full;
        self.queued.extend(id.filter(|_| !lost));
        self.check();
    }

    /// Drives the flusher once.
    pub(super) fn hand_on(&mut self) -> Step {
        let handed_over = self.fan_out().handed_over();
        let was_idle: Vec<bool> =
            self.lanes.iter().map(|lane| lane.slots.iter().all(Slot::is_idle)).collect();
        let step = self.state.hand_on(self.now, Anchor::current());
        let spans = (self.fan_out().handed_over() - handed_over) as usize;
        let batch: Vec<SpanId> = self.queued.drain(..spans).collect();
        for id in &batch {
            self.fates.insert(*id, vec![Fate::Open; self.lanes.len()]);
            self.order.push(*id);
        }
        self.batches.extend((!batch.is_empty()).then(|| batch.clone()));
        let mut somebody = batch.is_empty();
        for (index, was_idle) in was_idle.into_iter().enumerate() {
            let new = self.newly_lost(index);
            let holds = self.order.iter().any(|id| self.fates[id][index] == Fate::Open);
            match new {
                _ if batch.is_empty() => assert_eq!(new.0, 0),
                (0, 0) => somebody = true,
                (_, 0) => {
                    assert_eq!(new.0, spans as u64);
                    let had = holds && self.held(index).len() > batch.len();
                    assert!(!was_idle || had, "an idle destination had no room");
                    self.mark(&batch, index, Fate::Lost(DropReason::QueueFull));
                }
                // Without hope it loses what it is given, or the time is over.
                (_, _) => {
                    somebody = true;
                    self.mark(&batch, index, Fate::Lost(DropReason::Abandoned));
                }
            }
        }
        assert!(somebody, "a batch was taken over for which nobody had room");
        self.note_abandoned();
        self.check();
        step
    }

    /// What the lane's ledger has more than its books: full, and abandoned.
    fn newly_lost(&mut self, index: usize) -> (u64, u64) {
        let ledger = self.fan_out().lanes()[index].ledger;
        let books = &mut self.lanes[index];
        let full = ledger.dropped(DropReason::QueueFull) - books.queue_full;
        let abandoned = ledger.dropped(DropReason::Abandoned) - books.abandoned;
        books.queue_full += full;
        (full, if full == 0 { abandoned } else { 0 })
    }

    fn mark(&mut self, spans: &[SpanId], lane: usize, fate: Fate) {
        for id in spans {
            let known = &mut self.fates.get_mut(id).expect("it was handed over")[lane];
            assert_eq!(*known, Fate::Open, "settled twice at one destination");
            *known = fate;
        }
    }

    /// What a destination was given and has not settled.
    fn held(&self, lane: usize) -> Vec<SpanId> {
        self.order.iter().copied().filter(|id| self.fates[id][lane] == Fate::Open).collect()
    }

    /// Of a lane that gave up, or at the end, what was open is lost.
    fn note_abandoned(&mut self) {
        for index in 0..self.lanes.len() {
            let lost = self.fan_out().lanes()[index].ledger.dropped(DropReason::Abandoned);
            let known = self.of(index, Fate::Lost(DropReason::Abandoned));
            if lost > known {
                let all = self.state.is_finished() || self.fan_out().is_finished();
                let flying = self.flying(index);
                let gone = self.held(index);
                let gone: Vec<_> =
                    gone.into_iter().filter(|id| all || !flying.contains(id)).collect();
                self.mark(&gone, index, Fate::Lost(DropReason::Abandoned));
                if all {
                    self.lanes[index].slots.fill(Slot::default());
                }
            }
            self.lanes[index].abandoned = self.of(index, Fate::Lost(DropReason::Abandoned));
        }
    }

    fn of(&self, lane: usize, fate: Fate) -> u64 {
        self.fates.values().filter(|fates| fates[lane] == fate).count() as u64
    }

    /// Asks what to do at a place; what is sent there, if something is.
    pub(super) fn poll(&mut self, place: Place) -> Order {
        let was_finished = self.fan_out().is_finished();
        let order = self.state.order_at(self.now, place);
        match &order {
            Order::Export(body, spans) => self.on_sent(place, body, spans.clone()),
            Order::Wait(Some(until)) => assert!(*until > self.now, "the wait is over already"),
            Order::Wait(None) => assert_eq!(self.deadline, None),
            Order::Finished => {}
        }
        if !was_finished {
            self.note_abandoned();
        }
        self.check();
        order
    }

    fn on_sent(&mut self, place: Place, body: &Body, spans: Range<usize>) {
        let sent: Vec<_> = body.batch(spans).spans().map(|(_, span)| span.span_id()).collect();
        assert!(!sent.is_empty(), "nothing is sent");
        let is_ordered = self.bounds[place.lane].in_flight == 1;
        let oldest: Vec<_> = self.held(place.lane).into_iter().take(sent.len()).collect();
        let slots = &mut self.lanes[place.lane].slots;
        let twice = |id: &SpanId| slots.iter().any(|slot| slot.sending().contains(id));
        assert!(!sent.iter().any(twice), "sent twice at the same time");
        let slot = &mut slots[place.slot];
        assert_eq!(slot.sending, None, "two requests at one place");
        match slot.next.take() {
            Some((expected, not_before)) => {
                assert_eq!(sent, expected, "another request than the failed one");
                let hurries = self.deadline.is_some_and(|deadline| not_before >= deadline);
                assert!(self.now >= not_before || hurries, "repeated before {not_before:?}");
            }
            None => slot.attempt = 0,
        }
        slot.sending = Some(sent.clone());
        assert!(!is_ordered || sent == oldest, "not in the order of the queue");
        for id in &sent {
            assert_eq!(self.fates[id][place.lane], Fate::Open, "{id} is sent and was settled");
        }
    }

    /// What is being sent there.
    pub(super) fn sending(&self, place: Place) -> Option<&Vec<SpanId>> {
        self.lanes[place.lane].slots[place.slot].sending.as_ref()
    }

    /// The destination answers.
    pub(super) fn answer(&mut self, place: Place, answer: Result<Accepted, ExportError>) {
        let whole = self.whole_of(place);
        let slot = &mut self.lanes[place.lane].slots[place.slot];
        let sent = slot.sending.take().expect("something is sent");
        let rest: Vec<_> =
            whole.iter().skip_while(|id| *id != sent.last().unwrap()).skip(1).copied().collect();
        let mut settled = (!rest.is_empty()).then_some((rest, Duration::ZERO));
        let attempt = core::mem::take(&mut slot.attempt);
        let mut lost = None;
        match answer {
            Ok(Accepted { rejected }) => {
                let taken = sent.len() - (rejected as usize).min(sent.len());
                self.mark(&sent[..taken], place.lane, Fate::Taken);
                self.mark(&sent[taken..], place.lane, Fate::Lost(DropReason::Rejected));
            }
            Err(ExportError::TooLarge) if sent.len() > 1 => {
                settled = Some((sent[..sent.len() / 2].to_vec(), self.now));
                self.lanes[place.lane].slots[place.slot].attempt = attempt;
            }
            Err(ExportError::TooLarge) => lost = Some(DropReason::TooLarge),
            Err(ExportError::Retry { after, .. }) => {
                // At least half of the delay, and what was asked for.
                let least = self.retry.delay(attempt, after, 0).map(|delay| self.now + delay);
                let most = self.retry.delay(attempt, after, u64::MAX);
                let most = most.map(|delay| self.now + delay);
                let is_last = self.deadline.is_some() && attempt > 0;
                let fits = |at: Duration| self.deadline.is_none_or(|deadline| at < deadline);
                match (least, most) {
                    (Some(least), Some(most)) if !is_last && fits(most) => {
                        settled = Some((sent.clone(), least));
                        self.lanes[place.lane].slots[place.slot].attempt = attempt + 1;
                    }
                    // Whether it fits depends on the jitter.
                    (Some(least), _) if !is_last && fits(least) => {
                        let former = self.fan_out().lanes()[place.lane].ledger;
                        self.state.settle_at(self.now, place, answer);
                        let now = self.fan_out().lanes()[place.lane].ledger;
                        if former == now {
                            settled = Some((sent.clone(), least));
                            let slot = &mut self.lanes[place.lane].slots[place.slot];
                            slot.attempt = attempt + 1;
                        } else {
                            lost = Some(DropReason::RetriesExhausted);
                        }
                    }
                    _ => lost = Some(DropReason::RetriesExhausted),
                }
            }
            Err(_) => lost = Some(DropReason::ExportFailed),
        }
        if let Some(reason) = lost {
            self.mark(&sent, place.lane, Fate::Lost(reason));
            let gives_up = reason == DropReason::RetriesExhausted && self.deadline.is_some();
            self.lanes[place.lane].hopeless |= gives_up;
        }
        let is_settled = answer.is_ok() || lost.is_some();
        if is_settled && self.lanes[place.lane].hopeless {
            settled = None;
        }
        self.lanes[place.lane].slots[place.slot].next = settled;
        self.state.settle_at(self.now, place, answer);
        self.note_abandoned();
        self.check();
    }

    /// What is in the slots of a destination, to the ends of its shipments.
    fn flying(&self, lane: usize) -> Vec<SpanId> {
        let fan_out = self.state.fan_out.as_ref().expect("it fans out");
        let left = |flight: super::Flight| {
            let body = &fan_out.shipments.get(&flight.shipment)?.body;
            let spans = body.batch(flight.from..body.len());
            Some(spans.spans().map(|(_, span)| span.span_id()).collect::<Vec<_>>())
        };
        fan_out.lanes[lane].in_slots().filter_map(left).flatten().collect()
    }

    /// All spans of the shipment of which something is sent there.
    fn whole_of(&mut self, place: Place) -> Vec<SpanId> {
        let fan_out = self.state.fan_out.as_ref().expect("it fans out");
        let flight = fan_out.lanes[place.lane].flying(place.slot).expect("it flies");
        let body = &fan_out.shipments[&flight.shipment].body;
        body.batch(0..body.len()).spans().map(|(_, span)| span.span_id()).collect()
    }

    /// The transmissions at these places are lost with their driver.
    pub(super) fn interrupt(&mut self, is_meant: impl Fn(Place) -> bool + Copy) {
        self.state.flusher.on_interrupted(self.now);
        self.fan_out().interrupt(is_meant);
        for (lane, books) in self.lanes.iter_mut().enumerate() {
            for (slot, books) in books.slots.iter_mut().enumerate() {
                if is_meant(Place { lane, slot })
                    && let Some(sent) = books.sending.take()
                {
                    books.next = Some((sent, Duration::ZERO));
                }
            }
        }
        self.check();
    }

    pub(super) fn flush(&mut self) -> Ticket {
        let ticket = self.state.flusher.flush();
        let open = |fates: &Vec<Fate>| fates.contains(&Fate::Open);
        let handed_over = self.fates.iter().filter(|(_, f)| open(f)).map(|(id, _)| *id);
        self.tickets.push((ticket, handed_over.chain(self.queued.iter().copied()).collect()));
        self.check();
        ticket
    }

    pub(super) fn shutdown(&mut self, within: Duration) {
        let deadline = self.now + within;
        self.deadline = Some(self.deadline.map_or(deadline, |former| former.min(deadline)));
        self.state.shutdown(deadline);
        self.check();
    }

    pub(super) fn has_reached(&self, ticket: Ticket) -> bool {
        self.state.has_reached(Goal::Served(ticket))
    }
}

impl Slot {
    fn is_idle(&self) -> bool {
        self.sending.is_none() && self.next.is_none()
    }

    fn sending(&self) -> &[SpanId] {
        self.sending.as_deref().unwrap_or_default()
    }
}

static WORK: Callsite = Callsite::new("work", &Scope::new("simulation", ""));
