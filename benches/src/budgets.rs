//! What a span may cost.

use crate::figures::{FASTRACE, FLOOR, Figures, OPENTELEMETRY, THROUGHLINE};
use crate::scenario::Scenario::{self, *};
use crate::size;

/// A row of the table of budgets in ARCHITECTURE.md, as far as it is measured here.
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
    budget("total CPU from start to OTLP bytes: ≤ 0.06 × fastrace with fastrace-opentelemetry", TotalCpu, OfPeer(0.06, FASTRACE)),
    budget("total CPU from start to OTLP bytes: ≤ 0.08 × opentelemetry_sdk", TotalCpu, OfPeer(0.08, OPENTELEMETRY)),
    budget("heap allocations per span, steady state, all threads: 0", Child, Allocations(0.0)),
    budget("heap allocations per span, steady state, all threads: 0", Attributes, Allocations(0.0)),
    budget("heap allocations per span, to the bytes handed to the socket: 0", TotalCpu, Allocations(0.0)),
    budget("unsampled span: ≤ 5 ns", Unsampled, Nanos(5.0)),
    budget("facade with no pipeline installed: ≤ 1 ns", Disabled, Nanos(1.0)),
    budget("attach and detach a context: ≤ 10 ns", Attach, Nanos(10.0)),
    budget("capture: ≤ 2 ns", Capture, Nanos(2.0)),
    // The floor has the two clock reads of the poll profile.
    budget("a poll of a future in a span, over the bare poll and two clock reads: ≤ 15 ns", Poll, OverFloor(15.0)),
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
            OfPeer(limit, peer) => {
                let ratio = nanos()? / figures.minimum(self.scenario, peer)?;
                (ratio > limit).then(|| format!("{sentence}; it is {ratio:.3} ×"))
            }
            Allocations(limit) => {
                let count = figures.cell(self.scenario, THROUGHLINE)?.allocations;
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

    #[test]
    fn a_budget_is_missed_above_its_limit_only() {
        let mut figures = Figures::default();
        figures.cell_mut(Capture, THROUGHLINE).add(2.0);
        figures.cell_mut(Hex, THROUGHLINE).add(15.5);
        let missed: Vec<String> =
            BUDGETS.iter().filter_map(|budget| budget.excess(&figures)).collect();
        assert_eq!(missed, ["trace and span id as hex for a log line: ≤ 15 ns; it is 15.5 ns"]);
    }
}
