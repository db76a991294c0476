//! Traces as indented text.

use core::fmt::Write;
use std::collections::{HashMap, HashSet};

use throughline_core::{SpanId, StatusCode};

use crate::CapturedSpan;

/// One line per span, two spaces per level. A span whose parent is missing says
/// so.
pub(crate) fn render(spans: &[CapturedSpan]) -> String {
    render_with(spans, &[])
}

/// As [`render`], with these attributes.
pub(crate) fn render_with(spans: &[CapturedSpan], keys: &[&str]) -> String {
    let known: HashSet<SpanId> = spans.iter().map(|span| span.span_id).collect();
    let mut children: HashMap<SpanId, Vec<&CapturedSpan>> = HashMap::new();
    for span in spans {
        let parent = span.parent_span_id;
        let parent = if known.contains(&parent) { parent } else { SpanId::INVALID };
        children.entry(parent).or_default().push(span);
    }
    for siblings in children.values_mut() {
        siblings.sort_by_key(|span| span.order);
    }
    let mut text = String::new();
    let mut next: Vec<(usize, &CapturedSpan)> = Vec::new();
    let roots = children.get(&SpanId::INVALID).into_iter().flatten().rev();
    next.extend(roots.map(|span| (0, *span)));
    while let Some((depth, span)) = next.pop() {
        let _ = writeln!(
            text,
            "{:indent$}{}{}{}",
            "",
            span.name,
            chosen(span, keys),
            remarks(span, depth),
            indent = 2 * depth
        );
        let below = children.get(&span.span_id).into_iter().flatten().rev();
        next.extend(below.map(|span| (depth + 1, *span)));
    }
    text
}

/// The attributes that are asked for, as far as they are there.
fn chosen(span: &CapturedSpan, keys: &[&str]) -> String {
    let value = |key: &str| match key {
        "duration" => Some(format!("{:?}", span.duration())),
        key => span.attribute(key).map(str::to_owned),
    };
    let entries = keys.iter().filter_map(|key| Some(format!("{key}={}", value(key)?)));
    let entries = entries.collect::<Vec<_>>().join(", ");
    if entries.is_empty() { entries } else { format!(" {{{entries}}}") }
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

/// The first span of this name.
#[track_caller]
pub(crate) fn find<'a>(spans: &'a [CapturedSpan], name: &str) -> &'a CapturedSpan {
    match spans.iter().find(|span| span.name == name) {
        Some(span) => span,
        None => panic!("no span `{name}` among:\n{}", render(spans)),
    }
}

/// Asserts that the trees are the same; if not, the hint is behind both.
#[track_caller]
pub(crate) fn assert_same(expected: &str, actual: &str, hint: impl FnOnce() -> String) {
    let expected = dedent(expected);
    assert!(
        actual.trim_end() == expected.trim_end(),
        "the trace differs (- expected, + captured)\n{}{}",
        diff(&expected, actual),
        hint()
    );
}

/// The same tree with the siblings of each level in the order of their texts.
pub(crate) fn sorted(tree: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    fn of(lines: &[&str], indent: &dyn Fn(&str) -> usize) -> String {
        let mut blocks: Vec<String> = Vec::new();
        let mut from = 0;
        while from < lines.len() {
            let below =
                lines[from + 1..].iter().take_while(|line| indent(line) > indent(lines[from]));
            let end = from + 1 + below.count();
            blocks.push(format!("{}\n{}", lines[from], of(&lines[from + 1..end], indent)));
            from = end;
        }
        blocks.sort_unstable();
        blocks.concat()
    }
    of(&tree.lines().collect::<Vec<_>>(), &indent)
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
    // Where large trees are the same, their size does not matter.
    let same = |(a, b): &(&&str, &&str)| a == b;
    let before = expected.iter().zip(&actual).take_while(same).count();
    let (e, a) = (&expected[before..], &actual[before..]);
    let after = e.iter().rev().zip(a.iter().rev()).take_while(same).count();
    let (e, a) = (&e[..e.len() - after], &a[..a.len() - after]);
    let same = |lines: &[&str]| lines.iter().map(|line| format!("  {line}\n")).collect::<String>();
    let (first, last) = (same(&expected[..before]), same(&expected[expected.len() - after..]));
    let middle = if e.len() * a.len() <= COMPARED {
        aligned(e, a)
    } else {
        // What differs as a whole is not compared line by line.
        let marked = |mark, lines: &[&str]| {
            lines.iter().map(|line| format!("{mark} {line}\n")).collect::<String>()
        };
        marked('-', e) + &marked('+', a)
    };
    first + &middle + &last
}

/// So many pairs of lines are compared at most.
const COMPARED: usize = 4_000_000;

fn aligned(expected: &[&str], actual: &[&str]) -> String {
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
        assert_eq!(diff("a\nb\nc\n", "a\nx\nc\n"), "  a\n- b\n+ x\n  c\n");
        assert_eq!(diff("a\na\n", "a\n"), "  a\n- a\n");
    }

    #[test]
    fn large_trees_that_differ_as_a_whole_are_shown_one_after_the_other() {
        let (old, new) = ("old\n".repeat(3_000), "new\n".repeat(3_000));
        let expected = "- old\n".repeat(3_000) + &"+ new\n".repeat(3_000);
        assert_eq!(diff(&old, &new), expected);
    }

    #[test]
    fn siblings_are_sorted_with_what_is_below_them() {
        assert_eq!(sorted("b\n  y\n  x\na\n  z\n"), "a\n  z\nb\n  x\n  y\n");
    }
}
