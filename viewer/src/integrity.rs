//! Whether the traces that are held are whole.

use crate::stored::StoredSpan;

/// What was found when every held trace was checked; made by
/// [`Store::integrity`](crate::Store::integrity).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Integrity {
    /// Traces checked.
    pub traces: usize,
    /// Spans checked.
    pub spans: usize,
    /// Spans whose parent is not held in their trace. A span with a remote
    /// parent is one too, until the other process has sent that parent.
    pub orphan_spans: usize,
    /// Traces with an orphan, or without exactly one root.
    pub incomplete_traces: usize,
    /// Orphans whose parent's id is held, but in a different trace: a context
    /// that crossed from one trace into another.
    pub foreign_parents: usize,
    /// Spans whose id another span has already, in whatever trace: a span that
    /// was sent twice, or ids that are not random.
    pub duplicate_spans: usize,
    /// Traces evicted so far, of which nothing can be said.
    pub evicted_traces: u64,
    /// The first trace that is incomplete, to look at.
    pub first_incomplete: Option<[u8; 16]>,
}

impl Integrity {
    /// Whether nothing was evicted, every trace has one root, every span its
    /// parent, and none came twice. True of an empty store.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.orphan_spans == 0
            && self.incomplete_traces == 0
            && self.foreign_parents == 0
            && self.duplicate_spans == 0
            && self.evicted_traces == 0
    }

    /// Checks traces; a few sorts of eight-byte ids, and no map of them.
    pub(crate) fn check<'a>(
        traces: impl Iterator<Item = ([u8; 16], &'a [StoredSpan])>,
        evicted_traces: u64,
    ) -> Self {
        let mut report = Self { evicted_traces, ..Self::default() };
        let mut everywhere: Vec<[u8; 8]> = Vec::new();
        let mut missing: Vec<[u8; 8]> = Vec::new();
        let mut here: Vec<[u8; 8]> = Vec::new();
        for (trace_id, spans) in traces {
            here.clear();
            here.extend(spans.iter().map(|span| span.span_id));
            here.sort_unstable();
            everywhere.extend_from_slice(&here);
            let roots = spans.iter().filter(|span| span.is_root()).count();
            let parents = spans.iter().filter(|span| !span.is_root());
            let before = missing.len();
            missing.extend(
                parents
                    .map(|span| span.parent_span_id)
                    .filter(|parent| here.binary_search(parent).is_err()),
            );
            report.traces += 1;
            report.spans += spans.len();
            if roots != 1 || missing.len() > before {
                report.incomplete_traces += 1;
                report.first_incomplete.get_or_insert(trace_id);
            }
        }
        everywhere.sort_unstable();
        let pairs = everywhere.windows(2);
        report.duplicate_spans = pairs.filter(|pair| pair[0] == pair[1]).count();
        report.orphan_spans = missing.len();
        let held = |parent: &&[u8; 8]| everywhere.binary_search(parent).is_ok();
        report.foreign_parents = missing.iter().filter(held).count();
        report
    }
}
