//! Spans put into the order of a tree.
//!
//! The spans are kept in pre-order, each knowing where its subtree ends:
//!
//! ```text
//!   index          0      1      2      3      4
//!   span          root   load   query  reply  orphan
//!   subtree end    4      3      3      4      5
//! ```
//!
//! so children are found by hopping from subtree to subtree, and no walk over a
//! trace recurses: one of 20,000 spans below each other is walked like any other.

use core::mem;
use std::collections::HashMap;

use crate::FinishedSpan;

/// The spans of one trace as a tree: roots first, children by start time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    trace_id: [u8; 16],
    spans: Vec<FinishedSpan>,
    places: Vec<Place>,
}

impl Trace {
    /// Orders spans of one trace into its tree. Every span given is kept, also
    /// when two have the same id (children go to the first) or when spans are
    /// each other's parents (the earliest of them counts as an orphan).
    #[must_use]
    pub fn new(trace_id: [u8; 16], mut spans: Vec<FinishedSpan>) -> Self {
        let mut by_id = HashMap::with_capacity(spans.len());
        for (index, span) in spans.iter().enumerate() {
            by_id.entry(span.span_id).or_insert(index);
        }
        // Stable: among equal starts the order of arrival stays.
        let mut by_start: Vec<usize> = (0..spans.len()).collect();
        by_start.sort_by_key(|&index| spans[index].start_unix_nanos);

        let mut children = vec![Vec::new(); spans.len()];
        let mut tops = Vec::new();
        for &index in &by_start {
            let span = &spans[index];
            let parent = span.parent_span_id.and_then(|id| by_id.get(&id).copied());
            match (span.parent_span_id, parent) {
                (_, Some(parent)) if parent != index => children[parent].push(index),
                (None, _) => tops.push((index, Standing::Root)),
                (Some(_), None) if span.parent_is_remote => tops.push((index, Standing::Entry)),
                (Some(_), _) => tops.push((index, Standing::Orphan)),
            }
        }
        let mut walk = Walk::new(&children);
        for (index, standing) in tops {
            walk.below(index, standing);
        }
        // What no top leads to is a ring of parents; cut it at its earliest span.
        for &index in &by_start {
            walk.below(index, Standing::Orphan);
        }
        let Walk { order, places, .. } = walk;
        let spans = order.into_iter().map(|index| mem::take(&mut spans[index])).collect();
        Self { trace_id, spans, places }
    }

    /// Groups spans by their trace id, traces in the order of their first span.
    #[must_use]
    pub fn group(spans: impl IntoIterator<Item = FinishedSpan>) -> Vec<Self> {
        let mut position = HashMap::new();
        let mut groups: Vec<([u8; 16], Vec<FinishedSpan>)> = Vec::new();
        for span in spans {
            let at = *position.entry(span.trace_id).or_insert_with(|| {
                groups.push((span.trace_id, Vec::new()));
                groups.len() - 1
            });
            groups[at].1.push(span);
        }
        groups.into_iter().map(|(trace_id, spans)| Self::new(trace_id, spans)).collect()
    }

    /// The id that all its spans share.
    #[must_use]
    pub const fn trace_id(&self) -> [u8; 16] {
        self.trace_id
    }

    /// Its spans in pre-order: a parent before its children, a child's whole
    /// subtree before the next child.
    #[must_use]
    pub fn spans(&self) -> &[FinishedSpan] {
        &self.spans
    }

    /// The first span without a parent, else the first entry from elsewhere,
    /// else the first span.
    #[must_use]
    pub fn root(&self) -> Option<&FinishedSpan> {
        let first = |wanted| {
            let at = self.tops().find(|&top| self.standing(top) == wanted)?;
            self.spans.get(at)
        };
        first(Standing::Root).or_else(|| first(Standing::Entry)).or_else(|| self.spans.first())
    }

    /// Indexes of the spans whose parent is not here, in order of start, roots
    /// and orphans alike.
    pub fn tops(&self) -> impl Iterator<Item = usize> + '_ {
        self.hop(0, self.spans.len())
    }

    /// Indexes of the children of a span, in order of start.
    ///
    /// # Panics
    ///
    /// If the index is not below the number of spans.
    pub fn children(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        self.hop(index + 1, self.places[index].subtree_end)
    }

    /// How many spans lie between a span and its top; zero for a top.
    ///
    /// # Panics
    ///
    /// If the index is not below the number of spans.
    #[must_use]
    pub fn depth(&self, index: usize) -> usize {
        self.places[index].depth
    }

    /// What a span is in the tree.
    ///
    /// # Panics
    ///
    /// If the index is not below the number of spans.
    #[must_use]
    pub fn standing(&self, index: usize) -> Standing {
        self.places[index].standing
    }

    /// When its first span started; zero if it is empty.
    #[must_use]
    pub fn start_unix_nanos(&self) -> u64 {
        let starts = self.spans.iter().map(|span| span.start_unix_nanos);
        starts.min().unwrap_or(0)
    }

    /// When its last span ended; zero if it is empty.
    #[must_use]
    pub fn end_unix_nanos(&self) -> u64 {
        let ends = self.spans.iter().map(|span| span.end_unix_nanos);
        ends.max().unwrap_or(0)
    }

    /// From its first start to its last end.
    #[must_use]
    pub fn duration_nanos(&self) -> u64 {
        self.end_unix_nanos().saturating_sub(self.start_unix_nanos())
    }

    fn hop(&self, from: usize, to: usize) -> impl Iterator<Item = usize> + '_ {
        let mut next = from;
        core::iter::from_fn(move || {
            let at = (next < to).then_some(next)?;
            next = self.places[at].subtree_end;
            Some(at)
        })
    }
}

/// What a span is in the tree of its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has no parent.
    Root,
    /// Its parent is in the trace.
    Child,
    /// Its parent lives in another process and is not here.
    Entry,
    /// Its parent lived in the same process and is missing.
    Orphan,
}

#[derive(Clone, Debug, PartialEq)]
struct Place {
    depth: usize,
    standing: Standing,
    subtree_end: usize,
}

/// Pre-order over lists of children, with a stack of its own.
struct Walk<'a> {
    children: &'a [Vec<usize>],
    seen: Vec<bool>,
    order: Vec<usize>,
    places: Vec<Place>,
}

impl<'a> Walk<'a> {
    fn new(children: &'a [Vec<usize>]) -> Self {
        Self {
            children,
            seen: vec![false; children.len()],
            order: Vec::with_capacity(children.len()),
            places: Vec::with_capacity(children.len()),
        }
    }

    fn below(&mut self, top: usize, standing: Standing) {
        if self.seen[top] {
            return;
        }
        let mut stack = Vec::new();
        self.enter(top, 0, standing, &mut stack);
        while let Some((place, depth, rest)) = stack.last_mut() {
            let depth = *depth + 1;
            if let Some((&child, left)) = rest.split_first() {
                *rest = left;
                if !self.seen[child] {
                    self.enter(child, depth, Standing::Child, &mut stack);
                }
            } else {
                self.places[*place].subtree_end = self.order.len();
                stack.pop();
            }
        }
    }

    fn enter(
        &mut self,
        index: usize,
        depth: usize,
        standing: Standing,
        stack: &mut Vec<(usize, usize, &'a [usize])>,
    ) {
        self.seen[index] = true;
        stack.push((self.order.len(), depth, &self.children[index]));
        self.order.push(index);
        self.places.push(Place { depth, standing, subtree_end: 0 });
    }
}

#[cfg(test)]
mod tests {
    use super::{Standing, Trace};
    use crate::FinishedSpan;

    fn span(id: u8, parent: Option<u8>, start: u64) -> FinishedSpan {
        FinishedSpan {
            span_id: [id; 8],
            parent_span_id: parent.map(|id| [id; 8]),
            start_unix_nanos: start,
            end_unix_nanos: start + 10,
            ..FinishedSpan::default()
        }
    }

    fn shape(trace: &Trace) -> Vec<(u8, usize, Standing)> {
        let spans = trace.spans().iter().enumerate();
        spans.map(|(at, span)| (span.span_id[0], trace.depth(at), trace.standing(at))).collect()
    }

    #[test]
    fn children_follow_their_parent_by_start_whatever_the_arrival() {
        let trace = Trace::new(
            [1; 16],
            vec![span(4, Some(2), 7), span(3, Some(1), 9), span(2, Some(1), 5), span(1, None, 0)],
        );
        assert_eq!(
            shape(&trace),
            [
                (1, 0, Standing::Root),
                (2, 1, Standing::Child),
                (4, 2, Standing::Child),
                (3, 1, Standing::Child),
            ]
        );
        assert_eq!(trace.children(0).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(trace.duration_nanos(), 19);
    }

    #[test]
    fn a_missing_parent_is_an_entry_when_remote_and_an_orphan_when_not() {
        let mut remote = span(2, Some(9), 1);
        remote.parent_is_remote = true;
        let trace = Trace::new([1; 16], vec![span(1, Some(9), 0), remote]);
        assert_eq!(shape(&trace), [(1, 0, Standing::Orphan), (2, 0, Standing::Entry)]);
        assert_eq!(trace.root().map(|span| span.span_id), Some([2; 8]));
    }

    #[test]
    fn a_remote_parent_that_is_present_is_a_parent_like_any_other() {
        let mut remote = span(2, Some(1), 1);
        remote.parent_is_remote = true;
        let trace = Trace::new([1; 16], vec![remote, span(1, None, 0)]);
        assert_eq!(trace.standing(1), Standing::Child);
    }

    #[test]
    fn spans_that_are_each_others_parents_are_cut_at_the_earliest() {
        let trace = Trace::new(
            [1; 16],
            vec![span(1, Some(2), 4), span(2, Some(1), 3), span(3, Some(3), 0)],
        );
        assert_eq!(
            shape(&trace),
            [(3, 0, Standing::Orphan), (2, 0, Standing::Orphan), (1, 1, Standing::Child),]
        );
    }

    #[test]
    fn no_span_is_lost_when_two_have_the_same_id() {
        let trace =
            Trace::new([1; 16], vec![span(1, None, 0), span(1, None, 1), span(2, Some(1), 2)]);
        assert_eq!(
            shape(&trace),
            [(1, 0, Standing::Root), (2, 1, Standing::Child), (1, 0, Standing::Root),]
        );
    }

    #[test]
    fn a_chain_of_20_000_spans_is_walked_without_recursion() {
        let spans = (0..20_000_u64).map(|at| FinishedSpan {
            span_id: (at + 1).to_be_bytes(),
            parent_span_id: (at > 0).then(|| at.to_be_bytes()),
            start_unix_nanos: at,
            ..FinishedSpan::default()
        });
        let trace = Trace::new([1; 16], spans.collect());
        assert_eq!(trace.depth(19_999), 19_999);
        assert_eq!(trace.tops().count(), 1);
    }

    #[test]
    fn grouping_keeps_traces_apart_in_order_of_arrival() {
        let of = |trace: u8, id: u8| FinishedSpan { trace_id: [trace; 16], ..span(id, None, 0) };
        let traces = Trace::group([of(2, 1), of(1, 2), of(2, 3)]);
        let ids: Vec<_> = traces.iter().map(|t| (t.trace_id()[0], t.spans().len())).collect();
        assert_eq!(ids, [(2, 2), (1, 1)]);
    }

    #[test]
    fn an_empty_trace_is_harmless() {
        let trace = Trace::new([1; 16], Vec::new());
        assert!(trace.root().is_none());
        assert_eq!(trace.duration_nanos(), 0);
    }
}
