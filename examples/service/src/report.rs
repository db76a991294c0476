//! What the program says in the end.

use core::time::Duration;
use std::io::{self, Write};

use serde_json::{Map, Value as Json, json};
use throughline::tail::TailStats;
use throughline::{DropReason, Ledger, Receipt, SURPLUS_COUNT_ATTRIBUTE};
use throughline_console::{Colour, Options, Trace, Value, waterfall};
use throughline_viewer::{Integrity, Store, TraceSummary};

use crate::receipt_json::{dropped_json, receipt_json};

/// Everything that is reported.
pub(crate) struct Report<'a> {
    pub(crate) requests: usize,
    pub(crate) errors: usize,
    pub(crate) abandoned: usize,
    /// How many requests were under way when the load was interrupted, if it was.
    pub(crate) interrupted: Option<usize>,
    pub(crate) elapsed: Duration,
    /// A receipt per service.
    pub(crate) receipts: [(&'static str, Receipt); 2],
    /// What was decided at the tail, with the names of the rules.
    pub(crate) tail: Option<(Vec<String>, TailStats)>,
    /// How many spans one request made in a loop.
    pub(crate) flood: u64,
    /// What the embedded receiver holds, if it was used.
    pub(crate) store: Option<&'a Store>,
}

impl Report<'_> {
    /// Whether everything is accounted for, nothing was lost but what was to be left out,
    /// and every trace is whole.
    pub(crate) fn is_good(&self) -> bool {
        let ledger = self.ledger();
        let balances =
            ledger.in_flight() == 0 && self.receipts.iter().all(|(_, r)| r.is_complete());
        let wanted = [DropReason::Surplus, DropReason::TailSampledOut];
        let lost_nothing = ledger.losses().all(|(reason, _)| wanted.contains(&reason));
        balances
            && lost_nothing
            && self.integrity().is_none_or(|i| i.is_whole() && i.spans as u64 == ledger.exported())
    }

    pub(crate) fn print(&self, as_json: bool) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if as_json { writeln!(out, "{}", self.json()) } else { self.print_text(&mut out) }
    }

    fn print_text(&self, out: &mut impl Write) -> io::Result<()> {
        let options = Options { colour: Colour::auto(&io::stdout()), ..Options::default() };
        if let Some(store) = self.store {
            let cancelled = store.first_where(|trace| &*trace.name == "impatient_customer");
            let flooded = self.surplus_told().map(|(trace, _)| trace);
            let found = [
                ("slowest", store.slowest_where(|trace| trace.cancelled < trace.spans)),
                ("first failed", store.first_error()),
                ("first cancelled", cancelled),
                ("flooded", flooded),
            ];
            let mut shown: Vec<(String, Trace)> = Vec::new();
            for (title, trace) in found {
                let Some(trace) = trace else { continue };
                match shown.iter_mut().find(|(_, other)| other.trace_id() == trace.trace_id()) {
                    Some((titles, _)) => titles.extend([" and the ", title]),
                    None => shown.push((title.to_owned(), trace)),
                }
            }
            for (titles, trace) in shown {
                writeln!(out, "The {titles} trace\n\n{}", waterfall(&trace, options))?;
            }
        }
        let Report { requests, errors, abandoned, elapsed, .. } = self;
        let requests = count(*requests, "request");
        let interrupted = match self.interrupted {
            Some(more) => format!(", interrupted with {more} more under way"),
            None => String::new(),
        };
        writeln!(
            out,
            "{requests} in {elapsed:.1?}{interrupted}: {errors} failed, {abandoned} abandoned by their callers"
        )?;
        match self.integrity() {
            Some(found) => writeln!(
                out,
                "{} of {} at the receiver: {} incomplete, {}, {}",
                count(found.traces, "trace"),
                count(found.spans, "span"),
                found.incomplete_traces,
                count(found.orphan_spans, "orphan"),
                count(found.foreign_parents, "foreign parent")
            )?,
            None => writeln!(out, "the receiver is another one: what arrived there is not known")?,
        }
        if let Some((names, stats)) = &self.tail {
            print_tail(out, names, stats, self.error_traces_kept(stats))?;
        }
        let surplus = self.surplus();
        if surplus > 0 {
            writeln!(out, "{surplus} children too many to export{}", self.surplus_is_told())?;
        }
        for (service, receipt) in &self.receipts {
            writeln!(out, "{service:<10}{receipt}")?;
        }
        writeln!(out, "{:<10}{}", "together", self.ledger())
    }

    fn json(&self) -> Json {
        let ledger = self.ledger();
        let integrity = self.integrity();
        json!({
            "requests": self.requests,
            "errors": self.errors,
            "abandoned": self.abandoned,
            "interrupted": self.interrupted.is_some(),
            "under_way": self.interrupted.unwrap_or(0),
            "elapsed_ms": u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX),
            "traces": integrity.map(|i| i.traces),
            "orphan_spans": integrity.map(|i| i.orphan_spans),
            "incomplete_traces": integrity.map(|i| i.incomplete_traces),
            "foreign_parents": integrity.map(|i| i.foreign_parents),
            "spans_started": ledger.started(),
            "spans_exported": ledger.exported(),
            "dropped": dropped_json(&ledger),
            "in_flight": ledger.in_flight(),
            "flood": {
                "spans": self.flood,
                "surplus": self.surplus(),
                "surplus_told": self.surplus_told().map(|(_, told)| told),
            },
            "tail": self.tail.as_ref().map(|(names, stats)| {
                tail_json(names, stats, self.error_traces_kept(stats))
            }),
            "receipt": self.receipts.iter().map(|(service, receipt)| {
                ((*service).to_owned(), receipt_json(receipt))
            }).collect::<Map<_, _>>(),
        })
    }

    fn ledger(&self) -> Ledger {
        self.receipts.iter().map(|(_, receipt)| *receipt.ledger()).sum()
    }

    /// The traces with an error that are at the receiver: what was decided, and then
    /// arrived. Where the receiver is another one, or holds a part only, what was decided.
    fn error_traces_kept(&self, stats: &TailStats) -> u64 {
        let Some(store) = self.store else { return stats.error_traces_kept };
        if store.stats().evicted_traces > 0 {
            return stats.error_traces_kept;
        }
        let has_error = |trace: &TraceSummary| trace.errors > 0 || trace.panicked > 0;
        store.summaries().iter().filter(|trace| has_error(trace)).count() as u64
    }

    /// The children that were too many to export.
    fn surplus(&self) -> u64 {
        self.ledger().dropped(DropReason::Surplus)
    }

    /// The trace of the flood, and what parents in it tell of such children; if there
    /// are any, and it is at the receiver. It is the largest one then.
    fn surplus_told(&self) -> Option<(Trace, u64)> {
        let store = self.store.filter(|_| self.surplus() > 0)?;
        let largest = store.summaries().into_iter().max_by_key(|trace| trace.spans)?;
        let trace = store.trace(largest.trace_id)?;
        let told = trace.spans().iter().filter_map(|span| {
            match span.attribute(SURPLUS_COUNT_ATTRIBUTE)? {
                Value::Int(count) => u64::try_from(*count).ok(),
                _ => None,
            }
        });
        let told = told.sum();
        (told > 0).then_some((trace, told))
    }

    /// What the text says about it, behind how many there were.
    fn surplus_is_told(&self) -> String {
        let is_evicted = |store: &Store| store.stats().evicted_traces > 0;
        match (self.surplus_told(), &self.tail) {
            (Some((_, told)), _) => {
                format!(", {told} of them told by their parents at the receiver")
            }
            (None, Some((_, stats)))
                if stats.traces_dropped > 0
                    && self.store.is_some_and(|store| !is_evicted(store)) =>
            {
                ", and nobody tells of them: its trace was dropped at the tail".to_owned()
            }
            (None, _) => ", told by their parents where those are".to_owned(),
        }
    }

    fn integrity(&self) -> Option<Integrity> {
        self.store.map(Store::integrity)
    }
}

/// `1 trace`, `2 traces`.
fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// What was kept, and why.
fn print_tail(
    out: &mut impl Write,
    names: &[String],
    stats: &TailStats,
    error_traces_kept: u64,
) -> io::Result<()> {
    let by_rule = names.iter().zip(stats.kept_by_rule);
    let kept: Vec<_> = by_rule.map(|(name, traces)| format!("{traces} by {name}")).collect();
    let TailStats { traces_kept, traces_dropped, error_traces, .. } = stats;
    writeln!(
        out,
        "{} kept at the tail ({}), {traces_dropped} dropped",
        count(usize::try_from(*traces_kept).unwrap_or(usize::MAX), "trace"),
        kept.join(", ")
    )?;
    writeln!(
        out,
        "{error_traces_kept} of {error_traces} with an error kept; {} decided early, {} after the decision time, {} at the end",
        stats.decided_early, stats.decided_overdue, stats.decided_by_flush
    )
}

fn tail_json(names: &[String], stats: &TailStats, error_traces_kept: u64) -> Json {
    let by_rule = names.iter().zip(stats.kept_by_rule);
    json!({
        "traces_kept": stats.traces_kept,
        "traces_dropped": stats.traces_dropped,
        "error_traces": stats.error_traces,
        "error_traces_kept": error_traces_kept,
        "error_traces_decided_to_keep": stats.error_traces_kept,
        "decided_early": stats.decided_early,
        "decided_overdue": stats.decided_overdue,
        "decided_by_flush": stats.decided_by_flush,
        "decided_without_root": stats.decided_without_root,
        "kept_by_rule": by_rule.map(|(name, traces)| (name.clone(), json!(traces))).collect::<Map<_, _>>(),
    })
}
