//! Making a pipeline: its memory, once.

use core::hint::black_box;
use core::time::Duration;
use std::sync::Arc;

use atomic_waker::AtomicWaker;
use throughline_core::{
    AlwaysOn, CallsiteBudget, Entry, Floods, Flusher, FlusherSettings, FrameTag, MAX_SHARDS,
    ParentBased, Parts, Pipeline, Platform, PollProfile, Sampler, Shard, Slot, SpanBudgets,
    SpanLimits, SpanProcessor, SurplusSummary, TakenWord, Tally, UNIT, Unit, Wakeup,
};

use crate::processors::{Rounds, with_processors};
use crate::sampling::guarded_sampler::GuardedSampler;
use crate::sampling::tail::StdTail;
use crate::{Diagnostics, FixedClock, Resource, Std, TailError, TailSampler, platform};

/// The size and the settings of a pipeline.
#[derive(Clone)]
#[non_exhaustive]
pub struct PipelineOptions {
    /// What produces the spans.
    pub resource: Resource,
    /// Which spans are recorded. [`ParentBased`] over [`AlwaysOn`] by default. A sampler
    /// that panics has the span dropped, and is told [once](crate::Diagnostic::Panicked).
    pub sampler: Arc<dyn Sampler + Send + Sync>,
    /// Who sees recorded spans begin and end, and is flushed with the pipeline, in this order.
    /// Nobody by default.
    pub processors: Vec<Arc<dyn SpanProcessor + Send + Sync>>,
    /// Which traces are exported, when they are over. All by default, and where as many
    /// pipelines as possible [share the sampler](TailError::TooManyPipelines).
    pub tail: Option<TailSampler>,
    /// How much a span may hold.
    pub limits: SpanLimits,
    /// How many spans are exported one by one.
    pub budgets: SpanBudgets,
    /// When batches are sent.
    pub flusher: FlusherSettings,
    /// Finished spans that may wait, counted in spans of 512 bytes; smaller ones
    /// take less. 2,048 by default, [`LARGEST_QUEUE`](Self::LARGEST_QUEUE) at most.
    pub max_queue_size: usize,
    /// The rings over which threads are spread, each with its share of the queue: as many
    /// as there are processors, but no more than this. [`MAX_SHARDS`] by default; 1 at
    /// least.
    pub max_shards: usize,
    /// Spans that may be under way at once: 560 bytes each, of which 48 are for what
    /// one tells of [surplus](SpanBudgets) children. 8,192 by default, as many as the
    /// largest queue has at most. Threads may keep the room of their last spans for their next
    /// ones: one thread for each 64 spans, until it ends.
    pub max_live_spans: usize,
    /// Spans under way that may be large at once: that may hold more than the 376 bytes
    /// that each has, up to [`SPAN_BYTES`](Self::SPAN_BYTES). `None`, the default, is as many
    /// as there are live spans, 65,536 at most.
    ///
    /// So many times 16 KiB are reserved, of which what no span ever used takes no memory on
    /// systems that provide it when it is touched; what was used once is used again. Where
    /// the system refuses to reserve so much, there are half as many, or a quarter, and so
    /// on. A span beyond them has its 376 bytes, and is
    /// [counted](throughline_core::Ledger::memory_limited) if it needs more.
    pub max_large_spans: Option<usize>,
    /// Whether the polls of futures and streams in spans are timed: see
    /// [`PollProfile`]. They are by default.
    pub poll_profile: bool,
    /// From how long a poll is an event on its span, if polls are timed. 10 ms by
    /// default; `None` is never.
    pub long_poll: Option<Duration>,
    /// From what age on a live span has a record sent, and how often: see
    /// [`Heartbeats`](throughline_core::Heartbeats). `None`, the default, is never.
    pub heartbeat: Option<Duration>,
    /// Whether shutdown says on stderr which spans are still live. It does not by
    /// default; the receipt tells how many in any case.
    pub report_leaks: bool,
    /// For tests: ids are of one sequence, which this seed determines (see
    /// [`Pipeline::with_seeded_ids`]).
    pub id_seed: Option<u64>,
    /// For tests: ticks are converted by this.
    pub clock: Option<FixedClock>,
    /// The most bytes of a batch. 4,000,000 by default, below the 4 MiB that
    /// gRPC servers accept.
    pub max_batch_bytes: usize,
    /// How many requests may be in flight at once, to each destination: from 1, the
    /// default, which keeps the order of the batches, to
    /// [`MOST_CONCURRENT`](Self::MOST_CONCURRENT); with more than 1 it is not kept. An
    /// [exporter](crate::Exporter::max_concurrent_exports) may take fewer.
    /// ([Concurrent requests](https://opentelemetry.io/docs/specs/otlp/#otlphttp-concurrent-requests))
    pub max_concurrent_exports: usize,
    /// Whether a shutdown waits for what is queued and in flight; it does by default. If
    /// not, it ends at once, and what was not acknowledged is abandoned.
    pub wait_at_shutdown: bool,
    /// The batches that may wait for each of several destinations, behind those in flight.
    /// 16 by default.
    pub max_destination_batches: usize,
    /// The bytes of spans that each of several destinations may hold, waiting and in
    /// flight; one batch is always taken. 16,000,000 by default.
    pub max_destination_bytes: usize,
    /// Who is told what goes wrong. A line on stderr each by default.
    pub diagnostics: Diagnostics,
}

impl PipelineOptions {
    /// The most requests in flight to one destination: 256, each with a task and a
    /// connection of its own.
    pub const MOST_CONCURRENT: usize = 256;

    /// The most bytes that a span's attributes, events, links, status and changed name may
    /// take together, encoded: 16,384. Texts that do not fit are cut.
    pub const SPAN_BYTES: usize = SPILL;

    /// The most finished spans that may wait: 4,194,304, of 512 bytes. What is more
    /// counts as so many: no number takes the program's memory away.
    pub const LARGEST_QUEUE: usize = 1 << 22;
}

impl PipelineOptions {
    /// How many spans may be large at once, by these options.
    pub fn large_spans(&self) -> usize {
        let live = self.max_live_spans.max(1);
        self.max_large_spans.unwrap_or(live).min(live).min(MOST_LARGE)
    }
}

impl Default for PipelineOptions {
    fn default() -> Self {
        PipelineOptions {
            resource: Resource::sdk(),
            sampler: Arc::new(ParentBased::new(AlwaysOn)),
            processors: Vec::new(),
            tail: None,
            limits: SpanLimits::new(),
            budgets: SpanBudgets::new(),
            flusher: FlusherSettings::new(),
            max_queue_size: 2_048,
            max_shards: MAX_SHARDS,
            max_live_spans: 8_192,
            max_large_spans: None,
            poll_profile: true,
            long_poll: Some(Duration::from_millis(10)),
            heartbeat: None,
            report_leaks: false,
            id_seed: None,
            clock: None,
            max_batch_bytes: 4_000_000,
            max_concurrent_exports: 1,
            wait_at_shutdown: true,
            max_destination_batches: 16,
            max_destination_bytes: 16_000_000,
            diagnostics: Diagnostics::default(),
        }
    }
}

impl core::fmt::Debug for PipelineOptions {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PipelineOptions")
            .field("resource", &self.resource)
            .field("processors", &self.processors.len())
            .field("tail", &self.tail)
            .field("limits", &self.limits)
            .field("budgets", &self.budgets)
            .field("flusher", &self.flusher)
            .field("max_queue_size", &self.max_queue_size)
            .field("max_live_spans", &self.max_live_spans)
            .field("max_large_spans", &self.large_spans())
            .field("poll_profile", &self.poll_profile)
            .field("long_poll", &self.long_poll)
            .field("heartbeat", &self.heartbeat)
            .field("max_batch_bytes", &self.max_batch_bytes)
            .field("max_concurrent_exports", &self.max_concurrent_exports)
            .field("wait_at_shutdown", &self.wait_at_shutdown)
            .field("max_destination_batches", &self.max_destination_batches)
            .field("max_destination_bytes", &self.max_destination_bytes)
            .finish_non_exhaustive()
    }
}

/// The machine over memory of the heap.
pub(crate) type StdFlusher = Flusher<Vec<u8>, Vec<Entry>, Option<StdTail>>;

/// Wakes the task that drives the flusher.
#[derive(Debug, Default)]
pub(crate) struct DriverWaker(pub(crate) AtomicWaker);

impl Wakeup for DriverWaker {
    fn wake(&self) {
        self.0.wake();
    }
}

/// A new pipeline and its flusher.
pub(crate) struct Created {
    pub(crate) pipeline: &'static Pipeline,
    pub(crate) flusher: StdFlusher,
    pub(crate) waker: &'static DriverWaker,
    /// The sampler, if it may panic.
    pub(crate) sampler: Option<&'static GuardedSampler>,
    /// What flushes the processors, if there are any.
    pub(crate) processors: Option<&'static Rounds>,
    /// What samples at its tail; an error where it should and cannot.
    pub(crate) tail: Result<Option<TailSampler>, TailError>,
}

/// Makes a pipeline. Its memory is never given back, since any context may name it.
pub(crate) fn create(options: &PipelineOptions) -> Created {
    let waker: &'static DriverWaker = Box::leak(Box::default());
    let shards = std::thread::available_parallelism().map_or(1, usize::from);
    let shards = shards.min(options.max_shards.clamp(1, MAX_SHARDS));
    // Half a ring bounds a frame, and a spilled span must fit.
    let queue = options.max_queue_size.min(PipelineOptions::LARGEST_QUEUE);
    let live = options.max_live_spans.clamp(1, PipelineOptions::LARGEST_QUEUE);
    let units = (queue * SLOT / shards).max(4 * SPILL).div_ceil(UNIT);
    // What a batch takes where the queue holds as many spans as its size says. To wake a
    // thread costs a producer as much as some hundred spans.
    let batch = options.flusher.max_export_batch_size.clamp(1, PipelineOptions::LARGEST_QUEUE);
    let announce_every = (batch * SLOT / shards / UNIT).clamp(1, units / 4);
    let shard = || {
        let heads: Vec<Unit<FrameTag>> = (0..units).map(|_| Unit::new()).collect();
        Shard::new(heads.leak(), zeroed(units * UNIT), announce_every)
    };
    let spill = zeroed_blocks(options.large_spans());
    let slots: Vec<Slot> = (0..live).map(|_| Slot::new()).collect();
    let guarded = (!options.sampler.never_panics()).then(|| {
        let sampler = GuardedSampler::new(options.sampler.clone());
        let leaked: &'static GuardedSampler = Box::leak(Box::new(sampler));
        leaked
    });
    let sampler: &'static dyn Sampler = match guarded {
        Some(guarded) => guarded,
        None => &**Box::leak(Box::new(options.sampler.clone())),
    };
    let pipeline = Pipeline::new(Parts {
        shards: (0..shards).map(|_| shard()).collect::<Vec<_>>().leak(),
        tallies: (0..slots.len() / SLOTS_PER_TALLY)
            .map(|_| Tally::new())
            .collect::<Vec<_>>()
            .leak(),
        slot_words: words(slots.len()),
        slots: slots.leak(),
        spill_words: words(spill.len() / SPILL),
        spill,
        spill_block: SPILL,
        sampler,
        limits: options.limits,
        resource: options.resource.encode().leak(),
        wakeup: waker,
    });
    let schema_url = options.resource.schema_url().unwrap_or_default().to_owned().leak();
    let mut pipeline = with_budgets(pipeline, options)
        .with_poll_profile(poll_profile(options))
        .with_schema_url(schema_url);
    if let Some(seed) = options.id_seed {
        pipeline = pipeline.with_seeded_ids(seed);
    }
    let (pipeline, processors) = with_processors(pipeline, options);
    let pipeline: &'static Pipeline = Box::leak(Box::new(pipeline));
    if let Some(guarded) = guarded {
        guarded.belongs_to(pipeline);
    }
    let flusher = |tail| {
        let bytes = vec![0; options.max_batch_bytes.max(2 * SPILL)];
        let entries = vec![Entry::default(); batch];
        Flusher::with_tail(pipeline, options.flusher, bytes, entries, tail, platform::random())
    };
    let sampled = options.tail.as_ref().and_then(|tail| flusher(Some(tail.buffer())));
    let tail = match (&options.tail, &sampled) {
        (Some(_), None) => Err(TailError::TooManyPipelines),
        (tail, _) => Ok(tail.clone()),
    };
    let flusher = sampled.or_else(|| flusher(None)).expect("a new pipeline has no flusher yet");
    Created { pipeline, flusher, waker, sampler: guarded, processors, tail }
}

fn with_budgets(pipeline: Pipeline, options: &PipelineOptions) -> Pipeline {
    let SpanBudgets { children_per_span, spans_per_callsite_per_second, .. } = options.budgets;
    let is_limited = children_per_span < u32::MAX || spans_per_callsite_per_second.is_some();
    let summaries = if is_limited { pipeline.live_capacity() } else { 0 };
    let summaries: Vec<_> = (0..summaries).map(|_| SurplusSummary::new()).collect();
    let callsites = spans_per_callsite_per_second.map_or(0..0, |_| 0..CALLSITES);
    let rate = spans_per_callsite_per_second.unwrap_or(0);
    let callsites: Vec<_> = callsites.map(|_| CallsiteBudget::new(rate)).collect();
    pipeline.with_budgets(Box::leak(Box::new(Floods {
        budgets: options.budgets,
        summaries: summaries.leak(),
        callsites: callsites.leak(),
        nanos_of: Std::nanos_of,
    })))
}

fn poll_profile(options: &PipelineOptions) -> PollProfile {
    if !options.poll_profile {
        return PollProfile::OFF;
    }
    let nanos = options.long_poll.map_or(u128::MAX, |long| long.as_nanos());
    PollProfile::new(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Memory that the operating system provides when it is touched.
fn zeroed(len: usize) -> &'static mut [u8] {
    vec![0; len].leak()
}

/// As many blocks for large spans, or as many as the system is ready to reserve: it may count
/// what is never touched.
fn zeroed_blocks(mut blocks: usize) -> &'static mut [u8] {
    let fits = |len| {
        let mut bytes = Vec::<u8>::new();
        let fits = bytes.try_reserve_exact(len).is_ok();
        // A compiler may take for granted what is reserved and never seen.
        black_box(&mut bytes);
        fits
    };
    while blocks > 0 && !fits(blocks * SPILL) {
        blocks /= 2;
    }
    zeroed(blocks * SPILL)
}

fn words(bits: usize) -> &'static [TakenWord] {
    let words = bits.div_ceil(usize::BITS as usize);
    (0..words).map(|_| TakenWord::new(0)).collect::<Vec<_>>().leak()
}

pub(crate) const SLOT: usize = size_of::<Slot>();
/// A thread for each so many slots counts for itself, and keeps a slot.
const SLOTS_PER_TALLY: usize = 64;
/// As many call sites have a budget.
const CALLSITES: usize = 1_024;
const SPILL: usize = 16 * 1024;
/// As many spans may be so large.
const MOST_LARGE: usize = 1 << 16;
