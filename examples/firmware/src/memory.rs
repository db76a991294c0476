//! All the memory that spans take, as statics.
//!
//! | what | bytes |
//! |---|---:|
//! | live spans: 16 slots | 8,192 |
//! | the ring: 64 units and their heads | 4,864 |
//! | one batch: bytes and 32 entries | 2,304 |

use static_cell::{ConstStaticCell, StaticCell};
use throughline_core::{
    AlwaysOn, Entry, Flusher, FlusherSettings, FrameTag, ParentBased, Parts, Pipeline, Shard, Slot,
    SpanLimits, TakenWord, UNIT, Unit, Wakeup, encode_resource,
};

use crate::port;

/// Spans that may be under way at once, at most the bits of a [`TakenWord`].
pub const LIVE: usize = 16;
/// Units of 64 bytes in which ended spans wait; a small span takes two.
pub const UNITS: usize = 64;
/// The bytes of a batch, at least half a ring: the longest span must fit.
pub const BATCH: usize = UNITS / 2 * UNIT;
/// Spans of a batch.
pub const BATCH_SPANS: usize = 32;

static SLOTS: ConstStaticCell<[Slot; LIVE]> = ConstStaticCell::new([const { Slot::new() }; LIVE]);
static SLOTS_TAKEN: [TakenWord; 1] = [TakenWord::new(0)];
static HEADS: ConstStaticCell<[Unit<FrameTag>; UNITS]> =
    ConstStaticCell::new([const { Unit::new() }; UNITS]);
static RING: ConstStaticCell<[u8; UNITS * UNIT]> = ConstStaticCell::new([0; UNITS * UNIT]);
static BYTES: ConstStaticCell<[u8; BATCH]> = ConstStaticCell::new([0; BATCH]);
static ENTRIES: ConstStaticCell<[Entry; BATCH_SPANS]> =
    ConstStaticCell::new([const { Entry::EMPTY }; BATCH_SPANS]);
static RESOURCE: ConstStaticCell<[u8; 128]> = ConstStaticCell::new([0; 128]);
static SHARDS: StaticCell<[Shard; 1]> = StaticCell::new();
static PIPELINE: StaticCell<Pipeline> = StaticCell::new();
static SAMPLER: ParentBased<AlwaysOn> = ParentBased::new(AlwaysOn);

/// The flusher over this memory.
pub type BoardFlusher = Flusher<&'static mut [u8], &'static mut [Entry]>;

/// The pipeline and its flusher; `None` when they were made before.
pub fn take() -> Option<(&'static Pipeline, BoardFlusher)> {
    let shard = Shard::new(HEADS.try_take()?, RING.try_take()?, UNITS / 2);
    let pipeline: &'static Pipeline = PIPELINE.try_init(Pipeline::new(Parts {
        shards: SHARDS.try_init([shard])?,
        slots: SLOTS.try_take()?,
        slot_words: &SLOTS_TAKEN,
        // A span is as large as its slot, and what is beyond is dropped from it.
        spill: &mut [],
        spill_words: &[],
        spill_block: 0,
        sampler: &SAMPLER,
        limits: SpanLimits::new(),
        resource: resource(RESOURCE.try_take()?),
        wakeup: &Awake,
    }))?;
    let mut settings = FlusherSettings::new();
    settings.schedule_delay = core::time::Duration::from_millis(20);
    let (bytes, entries) = (BYTES.try_take()?, ENTRIES.try_take()?);
    let flusher = Flusher::new(pipeline, settings, &mut bytes[..], &mut entries[..], port::seed())?;
    Some((pipeline, flusher))
}

/// The resource, as far as the buffer reaches.
fn resource(buffer: &'static mut [u8]) -> &'static [u8] {
    let attributes = [
        ("service.name", "sensor-node"),
        ("telemetry.sdk.language", "rust"),
        ("telemetry.sdk.name", "throughline"),
    ];
    let mut len = 0;
    encode_resource(attributes.into_iter(), |bytes| {
        if let Some(free) = buffer.get_mut(len..)
            && let Some((to, _)) = free.split_at_mut_checked(bytes.len())
        {
            to.iter_mut().zip(bytes).for_each(|(to, byte)| *to = *byte);
            len += bytes.len();
        }
    });
    buffer.get(..len).unwrap_or_default()
}

/// The executor polls the sender after every interrupt: nobody has to wake it.
#[derive(Debug)]
struct Awake;

impl Wakeup for Awake {
    fn wake(&self) {}
}
