//! Where tail sampling meets the flusher.

use core::time::Duration;

use super::{AnyTrace, Book, Buffer, Chain, Lend, Rule, Traces, Unit};
use crate::batch::Entry;
use crate::frame::FrameTag;
use crate::ledger::Counters;
use crate::ring::Consumer;
use crate::scopes::Scopes;
use crate::{MAX_SHARDS, Scope};

/// What a [`Flusher`](crate::Flusher) has between rings and batch: a [`Buffer`],
/// [nothing](NoTail), or one of the two.
pub trait Stage {
    /// The memory of frames.
    type Units: AsRef<[Unit]> + AsMut<[Unit]>;
    /// The memory of chains.
    type Chains: AsRef<[Chain]> + AsMut<[Chain]>;
    /// Lends the book.
    type Access: Lend;

    /// The buffer, if there is one.
    fn buffer(&self) -> Option<&Buffer<Self::Units, Self::Chains, Self::Access>>;

    /// The same, to change it.
    fn buffer_mut(&mut self) -> Option<&mut Buffer<Self::Units, Self::Chains, Self::Access>>;
}

/// No tail sampling. Its code is not there either.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTail;

impl Stage for NoTail {
    type Units = [Unit; 0];
    type Chains = [Chain; 0];
    type Access = Book<[Traces; 0], &'static [Rule<AnyTrace>]>;

    #[inline(always)]
    fn buffer(&self) -> Option<&Buffer<Self::Units, Self::Chains, Self::Access>> {
        None
    }

    #[inline(always)]
    fn buffer_mut(&mut self) -> Option<&mut Buffer<Self::Units, Self::Chains, Self::Access>> {
        None
    }
}

impl<U, C, A> Stage for Buffer<U, C, A>
where
    U: AsRef<[Unit]> + AsMut<[Unit]>,
    C: AsRef<[Chain]> + AsMut<[Chain]>,
    A: Lend,
{
    type Units = U;
    type Chains = C;
    type Access = A;

    fn buffer(&self) -> Option<&Self> {
        Some(self)
    }

    fn buffer_mut(&mut self) -> Option<&mut Self> {
        Some(self)
    }
}

impl<S: Stage> Stage for Option<S> {
    type Units = S::Units;
    type Chains = S::Chains;
    type Access = S::Access;

    fn buffer(&self) -> Option<&Buffer<Self::Units, Self::Chains, Self::Access>> {
        self.as_ref()?.buffer()
    }

    fn buffer_mut(&mut self) -> Option<&mut Buffer<Self::Units, Self::Chains, Self::Access>> {
        self.as_mut()?.buffer_mut()
    }
}

/// What the flusher gives to its tail stage for a turn.
pub(crate) struct Taken<'a> {
    pub(crate) now: Duration,
    pub(crate) consumers: &'a mut heapless::Vec<Consumer<FrameTag>, MAX_SHARDS>,
    pub(crate) first_shard: usize,
    pub(crate) sink: Sink<'a>,
    pub(crate) counters: &'a Counters,
}

/// The batch that is being filled.
pub(crate) struct Sink<'a> {
    pub(crate) bytes: &'a mut [u8],
    pub(crate) entries: &'a mut [Entry],
    pub(crate) used: &'a mut usize,
    pub(crate) count: &'a mut usize,
    pub(crate) scopes: &'a mut Scopes,
    /// The most frames.
    pub(crate) most: usize,
    /// It is with the exporter, and takes none.
    pub(crate) is_closed: bool,
}

impl Sink<'_> {
    /// The length of the longest frame that an empty batch has room for, marked.
    pub(crate) fn longest(&self) -> usize {
        if self.most > 0 { self.bytes.len().saturating_sub(super::mark::ROOM) } else { 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self.count == 0
    }

    pub(crate) fn is_full(&self) -> bool {
        self.is_closed || *self.count >= self.most
    }

    /// Whether there is so much room behind the frames.
    #[inline]
    pub(crate) fn has_room(&self, len: usize) -> bool {
        !self.is_full() && self.bytes.len().saturating_sub(*self.used) >= len
    }

    /// Room behind the frames, if there is so much.
    pub(crate) fn place(&mut self, len: usize) -> Option<&mut [u8]> {
        if self.is_full() {
            return None;
        }
        self.bytes.get_mut(*self.used..self.used.checked_add(len)?)
    }

    /// The first bytes of that room are a frame now.
    pub(crate) fn commit(&mut self, len: usize, scope: &'static Scope) {
        if let Some(entry) = self.entries.get_mut(*self.count) {
            *self.used += len;
            *self.count += 1;
            *entry = Entry::new(*self.used as u32, self.scopes.one_of(scope));
        }
    }
}

/// How a turn of draining ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The batch holds no more.
    Full,
    /// The turn is over though there is more.
    Limit,
    /// The rings hold no committed frame.
    Empty,
}

/// The most frames that one turn moves, so that the thread is soon free for
/// others.
pub(crate) const TURN: usize = 2_048;
