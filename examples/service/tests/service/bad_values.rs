//! What the command line says of values that make no sense.

use serde_json::Value;

use crate::process::output;

/// What the one line of the log says of the error: nothing is plain text in it.
#[track_caller]
fn error_said(stderr: &[u8]) -> String {
    let line: Value = serde_json::from_slice(stderr).expect("one line of JSON");
    assert_eq!(line["level"], "ERROR", "{line}");
    line["message"].as_str().expect("a text").to_owned()
}

/// The program does not run, and says which flag has which value, and what is wrong.
#[track_caller]
fn is_refused(flag: &str, value: &str, why: &str) {
    let output = output(&[&format!("{flag}={value}")]);
    let said = error_said(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{flag} {value}: {said}");
    assert!(output.stdout.is_empty(), "{flag} {value}");
    let named = format!("invalid value '{value}' for '{flag} <");
    assert!(said.contains(&named), "{flag} {value}: {said}");
    assert!(said.contains(why), "{flag} {value}: {said}");
}

#[test]
fn a_sampler_that_makes_no_sense_is_named_with_what_there_is() {
    for (value, why) in [
        ("", "`` is no sampler; there are always_on, always_off"),
        ("nope", "`nope` is no sampler; there are always_on, always_off"),
        ("ALWAYS_ON", "`ALWAYS_ON` is no sampler"),
        ("jaeger_remote", "`jaeger_remote` is no sampler"),
        ("always_on=3", "`always_on` takes no argument"),
        ("always_off=", "`always_off` takes no argument"),
        ("parentbased_always_on=1", "`parentbased_always_on` takes no argument"),
        ("traceidratio=2", "`2` is no ratio from 0 to 1"),
        ("traceidratio=", "`` is no ratio from 0 to 1"),
        ("parentbased_traceidratio=-0.1", "`-0.1` is no ratio from 0 to 1"),
        ("probability=NaN", "`NaN` is no ratio from 0 to 1"),
        ("parentbased_probability=half", "`half` is no ratio from 0 to 1"),
        ("rate_limited", "it needs traces per second: rate_limited=N"),
        ("rate_limited=-1", "`-1` is no whole number per second"),
        ("rate_limited=4294967296", "`4294967296` is no whole number per second"),
    ] {
        is_refused("--sampler", value, why);
    }
}

#[test]
fn a_rule_that_makes_no_sense_is_named_with_what_there_is() {
    for (value, why) in [
        ("", "`` is no rule; there are errors, panicked, cancelled, slow=250ms"),
        ("errors,", "`` is no rule"),
        ("errors,nope", "`nope` is no rule; there are errors, panicked"),
        ("errors=5", "`errors` takes no value"),
        ("cancelled=", "`cancelled` takes no value"),
        ("slow", "`slow` needs a value: "),
        ("slow=250", "`250` is no duration as 250ms or 2s"),
        ("slow=-1s", "`-1s` is no duration as 250ms or 2s"),
        ("attribute=route", "`attribute=route` is not as attribute=KEY:PATTERN"),
        ("attribute=:x", "`attribute=:x` is not as attribute=KEY:PATTERN"),
        ("ratio=1.5", "`1.5` is no ratio from 0 to 1"),
        ("rate=many", "`many` is no whole number per second"),
        ("ratio=0.5,rate=10", "the rest has one `ratio` or one `rate`"),
        ("ratio=0.5,errors,ratio=0.1", "the rest has one `ratio` or one `rate`"),
        ("slow=1s,errors,slow=1000ms", "the rule `slow=1s` is there twice"),
        ("errors,errors", "the rule `errors` is there twice"),
        ("attribute=a:b,attribute=a:b,ratio=1", "the rule `attribute=a:b` is there twice"),
        ("errors,bytes=10,bytes=20", "`bytes=20`: there is one buffer, with one size"),
        ("bytes=1000000", "without a rule nothing would be kept"),
        ("errors,bytes=x", "`x` is no number of bytes up to 2147483648"),
        ("errors,bytes=18446744073709551615", "`18446744073709551615` is no number of bytes up to"),
    ] {
        is_refused("--tail", value, why);
    }
    let rules: Vec<_> = (0..100).map(|rule| format!("attribute=key{rule}:value")).collect();
    is_refused("--tail", &rules.join(","), "conditions on attributes and spans");
}

#[test]
fn other_flags_name_themselves_and_their_value_too() {
    is_refused("--concurrency", "0", "at least 1");
    is_refused("--flood", "many", "invalid digit");
    is_refused("--requests", "-1", "invalid digit");
    is_refused("--runtime", "thread", "possible values: tokio, smol, async-std");
    let unknown = output(&["--nope"]);
    let said = error_said(&unknown.stderr);
    assert_eq!(unknown.status.code(), Some(2), "{said}");
    assert!(said.contains("unexpected argument '--nope'"), "{said}");
}

#[test]
fn an_endpoint_that_is_no_url_is_named_as_it_was_given() {
    let output = output(&["--endpoint", "nope"]);
    assert_eq!(output.status.code(), Some(2));
    let said = error_said(&output.stderr);
    assert_eq!(said, "--endpoint=\"nope\" does not begin with http:// or https://");
}

#[test]
fn help_is_plain_text_on_stdout() {
    let output = output(&["--help"]);
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.contains("Usage: service [OPTIONS]"), "{text}");
}
