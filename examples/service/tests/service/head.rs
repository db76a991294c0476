//! Which traces are recorded.

use crate::process::{Load, report};

#[test]
fn each_sampler_is_taken_by_its_name() {
    for (sampler, traces) in [
        ("always_on", 40),
        ("always_off", 0),
        ("traceidratio", 40),
        ("traceidratio=0", 0),
        ("parentbased_always_on", 40),
        ("parentbased_always_off", 0),
        ("parentbased_traceidratio=1.0", 40),
        ("probability=1", 40),
        ("parentbased_probability=0", 0),
        ("parentbased_probability", 40),
        ("rate_limited=100000", 40),
        ("rate_limited=0", 0),
    ] {
        let report = report(&["--requests", "40", "--sampler", sampler]);
        assert_eq!(report.number("traces"), traces, "{sampler}: {report:?}");
        assert_eq!(report.number("spans_started") == 0, traces == 0, "{sampler}: {report:?}");
        assert_eq!(report.number("errors"), Load(40).failed(), "{sampler}: {report:?}");
    }
}

#[test]
fn the_tail_decides_about_what_the_head_has_left() {
    for sampler in ["parentbased_probability=0.5", "parentbased_traceidratio=0.5"] {
        let tail = "errors,slow=250ms,ratio=0.05";
        let report = report(&["--requests", "200", "--sampler", sampler, "--tail", tail]);
        let (kept, dropped) =
            (report.number("tail/traces_kept"), report.number("tail/traces_dropped"));
        // 1 in 10^9 of two hundred fair coins lies outside.
        assert!((55..=145).contains(&(kept + dropped)), "{sampler}: {report:?}");
        assert_eq!(report.number("traces"), kept, "{sampler}: {report:?}");
        let errors = report.number("tail/error_traces");
        assert_eq!(report.number("tail/error_traces_kept"), errors, "{sampler}: {report:?}");
        assert!(errors <= Load(200).with_an_error(), "{sampler}: {report:?}");
    }
}
