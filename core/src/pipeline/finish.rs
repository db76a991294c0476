//! How a span comes from its slot into a ring.

use super::{Pipeline, Shard};
use crate::flood;
use crate::frame::{Finished, Plain};
use crate::live::Live;
use crate::ring::Refusal;
#[cfg(not(target_os = "none"))]
use crate::writer::Writer;
use crate::{DropReason, Ending};
#[cfg(not(target_os = "none"))]
use crate::{EndedSpan, EndingSpan};

impl Pipeline {
    /// Writes the frame of a span that ends, or counts why there is none, and
    /// gives its slot back.
    #[inline]
    pub(crate) fn finish(live: Live, end: u64, ending: Ending) {
        live.pipeline().finish_otherwise(live, end, ending);
    }

    /// As [`finish`](Self::finish), of a span that is completed, as most are. What is left
    /// to do with it if it is like most of them is up to `release`.
    #[cfg_attr(
        target_os = "none",
        expect(dead_code, reason = "images go the one way, which is less code")
    )]
    #[inline(always)]
    pub(crate) fn complete(live: Live, end: u64, release: impl FnOnce(Live)) {
        if live.is_plain() && Self::submit_plain(&live, end) {
            release(live);
        } else {
            Self::finish(live, end, Ending::Completed);
        }
    }

    /// Writes the frame of a span that is as most are, with its record in the slot. Returns
    /// whether there is one.
    #[inline(always)]
    fn submit_plain(live: &Live, end: u64) -> bool {
        // SAFETY: the caller owns the slot, and has lent it to nobody who writes.
        let record = unsafe { live.inline_record() };
        let Some(plain) = record.and_then(|record| Plain::new(live.slot(), record)) else {
            return false;
        };
        let shard = live.shard();
        let Ok(mut room) = shard.ring.reserve(plain.len()) else { return false };
        plain.write(end, room.bytes());
        if room.commit(plain.tag()).completes(shard.announce_mask) {
            live.pipeline().announce_batch(shard);
        }
        true
    }

    /// What is not exported, has more to tell, or found no room.
    #[cfg_attr(not(target_os = "none"), inline(never))]
    fn finish_otherwise(&self, mut live: Live, end: u64, ending: Ending) {
        if live.is_surplus() {
            flood::settle(&live, end);
            return self.counters.count_dropped(DropReason::Surplus, 1);
        }
        if live.is_undecided() == Some(true) {
            // Its fields panicked, or took it away: it has not begun.
            return;
        }
        if flood::SUPPORTED && live.is_flooded() {
            flood::tell(&mut live);
        }
        #[cfg(not(target_os = "none"))]
        if live.is_processed() && !self.is_closed() {
            return Seen { live, end, ending }.show();
        }
        self.settle(&live, end, ending);
    }

    /// Hands a span over, if it is sampled.
    #[cfg_attr(target_os = "none", inline(always))]
    fn settle(&self, live: &Live, end: u64, ending: Ending) {
        if !live.trace_flags().is_sampled() {
            return self.counters.count_dropped(DropReason::RecordOnly, 1);
        }
        self.submit(live, end, ending);
    }

    /// Hands a span over. If only the ring of its shard is full, any other will do.
    fn submit(&self, live: &Live, end: u64, ending: Ending) {
        // SAFETY: the owner of the slot ends with the span, so nobody writes.
        let record = unsafe { live.record() };
        let finished = Finished::new(live.slot(), record, end, ending);
        let own = live.shard();
        match self.put(own, &finished) {
            Ok(()) => {}
            Err(Refusal::Full) if self.put_elsewhere(own, &finished) => {}
            Err(refusal) => self.refused(own, refusal),
        }
    }

    fn put(&self, shard: &Shard, finished: &Finished<'_>) -> Result<(), Refusal> {
        let mut room = shard.ring.reserve(finished.len())?;
        finished.write(room.bytes());
        if room.commit(finished.tag()).completes(shard.announce_mask) {
            self.announce_batch(shard);
        }
        Ok(())
    }

    /// Whether the ring of another shard had room.
    fn put_elsewhere(&self, own: &Shard, finished: &Finished<'_>) -> bool {
        let put = |shard: &Shard| self.put(shard, finished).is_ok();
        #[cfg(not(target_os = "none"))]
        return own.elsewhere.offer(self.shards, &self.returns, finished.len(), put);
        // Images have one shard, mostly, and no cache.
        #[cfg(target_os = "none")]
        self.shards.iter().filter(|shard| !core::ptr::eq(*shard, own)).any(put)
    }

    fn refused(&self, shard: &Shard, refusal: Refusal) {
        #[cfg(target_os = "none")]
        let _ = shard;
        let reason = match refusal {
            #[cfg(not(target_os = "none"))]
            Refusal::Full => return shard.count_refused(),
            #[cfg(target_os = "none")]
            Refusal::Full => DropReason::QueueFull,
            Refusal::Closed => DropReason::AfterShutdown,
            Refusal::TooLong => DropReason::TooLarge,
        };
        self.counters.count_dropped(reason, 1);
    }
}

/// A span that processors see, and that is settled when they have, or one of them panics.
#[cfg(not(target_os = "none"))]
struct Seen {
    live: Live,
    end: u64,
    ending: Ending,
}

#[cfg(not(target_os = "none"))]
impl Seen {
    /// Apart, for the sake of those who have no processors.
    #[inline(never)]
    fn show(mut self) {
        let Some(processors) = self.live.pipeline().processors() else { return };
        let mut span =
            EndingSpan::new(Writer::new(&mut self.live), self.end, self.ending, processors);
        for processor in processors.list {
            processor.on_ending(&mut span);
        }
        // SAFETY: this owns the slot, and lends it to nobody who writes.
        let record = unsafe { self.live.record() };
        let span = EndedSpan::new(self.live.slot(), record, self.end, self.ending, processors);
        for processor in processors.list {
            processor.on_end(&span);
        }
    }
}

#[cfg(not(target_os = "none"))]
impl Drop for Seen {
    fn drop(&mut self) {
        self.live.pipeline().settle(&self.live, self.end, self.ending);
    }
}
