//! What becomes of a flood.

use crate::process::{output, report};

const FLOOD: [&str; 6] = ["--requests", "10", "--flood", "12000", "--concurrency", "2"];

#[test]
fn a_flood_is_told_by_its_parent() {
    let report = report(&FLOOD);
    assert_eq!(report.number("flood/spans"), 12_000);
    for path in ["flood/surplus", "flood/surplus_told", "dropped/surplus"] {
        assert_eq!(report.number(path), 2_000, "{path}: {report:?}");
    }
    assert!(report.number("spans_exported") > 10_000, "{report:?}");
}

#[test]
fn what_the_parent_tells_is_gone_with_a_trace_that_is_not_kept() {
    let report = report(&[&FLOOD[..], &["--tail", "ratio=0"]].concat());
    assert_eq!(report.number("dropped/surplus"), 2_000, "{report:?}");
    assert!(report.0["flood"]["surplus_told"].is_null(), "{report:?}");
    let output = output(&[&FLOOD[..], &["--tail", "ratio=0"]].concat());
    let text = String::from_utf8(output.stdout).expect("text");
    let why = "2000 children too many to export, and nobody tells of them: its trace was dropped";
    assert!(text.contains(why), "{text}");
    assert!(!text.contains("flooded trace"), "{text}");
}

#[test]
fn the_usual_run_has_a_flood_and_shows_its_summary() {
    let output = output(&["--requests", "10"]);
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.contains("• surplus  2000 more children, not sent: "), "{text}");
    let summary = "2000 children too many to export, 2000 of them told by their parents";
    assert!(text.contains(summary), "{text}");
}

#[test]
fn traces_and_summary_have_one_blank_line_between_them_and_one_is_no_plural() {
    let output = output(&["--requests", "1", "--flood", "5"]);
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.contains("\n\n1 request in "), "{text}");
    assert!(text.contains("\n1 trace of "), "{text}");
    assert!(!text.contains("\n\n\n"), "{text}");
}

#[test]
fn without_a_flood_nobody_is_too_many() {
    let report = report(&["--requests", "10", "--flood", "200"]);
    assert_eq!((report.number("flood/spans"), report.number("flood/surplus")), (200, 0));
    assert!(report.0["flood"]["surplus_told"].is_null(), "{report:?}");
}

#[test]
fn the_text_shows_the_flood_below_its_parent() {
    let output = output(&FLOOD);
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(0), "{text}");
    // The slowest one, too, most of the time: then it is not shown twice.
    assert!(text.contains("flooded trace\n"), "{text}");
    assert_eq!(text.matches("• surplus ").count(), 1, "{text}");
    assert!(text.contains("• surplus  2000 more children, not sent: min/avg/max "), "{text}");
    let summary = "2000 children too many to export, 2000 of them told by their parents";
    assert!(text.contains(summary), "{text}");
}
