//! The memory of a simulated pipeline, leaked like that of a real one.

use throughline_core::tail::{NoTail, Stage};
use throughline_core::{
    AlwaysOn, Entry, Flusher, FlusherSettings, FrameTag, ParentBased, Parts, Pipeline, Sampler,
    Shard, Slot, SpanLimits, TakenWord, Tally, UNIT, Unit, Wakeup, encode_resource,
};

use super::ByName;

/// The flusher of a simulation.
pub type VirtualFlusher<T = NoTail> = Flusher<Vec<u8>, Vec<Entry>, T>;

/// How large a simulated pipeline is.
#[derive(Clone)]
pub struct Setup {
    /// When batches are sent.
    pub settings: FlusherSettings,
    /// How much a span may hold.
    pub limits: SpanLimits,
    /// The rings.
    pub shards: usize,
    /// Units of 64 bytes per ring.
    pub ring_units: usize,
    /// Spans under way at once.
    pub slots: usize,
    /// Spans at once that are larger than a slot.
    pub spill_blocks: usize,
    /// The bytes of such a span.
    pub spill_block: usize,
    /// The bytes of a batch.
    pub batch_bytes: usize,
    /// The entries of a batch.
    pub batch_entries: usize,
    /// Decides which spans are recorded: by the span's name, which wants to see each span's
    /// attributes first, unless it says otherwise.
    pub sampler: &'static dyn Sampler,
}

impl core::fmt::Debug for Setup {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (settings, shards) = (&self.settings, self.shards);
        f.debug_struct("Setup")
            .field("settings", settings)
            .field("shards", &shards)
            .finish_non_exhaustive()
    }
}

impl Setup {
    /// A few kilobytes, so that everything is soon full.
    pub fn small() -> Self {
        Setup {
            settings: FlusherSettings::new(),
            limits: SpanLimits::new(),
            shards: 1,
            ring_units: 64,
            slots: 8,
            spill_blocks: 8,
            spill_block: 2_560,
            batch_bytes: 1_500,
            batch_entries: 8,
            sampler: &ByName,
        }
    }

    /// The most spans of a batch.
    pub fn batch_spans(&self) -> usize {
        self.batch_entries.min(self.settings.max_export_batch_size.max(1))
    }

    /// Makes the pipeline and its flusher.
    pub fn build(&self) -> (&'static Pipeline, VirtualFlusher) {
        self.build_with(|pipeline| pipeline)
    }

    /// As [`build`](Self::build), of a pipeline that is changed before it is used.
    pub fn build_with(
        &self,
        change: impl FnOnce(Pipeline) -> Pipeline,
    ) -> (&'static Pipeline, VirtualFlusher) {
        let (pipeline, flusher) = self.make(change, NoTail);
        (pipeline, flusher.expect("a new pipeline has no flusher yet"))
    }

    /// As [`build_with`](Self::build_with), with a tail stage; no flusher if its book is
    /// full.
    pub fn build_with_tail<T: Stage>(
        &self,
        tail: T,
        change: impl FnOnce(Pipeline) -> Pipeline,
    ) -> (&'static Pipeline, Option<VirtualFlusher<T>>) {
        self.make(change, tail)
    }

    fn make<T: Stage>(
        &self,
        change: impl FnOnce(Pipeline) -> Pipeline,
        tail: T,
    ) -> (&'static Pipeline, Option<VirtualFlusher<T>>) {
        let mut resource = Vec::new();
        encode_resource([("service.name", "simulated")].into_iter(), |bytes| {
            resource.extend_from_slice(bytes);
        });
        let pipeline = Pipeline::new(Parts {
            shards: (0..self.shards).map(|_| shard(self.ring_units)).collect::<Vec<_>>().leak(),
            tallies: vec![Tally::new()].leak(),
            slots: (0..self.slots).map(|_| Slot::new()).collect::<Vec<_>>().leak(),
            slot_words: words(self.slots),
            spill: vec![0; self.spill_blocks * self.spill_block].leak(),
            spill_words: words(self.spill_blocks),
            spill_block: self.spill_block,
            sampler: self.sampler,
            limits: self.limits,
            resource: resource.leak(),
            wakeup: &Nobody,
        });
        let pipeline: &'static Pipeline = Box::leak(Box::new(change(pipeline)));
        let bytes = vec![0; self.batch_bytes];
        let entries = vec![Entry::default(); self.batch_entries];
        let flusher = Flusher::with_tail(pipeline, self.settings, bytes, entries, tail, 1);
        (pipeline, flusher)
    }
}

/// All roots, and children as their parents.
pub static PARENT_BASED: ParentBased<AlwaysOn> = ParentBased::new(AlwaysOn);

/// Nobody sleeps in a simulation.
struct Nobody;

impl Wakeup for Nobody {
    fn wake(&self) {}
}

fn shard(units: usize) -> Shard {
    let heads: Vec<Unit<FrameTag>> = (0..units).map(|_| Unit::new()).collect();
    Shard::new(heads.leak(), vec![0; units * UNIT].leak(), 4)
}

fn words(bits: usize) -> &'static mut [TakenWord] {
    let words = bits.div_ceil(usize::BITS as usize);
    (0..words).map(|_| TakenWord::new(0)).collect::<Vec<_>>().leak()
}
