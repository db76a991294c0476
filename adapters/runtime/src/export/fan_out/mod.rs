//! Several destinations, or several requests in flight to one, as a machine that is
//! told the time.
//!
//! ```text
//!                                    ┌ lane: queue ─▶ slot, slot … ──▶ destination
//!   flusher ── batch ──▶ shipment ───┤
//!              copied once, shared   └ lane: queue ─▶ slot, slot … ──▶ destination
//!                                           │ own retries, own ledger
//!                                           ▼
//!                     each lane is done: what became of each span is settled, once
//! ```
//!
//! A batch leaves the flusher when **one** lane has room; a lane that has none loses
//! it, and only that lane. While no lane has room, the batch stays where it is and the
//! pipeline's own queue fills. So a destination that hangs holds up nobody.
//!
//! A span is settled when every destination has settled it: exported, if one of them
//! took it, else dropped for the reason of the last one. It does no I/O and holds no
//! lock; its drivers are [`dispatch`](crate::export::dispatch) and [`worker`](crate::export::worker).

mod ending;
mod flushes;
mod lane;
mod shipment;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use core::ops::Range;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use throughline_core::{
    Accepted, Batch, DropReason, ExportError, FlusherSettings, Ledger, Pipeline, Ticket,
};

use flushes::Flushes;
pub(crate) use lane::Lane;
use lane::{Flight, Outcome};
pub(crate) use shipment::Body;
use shipment::{Contents, Shipment};

/// What a lane holds at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Requests in flight at once, at least 1.
    pub(crate) in_flight: usize,
    /// Batches that wait behind them.
    pub(crate) batches: usize,
    /// Bytes of all that it holds. An empty lane takes any batch.
    pub(crate) bytes: usize,
}

/// The machine.
#[derive(Debug)]
pub(crate) struct FanOut {
    pipeline: &'static Pipeline,
    settings: FlusherSettings,
    lanes: Vec<Lane>,
    /// What some lane still holds, by the order in which it was handed over.
    shipments: BTreeMap<u64, Shipment>,
    next_shipment: u64,
    flushes: Flushes,
    /// What was settled and is not counted by the pipeline yet.
    settled: Ledger,
    handed_over: u64,
    deadline: Option<Duration>,
    stage: Stage,
    jitter: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// Nothing more is handed over.
    Closed,
    /// Nothing is left; or the time was over, and what was left is lost.
    Finished {
        cut_short: bool,
    },
}

/// One of the requests that a lane has in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) lane: usize,
    pub(crate) slot: usize,
}

/// What is to be done at a [`Place`].
#[derive(Debug)]
pub(crate) enum Order {
    /// Send these spans, and tell [`FanOut::on_export`].
    Export(Arc<Body>, Range<usize>),
    /// Nothing until then, or until something changes.
    Wait(Option<Duration>),
    /// Everything is said and done.
    Finished,
}

impl FanOut {
    pub(crate) fn new(
        pipeline: &'static Pipeline,
        settings: FlusherSettings,
        lanes: impl IntoIterator<Item = Bounds>,
        seed: u64,
    ) -> Self {
        FanOut {
            pipeline,
            settings,
            lanes: lanes.into_iter().map(Lane::new).collect(),
            shipments: BTreeMap::new(),
            next_shipment: 0,
            flushes: Flushes::default(),
            settled: Ledger::default(),
            handed_over: 0,
            deadline: None,
            stage: Stage::Open,
            jitter: seed,
        }
    }

    /// Whether some lane takes the batch.
    pub(crate) fn has_room(&self, batch: &Batch<'_>) -> bool {
        let bytes = batch.frames_len();
        self.stage == Stage::Open && self.lanes.iter().any(|lane| lane.has_room(bytes))
    }

    /// Takes a batch over from the flusher. Lanes without room lose it.
    pub(crate) fn push(&mut self, batch: &Batch<'_>) {
        let (spans, bytes) = (batch.len(), batch.frames_len());
        let mut shipment = Shipment::new(self.pipeline, batch, Contents::Spans);
        self.handed_over += spans as u64;
        for lane in &mut self.lanes {
            lane.ledger.add_started(spans as u64);
            // A lane without hope takes everything: nothing of it is sent.
            let lost = match (lane.is_hopeless(), lane.has_room(bytes)) {
                (true, _) => DropReason::Abandoned,
                (false, false) => DropReason::QueueFull,
                (false, true) => {
                    lane.push(self.next_shipment, bytes);
                    shipment.open += 1;
                    continue;
                }
            };
            lane.ledger.add_dropped(lost, spans as u64);
            shipment.lose(0..spans, lost);
        }
        self.ship(shipment);
    }

    /// Takes records of live spans, for the lanes that have nothing else to do.
    pub(crate) fn push_heartbeats(&mut self, batch: &Batch<'_>) {
        let mut shipment = Shipment::new(self.pipeline, batch, Contents::Heartbeats);
        for lane in self.lanes.iter_mut().filter(|lane| lane.is_idle()) {
            lane.push(self.next_shipment, batch.frames_len());
            shipment.open += 1;
        }
        self.ship(shipment);
    }

    fn ship(&mut self, shipment: Shipment) {
        if shipment.open == 0 {
            shipment.settle(&mut self.settled);
        } else {
            self.shipments.insert(self.next_shipment, shipment);
        }
        self.next_shipment += 1;
    }

    /// What to do at this place now.
    pub(crate) fn poll(&mut self, place: Place, now: Duration) -> Order {
        self.look_at_deadline(now);
        if self.is_finished() {
            return Order::Finished;
        }
        let Some(lane) = self.lanes.get_mut(place.lane) else { return Order::Finished };
        let shipments = &self.shipments;
        let spans = |id| shipments.get(&id).map_or(0, |shipment| shipment.body.len());
        match lane.poll(place.slot, now, spans) {
            Ok(Flight { shipment, from, to, .. }) => match self.shipments.get(&shipment) {
                Some(shipment) => Order::Export(shipment.body.clone(), from..to),
                None => Order::Wait(None),
            },
            Err(until) => {
                let until = until.into_iter().chain(self.deadline).min();
                Order::Wait(until)
            }
        }
    }

    /// Whether a poll at this place would have something to do.
    pub(crate) fn is_ready(&self, place: Place, now: Duration) -> bool {
        let is_over = self.deadline.is_some_and(|deadline| now >= deadline);
        let is_ready = |lane: &Lane| lane.is_ready(place.slot, now);
        self.is_finished() || is_over || self.lanes.get(place.lane).is_none_or(is_ready)
    }

    /// Whether something is on its way from this place.
    pub(crate) fn is_sending(&self, place: Place) -> bool {
        self.lanes.get(place.lane).is_some_and(|lane| lane.flying(place.slot).is_some())
    }

    /// What became of what was sent at this place; ignored unless something is. Returns
    /// whether it is settled, and neither repeated nor halved.
    pub(crate) fn on_export(
        &mut self,
        place: Place,
        now: Duration,
        result: Result<Accepted, ExportError>,
    ) -> bool {
        self.jitter = self.jitter.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        let (retry, jitter, deadline) = (self.settings.retry, self.jitter, self.deadline);
        let Some(lane) = self.lanes.get_mut(place.lane) else { return false };
        let Some(flight) = lane.flying(place.slot) else { return false };
        let Some(shipment) = self.shipments.get_mut(&flight.shipment) else { return false };
        let delay = |after| match shipment.contents {
            // The next record is as good.
            Contents::Heartbeats => None,
            Contents::Spans => {
                let until = now.saturating_add(retry.delay(flight.attempt, after, jitter)?);
                match deadline {
                    // One repetition, and only if it comes before the deadline.
                    Some(deadline) => (flight.attempt == 0 && until < deadline).then_some(until),
                    None => Some(until),
                }
            }
        };
        let spans = flight.to - flight.from;
        let outcome = match result {
            Ok(_) if lane.discards => Outcome::lost(DropReason::RecordOnly),
            Ok(Accepted { rejected }) => {
                let rejected = usize::try_from(rejected).unwrap_or(usize::MAX).min(spans);
                Outcome::Settled { taken: spans - rejected, lost: DropReason::Rejected }
            }
            Err(ExportError::TooLarge) if spans > 1 => Outcome::Halve { until: now },
            Err(ExportError::TooLarge) => Outcome::lost(DropReason::TooLarge),
            Err(ExportError::Retry { after, .. }) => match delay(after) {
                Some(until) => Outcome::Repeat { until },
                None => Outcome::lost(DropReason::RetriesExhausted),
            },
            Err(_) => Outcome::lost(DropReason::ExportFailed),
        };
        if let Outcome::Settled { taken, lost } = outcome {
            if shipment.contents == Contents::Spans {
                lane.ledger.add_exported(taken as u64);
                lane.ledger.add_dropped(lost, (spans - taken) as u64);
            }
            // Which ones a partial success refused is not said.
            let refused = flight.from + taken..flight.to;
            shipment.take(flight.from..flight.from + taken);
            shipment.lose(refused, lost);
            let gives_up = lost == DropReason::RetriesExhausted && taken < spans;
            if gives_up && deadline.is_some() && shipment.contents == Contents::Spans {
                lane.give_up();
            }
        }
        let whole = shipment.body.len();
        if lane.go_on(place.slot, outcome, whole) {
            self.release(place.lane, flight.shipment);
        } else if let Outcome::Settled { .. } = outcome
            && lane.is_hopeless()
        {
            lane.empty(place.slot);
            self.abandon(place.lane, Flight { from: flight.to, ..flight });
        }
        self.abandon_hopeless(place.lane);
        self.finish();
        matches!(outcome, Outcome::Settled { .. })
    }

    /// Whether spans are being sent at this place, and not records of live ones.
    pub(crate) fn is_of_spans(&self, place: Place) -> bool {
        let flight = self.lanes.get(place.lane).and_then(|lane| lane.flying(place.slot));
        let shipment = flight.and_then(|flight| self.shipments.get(&flight.shipment));
        shipment.is_some_and(|shipment| shipment.contents == Contents::Spans)
    }

    /// Whoever was sending is gone: all that was being sent is sent again.
    pub(crate) fn interrupt(&mut self, is_meant: impl Fn(Place) -> bool) {
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            lane.interrupt(|slot| is_meant(Place { lane: index, slot }));
        }
    }

    /// The flusher has handed over all that this flush covers, and those before it.
    pub(crate) fn mark(&mut self, ticket: Ticket) {
        self.flushes.mark(ticket, self.next_shipment);
        self.serve();
    }

    /// Whether all destinations have settled what this flush covers, if the flusher has
    /// handed it over.
    pub(crate) fn is_served(&self, ticket: Ticket) -> bool {
        self.is_finished() || self.flushes.is_served(ticket)
    }

    fn serve(&mut self) {
        let mut spans = self.shipments.iter().filter(|(_, s)| s.contents == Contents::Spans);
        let oldest = spans.next().map_or(u64::MAX, |(id, _)| *id);
        self.flushes.serve(oldest);
    }

    /// A lane is done with a shipment.
    fn release(&mut self, lane: usize, id: u64) {
        let Some(shipment) = self.shipments.get_mut(&id) else { return };
        self.lanes[lane].release(shipment.body.bytes());
        shipment.open -= 1;
        if shipment.open == 0
            && let Some(shipment) = self.shipments.remove(&id)
        {
            shipment.settle(&mut self.settled);
            self.serve();
        }
    }

    /// Every request that may be in flight.
    pub(crate) fn places(&self) -> Vec<Place> {
        let slots = |(lane, of): (usize, &Lane)| {
            (0..of.slots()).map(move |slot| Place { lane, slot }).collect::<Vec<_>>()
        };
        self.lanes.iter().enumerate().flat_map(slots).collect()
    }

    /// What was settled since the last call, to be counted by the pipeline.
    pub(crate) fn take_settled(&mut self) -> Ledger {
        core::mem::take(&mut self.settled)
    }

    pub(crate) fn lane_mut(&mut self, lane: usize) -> Option<&mut Lane> {
        self.lanes.get_mut(lane)
    }

    pub(crate) fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    pub(crate) fn is_finished(&self) -> bool {
        matches!(self.stage, Stage::Finished { .. })
    }

    pub(crate) fn is_cut_short(&self) -> bool {
        self.stage == Stage::Finished { cut_short: true }
    }

    /// Spans that a lane is sending, through all repetitions.
    pub(crate) fn in_export(&self, lane: usize) -> u64 {
        let left = |flight: Flight| match self.shipments.get(&flight.shipment) {
            Some(shipment) if shipment.contents == Contents::Spans => {
                shipment.body.len() - flight.from
            }
            _ => 0,
        };
        let flights = self.lanes.get(lane).into_iter().flat_map(Lane::in_slots);
        flights.map(left).sum::<usize>() as u64
    }

    /// Spans that were handed over so far.
    pub(crate) fn handed_over(&self) -> u64 {
        self.handed_over
    }

    /// How long one transmission may take.
    pub(crate) fn export_timeout(&self) -> Option<Duration> {
        self.settings.export_timeout
    }
}
