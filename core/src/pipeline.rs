//! A pipeline: the fixed memory and the settings that spans of one destination
//! share.

#[cfg(not(target_os = "none"))]
mod elsewhere;
mod finish;
mod shard;

use core::fmt;

#[cfg(not(target_os = "none"))]
use elsewhere::Returns;
pub use shard::Shard;

use crate::begun::BegunCounters;
use crate::flood::Floods;
use crate::id_generator::SeededIds;
use crate::ledger::Counters;
use crate::live::{Live, LiveTable, Opening, Place};
use crate::ring::UNIT;
use crate::sampler::{Additions, Described};
use crate::sync::{AtomicBool, Ordering};
use crate::{
    Begun, Decision, Doorbell, Ledger, LiveView, MAX_SHARDS, PollProfile, Sampler,
    SamplingParameters, Slot, SpanLimits, TakenWord,
};
#[cfg(not(target_os = "none"))]
use crate::{Processors, Tally, wire};

/// Where spans go: live-span table, rings, sampler, limits, ledger.
///
/// A pipeline lives for ever (`&'static`), so that a context can name it
/// without counting references. On a server it is leaked once; on a
/// microcontroller it is a `static`.
///
/// Its alignment leaves room for the flags of a context beside a pointer to it.
#[repr(align(256))]
pub struct Pipeline {
    shards: &'static [Shard],
    first_shard: &'static Shard,
    #[cfg(not(target_os = "none"))]
    returns: Returns,
    #[cfg(not(target_os = "none"))]
    tallies: &'static [Tally],
    live: LiveTable,
    sampler: &'static dyn Sampler,
    follows_local_parents: bool,
    /// The same, while the pipeline is not closed.
    is_plain: AtomicBool,
    #[cfg(target_os = "none")]
    decides_early: bool,
    limits: SpanLimits,
    /// [`SpanLimits::attribute_count`], or 0 if texts may be cut that are short.
    #[cfg(not(target_os = "none"))]
    short_attribute_count: u32,
    poll_profile: PollProfile,
    resource: &'static [u8],
    schema_url: &'static str,
    bell: Doorbell,
    wakeup: &'static dyn Wakeup,
    closed: AtomicBool,
    counters: Counters,
    seeded_ids: Option<SeededIds>,
    children: u32,
    floods: Option<&'static Floods>,
    #[cfg(not(target_os = "none"))]
    processors: Option<&'static Processors>,
}

/// What a pipeline is made of.
///
/// Slots and bytes are borrowed mutably, for ever, so that no other pipeline can
/// give one of them to another span. Shards are to be of one pipeline too: with
/// two, each ledger counts the spans of both.
pub struct Parts {
    /// The rings, 1 to [`MAX_SHARDS`]; threads spread over them.
    pub shards: &'static [Shard],
    /// So many threads count for themselves, and keep a slot for their next span; others share
    /// counters and slots. Slots that idle threads keep are out of others' reach: a tally for
    /// each 64 of them is a good number. Bare targets, where code is dear, do not have this.
    #[cfg(not(target_os = "none"))]
    pub tallies: &'static [Tally],
    /// Room for live spans.
    pub slots: &'static mut [Slot],
    /// One bit per slot.
    pub slot_words: &'static [TakenWord],
    /// Memory for records that outgrow their slot; may be empty.
    pub spill: &'static mut [u8],
    /// One bit per spill block.
    pub spill_words: &'static [TakenWord],
    /// The length of a spill block in bytes.
    pub spill_block: usize,
    /// Decides which spans are recorded.
    pub sampler: &'static dyn Sampler,
    /// How much a span may hold.
    pub limits: SpanLimits,
    /// The OTLP `Resource` message, without its tag.
    pub resource: &'static [u8],
    /// Wakes the flusher.
    pub wakeup: &'static dyn Wakeup,
}

/// Wakes whoever drives the flusher. Called by any thread that ends a span; it
/// must not wait.
pub trait Wakeup: Sync {
    /// Called when the flusher sleeps and there is enough to do.
    fn wake(&self);
}

impl Pipeline {
    /// A pipeline made of these parts.
    ///
    /// # Panics
    ///
    /// If there is no shard, or there are more than [`MAX_SHARDS`].
    pub fn new(parts: Parts) -> Self {
        let first_shard = match parts.shards {
            [first, ..] if parts.shards.len() <= MAX_SHARDS => first,
            _ => panic!("a pipeline has 1 to {MAX_SHARDS} shards"),
        };
        Pipeline {
            shards: parts.shards,
            first_shard,
            #[cfg(not(target_os = "none"))]
            returns: Returns::new(),
            #[cfg(not(target_os = "none"))]
            tallies: parts.tallies,
            live: LiveTable::new(
                parts.slots,
                parts.slot_words,
                parts.spill,
                parts.spill_words,
                parts.spill_block,
            ),
            sampler: parts.sampler,
            follows_local_parents: parts.sampler.follows_local_parent(),
            is_plain: AtomicBool::new(parts.sampler.follows_local_parent()),
            #[cfg(target_os = "none")]
            decides_early: parts.sampler.decides_early(),
            limits: parts.limits,
            #[cfg(not(target_os = "none"))]
            short_attribute_count: match parts.limits.attribute_value_length as usize {
                ..wire::SHORT => 0,
                _ => parts.limits.attribute_count,
            },
            poll_profile: PollProfile::OFF,
            resource: parts.resource,
            schema_url: "",
            bell: Doorbell::new(),
            wakeup: parts.wakeup,
            closed: AtomicBool::new(false),
            counters: Counters::new(),
            seeded_ids: None,
            children: u32::MAX,
            floods: None,
            #[cfg(not(target_os = "none"))]
            processors: None,
        }
    }

    /// The same pipeline, which times polls so. They are not timed otherwise.
    #[must_use]
    pub fn with_poll_profile(self, poll_profile: PollProfile) -> Self {
        Pipeline { poll_profile, ..self }
    }

    /// The same pipeline, the attributes of whose resource follow this schema.
    #[must_use]
    pub fn with_schema_url(self, schema_url: &'static str) -> Self {
        Pipeline { schema_url, ..self }
    }

    /// The URL of the schema that the attributes of the resource follow; empty if
    /// there is none.
    pub fn schema_url(&self) -> &'static str {
        self.schema_url
    }

    /// The same pipeline, in which so many spans are exported one by one. Without, all
    /// are.
    ///
    /// Where there is no operating system, or no atomics of 64 bits, this does nothing.
    #[must_use]
    pub fn with_budgets(self, floods: &'static Floods) -> Self {
        // The general way of a beginning asks call sites; others need not.
        let is_plain = self.follows_local_parents() && floods.callsites.is_empty();
        let children = floods.budgets.children_per_span;
        Pipeline { children, floods: Some(floods), is_plain: AtomicBool::new(is_plain), ..self }
    }

    /// How many children of a span are exported.
    #[inline(always)]
    pub(crate) fn children_per_span(&self) -> u32 {
        self.children
    }

    pub(crate) fn floods(&self) -> Option<&'static Floods> {
        self.floods
    }

    /// The same pipeline, for tests: its ids are those of one sequence that the seed
    /// determines, in the order in which spans begin on whatever thread.
    ///
    /// Not for use beside other processes: two with one seed have the same ids.
    /// Each span's beginning takes longer. Where there is no operating system, ids
    /// are as [`Platform::seed`](crate::Platform::seed) says, and this does nothing.
    #[must_use]
    pub fn with_seeded_ids(self, seed: u64) -> Self {
        let seeded_ids = Some(SeededIds::new(seed));
        // The general way of a beginning looks for it; others need not.
        Pipeline { seeded_ids, is_plain: AtomicBool::new(false), ..self }
    }

    pub(crate) fn seeded_ids(&self) -> Option<&SeededIds> {
        if cfg!(target_os = "none") { None } else { self.seeded_ids.as_ref() }
    }

    /// The same pipeline, whose recorded spans these processors see begin and end. Without
    /// any in the list, it is as before.
    ///
    /// Each span's beginning takes longer, and its end as long as they do. Bare targets, where
    /// code is dear, do not have this.
    #[cfg(not(target_os = "none"))]
    #[must_use]
    pub fn with_processors(self, processors: &'static Processors) -> Self {
        if processors.list.is_empty() {
            return self;
        }
        // The general way of a beginning looks for them; others need not.
        Pipeline { processors: Some(processors), is_plain: AtomicBool::new(false), ..self }
    }

    #[cfg(not(target_os = "none"))]
    #[inline]
    pub(crate) fn processors(&self) -> Option<&'static Processors> {
        self.processors
    }

    /// Whether polls are timed.
    #[inline]
    pub fn poll_profile(&self) -> PollProfile {
        self.poll_profile
    }

    /// What became of every span so far.
    pub fn ledger(&self) -> Ledger {
        let refused = || self.shards.iter().map(Shard::refused).sum();
        let begun = |is_dropped| self.begun_counters().map(|each| each.sum(is_dropped)).sum();
        self.counters.read(refused, || (begun(false), begun(true)))
    }

    /// How many spans began so far, by their parents' origins and the sampler's decisions.
    pub fn begun(&self) -> Begun {
        let mut begun = Begun::default();
        self.begun_counters().for_each(|counters| begun.add(counters));
        begun
    }

    fn begun_counters(&self) -> impl Iterator<Item = &BegunCounters> {
        let of_shards = self.shards.iter().map(|shard| &shard.begun);
        #[cfg(not(target_os = "none"))]
        return of_shards.chain(self.tallies.iter().map(Tally::begun));
        #[cfg(target_os = "none")]
        of_shards
    }

    /// The spans that are under way, as far as they stay while they are read.
    /// Stops nobody; may be called from anywhere.
    pub fn live_spans(&self) -> impl Iterator<Item = LiveView> {
        self.live.views()
    }

    /// The number of spans under way, as a moment's estimate.
    pub fn live_count(&self) -> usize {
        self.live.len()
    }

    /// How many spans may be under way at once.
    pub fn live_capacity(&self) -> usize {
        self.live.capacity()
    }

    /// The bytes of the queue that are taken, as a moment's estimate.
    pub fn queue_used(&self) -> usize {
        self.shards.iter().map(|shard| shard.ring.used() * UNIT).sum()
    }

    /// The bytes of the queue.
    pub fn queue_capacity(&self) -> usize {
        self.shards.iter().map(|shard| shard.ring.capacity() * UNIT).sum()
    }

    /// The limits of a span.
    pub fn limits(&self) -> &SpanLimits {
        &self.limits
    }

    /// How many attributes a span may have, if no [short](wire::SHORT) text among them is
    /// ever cut.
    #[cfg(not(target_os = "none"))]
    #[inline]
    pub(crate) fn short_attribute_count(&self) -> u32 {
        self.short_attribute_count
    }

    /// The OTLP `Resource` message, without its tag.
    pub fn resource(&self) -> &'static [u8] {
        self.resource
    }

    /// Ends recording: later spans are not started, and those that end later
    /// are counted as dropped. What is queued is still drained.
    pub fn close(&self) {
        // Ordering: Relaxed; the rings decide which span is the last.
        self.closed.store(true, Ordering::Relaxed);
        self.is_plain.store(false, Ordering::Relaxed);
        for shard in self.shards {
            shard.ring.close();
        }
    }

    /// Whether [`close`](Self::close) was called.
    #[inline]
    pub fn is_closed(&self) -> bool {
        // Ordering: Relaxed, no value is read through it.
        self.closed.load(Ordering::Relaxed)
    }

    /// The bell on which the flusher sleeps.
    pub fn bell(&self) -> &Doorbell {
        &self.bell
    }

    /// Wakes the flusher if it sleeps or dozes, and keeps it from falling asleep.
    pub fn announce(&self) {
        if self.bell.rouse() {
            self.wakeup.wake();
        }
    }

    /// Tells the flusher that a batch was queued. One that dozes is woken only if its next
    /// look may be too late.
    #[cfg_attr(not(target_os = "none"), cold)]
    fn announce_batch(&self, shard: &Shard) {
        if cfg!(target_os = "none") || 2 * shard.ring.used() >= shard.ring.capacity() {
            self.announce();
        } else if self.bell.ring() {
            self.wakeup.wake();
        }
    }

    /// Whether what is queued is worth a look: half of what announces itself, on any shard.
    /// A moment's estimate.
    pub fn holds_batch(&self) -> bool {
        self.shards.iter().any(|shard| shard.ring.used() > shard.announce_mask / 2)
    }

    pub(crate) fn shards(&self) -> &'static [Shard] {
        self.shards
    }

    /// How often the flusher has given room back.
    #[cfg(not(target_os = "none"))]
    pub(crate) fn returns(&self) -> &Returns {
        &self.returns
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    #[inline]
    pub(crate) fn live_table(&self) -> &LiveTable {
        &self.live
    }

    pub(crate) fn sampler(&self) -> &'static dyn Sampler {
        self.sampler
    }

    /// Whether a child of a local span is recorded if its parent is, and only
    /// then.
    #[inline(always)]
    pub(crate) fn follows_local_parents(&self) -> bool {
        // Ordering: Relaxed, no value is read through it.
        self.is_plain.load(Ordering::Relaxed)
    }

    /// Whether roots ask the sampler, before they have attributes, and nothing else.
    #[cfg(not(target_os = "none"))]
    #[inline]
    pub(crate) fn has_plain_roots(&self) -> bool {
        self.decides_early() && self.seeded_ids.is_none() && !self.is_closed()
    }

    /// Whether the sampler is asked before a span has attributes. A sampler may be
    /// [exchanged](crate::SamplerSwitch) for one that says otherwise; on bare targets, where
    /// code is dear, what the first one says holds.
    #[inline]
    fn decides_early(&self) -> bool {
        #[cfg(not(target_os = "none"))]
        return self.sampler.decides_early();
        #[cfg(target_os = "none")]
        self.decides_early
    }

    /// The sampler's decision about a span that begins; `None` when it wants to
    /// see the span's attributes first.
    pub(crate) fn early_decision(
        &self,
        known: &SamplingParameters<'_>,
        adds: &mut Additions<'_>,
    ) -> Option<Decision> {
        let parent = known.parent;
        if self.follows_local_parents && parent.is_valid() && !parent.is_remote() {
            let is_sampled = parent.is_sampled();
            return Some(if is_sampled { Decision::RecordAndSample } else { Decision::Drop });
        }
        self.decides_early().then(|| self.sampler.should_sample(known, adds))
    }

    /// A tally that nobody has, if there is one; the caller has it then.
    #[cfg(not(target_os = "none"))]
    pub(crate) fn claim_tally(&self) -> Option<&'static Tally> {
        self.tallies.iter().find(|tally| tally.claim())
    }

    /// Takes a slot for a span that begins on this shard's thread, maybe one too many
    /// below another.
    #[inline(always)]
    pub(crate) fn open(
        &'static self,
        shard: usize,
        place: &Place,
        opening: impl FnOnce() -> Opening,
        surplus_of: Option<&'static Slot>,
    ) -> Option<Live> {
        LiveTable::open(self, self.shard(shard), place, opening, surplus_of)
    }

    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(crate) fn shard(&self, shard: usize) -> &Shard {
        match self.shards.get(shard) {
            Some(shard) => shard,
            None => self.shared_shard(shard),
        }
    }

    /// There are more threads than shards.
    #[cold]
    fn shared_shard(&self, shard: usize) -> &Shard {
        let index = shard.checked_rem(self.shards.len()).unwrap_or(0);
        self.shards.get(index).unwrap_or(self.first_shard)
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline")
            .field("sampler", &format_args!("{}", Described(self.sampler)))
            .field("limits", &self.limits)
            .field("ledger", &format_args!("{}", self.ledger()))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("shards", &self.shards.len())
            .field("slots", &self.slots.len())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
