//! A trace in a few numbers, for choosing among many.

use std::sync::Arc;

use throughline_console::Ending;

use crate::stored::{Outcome, StoredSpan};

/// What is known of a trace without drawing it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceSummary {
    /// Its id.
    pub trace_id: [u8; 16],
    /// The name of its root, or of the first span that came when it has none.
    pub name: Arc<str>,
    /// The spans held of it.
    pub spans: usize,
    /// Spans without a parent; one in a whole trace.
    pub roots: usize,
    /// When its first span started.
    pub start_unix_nanos: u64,
    /// When its last span ended.
    pub end_unix_nanos: u64,
    /// Spans with an error status.
    pub errors: usize,
    /// Spans that were cancelled.
    pub cancelled: usize,
    /// Spans that panicked.
    pub panicked: usize,
    /// Spans whose handle was dropped without being ended.
    pub dropped: usize,
}

impl TraceSummary {
    pub(crate) fn new(trace_id: [u8; 16], spans: &[StoredSpan]) -> Self {
        let named = spans.iter().find(|span| span.is_root()).or(spans.first());
        let count = |wanted: fn(&StoredSpan) -> bool| spans.iter().filter(|s| wanted(s)).count();
        let starts = spans.iter().map(|span| span.start_unix_nanos);
        let ends = spans.iter().map(|span| span.end_unix_nanos);
        Self {
            trace_id,
            name: named.map_or_else(|| "".into(), |span| Arc::clone(&span.name)),
            spans: spans.len(),
            roots: count(StoredSpan::is_root),
            start_unix_nanos: starts.min().unwrap_or(0),
            end_unix_nanos: ends.max().unwrap_or(0),
            errors: count(|span| span.outcome == Outcome::Error),
            cancelled: count(|span| span.ending == Ending::Cancelled),
            panicked: count(|span| span.ending == Ending::Panicked),
            dropped: count(|span| span.ending == Ending::Dropped),
        }
    }

    /// From its first start to its last end.
    #[must_use]
    pub fn duration_nanos(&self) -> u64 {
        self.end_unix_nanos.saturating_sub(self.start_unix_nanos)
    }
}
