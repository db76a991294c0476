//! What does tail sampling cost a span, off the producer's path?
//!
//! The way from the rings to the batch, driven on this thread: once as it is,
//! once with rules that keep 5 % of the traces, once with rules that keep all, so
//! that every frame waits, moves and is marked. Traces of ten spans with four
//! attributes and an event each are interleaved 50 at a time, 200 others are
//! under way, and the clock runs as if 100,000 spans ended per second. The
//! exporter takes no time. More than 60 ns would worry us.

use std::time::{Duration, Instant};

use throughline::tail::{
    Amount, AnyTrace, Book, BookSettings, Buffer, Chain, Failed, NoTail, Panicked, Predicate, Rule,
    SlowerThan, Stage, Traces, Unit,
};
use throughline::{AlwaysOn, Context, ParentBased, Span, SpanLimits, span};
use throughline_core::{
    Accepted, Action, Entry, Flusher, FlusherSettings, FrameTag, Parts, Pipeline, Shard, Slot,
    SpanExporter, TakenWord, Tally, UNIT, Wakeup,
};

use crate::alloc;
use crate::stopwatch::Stopwatch;
use crate::throughline::Encode;

/// Nanoseconds per span.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tail {
    pub(crate) without: f64,
    pub(crate) few_kept: f64,
    pub(crate) all_kept: f64,
    /// Allocations per span on the whole way, from its start to the batch, where
    /// few are kept or all, whichever is more.
    pub(crate) allocations: f64,
}

/// The three in turns; the least of each counts.
pub(crate) fn run(time: Duration) -> Tail {
    let mut without = Driven::new(NoTail);
    let (mut few, mut all) = (Driven::new(tail(FEW, TRACES)), Driven::new(tail(1.0, TRACES)));
    let mut look = || [without.nanos(), few.nanos(), all.nanos()];
    // The first traces have room without that others are forgotten. That costs less, and is
    // soon over. Without time to measure, whether it works is all that is asked.
    let first_ones = if time.is_zero() { 0 } else { 2 * TRACES as u32 / (PER_LOOK / PER_TRACE) };
    for _ in 0..first_ones {
        look();
    }
    let mut least = [f64::MAX; 3];
    let began = Instant::now();
    while began.elapsed() < time || least[0] == f64::MAX {
        least.iter_mut().zip(look()).for_each(|(least, nanos)| *least = least.min(nanos));
    }
    // Memory of traces is used a first time, and then again.
    let allocations = few.allocations().max(all.allocations());
    let [without, few_kept, all_kept] = least;
    Tail { without, few_kept, all_kept, allocations }
}

/// What is counted in instructions.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    Without,
    /// Without, and the batches made OTLP bytes.
    Encoded,
    FewKept,
    AllKept,
}

/// Drains so many spans while the watch runs.
pub(crate) fn drain(way: Way, spans: u32, watch: &mut Stopwatch) {
    match way {
        Way::Without => Driven::new(NoTail).drain_all(spans, watch),
        Way::Encoded => {
            let encode = Some(Encode::default());
            Driven { encode, ..Driven::new(NoTail) }.drain_all(spans, watch);
        }
        Way::FewKept => Driven::new(tail(FEW, FEW_TRACES)).drain_all(spans, watch),
        Way::AllKept => Driven::new(tail(1.0, FEW_TRACES)).drain_all(spans, watch),
    }
}

type Rules = Vec<Rule<Box<dyn Predicate + Send + Sync>>>;

fn tail(ratio: f64, traces: usize) -> Buffer<Vec<Unit>, Vec<Chain>, Book<Vec<Traces>, Rules>> {
    let rules: Rules = vec![
        Rule::new(Box::new(Failed.or(Panicked)), Amount::All),
        Rule::new(Box::new(SlowerThan(Duration::from_secs(60))), Amount::All),
        Rule::new(Box::new(AnyTrace), Amount::ratio(ratio)),
    ];
    let book =
        Book::new(vec![Traces::EMPTY; traces / Traces::COUNT], rules, BookSettings::new(), 1);
    let book = book.expect("the rules have no conditions on single spans");
    Buffer::new(vec![Unit::EMPTY; MEMORY / size_of::<Unit>()], vec![Chain::EMPTY; traces], book)
}

/// A pipeline whose flusher is driven here.
struct Driven<T> {
    context: Context,
    flusher: Flusher<Vec<u8>, Vec<Entry>, T>,
    /// The exporter, if it does anything.
    encode: Option<Encode>,
    now: Duration,
    _under_way: Vec<Span>,
}

impl<T: Stage> Driven<T> {
    fn new(tail: T) -> Self {
        let units = 131_072;
        let heads: Vec<throughline_core::Unit<FrameTag>> =
            (0..units).map(|_| Default::default()).collect();
        let shard = Shard::new(heads.leak(), vec![0; units * UNIT].leak(), units / 8);
        let pipeline = Pipeline::new(Parts {
            shards: vec![shard].leak(),
            tallies: (0..128).map(|_| Tally::new()).collect::<Vec<_>>().leak(),
            slots: (0..8_192).map(|_| Slot::new()).collect::<Vec<_>>().leak(),
            slot_words: (0..128).map(|_| TakenWord::new(0)).collect::<Vec<_>>().leak(),
            spill: &mut [],
            spill_words: &[],
            spill_block: 0,
            sampler: &SAMPLER,
            limits: SpanLimits::new(),
            resource: &[],
            wakeup: &Nobody,
        });
        // Which traces are kept hangs on their ids: the same ones on every run.
        let pipeline: &'static Pipeline = Box::leak(Box::new(pipeline.with_seeded_ids(1)));
        let (bytes, entries) = (vec![0; 4_000_000], vec![Entry::default(); 512]);
        let settings = FlusherSettings::new();
        let flusher = Flusher::with_tail(pipeline, settings, bytes, entries, tail, 1);
        let context = Context::empty().with_pipeline(pipeline);
        let under_way = (0..200).map(|_| span!(parent: &context, "long")).collect();
        let flusher = flusher.expect("the first flusher of the pipeline");
        Driven { context, flusher, encode: None, now: Duration::ZERO, _under_way: under_way }
    }

    /// Nanoseconds per span of draining.
    fn nanos(&mut self) -> f64 {
        self.make(PER_LOOK);
        let mut watch = Stopwatch::default();
        self.drain(&mut watch);
        watch.elapsed().as_nanos() as f64 / f64::from(PER_LOOK)
    }

    /// Allocations per span of making and draining.
    fn allocations(&mut self) -> f64 {
        let mut contexts = Vec::with_capacity(AT_ONCE as usize);
        let mut roots = Vec::with_capacity(AT_ONCE as usize);
        let rounds = 4;
        let count = alloc::count(|| {
            for _ in 0..rounds {
                for _ in 0..PER_LOOK / GROUP {
                    self.make_group(&mut roots, &mut contexts);
                }
                self.drain(&mut Stopwatch::default());
            }
        });
        count as f64 / f64::from(rounds * PER_LOOK)
    }

    /// Makes and drains so many spans. What comes before the first ones are decided
    /// and forgotten does not count.
    fn drain_all(&mut self, spans: u32, watch: &mut Stopwatch) {
        for _ in 0..2 * FEW_TRACES as u32 / (PER_LOOK / PER_TRACE) {
            self.make(PER_LOOK);
            self.drain(&mut Stopwatch::default());
        }
        let mut left = spans;
        while left > 0 {
            let now = left.min(1_000);
            self.make(now);
            self.drain(watch);
            left -= now;
        }
    }

    /// Drains what was made in the time between two looks.
    fn drain(&mut self, watch: &mut Stopwatch) {
        self.now += BookSettings::new().look_interval;
        watch.time(|| {
            loop {
                match self.flusher.poll(self.now, |ticks| ticks) {
                    Action::Export => {
                        if let Some(encode) = &mut self.encode {
                            drop(encode.export(&self.flusher.batch()));
                        }
                        self.flusher.on_export(self.now, Ok(Accepted::default()));
                    }
                    Action::Yield => {}
                    Action::Wait { .. } | Action::Finished => break,
                }
            }
        });
    }

    fn make(&self, spans: u32) {
        let (mut roots, mut contexts) = (Vec::new(), Vec::new());
        (0..spans / GROUP).for_each(|_| self.make_group(&mut roots, &mut contexts));
    }

    /// Traces side by side.
    fn make_group(&self, roots: &mut Vec<Span>, contexts: &mut Vec<Context>) {
        roots.extend((0..AT_ONCE).map(|_| span!(parent: &self.context, "root")));
        contexts.extend(roots.iter().map(Span::context));
        for child in 1..PER_TRACE {
            for context in &*contexts {
                let mut span = span!(
                    parent: context,
                    "child",
                    http.request.method = "GET",
                    url.scheme = "https",
                    order.id = i64::from(child),
                    url.path = "/orders/1234",
                );
                span.add_event("cache miss", &[]);
                span.end();
            }
        }
        contexts.clear();
        roots.drain(..).for_each(Span::end);
    }
}

struct Nobody;

impl Wakeup for Nobody {
    fn wake(&self) {}
}

static SAMPLER: ParentBased<AlwaysOn> = ParentBased::new(AlwaysOn);
/// As much as by default, in bytes.
const MEMORY: usize = 16 << 20;
/// As many as by default.
const TRACES: usize = 24_576;
/// So few that they are soon used a second time, where time is not measured.
const FEW_TRACES: usize = 3_072;
const FEW: f64 = 0.05;
const AT_ONCE: u32 = 50;
const PER_TRACE: u32 = 10;
const GROUP: u32 = AT_ONCE * PER_TRACE;
/// What ends between two looks of the book, at 100,000 spans per second.
const PER_LOOK: u32 = 2_500;
