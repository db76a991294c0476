//! What must be so after every step.

use std::collections::HashSet;

use throughline_core::{DropReason, SpanId};

use super::{Fate, Simulation};

impl Simulation {
    /// Compares everything that can be seen with the books.
    pub(super) fn check(&mut self) {
        let ledger = self.pipeline.ledger();
        let (mut exported, mut lost, mut open) = (0, 0, 0);
        // A batch is settled as a whole.
        for batch in &self.batches {
            let fates = || batch.iter().map(|id| &self.fates[id]);
            if fates().any(|fates| fates.contains(&Fate::Open)) {
                open += batch.len() as u64;
                continue;
            }
            let taken = fates().filter(|fates| fates.contains(&Fate::Taken)).count();
            exported += taken as u64;
            lost += (batch.len() - taken) as u64;
        }
        assert_eq!(ledger.exported(), exported, "{ledger}");
        if !self.state.flusher.is_cut_short() {
            let in_flight = open + self.queued.len() as u64;
            assert_eq!(ledger.in_flight(), in_flight, "{ledger}, {lost} lost");
        }
        assert_eq!(ledger.started(), exported + ledger.dropped_total() + ledger.in_flight());
        assert!(ledger.dropped_total() >= lost);
        for index in 0..self.lanes.len() {
            let own = self.fan_out().lanes()[index].ledger;
            assert_eq!(own.started(), self.order.len() as u64);
            assert_eq!(own.exported(), self.of(index, Fate::Taken));
            for reason in DropReason::ALL {
                let known = self.of(index, Fate::Lost(reason));
                assert_eq!(own.dropped(reason), known, "{index}: {}", reason.as_str());
            }
            assert_eq!(own.in_flight(), self.held(index).len() as u64);
            self.check_bounds(index);
        }
        for (ticket, covered) in &self.tickets {
            let waits = |id: &&SpanId| match self.fates.get(*id) {
                Some(fates) => fates.contains(&Fate::Open),
                None => self.queued.contains(id),
            };
            let waits = covered.iter().find(waits);
            let reached = self.has_reached(*ticket) && !self.state.is_finished();
            assert!(!reached || waits.is_none(), "{waits:?} is not settled");
        }
    }

    fn check_bounds(&mut self, index: usize) {
        let bounds = self.bounds[index];
        let fan_out = self.state.fan_out.as_ref().expect("it fans out");
        let lane = &fan_out.lanes[index];
        let flying = lane.in_slots().map(|flight| flight.shipment);
        let held: HashSet<u64> = lane.queue.iter().copied().chain(flying).collect();
        assert!(held.len() <= bounds.in_flight + bounds.batches, "{} batches", held.len());
        let bytes: usize = held.iter().map(|id| fan_out.shipments[id].body.bytes()).sum();
        assert!(bytes <= bounds.bytes || held.len() == 1, "{bytes} bytes");
        assert_eq!(bytes, lane.bytes);
    }
}
