//! The memory of one execution. It is leaked, as core demands; loom forgets what
//! it knows about it when the execution ends.

use core::mem::ManuallyDrop;
use core::time::Duration;

use throughline_core::{
    AlwaysOn, Consumer, Entry, Flusher, FlusherSettings, FrameTag, Parts, Pipeline, Ring, Shard,
    Slot, SpanLimits, TakenWord, Tally, UNIT, Unit, Wakeup,
};

/// Heads of so many units.
fn units<T>(count: usize) -> &'static mut [Unit<T>] {
    (0..count).map(|_| Unit::new()).collect::<Vec<_>>().leak()
}

/// A ring of so many units, and its consumer.
///
/// The consumer is not dropped by itself: when loom reports a deadlock it unwinds
/// outside of the model, where the drop would find no atomics.
pub fn ring<T: Send>(capacity: usize) -> (&'static Ring<T>, ManuallyDrop<Consumer<T>>) {
    let bytes = vec![0; capacity * UNIT].leak();
    let ring: &'static Ring<T> = Box::leak(Box::new(Ring::new(units(capacity), bytes)));
    let consumer = ring.consumer().expect("a new ring has none");
    (ring, ManuallyDrop::new(consumer))
}

/// One word of a bitmap for each of these, with these bits set.
pub fn words(bits: &[usize]) -> &'static [TakenWord] {
    bits.iter().map(|bits| TakenWord::new(*bits)).collect::<Vec<_>>().leak()
}

/// A pipeline of one shard that holds `queued` spans, with room for `slots` live
/// spans and `blocks` larger ones. It announces every span.
pub fn pipeline(
    queued: usize,
    slots: usize,
    blocks: usize,
    wakeup: &'static dyn Wakeup,
) -> &'static Pipeline {
    pipeline_of(1, queued, slots, blocks, wakeup)
}

/// As [`pipeline`], of so many shards, each of which holds `queued` spans.
pub fn pipeline_of(
    shards: usize,
    queued: usize,
    slots: usize,
    blocks: usize,
    wakeup: &'static dyn Wakeup,
) -> &'static Pipeline {
    let capacity = queued * FRAME;
    let shard = || Shard::new(units::<FrameTag>(capacity), vec![0; capacity * UNIT].leak(), 1);
    Box::leak(Box::new(Pipeline::new(Parts {
        shards: (0..shards).map(|_| shard()).collect::<Vec<_>>().leak(),
        tallies: vec![Tally::new()].leak(),
        slots: (0..slots).map(|_| Slot::new()).collect::<Vec<_>>().leak(),
        slot_words: words(&[0]),
        spill: vec![0; blocks * BLOCK].leak(),
        spill_words: words(&[0]),
        spill_block: BLOCK,
        sampler: &AlwaysOn,
        limits: SpanLimits::new(),
        resource: &[],
        wakeup,
    })))
}

/// Settings under which a span is sent as soon as it is gathered.
fn settings() -> FlusherSettings {
    let mut settings = FlusherSettings::new();
    settings.schedule_delay = Duration::ZERO;
    settings
}

/// The flusher of the pipeline, whose batch holds so many spans. It is not dropped
/// by itself, for the reason given at [`ring`].
pub fn flusher(
    pipeline: &'static Pipeline,
    batch: usize,
) -> ManuallyDrop<Flusher<Vec<u8>, Vec<Entry>>> {
    let bytes = vec![0; batch * FRAME * UNIT];
    let entries = vec![Entry::default(); batch];
    let flusher = Flusher::new(pipeline, settings(), bytes, entries, 1);
    ManuallyDrop::new(flusher.expect("a new pipeline has none"))
}

/// The units of a model's span.
const FRAME: usize = 2;

/// A spill block: more than a slot holds, and not a byte too many.
const BLOCK: usize = 448;
