//! The requests that are under way, and who began them.
//!
//! ```text
//!   the seat      who polls the flusher, and begins requests
//!   a flight      one request: of whoever began it, until it is answered, or taken away
//! ```
//!
//! Whoever loses the seat keeps its flight: the next one in the seat waits for the answer,
//! and sends nothing again. A flight is taken away only where nobody polls it any more.

use crate::export::engine::Seat;
use crate::export::fan_out::Place;

#[derive(Debug, Default)]
pub(crate) struct Flights {
    list: Vec<Flight>,
    begun: u64,
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    number: u64,
    /// Where it is sent from; `None` for records of live spans that have no place of their own.
    place: Option<Place>,
    /// Whether it is a batch, and no records of live spans.
    is_of_spans: bool,
    /// Who polls it; `None` for a thread that drives nothing but its own place.
    seat: Option<Seat>,
}

impl Flights {
    /// A request begins. Returns its number.
    pub(crate) fn begin(
        &mut self,
        place: Option<Place>,
        is_of_spans: bool,
        seat: Option<Seat>,
    ) -> u64 {
        self.begun += 1;
        self.list.push(Flight { number: self.begun, place, is_of_spans, seat });
        self.begun
    }

    /// Whether this request was neither ended nor taken away.
    pub(crate) fn is_under_way(&self, number: u64) -> bool {
        self.list.iter().any(|flight| flight.number == number)
    }

    /// Whoever began it is done with it. Returns whether it was not taken away before.
    pub(crate) fn end(&mut self, number: u64) -> bool {
        let is_under_way = self.is_under_way(number);
        self.list.retain(|flight| flight.number != number);
        is_under_way
    }

    /// Whether a batch is on its way that this one sends.
    pub(crate) fn are_of(&self, seat: Seat) -> bool {
        self.list.iter().any(|flight| flight.is_of_spans && flight.seat == Some(seat))
    }

    /// Takes all away that this one sends, and says where they were.
    pub(crate) fn take(&mut self, seat: Seat) -> Vec<Place> {
        self.take_those(|flight| flight.seat == Some(seat))
    }

    /// As [`take`](Self::take), of the background task that worked there.
    pub(crate) fn take_at(&mut self, place: Place) -> Vec<Place> {
        let is_of_caller = |seat| matches!(seat, Some(Seat::Caller(_)));
        self.take_those(|flight| flight.place == Some(place) && !is_of_caller(flight.seat))
    }

    fn take_those(&mut self, is_meant: impl Fn(&Flight) -> bool) -> Vec<Place> {
        let taken = self.list.iter().filter(|flight| is_meant(flight));
        let places = taken.filter_map(|flight| flight.place).collect();
        self.list.retain(|flight| !is_meant(flight));
        places
    }
}
