//! Does the cost of a span grow: with threads, spans under way, attributes, or time?
//!
//! CPU time of the whole process per span, export included. A row that rises well above
//! its first figure would worry us.

use std::time::{Duration, Instant};

use cpu_time::ProcessTime;
use throughline::{Span, Telemetry, Thread, span};

use crate::stopwatch::repeat;
use crate::throughline::Discard;

/// One thing that grows, and what a span costs meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) what: &'static str,
    /// How much of it, and nanoseconds.
    pub(crate) steps: Vec<(u64, f64)>,
}

impl Row {
    /// The highest cost as a multiple of the first.
    pub(crate) fn growth(&self) -> f64 {
        let highest = self.steps.iter().map(|(_, cost)| *cost).fold(f64::NAN, f64::max);
        self.steps.first().map_or(f64::NAN, |(_, first)| highest / first)
    }
}

/// Each row takes about so long.
pub(crate) fn run(time: Duration) -> Vec<Row> {
    let telemetry = throughline::builder()
        .max_live_spans(110_000)
        .max_queue_size(4 * SPANS as usize)
        .start(Thread::start().expect("the system gives a thread"), Discard);
    let telemetry = &telemetry;
    let step = |count: u32| time / count;
    let threads = [1, 2, 4, 8].map(|count| (count, with_threads(telemetry, count, step(4))));
    let live = [1, 100, 100_000].map(|count| (count, with_live(telemetry, count, step(3))));
    let attributes = [4, 8, 16].map(|count| (count, with_attributes(telemetry, count, step(3))));
    let tenths = (1..=10).map(|tenth| (tenth, with_threads(telemetry, 1, step(10))));
    vec![
        Row { what: "threads", steps: threads.into() },
        Row { what: "spans under way", steps: live.into() },
        Row { what: "attributes, each", steps: attributes.into() },
        Row { what: "tenths of the time", steps: tenths.collect() },
    ]
}

fn with_threads(telemetry: &Telemetry, threads: u64, time: Duration) -> f64 {
    cost(telemetry, time, || {
        let work = || telemetry.context().scope(|| repeat(SPANS / threads as u32, child));
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
    })
}

fn with_live(telemetry: &Telemetry, live: u64, time: Duration) -> f64 {
    telemetry.context().scope(|| {
        let live: Vec<Span> = (0..live).map(|_| span!("live")).collect();
        let cost = cost(telemetry, time, || repeat(SPANS, child));
        drop(live);
        cost
    })
}

/// Per attribute, and without what a span costs that has none.
fn with_attributes(telemetry: &Telemetry, attributes: u64, time: Duration) -> f64 {
    telemetry.context().scope(|| {
        let bare = cost(telemetry, time / 2, || repeat(SPANS, child));
        let keys = KEYS.get(..attributes as usize).unwrap_or(&KEYS);
        let full = cost(telemetry, time / 2, || {
            repeat(SPANS, || {
                let mut span = span!("child");
                for key in keys {
                    span.set_attribute(key, "value");
                }
                span.in_scope(|| ());
            });
        });
        (full - bare) / attributes as f64
    })
}

#[inline(always)]
fn child() {
    span!("child").in_scope(|| ());
}

/// The least CPU nanoseconds per span of many times `work`, which makes [`SPANS`].
///
/// # Panics
///
/// If a span was dropped: a cheap one.
fn cost(telemetry: &Telemetry, time: Duration, work: impl Fn()) -> f64 {
    let began = Instant::now();
    let mut least = f64::INFINITY;
    loop {
        let cpu = ProcessTime::now();
        work();
        telemetry.flush_blocking(Duration::from_secs(10));
        least = least.min(cpu.elapsed().as_nanos() as f64 / f64::from(SPANS));
        assert_eq!(telemetry.ledger().dropped_total(), 0, "the queue holds them");
        if began.elapsed() >= time {
            return least;
        }
    }
}

/// Spans between two flushes: the queue holds them. Starting threads has to vanish
/// behind them.
const SPANS: u32 = 32_000;

#[rustfmt::skip]
const KEYS: [&str; 16] = [
    "key 01", "key 02", "key 03", "key 04", "key 05", "key 06", "key 07", "key 08", "key 09",
    "key 10", "key 11", "key 12", "key 13", "key 14", "key 15", "key 16",
];
