//! Traces in memory, and the questions one can ask of them.

use core::time::Duration;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use throughline_console::Trace;

use crate::completions::{Completed, Completions};
use crate::held::Held;
use crate::quiet::Quiet;
use crate::{Integrity, StoreLimits, TraceSummary};

/// A bounded store of traces. When it is full the oldest trace is evicted,
/// whole, and counted; a trace that alone exceeds the limits starts anew.
///
/// A query holds the store's lock while it looks, and the receiver waits for
/// it: microseconds for one trace, some 100 ms for [`Store::integrity`] over
/// a million spans.
#[derive(Debug)]
pub struct Store {
    limits: StoreLimits,
    held: Mutex<Held>,
    /// Something arrived, or the store was closed.
    changed: Condvar,
}

impl Store {
    pub(crate) fn new(limits: StoreLimits) -> Self {
        Self { limits, held: Mutex::new(Held::default()), changed: Condvar::new() }
    }

    /// What came, what is held and what was evicted.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        self.held().stats
    }

    /// One trace, as far as it came; `None` if it is not held.
    #[must_use]
    pub fn trace(&self, trace_id: [u8; 16]) -> Option<Trace> {
        self.held().trace(trace_id)
    }

    /// The held traces, the oldest first. Each is looked up when its turn comes;
    /// one that was evicted meanwhile is passed over.
    pub fn traces(&self) -> impl Iterator<Item = Trace> + '_ {
        let order: Vec<[u8; 16]> = self.held().order.iter().copied().collect();
        order.into_iter().filter_map(|id| self.trace(id))
    }

    /// The held traces in a few numbers each, the oldest first.
    #[must_use]
    pub fn summaries(&self) -> Vec<TraceSummary> {
        let held = self.held();
        let ids = held.order.iter();
        ids.filter_map(|id| Some(TraceSummary::new(*id, &held.traces.get(id)?.spans))).collect()
    }

    /// The trace that took longest.
    #[must_use]
    pub fn slowest(&self) -> Option<Trace> {
        self.slowest_where(|_| true)
    }

    /// The trace that took longest among those that pass the filter.
    pub fn slowest_where(&self, mut filter: impl FnMut(&TraceSummary) -> bool) -> Option<Trace> {
        let mut slowest: Option<TraceSummary> = None;
        for summary in self.summaries() {
            let least = slowest.as_ref().map(TraceSummary::duration_nanos);
            if least.is_none_or(|least| summary.duration_nanos() > least) && filter(&summary) {
                slowest = Some(summary);
            }
        }
        self.trace(slowest?.trace_id)
    }

    /// The oldest trace in which a span has an error status.
    #[must_use]
    pub fn first_error(&self) -> Option<Trace> {
        self.first_where(|trace| trace.errors > 0)
    }

    /// The oldest trace in which a span was cancelled.
    #[must_use]
    pub fn first_cancelled(&self) -> Option<Trace> {
        self.first_where(|trace| trace.cancelled > 0)
    }

    /// The oldest trace that passes the filter.
    pub fn first_where(&self, mut filter: impl FnMut(&TraceSummary) -> bool) -> Option<Trace> {
        let found = self.summaries().into_iter().find(|trace| filter(trace))?;
        self.trace(found.trace_id)
    }

    /// Checks whether every held trace is whole.
    #[must_use]
    pub fn integrity(&self) -> Integrity {
        let held = self.held();
        let traces = held.order.iter().filter_map(|id| {
            let trace = held.traces.get(id)?;
            Some((*id, trace.spans.as_slice()))
        });
        Integrity::check(traces, held.stats.evicted_traces)
    }

    /// Takes in a request under one lock; answers how many spans were refused.
    pub(crate) fn take_in(&self, request: ExportTraceServiceRequest, now: Instant) -> u64 {
        let mut held = self.held();
        let rejected = held.take_in(request, &self.limits, now);
        let is_watched = held.quiet.is_some();
        drop(held);
        if is_watched {
            self.changed.notify_all();
        }
        rejected
    }

    /// Nothing more will come: waiting subscriptions give out the rest and end.
    pub(crate) fn close(&self) {
        self.held().is_closed = true;
        self.changed.notify_all();
    }

    pub(crate) fn completions(
        self: &Arc<Self>,
        settle: Duration,
        give_up: Duration,
    ) -> Completions {
        let mut held = self.held();
        if held.quiet.is_none() {
            held.watch(Quiet::new(settle, give_up), Instant::now());
        }
        drop(held);
        Completions::new(Arc::clone(self))
    }

    /// Waits until a trace is complete; `None` when the store is closed and has
    /// given out everything.
    pub(crate) fn next_completed(&self) -> Option<Completed> {
        let mut held = self.held();
        loop {
            let now = Instant::now();
            let is_closed = held.is_closed;
            let quiet = held.quiet.as_ref()?;
            let complete = if is_closed { quiet.first() } else { quiet.poll(now) };
            if let Some(trace_id) = complete {
                return give_out(&mut held, trace_id);
            }
            if is_closed {
                return None;
            }
            held = match quiet.next_due() {
                Some(due) => {
                    let wait = due.saturating_duration_since(now);
                    let waited = self.changed.wait_timeout(held, wait);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let waited = self.changed.wait(held);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }

    /// A panic under the lock would have to be one of ours; the counters it left
    /// are still better than none.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a store took in, holds and let go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStats {
    /// Spans that came, those rejected not included.
    pub spans_received: u64,
    /// Traces that came. One that comes again after its eviction counts again.
    pub traces_received: u64,
    /// Spans whose ids were no ids.
    pub spans_rejected: u64,
    /// Spans held now.
    pub spans_held: usize,
    /// Traces held now.
    pub traces_held: usize,
    /// Memory they take, estimated, in bytes.
    pub bytes_held: usize,
    /// Traces evicted to make room.
    pub evicted_traces: u64,
    /// Spans evicted with them.
    pub evicted_spans: u64,
}

/// Marks a trace as given out and shows it, with what is new.
fn give_out(held: &mut Held, trace_id: [u8; 16]) -> Option<Completed> {
    // What waits is held: eviction forgets it.
    let trace = held.traces.get_mut(&trace_id)?;
    if let Some(quiet) = &mut held.quiet {
        quiet.forget(&mut trace.due);
    }
    let before = core::mem::replace(&mut trace.given_out, trace.spans.len());
    let late = (before > 0).then(|| trace.spans[before..].iter().map(|s| s.span_id).collect());
    Some(Completed::new(held.trace(trace_id)?, late))
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
