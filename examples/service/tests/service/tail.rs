//! What is kept at the tail, and why.

use crate::process::{Load, Report, report};

const REQUESTS: u64 = 120;

fn with_tail(runtime: &str, rules: &str) -> Report {
    let requests = REQUESTS.to_string();
    let load = ["--runtime", runtime, "--requests", &requests, "--flood", "200"];
    let report = report(&[&load[..], &["--tail", rules]].concat());
    assert_eq!(report.number("requests"), REQUESTS);
    assert_eq!(report.number("errors"), Load(REQUESTS).failed());
    assert_eq!(report.number("abandoned"), Load(REQUESTS).abandoned());
    let (kept, dropped) = (report.number("tail/traces_kept"), report.number("tail/traces_dropped"));
    assert_eq!(kept + dropped, REQUESTS, "each trace is decided about once: {report:?}");
    assert_eq!(report.number("traces"), kept, "what is kept arrives, and nothing else");
    assert_eq!(report.sum("tail/kept_by_rule"), kept, "{report:?}");
    let reasons = report.0["dropped"].as_object().expect("an object");
    assert!(reasons.keys().all(|reason| reason == "tail_sampled_out"), "{report:?}");
    assert_eq!(report.sum("dropped") == 0, dropped == 0, "{report:?}");
    report
}

#[test]
fn every_trace_with_an_error_is_kept_and_the_numbers_agree_on_each_runtime() {
    for runtime in ["tokio", "smol", "async-std"] {
        let report = with_tail(runtime, "errors,slow=250ms,ratio=0.05");
        let errors = Load(REQUESTS).with_an_error();
        for path in [
            "tail/error_traces",
            "tail/error_traces_kept",
            "tail/error_traces_decided_to_keep",
            "tail/kept_by_rule/errors",
        ] {
            assert_eq!(report.number(path), errors, "{path} on {runtime}: {report:?}");
        }
        assert_eq!(report.number("tail/decided_early"), 0, "{report:?}");
        assert_eq!(report.number("tail/decided_without_root"), 0, "{report:?}");
        let others = ["tail/kept_by_rule/slow=250ms", "tail/kept_by_rule/ratio=0.05"];
        // On a busy machine more of them are slow than are meant to be.
        let slow = report.number(others[0]);
        assert!(slow >= Load(REQUESTS).slow(), "{slow} slow on {runtime}: {report:?}");
        let others: u64 = others.iter().map(|path| report.number(path)).sum();
        assert_eq!(report.number("tail/traces_kept"), errors + others, "{report:?}");
    }
}

#[test]
fn a_buffer_that_holds_nothing_decides_early_and_counts_the_errors_all_the_same() {
    let report = with_tail("tokio", "errors,bytes=0");
    let errors = report.number("tail/error_traces");
    assert_eq!(errors, Load(REQUESTS).with_an_error(), "{report:?}");
    assert!(report.number("tail/decided_early") > 0, "{report:?}");
    let kept = report.number("tail/error_traces_kept");
    assert!(kept < errors, "no error is the first span of its trace to end: {report:?}");
    assert_eq!(kept, report.number("tail/traces_kept"), "{report:?}");
}

#[test]
fn rules_of_one_kind_with_other_values_are_told_apart() {
    let report =
        with_tail("tokio", "slow=600s,slow=250ms,attribute=order.id:7,attribute=order.id:8");
    assert_eq!(report.number("tail/kept_by_rule/slow=600s"), 0, "{report:?}");
    assert!(report.number("tail/kept_by_rule/slow=250ms") >= Load(REQUESTS).slow(), "{report:?}");
    assert_eq!(report.0["tail"]["kept_by_rule"].as_object().map(serde_json::Map::len), Some(4));
}

#[test]
fn a_rule_about_everything_keeps_everything_and_one_about_nothing_nothing() {
    let all = with_tail("tokio", "ratio=1");
    assert_eq!(all.number("tail/traces_kept"), REQUESTS);
    let none = with_tail("tokio", "ratio=0");
    assert_eq!((none.number("tail/traces_kept"), none.number("spans_exported")), (0, 0));
    assert_eq!(none.number("tail/error_traces"), Load(REQUESTS).with_an_error());
    let some = with_tail("tokio", "attribute=order.id:7,panicked");
    assert_eq!(some.number("tail/kept_by_rule/attribute=order.id:7"), 1, "{some:?}");
}

#[test]
fn without_tail_sampling_there_is_nothing_to_tell_of_it() {
    let report = report(&["--requests", "12", "--flood", "200"]);
    assert!(report.0["tail"].is_null(), "{report:?}");
    assert_eq!((report.number("traces"), report.sum("dropped")), (12, 0));
}
