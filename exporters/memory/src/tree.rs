//! Traces as indented text.

use core::fmt::Write;
use std::collections::{HashMap, HashSet};

use throughline_core::{SpanId, StatusCode};

use crate::CapturedSpan;

/// One line per span, two spaces per level. A span whose parent is missing says
/// so.
pub(crate) fn render(spans: &[CapturedSpan]) -> String {
    let known: HashSet<SpanId> = spans.iter().map(|span| span.span_id).collect();
    let mut children: HashMap<SpanId, Vec<&CapturedSpan>> = HashMap::new();
    for span in spans {
        let parent = span.parent_span_id;
        let parent = if known.contains(&parent) { parent } else { SpanId::INVALID };
        children.entry(parent).or_default().push(span);
    }
    for siblings in children.values_mut() {
        siblings.sort_by_key(|span| span.start_unix_nanos);
    }
    let mut text = String::new();
    let mut next: Vec<(usize, &CapturedSpan)> = Vec::new();
    let roots = children.get(&SpanId::INVALID).into_iter().flatten().rev();
    next.extend(roots.map(|span| (0, *span)));
    while let Some((depth, span)) = next.pop() {
        let _ = writeln!(
            text,
            "{:indent$}{}{}",
            "",
            span.name,
            remarks(span, depth),
            indent = 2 * depth
        );
        let below = children.get(&span.span_id).into_iter().flatten().rev();
        next.extend(below.map(|span| (depth + 1, *span)));
    }
    text
}

fn remarks(span: &CapturedSpan, depth: usize) -> String {
    let mut remarks = Vec::new();
    remarks.extend(span.ending());
    if span.status.0 == StatusCode::Error {
        remarks.push("error");
    }
    if depth == 0 && span.parent_span_id.is_valid() {
        remarks.push(if span.has_remote_parent { "remote parent" } else { "orphan" });
    }
    if remarks.is_empty() { String::new() } else { format!(" ({})", remarks.join(", ")) }
}

/// The text without its common indentation and without blank lines at its ends.
pub(crate) fn dedent(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let indents = lines.iter().filter(|line| !line.trim().is_empty());
    let indent = indents.map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
    let lines: Vec<&str> =
        lines.iter().map(|line| line.get(indent..).unwrap_or("").trim_end()).collect();
    let first = lines.iter().position(|line| !line.is_empty()).unwrap_or(lines.len());
    let last = lines.iter().rposition(|line| !line.is_empty()).map_or(first, |last| last + 1);
    lines[first..last].iter().fold(String::new(), |text, line| text + line + "\n")
}

/// Both texts line by line: `-` is missing, `+` is too much.
pub(crate) fn diff(expected: &str, actual: &str) -> String {
    let (expected, actual): (Vec<_>, Vec<_>) =
        (expected.lines().collect(), actual.lines().collect());
    // Lengths of the longest common subsequences of the tails.
    let mut common = vec![vec![0usize; actual.len() + 1]; expected.len() + 1];
    for (i, a) in expected.iter().enumerate().rev() {
        for (j, b) in actual.iter().enumerate().rev() {
            common[i][j] = if a == b {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut text) = (0, 0, String::new());
    while i < expected.len() || j < actual.len() {
        let take_both = i < expected.len() && j < actual.len() && expected[i] == actual[j];
        let line = if take_both {
            (i, j) = (i + 1, j + 1);
            format!("  {}", expected[i - 1])
        } else if j == actual.len() || (i < expected.len() && common[i + 1][j] >= common[i][j + 1])
        {
            i += 1;
            format!("- {}", expected[i - 1])
        } else {
            j += 1;
            format!("+ {}", actual[j - 1])
        };
        text += &line;
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_indentation_is_no_part_of_the_tree() {
        assert_eq!(dedent("\n      a\n        b\n      c\n    "), "a\n  b\nc\n");
    }

    #[test]
    fn a_difference_shows_what_is_missing_and_what_is_too_much() {
        assert_eq!(diff("a\n  b\nc\n", "a\nc\nd\n"), "  a\n-   b\n  c\n+ d\n");
    }
}
