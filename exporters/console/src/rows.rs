//! Which rows a waterfall has: one per span, or one for many alike.
//!
//! Siblings of the same name and service become one row when there are enough
//! of them, and so do their children, level by level:
//!
//! ```text
//!   request                      request
//!   ├ load                       ├ × 187 load
//!   │ └ query                    │ └ × 187 query
//!   ├ load                 ──>   ├ ✗ load
//!   │ └ query                    └ reply
//!   ├ …
//! ```
//!
//! A span that failed is alike only to others that failed, so it stays visible.

use std::collections::HashMap;

use crate::Trace;

/// One row: its spans and the guides before its name.
#[derive(Debug)]
pub(crate) struct Row {
    /// Indexes into the trace's spans, in order of start; never empty.
    pub(crate) spans: Vec<usize>,
    /// Levels below the top.
    pub(crate) depth: usize,
    /// What stands before the name.
    pub(crate) guide: String,
    /// What stands before lines that belong to this row, below it.
    pub(crate) below: String,
}

/// The rows of a trace, from top to bottom.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    trace: &'a Trace,
    collapse_from: usize,
    max_levels: usize,
    stack: Vec<Pending>,
}

impl<'a> Rows<'a> {
    /// `collapse_from` like siblings share a row; guides are drawn for
    /// `max_levels`, and deeper rows say their depth instead.
    pub(crate) fn new(trace: &'a Trace, collapse_from: usize, max_levels: usize) -> Self {
        let mut rows = Self { trace, collapse_from, max_levels, stack: Vec::new() };
        rows.push(&trace.tops().collect::<Vec<_>>(), 0, "", collapse_from);
        rows
    }

    /// Puts siblings on the stack, the first on top.
    fn push(&mut self, siblings: &[usize], depth: usize, inherited: &str, collapse_from: usize) {
        let groups = alike(self.trace, siblings, collapse_from);
        for (from_end, spans) in groups.into_iter().rev().enumerate() {
            self.stack.push(Pending {
                spans,
                depth,
                inherited: inherited.to_owned(),
                is_last: from_end == 0,
            });
        }
    }
}

impl Iterator for Rows<'_> {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        let Pending { spans, depth, inherited, is_last } = self.stack.pop()?;
        let mut children: Vec<usize> = Vec::new();
        for &span in &spans {
            children.extend(self.trace.children(span));
        }
        let (guide, own) = match (depth, is_last) {
            (0, _) => (String::new(), String::new()),
            (depth, _) if depth > self.max_levels => (format!("⋯{depth} "), String::new()),
            (_, true) => (format!("{inherited}└ "), format!("{inherited}  ")),
            (_, false) => (format!("{inherited}├ "), format!("{inherited}│ ")),
        };
        let below = if children.is_empty() { format!("{own}  ") } else { format!("{own}│ ") };
        if spans.len() > 1 {
            // Children of several parents: what is alike among them is one row.
            children.sort_by_key(|&at| self.trace.spans()[at].start_unix_nanos);
            self.push(&children, depth + 1, &own, 2);
        } else {
            self.push(&children, depth + 1, &own, self.collapse_from);
        }
        Some(Row { spans, depth, guide, below })
    }
}

#[derive(Debug)]
struct Pending {
    spans: Vec<usize>,
    depth: usize,
    inherited: String,
    is_last: bool,
}

/// Groups siblings that share a row, in the order of their first.
fn alike(trace: &Trace, siblings: &[usize], collapse_from: usize) -> Vec<Vec<usize>> {
    if siblings.len() < collapse_from {
        return siblings.iter().map(|&at| vec![at]).collect();
    }
    let key = |at: usize| {
        let span = &trace.spans()[at];
        (span.name.as_str(), &*span.service, span.is_flawed())
    };
    let mut counts = HashMap::new();
    for &at in siblings {
        *counts.entry(key(at)).or_insert(0_usize) += 1;
    }
    let mut position = HashMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for &at in siblings {
        let key = key(at);
        if counts[&key] < collapse_from {
            groups.push(vec![at]);
        } else if let Some(&group) = position.get(&key) {
            let group: usize = group;
            groups[group].push(at);
        } else {
            position.insert(key, groups.len());
            groups.push(vec![at]);
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::Rows;
    use crate::{FinishedSpan, Status, Trace};

    fn span(id: u64, parent: u64, name: &str) -> FinishedSpan {
        FinishedSpan {
            span_id: id.to_be_bytes(),
            parent_span_id: (parent > 0).then(|| parent.to_be_bytes()),
            name: name.into(),
            start_unix_nanos: id,
            end_unix_nanos: id + 1,
            ..FinishedSpan::default()
        }
    }

    fn drawn(spans: Vec<FinishedSpan>, max_levels: usize) -> String {
        let trace = Trace::new([1; 16], spans);
        let rows = Rows::new(&trace, 3, max_levels);
        rows.map(|row| {
            let name = &trace.spans()[row.spans[0]].name;
            match row.spans.len() {
                1 => format!("{}{name}\n", row.guide),
                many => format!("{}{many} {name}\n", row.guide),
            }
        })
        .collect()
    }

    #[test]
    fn siblings_that_are_alike_share_a_row_with_their_children() {
        let mut spans = vec![span(1, 0, "request")];
        for at in 0..4 {
            spans.push(span(10 + 2 * at, 1, "load"));
            spans.push(span(11 + 2 * at, 10 + 2 * at, "query"));
        }
        spans.push(span(90, 1, "reply"));
        assert_eq!(drawn(spans, 9), "request\n├ 4 load\n│ └ 4 query\n└ reply\n");
    }

    #[test]
    fn a_failed_span_keeps_a_row_of_its_own() {
        let mut spans = vec![span(1, 0, "request")];
        spans.extend((10..14).map(|id| span(id, 1, "load")));
        spans[2].status = Status::Error("no".into());
        assert_eq!(drawn(spans, 9), "request\n├ 3 load\n└ load\n");
    }

    #[test]
    fn below_the_deepest_guide_the_depth_is_a_number() {
        let spans = (1..=5).map(|id| span(id, id - 1, "step"));
        assert_eq!(drawn(spans.collect(), 2), "step\n└ step\n  └ step\n⋯3 step\n⋯4 step\n");
    }
}
