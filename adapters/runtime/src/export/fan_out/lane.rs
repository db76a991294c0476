//! One destination: what waits for it, what is on its way there, and its books.
//!
//! ```text
//!   queue ──▶ slot   Idle ──▶ Exporting ──▶ Idle     taken, or given up
//!                                │   ▲
//!                         failed ▼   │ due
//!                               Waiting
//! ```
//!
//! A slot keeps its shipment through all repetitions. So with one slot the order is
//! kept, and with several each request is repeated by itself; a destination that is
//! down occupies all of them soon, and is asked no more often than their delays say.

use core::time::Duration;
use std::collections::VecDeque;

use throughline_core::{DropReason, Ledger};

use super::Bounds;
use crate::report::watch::Watch;

#[derive(Debug)]
pub(crate) struct Lane {
    bounds: Bounds,
    pub(super) queue: VecDeque<u64>,
    slots: Vec<Slot>,
    /// Of all shipments that it holds.
    pub(super) bytes: usize,
    /// What it was given, and what became of it: in flight is what it holds.
    pub(crate) ledger: Ledger,
    pub(crate) watch: Watch,
    /// Whether what its exporter accepts goes nowhere.
    pub(crate) discards: bool,
    /// The end is near and the destination cannot be reached: nothing more is tried.
    hopeless: bool,
}

#[derive(Clone, Copy, Debug)]
enum Slot {
    Idle,
    Exporting(Flight),
    Waiting(Flight, Duration),
}

/// Spans on their way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub(super) shipment: u64,
    pub(super) from: usize,
    pub(super) to: usize,
    /// Repetitions so far.
    pub(super) attempt: u32,
}

/// What follows from an answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome {
    /// So many were taken, and the others lost.
    Settled { taken: usize, lost: DropReason },
    /// The halves may pass.
    Halve { until: Duration },
    /// The same again, then.
    Repeat { until: Duration },
}

impl Outcome {
    pub(super) fn lost(lost: DropReason) -> Self {
        Outcome::Settled { taken: 0, lost }
    }
}

impl Lane {
    pub(super) fn new(bounds: Bounds) -> Self {
        Lane {
            bounds,
            queue: VecDeque::new(),
            slots: vec![Slot::Idle; bounds.in_flight.max(1)],
            bytes: 0,
            ledger: Ledger::default(),
            watch: Watch::default(),
            discards: false,
            hopeless: false,
        }
    }

    /// Whether there is room for a batch of so many bytes.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        let idle = self.slots.iter().filter(|slot| matches!(slot, Slot::Idle)).count();
        let fits = self.bytes == 0 || self.bytes.saturating_add(bytes) <= self.bounds.bytes;
        self.hopeless || (self.queue.len() < idle.saturating_add(self.bounds.batches) && fits)
    }

    /// Whether it has nothing to do at all.
    pub(super) fn is_idle(&self) -> bool {
        let is_idle = |slot: &Slot| matches!(slot, Slot::Idle);
        !self.hopeless && self.queue.is_empty() && self.slots.iter().all(is_idle)
    }

    pub(super) fn push(&mut self, shipment: u64, bytes: usize) {
        self.queue.push_back(shipment);
        self.bytes += bytes;
    }

    /// It is done with a shipment.
    pub(super) fn release(&mut self, bytes: usize) {
        self.bytes -= bytes;
    }

    /// What the slot sends now, or until when it waits.
    pub(super) fn poll(
        &mut self,
        slot: usize,
        now: Duration,
        spans: impl Fn(u64) -> usize,
    ) -> Result<Flight, Option<Duration>> {
        let slot = self.slots.get_mut(slot).ok_or(None)?;
        let flight = match *slot {
            Slot::Idle => {
                let shipment = self.queue.pop_front().ok_or(None)?;
                Flight { shipment, from: 0, to: spans(shipment), attempt: 0 }
            }
            Slot::Exporting(_) => return Err(None),
            Slot::Waiting(_, until) if now < until => return Err(Some(until)),
            Slot::Waiting(flight, _) => flight,
        };
        *slot = Slot::Exporting(flight);
        Ok(flight)
    }

    pub(super) fn is_ready(&self, slot: usize, now: Duration) -> bool {
        match self.slots.get(slot) {
            Some(Slot::Idle) => !self.queue.is_empty(),
            Some(Slot::Waiting(_, until)) => now >= *until,
            Some(Slot::Exporting(_)) | None => false,
        }
    }

    /// What the slot is sending.
    pub(super) fn flying(&self, slot: usize) -> Option<Flight> {
        match self.slots.get(slot) {
            Some(Slot::Exporting(flight)) => Some(*flight),
            _ => None,
        }
    }

    /// Goes on behind an answer. Returns whether the shipment, of so many spans, is
    /// done with.
    pub(super) fn go_on(&mut self, slot: usize, outcome: Outcome, whole: usize) -> bool {
        let Some(flight) = self.flying(slot) else { return false };
        let Flight { from, to, attempt, .. } = flight;
        let next = match outcome {
            Outcome::Repeat { until } => {
                Slot::Waiting(Flight { attempt: attempt + 1, ..flight }, until)
            }
            Outcome::Halve { until } => {
                Slot::Waiting(Flight { to: from + (to - from) / 2, ..flight }, until)
            }
            Outcome::Settled { .. } if to < whole => {
                Slot::Waiting(Flight { from: to, to: whole, attempt: 0, ..flight }, Duration::ZERO)
            }
            Outcome::Settled { .. } => Slot::Idle,
        };
        self.slots[slot] = next;
        matches!(next, Slot::Idle)
    }

    /// What these slots were sending is sent again at once.
    pub(super) fn interrupt(&mut self, is_meant: impl Fn(usize) -> bool) {
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if let Slot::Exporting(flight) = *slot
                && is_meant(index)
            {
                *slot = Slot::Waiting(flight, Duration::ZERO);
            }
        }
    }

    /// No repetition waits until the deadline.
    pub(super) fn hurry(&mut self, deadline: Duration) {
        for slot in &mut self.slots {
            if let Slot::Waiting(_, until) = slot
                && *until >= deadline
            {
                *until = Duration::ZERO;
            }
        }
    }

    /// Nothing more is tried.
    pub(super) fn give_up(&mut self) {
        self.hopeless = true;
    }

    pub(super) fn is_hopeless(&self) -> bool {
        self.hopeless
    }

    /// The next of those that wait and will not be sent.
    pub(super) fn next_without_hope(&mut self) -> Option<u64> {
        if self.hopeless { self.queue.pop_front() } else { None }
    }

    /// Takes out what a slot has.
    pub(super) fn empty(&mut self, slot: usize) -> Option<Flight> {
        match core::mem::replace(self.slots.get_mut(slot)?, Slot::Idle) {
            Slot::Idle => None,
            Slot::Exporting(flight) | Slot::Waiting(flight, _) => Some(flight),
        }
    }

    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Spans that are in a slot, through all repetitions.
    pub(super) fn in_slots(&self) -> impl Iterator<Item = Flight> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Idle => None,
            Slot::Exporting(flight) | Slot::Waiting(flight, _) => Some(*flight),
        })
    }
}
