//! What a span may cost: the table of budgets, as far as it is measured here.

use crate::figures::{FASTRACE, FLOOR, Figures, OPENTELEMETRY, THROUGHLINE, TRACING_OPENTELEMETRY};
use crate::scenario::Scenario::{self, *};
use crate::{machine, size, socket};

/// A row of the table.
struct Budget {
    /// The sentence of the table.
    sentence: &'static str,
    scenario: Scenario,
    limit: Limit,
}

enum Limit {
    Nanos(f64),
    /// A multiple of the floor's time.
    OfFloor(f64),
    /// Nanoseconds beyond the floor's.
    OverFloor(f64),
    /// Nanoseconds beyond those of one clock read.
    OverClock(f64),
    /// A multiple of a peer's time in the same scenario.
    OfPeer(f64, &'static str),
    /// Per operation, counted in thousandths: what a batch or a wake-up costs is
    /// not a span's.
    Allocations(f64),
}
use Limit::*;

#[rustfmt::skip]
const BUDGETS: &[Budget] = &[
    budget("child span, no attributes, recorded, on the producer: ≤ 1.25 × the floor", Child, OfFloor(1.25)),
    budget("child span, no attributes, recorded, on the producer: ≤ 0.5 × fastrace", Child, OfPeer(0.5, FASTRACE)),
    budget("child span, 4 attributes + 1 event: ≤ 0.3 × fastrace", Attributes, OfPeer(0.3, FASTRACE)),
    budget("child span, 4 attributes + 1 event: ≤ 0.12 × opentelemetry_sdk", Attributes, OfPeer(0.12, OPENTELEMETRY)),
    budget("child span, 4 attributes + 1 event: ≤ 0.04 × tracing-opentelemetry", Attributes, OfPeer(0.04, TRACING_OPENTELEMETRY)),
    budget("total CPU from start to OTLP bytes: ≤ 0.06 × fastrace with fastrace-opentelemetry", TotalCpu, OfPeer(0.06, FASTRACE)),
    budget("total CPU from start to OTLP bytes: ≤ 0.08 × opentelemetry_sdk", TotalCpu, OfPeer(0.08, OPENTELEMETRY)),
    budget("heap allocations per span, steady state, all threads: 0", Child, Allocations(0.0)),
    budget("heap allocations per span, steady state, all threads: 0", Attributes, Allocations(0.0)),
    budget("heap allocations per span, to the bytes handed to the socket: 0", TotalCpu, Allocations(0.0)),
    budget("unsampled span: ≤ 5 ns", Unsampled, Nanos(5.0)),
    // It has a trace id of its own, which a process that was forked off must not have too.
    budget("unsampled root, over the clock read that its id needs: ≤ 10 ns", UnsampledRoot, OverClock(10.0)),
    budget("facade with no pipeline installed: ≤ 1 ns", Disabled, Nanos(1.0)),
    budget("attach and detach a context: ≤ 10 ns", Attach, Nanos(10.0)),
    budget("capture: ≤ 2 ns", Capture, Nanos(2.0)),
    // The floor has the two clock reads of the poll profile.
    budget("a poll of a future in a span, over the bare poll and two clock reads: ≤ 15 ns", Poll, OverFloor(15.0)),
    budget("spawn carrying a context on tokio, over the plain spawn: ≤ 0.5 × fastrace", SpawnTokio, OfPeer(0.5, FASTRACE)),
    budget("spawn carrying a context on tokio: no extra allocation", SpawnTokio, Allocations(0.0)),
    budget("spawn carrying a context on smol, over the plain spawn: ≤ 0.5 × fastrace", SpawnSmol, OfPeer(0.5, FASTRACE)),
    budget("spawn carrying a context on smol: no extra allocation", SpawnSmol, Allocations(0.0)),
    budget("spawn carrying a context on async-std, over the plain spawn: ≤ 0.5 × fastrace", SpawnAsyncStd, OfPeer(0.5, FASTRACE)),
    budget("spawn carrying a context on async-std: no extra allocation", SpawnAsyncStd, Allocations(0.0)),
    budget("extract + inject traceparent: ≤ 50 ns", Traceparent, Nanos(50.0)),
    budget("extract + inject traceparent: 0 allocations", Traceparent, Allocations(0.0)),
    budget("trace and span id as hex for a log line: ≤ 15 ns", Hex, Nanos(15.0)),
];

/// The largest sizes in bytes, by the names in [`size::SIZES`].
const SIZES: &[(&str, usize)] = &[("span handle", 32), ("in_span adds", 96)];

/// The budgets that these figures miss, a line for each.
pub(crate) fn missed(figures: &Figures) -> Vec<String> {
    let mut missed: Vec<String> =
        BUDGETS.iter().filter_map(|budget| budget.excess(figures)).collect();
    for (name, size) in size::SIZES {
        let limit = SIZES.iter().find(|(limited, _)| *limited == name);
        if let Some((_, limit)) = limit
            && size > *limit
        {
            missed.push(format!("size_of: {name} ≤ {limit} B; it is {size} B"));
        }
    }
    missed.extend(missed_flat_out(figures));
    missed.extend(missed_tail(figures));
    missed.extend(socket::missed(figures));
    if let Some(account) = figures.large_trace.get(THROUGHLINE)
        && account.unaccounted() > 0
    {
        missed.push(format!(
            "one root of 20,000 children: all delivered or counted; {} are not",
            account.unaccounted()
        ));
    }
    missed
}

/// The rows of tail sampling.
fn missed_tail(figures: &Figures) -> Vec<String> {
    let Some(tail) = figures.tail else { return Vec::new() };
    let mut missed = Vec::new();
    let added = tail.few_kept - tail.without;
    if added > 60.0 {
        let sentence = "tail sampling, off the producer's path: ≤ 60 ns per span more";
        missed.push(format!("{sentence}; it is {added:.1} ns"));
    }
    if tail.allocations > 0.0 {
        let sentence = "tail sampling: allocations per span: 0";
        missed.push(format!("{sentence}; it is {:.4}", tail.allocations));
    }
    missed
}

/// The row of two threads.
fn missed_flat_out(figures: &Figures) -> Vec<String> {
    let Some(own) = figures.flat_out.get(THROUGHLINE) else { return Vec::new() };
    let mut missed = Vec::new();
    // The thread that exports needs a processor too: without one of its own it takes turns with
    // those that make spans, and the clock on the wall tells what it costs, not what they do
    // to each other.
    let (scaling, by) = match machine::processors() {
        0..3 => (own.scaling_per_cpu(), ", by their CPU time"),
        _ => (own.scaling(), ""),
    };
    if scaling < 1.9 {
        missed.push(format!("two threads flat out: ≥ 1.9 × one thread{by}; it is {scaling:.2} ×"));
    }
    if let Some(fastrace) = figures.flat_out.get(FASTRACE) {
        let ratio = own.delivered / fastrace.delivered;
        if ratio < 8.0 {
            missed.push(format!(
                "two threads flat out: ≥ 8 × fastrace's spans delivered; it is {ratio:.1} ×"
            ));
        }
    }
    if own.account.unaccounted() > 0 {
        missed.push(format!(
            "two threads flat out: 0 lost unaccounted; {} are",
            own.account.unaccounted()
        ));
    }
    missed
}

impl Budget {
    /// What is over the budget; `None` when it is kept, or was not measured.
    fn excess(&self, figures: &Figures) -> Option<String> {
        let sentence = self.sentence;
        let nanos = || figures.minimum(self.scenario, THROUGHLINE);
        match self.limit {
            Nanos(limit) => {
                let nanos = nanos()?;
                (nanos > limit).then(|| format!("{sentence}; it is {nanos:.1} ns"))
            }
            OfFloor(limit) => {
                let ratio = nanos()? / figures.minimum(Floor, FLOOR)?;
                (ratio > limit).then(|| format!("{sentence}; it is {ratio:.2} ×"))
            }
            OverFloor(limit) => {
                let nanos = nanos()? - figures.minimum(Floor, FLOOR)?;
                (nanos > limit).then(|| format!("{sentence}; it is {nanos:.1} ns"))
            }
            OverClock(limit) => {
                let nanos = nanos()? - figures.minimum(Clock, FLOOR)? / 2.0;
                (nanos > limit).then(|| format!("{sentence}; it is {nanos:.1} ns"))
            }
            OfPeer(limit, peer) => {
                let ratio = nanos()? / figures.minimum(self.scenario, peer)?;
                (ratio > limit).then(|| format!("{sentence}; it is {ratio:.3} ×"))
            }
            Allocations(limit) => {
                let count = figures.allocations(self.scenario, THROUGHLINE)?;
                (count > limit + 0.005).then(|| format!("{sentence}; it is {count:.3}"))
            }
        }
    }
}

const fn budget(sentence: &'static str, scenario: Scenario, limit: Limit) -> Budget {
    Budget { sentence, scenario, limit }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flat_out::Account;
    use crate::tail::Tail;

    #[test]
    fn a_budget_is_missed_above_its_limit_only() {
        let mut figures = Figures::default();
        figures.cell_mut(Capture, THROUGHLINE).add(2.0);
        figures.cell_mut(Hex, THROUGHLINE).add(15.5);
        let missed: Vec<String> =
            BUDGETS.iter().filter_map(|budget| budget.excess(&figures)).collect();
        assert_eq!(missed, ["trace and span id as hex for a log line: ≤ 15 ns; it is 15.5 ns"]);
    }

    #[test]
    fn tail_sampling_has_a_budget_of_time_and_none_of_allocations() {
        let tail = Tail { without: 50.0, few_kept: 110.0, all_kept: 300.0, allocations: 0.0 };
        let missed = |tail| {
            let mut figures = Figures::default();
            figures.tail = Some(tail);
            missed_tail(&figures)
        };
        assert!(missed(tail).is_empty());
        assert_eq!(
            missed(Tail { few_kept: 110.5, allocations: 0.0001, ..tail }),
            [
                "tail sampling, off the producer's path: ≤ 60 ns per span more; it is 60.5 ns",
                "tail sampling: allocations per span: 0; it is 0.0001",
            ]
        );
    }

    #[test]
    fn a_span_that_is_neither_delivered_nor_counted_misses_a_budget() {
        let account = |dropped| Account { made: 20_001, delivered: 20_000, dropped };
        let mut figures = Figures::default();
        figures.large_trace.insert(THROUGHLINE, account(Some(1)));
        assert!(!missed(&figures).iter().any(|line| line.contains("20,000")));
        figures.large_trace.insert(THROUGHLINE, account(None));
        assert!(missed(&figures).iter().any(|line| line.ends_with("1 are not")));
    }
}
