//! Which flushes are over: those whose spans every destination has settled.

use std::collections::VecDeque;

use throughline_core::Ticket;

#[derive(Debug, Default)]
pub(super) struct Flushes {
    /// Flushes whose spans are all handed over, with the shipment before which; of
    /// several with the same one the last.
    marks: VecDeque<(Ticket, u64)>,
    /// The last flush of which nothing is left.
    served: Option<Ticket>,
}

impl Flushes {
    /// The flusher has handed over all that this flush covers, and those before it, in
    /// shipments before the next one.
    pub(super) fn mark(&mut self, ticket: Ticket, next_shipment: u64) {
        let last = self.marks.back_mut();
        let marked = last.as_ref().map(|last| last.0).max(self.served);
        if marked.is_some_and(|marked| marked >= ticket) {
            return;
        }
        match last {
            Some(last) if last.1 == next_shipment => last.0 = ticket,
            _ => self.marks.push_back((ticket, next_shipment)),
        }
    }

    /// All shipments before this one are settled.
    pub(super) fn serve(&mut self, oldest: u64) {
        while let Some((ticket, mark)) = self.marks.front().copied()
            && mark <= oldest
        {
            self.served = Some(ticket);
            self.marks.pop_front();
        }
    }

    /// Whether this flush is over.
    pub(super) fn is_served(&self, ticket: Ticket) -> bool {
        self.served.is_some_and(|served| ticket <= served)
    }
}
