//! Where the frames of undecided traces wait, and the way past it.

mod settle;

use core::time::Duration;

use super::book::Why;
use super::ended::{Ended, head_of, is_below_another, trace_of};
use super::mark::{Marker, ROOM};
use super::stage::{Sink, Taken, Turn};
use super::trace::State;
use super::units::{Units, units_for};
use super::{Book, Chain, Rules, Traces, Unit};
use crate::frame::{self, FrameTag};
use crate::ring::{Consumer, Frame, Mark as RingMark};
use crate::{DropReason, MAX_SHARDS, Pipeline, TraceId, wire};

/// The waiting frames of one pipeline: the tail stage of its flusher.
///
/// `U` is the memory for frames, in [`Unit`]s; `C` has a [`Chain`] for each trace of the
/// book; `A` gives access to the book.
#[derive(Debug)]
pub struct Buffer<U, C, A> {
    book: A,
    waiting: Waiting<U, C>,
}

/// Lends a book for the time of a turn: it is the book, or has it behind a lock.
pub trait Lend {
    /// The memory of the book.
    type Memory: AsRef<[Traces]> + AsMut<[Traces]>;
    /// Its rules.
    type Rules: Rules;

    /// Uses the book. No pipeline waits for its flusher, but flushers that share a
    /// book wait for each other here.
    fn with<T>(&mut self, use_it: impl FnOnce(&mut Book<Self::Memory, Self::Rules>) -> T) -> T;
}

impl<M, R> Lend for Book<M, R>
where
    M: AsRef<[Traces]> + AsMut<[Traces]>,
    R: Rules,
{
    type Memory = M;
    type Rules = R;

    fn with<T>(&mut self, use_it: impl FnOnce(&mut Self) -> T) -> T {
        use_it(self)
    }
}

impl<U, C, A> Buffer<U, C, A>
where
    U: AsRef<[Unit]> + AsMut<[Unit]>,
    C: AsRef<[Chain]> + AsMut<[Chain]>,
    A: Lend,
{
    /// An empty buffer, of a pipeline that uses this book.
    pub fn new(units: U, chains: C, book: A) -> Self {
        Buffer { book, waiting: Waiting::new(units, chains) }
    }

    /// What lends the book.
    pub fn book(&self) -> &A {
        &self.book
    }

    /// The number of frames that wait.
    pub fn len(&self) -> usize {
        self.waiting.held
    }

    /// Whether no frame waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.held == 0
    }

    /// The bytes in use, of those of the units.
    pub fn used_bytes(&self) -> usize {
        let units = &self.waiting.units;
        (units.capacity() - units.free()) * size_of::<Unit>()
    }

    /// Joins the book; whether there is room for one more pipeline.
    pub(crate) fn join(&mut self, pipeline: &'static Pipeline) -> bool {
        let waiting = &mut self.waiting;
        self.book.with(|book| {
            waiting.me = book.join(pipeline);
            waiting.drained = book.epoch;
        });
        self.waiting.me.is_some()
    }

    /// Moves frames: from the rings to here or to the batch, from here to the
    /// batch or nowhere.
    pub(crate) fn turn(&mut self, turn: Taken<'_>, unix_nanos: impl Fn(u64) -> u64) -> Turn {
        let Buffer { book, waiting } = self;
        let (lost, counters) = (&mut 0, turn.counters);
        let result = book.with(|book| waiting.turn(book, turn, lost, unix_nanos));
        counters.count_dropped(DropReason::TailSampledOut, *lost);
        result
    }

    /// Decides everything for a flush of this number, and moves what is kept.
    pub(crate) fn force(
        &mut self,
        flush: u64,
        turn: Taken<'_>,
        unix_nanos: impl Fn(u64) -> u64,
    ) -> Turn {
        let Buffer { book, waiting } = self;
        let (lost, counters, mut sink) = (&mut 0, turn.counters, turn.sink);
        let result = book.with(|book| {
            let force = |me| book.force(turn.now, me, &unix_nanos);
            if waiting.forced < flush && waiting.me.is_some_and(force) {
                (waiting.forced, waiting.forced_until) = (flush, book.decisions);
            }
            let is_settled = waiting.settle(book, &mut sink, lost);
            waiting.until = book.until();
            if is_settled { Turn::Empty } else { Turn::Full }
        });
        counters.count_dropped(DropReason::TailSampledOut, *lost);
        result
    }

    /// Whether everything that was decided for this flush has left.
    pub(crate) fn has_settled(&self, flush: u64) -> bool {
        let Waiting { forced, forced_until, settling, .. } = &self.waiting;
        *forced >= flush && settling.is_none_or(|number| number > *forced_until)
    }

    /// When something is to be done again.
    pub(crate) fn until(&self) -> Option<Duration> {
        self.waiting.until
    }

    /// Leaves the book. Returns how many frames are given up.
    pub(crate) fn leave(&mut self) -> usize {
        let Buffer { book, waiting } = self;
        book.with(|book| waiting.leave(book))
    }
}

/// The trace of the frame at the mark comes near, while those before it are put away.
#[inline(always)]
fn expect<M, R>(book: &Book<M, R>, consumer: &Consumer<FrameTag>, mark: &mut RingMark)
where
    M: AsRef<[Traces]> + AsMut<[Traces]>,
    R: Rules,
{
    if let Some(unit) = consumer.look_at(mark) {
        book.table.expect(head_of(unit).1);
    }
}

/// What a buffer has besides the book.
#[derive(Debug)]
struct Waiting<U, C> {
    units: Units<U>,
    chains: C,
    marker: Marker,
    /// The number of this pipeline in the book; none before it joined and after
    /// it left.
    me: Option<u8>,
    /// The units that a trace may have before it is decided.
    share: usize,
    held: usize,
    /// The last epoch that was told.
    drained: u64,
    /// The epoch that is told when the rings are drained up to here.
    marking: Option<(u64, [RingMark; MAX_SHARDS])>,
    /// The last flush for which everything was decided, and the last decision
    /// then.
    forced: u64,
    forced_until: u64,
    /// The oldest decision of which frames wait for room in the batch.
    settling: Option<u64>,
    until: Option<Duration>,
}

impl<U, C> Waiting<U, C>
where
    U: AsRef<[Unit]> + AsMut<[Unit]>,
    C: AsRef<[Chain]> + AsMut<[Chain]>,
{
    fn new(units: U, chains: C) -> Self {
        let units = Units::new(units);
        Waiting {
            share: (units.capacity() / SHARE).max(1),
            units,
            chains,
            marker: Marker::new(),
            me: None,
            held: 0,
            drained: 0,
            marking: None,
            forced: 0,
            forced_until: 0,
            settling: None,
            until: None,
        }
    }

    fn turn<M, R>(
        &mut self,
        book: &mut Book<M, R>,
        turn: Taken<'_>,
        lost: &mut u64,
        unix_nanos: impl Fn(u64) -> u64,
    ) -> Turn
    where
        M: AsRef<[Traces]> + AsMut<[Traces]>,
        R: Rules,
    {
        let (Taken { now, consumers, first_shard, mut sink, counters }, Some(me)) = (turn, self.me)
        else {
            return Turn::Empty;
        };
        book.look(now, me, &unix_nanos);
        if self.marking.is_none() && self.drained != book.epoch {
            let mut marks = [RingMark::default(); MAX_SHARDS];
            marks.iter_mut().zip(&*consumers).for_each(|(mark, ring)| *mark = ring.mark());
            self.marking = Some((book.epoch, marks));
        }
        if !self.settle(book, &mut sink, lost) && !sink.is_closed {
            return Turn::Full;
        }
        let longest = sink.longest();
        let (shards, mut moved) = (consumers.len(), 0);
        let mut result = Turn::Empty;
        'rings: for shard in first_shard..first_shard + shards {
            let shard = if shard < shards { shard } else { shard - shards };
            let Some(consumer) = consumers.get_mut(shard) else { continue };
            let mut ahead = RingMark::default();
            for _ in 0..AHEAD {
                expect(book, consumer, &mut ahead);
            }
            loop {
                if moved == super::stage::TURN {
                    result = Turn::Limit;
                    break 'rings;
                }
                expect(book, consumer, &mut ahead);
                match self.put(book, consumer, me, longest.min(SHORT), &unix_nanos) {
                    Next::Put => {}
                    Next::Nothing => break,
                    Next::Other(found) => {
                        let Some(frame) = consumer.peek() else { break };
                        if frame.bytes().len() > longest {
                            frame.take();
                            counters.count_dropped(DropReason::TooLarge, 1);
                            continue;
                        }
                        if !self.take(book, (frame, found), now, &mut sink, lost, &unix_nanos) {
                            if !sink.is_closed {
                                return Turn::Full;
                            }
                            result = Turn::Full;
                            break 'rings;
                        }
                    }
                }
                moved += 1;
            }
        }
        if let Some((epoch, marks)) = &self.marking
            && consumers.iter().zip(marks).all(|(ring, mark)| ring.has_passed(*mark))
        {
            book.on_drained(me, *epoch);
            self.drained = *epoch;
            self.marking = None;
        }
        book.decide_due(now, me);
        let is_settled = self.settle(book, &mut sink, lost);
        self.until = book.until();
        if sink.is_closed || is_settled && !sink.is_full() { result } else { Turn::Full }
    }

    /// Puts the next frame to its trace, if there is one of this length at most, and the trace
    /// is open and has room, as is nearly always so. A function of its own, so that what it
    /// knows stays in registers.
    #[inline(never)]
    fn put<M, R>(
        &mut self,
        book: &mut Book<M, R>,
        consumer: &mut Consumer<FrameTag>,
        me: u8,
        longest: usize,
        unix_nanos: &impl Fn(u64) -> u64,
    ) -> Next
    where
        M: AsRef<[Traces]> + AsMut<[Traces]>,
        R: Rules,
    {
        let Some(frame) = consumer.peek() else { return Next::Nothing };
        let len = frame.bytes().len();
        let (header, id) = head_of(frame.first_unit());
        let is_below_another = is_below_another(frame.first_unit(), header, len);
        let found = if len > longest { None } else { book.table.find(id) };
        let Some(index) = found else { return Next::Other(None) };
        let (trace, chain) =
            (book.table.get_mut(index), self.chains.as_mut().get_mut(index as usize));
        let (Some(trace), Some(chain)) = (trace, chain) else { return Next::Other(found) };
        let is_open = trace.state == State::Open && (chain.units as usize) < self.share;
        if !is_open || !self.units.has_room(chain, len) {
            return Next::Other(found);
        }
        let (tag, mut frame) = frame.hold();
        let bytes = frame.bytes();
        let unix_nanos = |ticks| frame::unix_of(ticks, unix_nanos);
        let (begin, end) = frame::stamp_behind(header, bytes, &tag, unix_nanos);
        let message = bytes.get(header..).unwrap_or_default();
        self.units.append(chain, message, tag.callsite.scope(), tag.is_remarkable());
        self.held += 1;
        trace.hold(me);
        trace.cover(begin, end);
        // Most spans say no more than that.
        if !is_below_another || tag.is_remarkable() || book.takes_notes() {
            book.note(index, &Ended::of_span(message, id, tag.is_remarkable()), me);
        }
        Next::Put
    }

    /// Takes a frame that cannot be put as it is; not if the batch is to be sent first.
    #[inline(never)]
    fn take<M, R>(
        &mut self,
        book: &mut Book<M, R>,
        (frame, found): (Frame<'_, FrameTag>, Option<u32>),
        now: Duration,
        sink: &mut Sink<'_>,
        lost: &mut u64,
        unix_nanos: &impl Fn(u64) -> u64,
    ) -> bool
    where
        M: AsRef<[Traces]> + AsMut<[Traces]>,
        R: Rules,
    {
        let (len, header) = (frame.bytes().len(), frame::header_len(frame.bytes()));
        let id = trace_of(frame.bytes().get(header..).unwrap_or_default());
        // One that is long was not looked for.
        let mut found = if len > SHORT { book.table.find(id) } else { found };
        if !self.has_room(book, found, len, sink) {
            let has_room = self.find_room(book, id, len, now, sink, lost);
            // Where nothing waits for the batch and there still is no room, the trace
            // is decided by what is known.
            if !has_room && !sink.is_empty() {
                return false;
            }
            found = book.table.find(id);
        }
        // Whatever is decided, it is taken now.
        if !sink.is_closed && !sink.has_room(len + ROOM) {
            return false;
        }
        let (tag, mut frame) = frame.hold();
        let bytes = frame.bytes();
        frame::stamp_behind(header, bytes, &tag, |ticks| frame::unix_of(ticks, unix_nanos));
        let message = bytes.get(header..).unwrap_or_default();
        self.decide(book, found, Read { message, id, tag }, now, sink, lost);
        true
    }

    /// Puts a span to its trace, if that is open. Returns whether that was done.
    fn add<M, R>(&mut self, book: &mut Book<M, R>, index: u32, read: &Read<'_>, me: u8) -> bool
    where
        M: AsRef<[Traces]> + AsMut<[Traces]>,
        R: Rules,
    {
        let Some(chain) = self.chains.as_mut().get_mut(index as usize) else { return false };
        let is_added = book.is_open(index)
            && chain.units as usize + units_for(chain, read.message.len()) <= self.share
            && read.append_to(chain, &mut self.units);
        if is_added {
            self.held += 1;
            book.hold(index, me);
            book.note(index, &read.span(), me);
        }
        is_added
    }

    /// The trace of the span may not be known, or decided, or there is no room for more of
    /// it.
    fn decide<M, R>(
        &mut self,
        book: &mut Book<M, R>,
        found: Option<u32>,
        read: Read<'_>,
        now: Duration,
        sink: &mut Sink<'_>,
        lost: &mut u64,
    ) where
        M: AsRef<[Traces]> + AsMut<[Traces]>,
        R: Rules,
    {
        let Some(me) = self.me else { return };
        let span = read.span();
        let kept = match found.or_else(|| book.open(now, &span, me)) {
            None => book.decide_alone(&span, now, me),
            Some(index) if self.add(book, index, &read, me) => return,
            Some(index) => {
                book.note(index, &span, me);
                if book.is_open(index) {
                    // It has its share of the memory already.
                    book.decide(index, now, Why::Early);
                }
                let kept = book.kept(index);
                if sink.is_closed && kept.is_some() && self.add_to_settling(book, index, &read, me)
                {
                    return;
                }
                kept
            }
        };
        let len = read.message.len();
        match (kept, sink.place(wire::field_len(len) + ROOM)) {
            (Some(mark), Some(place)) => {
                let copy = |to: &mut [u8]| wire::copy(to, read.message);
                let end = self.marker.write(mark, (len, read.tag.is_remarkable()), place, copy);
                sink.commit(end, read.tag.callsite.scope());
            }
            _ => *lost += 1,
        }
    }

    /// A late span of a trace that is kept waits until there is a batch to put it in.
    fn add_to_settling<M, R>(
        &mut self,
        book: &mut Book<M, R>,
        index: u32,
        read: &Read<'_>,
        me: u8,
    ) -> bool
    where
        M: AsRef<[Traces]> + AsMut<[Traces]>,
        R: Rules,
    {
        let Some(chain) = self.chains.as_mut().get_mut(index as usize) else { return false };
        let is_added = read.append_to(chain, &mut self.units);
        if is_added {
            self.held += 1;
            book.settle_again(index, me);
        }
        is_added
    }
}

/// What became of the next frame.
enum Next {
    /// There is none.
    Nothing,
    /// It was put to its trace.
    Put,
    /// It waits, and this is its trace, if that is known and the frame not too long.
    Other(Option<u32>),
}

/// A span that is about to leave the ring, its times stamped.
struct Read<'a> {
    message: &'a [u8],
    id: TraceId,
    tag: FrameTag,
}

impl Read<'_> {
    fn span(&self) -> Ended<'_> {
        Ended::of_span(self.message, self.id, self.tag.is_remarkable())
    }

    /// Whether there was room.
    fn append_to<U>(&self, chain: &mut Chain, units: &mut Units<U>) -> bool
    where
        U: AsRef<[Unit]> + AsMut<[Unit]>,
    {
        units.append(chain, self.message, self.tag.callsite.scope(), self.tag.is_remarkable())
    }
}

/// The longest frame of which the first unit alone tells the trace.
const SHORT: usize = frame::LONGEST_OF_SHORT_HEADER;
/// So many frames ahead, what a frame will ask for is fetched: the memory is that far away.
const AHEAD: usize = 4;
/// A trace may have this part of the memory before it is decided: one that is
/// very large must not have all others decided early.
const SHARE: usize = 4;
