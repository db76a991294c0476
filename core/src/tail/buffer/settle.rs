//! Where waiting frames go: to the batch or nowhere, and what goes early for want of room.

use core::time::Duration;

use super::Waiting;
use crate::tail::book::Why;
use crate::tail::mark::{Mark, ROOM};
use crate::tail::stage::Sink;
use crate::tail::trace::State;
use crate::tail::{Book, Chain, Rules, Traces, Unit};
use crate::{TraceId, wire};

impl<U, C> Waiting<U, C>
where
    U: AsRef<[Unit]> + AsMut<[Unit]>,
    C: AsRef<[Chain]> + AsMut<[Chain]>,
{
    /// Whether a frame of this length can be taken: it goes to the batch or nowhere, since
    /// its trace is decided, or there is room for both of them.
    pub(super) fn has_room<M, R>(
        &self,
        book: &Book<M, R>,
        trace: Option<u32>,
        len: usize,
        sink: &Sink<'_>,
    ) -> bool
    where
        M: AsRef<[Traces]> + AsMut<[Traces]>,
        R: Rules,
    {
        let chain = |index: u32| self.chains.as_ref().get(index as usize);
        let chain = trace.and_then(chain).unwrap_or(&Chain::EMPTY);
        let has_units = self.units.has_room(chain, len);
        match trace {
            Some(index) if sink.is_closed => {
                has_units || !book.is_open(index) && book.kept(index).is_none()
            }
            Some(index) => has_units || !book.is_open(index),
            None => has_units && book.can_open(),
        }
    }

    /// Makes room for a frame of this length, as far as that is possible.
    #[cold]
    #[inline(never)]
    pub(super) fn find_room<M, R>(
        &mut self,
        book: &mut Book<M, R>,
        id: TraceId,
        len: usize,
        now: Duration,
        sink: &mut Sink<'_>,
        lost: &mut u64,
    ) -> bool
    where
        M: AsRef<[Traces]> + AsMut<[Traces]>,
        R: Rules,
    {
        while self.make_room(book, now, sink, lost) {
            // It may have been decided, or forgotten.
            let found = book.table.find(id);
            if self.has_room(book, found, len, sink) {
                return true;
            }
        }
        false
    }

    /// Frees memory: what is decided goes, else the oldest trace is decided.
    /// Whether that helped.
    #[cold]
    fn make_room<M, R>(
        &mut self,
        book: &mut Book<M, R>,
        now: Duration,
        sink: &mut Sink<'_>,
        lost: &mut u64,
    ) -> bool
    where
        M: AsRef<[Traces]> + AsMut<[Traces]>,
        R: Rules,
    {
        let Some(me) = self.me else { return false };
        let before = (self.units.free(), book.can_open());
        // What can be freed while the batch is closed was freed when the turn began.
        let is_settled = sink.is_closed || self.settle(book, sink, lost);
        if !is_settled || (self.units.free(), book.can_open()) != before {
            return (self.units.free(), book.can_open()) != before;
        }
        let mut oldest = book.table.first(State::Open);
        while let Some(index) = oldest {
            oldest = book.table.next(index);
            if !book.holds(index, me) {
                continue;
            }
            book.decide(index, now, Why::Early);
            self.settle_one(book, index, me, sink, lost);
            // What is kept waits for another batch.
            if !sink.is_closed || (self.units.free(), book.can_open()) != before {
                break;
            }
        }
        (self.units.free(), book.can_open()) != before
    }

    /// Moves what is kept to the batch, and frees what is dropped. Whether the
    /// batch had room for all.
    pub(super) fn settle<M, R>(
        &mut self,
        book: &mut Book<M, R>,
        sink: &mut Sink<'_>,
        lost: &mut u64,
    ) -> bool
    where
        M: AsRef<[Traces]> + AsMut<[Traces]>,
        R: Rules,
    {
        let Some(me) = self.me else { return true };
        self.settling = None;
        let mut next = book.table.first(State::Settling);
        while let Some(index) = next {
            next = book.table.next(index);
            if let Some(next) = next
                && let Some(chain) = self.chains.as_ref().get(next as usize)
            {
                self.units.expect(chain, book.kept(next).is_some());
            }
            if !book.holds(index, me) || self.settle_one(book, index, me, sink, lost) {
                continue;
            }
            self.settling = self.settling.or(book.decision_of(index));
            if !sink.is_closed {
                return false;
            }
        }
        self.settling.is_none()
    }

    /// The same of one trace that is decided. Whether the batch had room.
    fn settle_one<M, R>(
        &mut self,
        book: &mut Book<M, R>,
        index: u32,
        me: u8,
        sink: &mut Sink<'_>,
        lost: &mut u64,
    ) -> bool
    where
        M: AsRef<[Traces]> + AsMut<[Traces]>,
        R: Rules,
    {
        let Some(chain) = self.chains.as_mut().get_mut(index as usize) else { return true };
        match book.kept(index) {
            None => {
                let frames = self.units.clear(chain);
                self.held -= frames;
                *lost += frames as u64;
            }
            Some(mark) if !self.emit(index, mark, sink) => return false,
            Some(_) => {}
        }
        book.let_go(index, me);
        true
    }

    /// Moves the frames of a trace to the batch, as far as it has room.
    fn emit(&mut self, index: u32, mark: Mark, sink: &mut Sink<'_>) -> bool {
        let Waiting { units, chains, marker, held, .. } = self;
        let Some(chain) = chains.as_mut().get_mut(index as usize) else { return true };
        while let Some((len, is_remarkable, scope)) = units.first(chain) {
            let Some(place) = sink.place(wire::field_len(len) + ROOM) else { return false };
            let read = |to: &mut [u8]| units.take_first(chain, to);
            let end = marker.write(mark, (len, is_remarkable), place, read);
            *held -= 1;
            sink.commit(end, scope);
        }
        true
    }

    pub(super) fn leave<M, R>(&mut self, book: &mut Book<M, R>) -> usize
    where
        M: AsRef<[Traces]> + AsMut<[Traces]>,
        R: Rules,
    {
        let Some(me) = self.me.take() else { return 0 };
        for state in [State::Open, State::Settling] {
            let mut next = book.table.first(state);
            while let Some(index) = next {
                next = book.table.next(index);
                if book.holds(index, me) {
                    if let Some(chain) = self.chains.as_mut().get_mut(index as usize) {
                        self.units.clear(chain);
                    }
                    book.let_go(index, me);
                }
            }
        }
        book.leave(me);
        (self.settling, self.until) = (None, None);
        core::mem::take(&mut self.held)
    }
}
