//! What does tail sampling cost a span, off the producer's path?
//!
//! The way from the rings to the batch, driven on this thread: once as it is,
//! once with rules that keep 5 % of the traces, once with rules that keep all, so
//! that every frame waits, moves and is marked. Traces of ten spans with four
//! attributes and an event each are interleaved 64 at a time, 200 others are
//! under way, and the clock runs as if 100,000 spans ended per second. The
//! exporter takes no time. More than 60 ns would worry us.

use std::time::{Duration, Instant};

use throughline::tail::{
    Amount, AnyTrace, Book, BookSettings, Buffer, Chain, Failed, NoTail, Panicked, Predicate, Rule,
    SlowerThan, Stage, Trace, Unit,
};
use throughline::{AlwaysOn, Context, ParentBased, Span, SpanLimits, span};
use throughline_core::{
    Accepted, Action, Entry, Flusher, FlusherSettings, FrameTag, Parts, Pipeline, Shard, Slot,
    TakenWord, UNIT, Wakeup,
};

/// Nanoseconds per span.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tail {
    pub(crate) without: f64,
    pub(crate) few_kept: f64,
    pub(crate) all_kept: f64,
}

impl Tail {
    /// What tail sampling adds where few traces are kept, as it is used.
    pub(crate) fn added(&self) -> f64 {
        self.few_kept - self.without
    }
}

/// The three in turns; the least of each counts.
pub(crate) fn run(time: Duration) -> Tail {
    let mut without = Driven::new(NoTail);
    let (mut few, mut all) = (Driven::new(tail(0.05)), Driven::new(tail(1.0)));
    let mut least = Tail { without: f64::MAX, few_kept: f64::MAX, all_kept: f64::MAX };
    let began = Instant::now();
    while began.elapsed() < time || least.all_kept == f64::MAX {
        least.without = least.without.min(without.round());
        least.few_kept = least.few_kept.min(few.round());
        least.all_kept = least.all_kept.min(all.round());
    }
    least
}

type Rules = Vec<Rule<Box<dyn Predicate + Send + Sync>>>;

fn tail(ratio: f64) -> Buffer<Vec<Unit>, Vec<Chain>, Book<Vec<Trace>, Rules>> {
    let rules: Rules = vec![
        Rule::new(Box::new(Failed.or(Panicked)), Amount::All),
        Rule::new(Box::new(SlowerThan(Duration::from_secs(60))), Amount::All),
        Rule::new(Box::new(AnyTrace), Amount::ratio(ratio)),
    ];
    let book = Book::new(vec![Trace::EMPTY; TRACES], rules, BookSettings::new(), 1);
    let book = book.expect("the rules have no conditions on single spans");
    Buffer::new(vec![Unit::EMPTY; 131_072 / Unit::CELLS], vec![Chain::EMPTY; TRACES], book)
}

/// A pipeline whose flusher is driven here.
struct Driven<T> {
    context: Context,
    flusher: Flusher<Vec<u8>, Vec<Entry>, T>,
    now: Duration,
    _under_way: Vec<Span>,
}

impl<T: Stage> Driven<T> {
    fn new(tail: T) -> Self {
        let units = 131_072;
        let heads: Vec<throughline_core::Unit<FrameTag>> =
            (0..units).map(|_| Default::default()).collect();
        let shard = Shard::new(heads.leak(), vec![0; units * UNIT].leak(), units / 8);
        let pipeline: &'static Pipeline = Box::leak(Box::new(Pipeline::new(Parts {
            shards: vec![shard].leak(),
            slots: (0..8_192).map(|_| Slot::new()).collect::<Vec<_>>().leak(),
            slot_words: (0..128).map(|_| TakenWord::new(0)).collect::<Vec<_>>().leak(),
            spill: &mut [],
            spill_words: &[],
            spill_block: 0,
            sampler: &SAMPLER,
            limits: SpanLimits::new(),
            resource: &[],
            wakeup: &Nobody,
        })));
        let (bytes, entries) = (vec![0; 4_000_000], vec![Entry::default(); 512]);
        let settings = FlusherSettings::new();
        let flusher = Flusher::with_tail(pipeline, settings, bytes, entries, tail, 1);
        let context = Context::empty().with_pipeline(pipeline);
        let under_way = (0..200).map(|_| span!(parent: &context, "long")).collect();
        let flusher = flusher.expect("the first flusher of the pipeline");
        Driven { context, flusher, now: Duration::ZERO, _under_way: under_way }
    }

    /// Makes spans, then drains them. Returns the nanoseconds of the latter.
    fn round(&mut self) -> f64 {
        for _ in 0..ROUND / (AT_ONCE * PER_TRACE) {
            self.make();
        }
        self.now += Duration::from_micros(10) * ROUND;
        let began = Instant::now();
        loop {
            match self.flusher.poll(self.now, |ticks| ticks) {
                Action::Export => self.flusher.on_export(self.now, Ok(Accepted::default())),
                Action::Yield => {}
                Action::Wait { .. } | Action::Finished => break,
            }
        }
        began.elapsed().as_nanos() as f64 / f64::from(ROUND)
    }

    fn make(&self) {
        let roots: Vec<Span> = (0..AT_ONCE).map(|_| span!(parent: &self.context, "root")).collect();
        let contexts: Vec<Context> = roots.iter().map(Span::context).collect();
        for child in 1..PER_TRACE {
            for context in &contexts {
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
    }
}

struct Nobody;

impl Wakeup for Nobody {
    fn wake(&self) {}
}

static SAMPLER: ParentBased<AlwaysOn> = ParentBased::new(AlwaysOn);
const TRACES: usize = 24_576;
const AT_ONCE: u32 = 64;
const PER_TRACE: u32 = 10;
/// What ends between two looks of the book.
const ROUND: u32 = 2_560;
