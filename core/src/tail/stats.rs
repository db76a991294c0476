//! What was decided so far.

/// Counts of traces, by what became of them. They say nothing about spans: that
/// is the [`Ledger`](crate::Ledger)'s.
///
/// A trace is counted when it is decided. One whose decision was forgotten, and
/// that goes on nevertheless, is another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TailStats {
    /// Traces that were kept.
    pub traces_kept: u64,
    /// The same by the rule that kept them, in the order of the rules. Those
    /// behind the last number count there.
    pub kept_by_rule: [u64; TailStats::RULES],
    /// Traces that were dropped.
    pub traces_dropped: u64,
    /// Traces with a span of status `Error`, or one that panicked; also those
    /// whose first such span came after they were decided.
    pub error_traces: u64,
    /// Those of them that were kept. What is missing is lost: to the rules, or to
    /// a decision that was made before the error came.
    pub error_traces_kept: u64,
    /// Traces that were decided while a local root of theirs was under way, as
    /// far as is known, since there was no room for more.
    pub decided_early: u64,
    /// Traces that were decided because the decision time had passed.
    pub decided_overdue: u64,
    /// Traces that were decided for a flush or a shutdown.
    pub decided_by_flush: u64,
    /// Traces that were decided without a local root among their spans: it was
    /// lost before, or they came after their decision was forgotten.
    pub decided_without_root: u64,
}

impl TailStats {
    /// So many rules are counted one by one.
    pub const RULES: usize = 16;
}
