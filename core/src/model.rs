//! What the models in `loom-tests` use besides the public interface.
//!
//! It exists under `cfg(throughline_loom)` only. Each type is the crate's own,
//! with no more around it than makes it public.

use crate::begun::Begins;
use crate::bitmap::Bitmap;
use crate::live::{Live, Opening, Place, Slot};
use crate::{
    Callsite, CallsiteBudget, Decision, DropReason, LastPoll, Pipeline, SpanContext, SpanId,
    SpanKind, Surplus, SurplusSummary, TakenWord,
};

/// The bitmap that gives out slots and spill blocks.
#[derive(Debug)]
pub struct Places(Bitmap);

impl Places {
    /// At most `len` places, as far as the words reach.
    pub fn new(words: &'static [TakenWord], len: usize) -> Self {
        Places(Bitmap::new(words, len))
    }

    /// Takes a place near `hint`.
    pub fn claim(&self, hint: usize) -> Option<usize> {
        self.0.claim(hint)
    }

    /// Gives a place back.
    pub fn release(&self, index: usize) {
        self.0.release(index);
    }

    /// The number of taken places.
    pub fn taken(&self) -> usize {
        let mut taken = 0;
        self.0.each_taken(|_| (), |_| taken += 1);
        taken
    }
}

/// What a span tells of its surplus children.
#[derive(Debug, Default)]
pub struct Summary(SurplusSummary);

impl Summary {
    /// A child of the slot's span of this generation begins; whether it is surplus.
    pub fn begin(&self, generation: u32) -> bool {
        self.0.begin(generation)
    }

    /// One ends, having taken so long.
    pub fn end(&self, generation: u32, nanos: u64) {
        self.0.end(generation, nanos);
    }

    /// What the span tells.
    pub fn read(&self, generation: u32) -> Surplus {
        self.0.read(generation)
    }
}

/// The budget of a call site.
#[derive(Debug)]
pub struct Budget(CallsiteBudget);

impl Budget {
    /// Nobody's yet.
    pub fn new() -> Self {
        Budget(CallsiteBudget::new(1))
    }

    /// Whether it is the call site's, from now on at least.
    pub fn is_of(&self, callsite: &'static Callsite) -> bool {
        self.0.is_of(callsite)
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new()
    }
}

/// The owner of a slot, below [`Span`](crate::Span) and its platform. Dropping
/// it forgets the span.
#[derive(Debug)]
pub struct LiveSpan(Live);

impl LiveSpan {
    /// Starts a span and counts it, on a thread that keeps nothing.
    pub fn open(
        pipeline: &'static Pipeline,
        callsite: &'static Callsite,
        context: SpanContext,
        parent: SpanId,
        start: u64,
    ) -> Option<Self> {
        Self::open_on(&Thread::default(), pipeline, callsite, context, parent, start)
    }

    /// Starts a span and counts it.
    pub fn open_on(
        thread: &Thread,
        pipeline: &'static Pipeline,
        callsite: &'static Callsite,
        context: SpanContext,
        parent: SpanId,
        start: u64,
    ) -> Option<Self> {
        let opening = Opening {
            trace: context.trace_id(),
            span: context.span_id(),
            flags: context.trace_flags(),
            parent,
            remote_parent: false,
            kind: SpanKind::Internal,
            start,
            callsite,
        };
        let live = pipeline.open(0, &thread.0, || opening, None);
        thread.count(pipeline, &context);
        if live.is_none() {
            pipeline.counters().count_dropped(DropReason::LiveTableFull, 1);
        }
        live.map(LiveSpan)
    }

    /// Starts the root of a trace and counts it as one.
    pub fn open_root(
        pipeline: &'static Pipeline,
        callsite: &'static Callsite,
        context: SpanContext,
    ) -> Option<Self> {
        let opening = Opening {
            trace: context.trace_id(),
            span: context.span_id(),
            flags: context.trace_flags(),
            parent: SpanId::INVALID,
            remote_parent: false,
            kind: SpanKind::Internal,
            start: 0,
            callsite,
        };
        let live = pipeline.open(0, &Place::new(0), || opening, None)?;
        Thread::default().count(pipeline, &SpanContext::INVALID);
        Some(LiveSpan(live))
    }

    /// The span as those have it who know its context.
    pub fn known(&self) -> Known {
        Known(self.0.slot())
    }

    /// So many more children are exported.
    pub fn set_children_left(&self, left: u32) {
        self.0.set_children_left(left);
    }

    /// Replaces the kind.
    pub fn set_kind(&mut self, kind: SpanKind) {
        self.0.set_kind(kind);
    }

    /// The kind, and whether the span has surplus children.
    pub fn kind_and_flood(&self) -> (SpanKind, bool) {
        (self.0.kind(), self.0.is_flooded())
    }

    /// Begins a poll, or ends it.
    pub fn poll(&self, polled: LastPoll) {
        match polled {
            LastPoll::Never => self.0.set_in_closure(false),
            LastPoll::InClosure => self.0.set_in_closure(true),
            LastPoll::Began(ticks) => self.0.begin_poll(ticks),
            LastPoll::Ended(ticks) => self.0.end_poll(ticks),
        }
    }

    /// Writes all bytes of the record.
    pub fn fill(&mut self, byte: u8) {
        // SAFETY: the handle is borrowed mutably.
        unsafe { self.0.record_mut() }.1.fill(byte);
    }

    /// Whether all bytes of the record are this one.
    pub fn is_filled(&self, byte: u8) -> bool {
        // SAFETY: only `fill` writes, which borrows mutably.
        unsafe { self.0.record() }.1.iter().all(|each| *each == byte)
    }

    /// Moves the record to a spill block, if there is one.
    pub fn spill(&mut self) -> bool {
        // SAFETY: the handle is borrowed mutably.
        unsafe { self.0.spill() }
    }

    /// What the owner reads of its own slot.
    pub fn context(&self) -> SpanContext {
        self.0.context()
    }

    /// Ends the span: its frame is submitted, or counted as lost.
    pub fn end(self) {
        self.end_on(&Thread::default());
    }

    /// Ends the span on a thread that may keep its slot.
    pub fn end_on(self, thread: &Thread) {
        Pipeline::complete(self.0, 0, |live| live.release_inline(&thread.0));
    }

    /// Forgets the span on a thread that may keep its slot.
    pub fn forget_on(self, thread: &Thread) {
        self.0.release_inline(&thread.0);
    }
}

/// What a thread has of a pipeline to itself: by default nothing.
#[derive(Debug)]
pub struct Thread(Place);

impl Thread {
    /// One that counts for itself in this pipeline, and keeps a slot of it, if there is a tally.
    pub fn at_home_in(pipeline: &'static Pipeline) -> Self {
        let thread = Thread::default();
        thread.0.settle(pipeline);
        thread
    }

    /// The thread ends.
    pub fn give_back(&self) {
        self.0.give_back();
    }

    /// Counts a span that begins below this parent, and does nothing else.
    pub fn count(&self, pipeline: &'static Pipeline, parent: &SpanContext) {
        let begins = Begins::new(parent, Decision::RecordAndSample);
        self.0.count(pipeline, begins, || 0, || false);
    }
}

impl Default for Thread {
    fn default() -> Self {
        Thread(Place::new(0))
    }
}

/// A span that another thread knows by its context.
#[derive(Clone, Copy, Debug)]
pub struct Known(&'static Slot);

impl Known {
    /// Whether one more child is exported.
    pub fn take_child(&self) -> bool {
        self.0.take_child()
    }

    /// The span has surplus children to tell of.
    pub fn set_flooded(&self) {
        self.0.set_flooded();
    }
}
