//! The end: what is handed over is settled by the deadline, or lost.

use core::time::Duration;

use throughline_core::DropReason;

use super::lane::Flight;
use super::shipment::Contents;
use super::{FanOut, Stage};

impl FanOut {
    /// What is handed over by the end of the flusher has until then.
    pub(crate) fn shutdown(&mut self, deadline: Duration) {
        let deadline = self.deadline.map_or(deadline, |former| former.min(deadline));
        self.deadline = Some(deadline);
        // A long wait for a repetition is not for a program that ends.
        self.lanes.iter_mut().for_each(|lane| lane.hurry(deadline));
    }

    /// Nothing more is handed over: when all is settled, it is finished.
    pub(crate) fn close(&mut self) {
        if self.stage == Stage::Open {
            self.stage = Stage::Closed;
            self.finish();
        }
    }

    pub(super) fn finish(&mut self) {
        let left = self.shipments.values().any(|s| s.contents == Contents::Spans);
        if self.stage == Stage::Closed && !left {
            self.stage = Stage::Finished { cut_short: false };
            self.shipments.clear();
        }
    }

    /// Until when everything is to be settled, if it ends.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// Ends it if its time is over.
    pub(crate) fn look_at_deadline(&mut self, now: Duration) {
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            self.cut_short();
        }
    }

    /// Ends it now: what is left is lost.
    pub(crate) fn cut_short(&mut self) {
        if self.is_finished() {
            return;
        }
        let cut_short = self.shipments.values().any(|s| s.contents == Contents::Spans);
        for lane in 0..self.lanes.len() {
            self.lanes[lane].give_up();
            self.abandon_hopeless(lane);
            for slot in 0..self.lanes[lane].slots() {
                if let Some(flight) = self.lanes[lane].empty(slot) {
                    self.abandon(lane, flight);
                }
            }
        }
        self.shipments.clear();
        self.stage = Stage::Finished { cut_short };
    }

    /// Counts what waits in a lane without hope.
    pub(super) fn abandon_hopeless(&mut self, lane: usize) {
        while let Some(shipment) = self.lanes[lane].next_without_hope() {
            let to = self.shipments.get(&shipment).map_or(0, |shipment| shipment.body.len());
            self.abandon(lane, Flight { shipment, from: 0, to, attempt: 0 });
        }
    }

    pub(super) fn abandon(&mut self, lane: usize, flight: Flight) {
        if let Some(shipment) = self.shipments.get_mut(&flight.shipment) {
            let left = flight.from..shipment.body.len();
            if shipment.contents == Contents::Spans {
                self.lanes[lane].ledger.add_dropped(DropReason::Abandoned, left.len() as u64);
            }
            shipment.lose(left, DropReason::Abandoned);
            self.release(lane, flight.shipment);
        }
    }
}
