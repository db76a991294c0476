//! Values of each kind, and what is said of those that make no sense.

use super::*;

fn env(value: &str) -> Env {
    Env::from_pairs([("NAME", value)])
}

fn one_warning(env: &mut Env) -> String {
    let warnings = env.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    warnings[0].to_string()
}

fn number<T: FromStr + PartialOrd + fmt::Display>(
    env: &mut Env,
    range: impl RangeBounds<T>,
) -> Option<T> {
    env.number(&["NAME"], range, &"the default").map(|(number, _)| number)
}

/// What the variables `OWN` and `GENERAL` say, and what is said of them.
fn read<T>(
    pairs: &[(&str, &str)],
    read: impl FnOnce(&mut Env, &[&'static str]) -> Option<(T, &'static str)>,
) -> (Option<(T, &'static str)>, Vec<String>) {
    let mut env = Env::from_pairs(pairs.iter().copied());
    let found = read(&mut env, &["OWN", "GENERAL"]);
    (found, env.warnings().iter().map(ToString::to_string).collect())
}

/// ENV-2 ([Empty value](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#parsing-empty-value)).
#[test]
fn an_empty_value_is_unset_for_every_kind() {
    let mut env = env("");
    assert_eq!(env.text("NAME"), None);
    assert_eq!(env.boolean("NAME"), None);
    assert_eq!(number::<u32>(&mut env, ..), None);
    assert_eq!(env.duration_millis(&["NAME"], Duration::ZERO), None);
    assert_eq!(env.timeout_millis(&["NAME"], None), None);
    assert_eq!(env.choice(&["NAME"], &[("none", ())], &"none"), None);
    assert_eq!(env.warnings(), []);
}

/// ENV-3 ([Boolean](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#boolean)).
#[test]
fn only_true_is_true() {
    assert_eq!(env("TrUe").boolean("NAME"), Some(true));
    assert_eq!(env("False").boolean("NAME"), Some(false));
    for other in ["1", "yes", "on", "truee"] {
        let mut env = env(other);
        assert_eq!(env.boolean("NAME"), Some(false));
        assert_eq!(
            one_warning(&mut env),
            format!("NAME={other:?} is neither true nor false, taken as false"),
        );
    }
}

/// ENV-4 ([Numeric](https://opentelemetry.io/docs/specs/otel/configuration/common/#numeric)).
#[test]
fn a_number_out_of_range_is_unset_and_named() {
    assert_eq!(number(&mut env("2147483647"), 0..), Some(2_147_483_647));
    assert_eq!(number(&mut env(" 7 "), 0..), Some(7));
    assert_eq!(number(&mut env("0.25"), 0.0..=1.0), Some(0.25));
    for (text, problem) in [
        ("1.5", "is out of range 0 to 1"),
        ("NaN", "is out of range 0 to 1"),
        ("many", "is not a number in range 0 to 1"),
    ] {
        let mut env = env(text);
        assert_eq!(number(&mut env, 0.0..=1.0), None);
        let expected = format!("NAME={text:?} {problem}, ignored; the default acts");
        assert_eq!(one_warning(&mut env), expected);
    }
    for text in ["-1", "many", "0x10", "99999999999999999999"] {
        let mut env = env(text);
        assert_eq!(number::<u32>(&mut env, ..), None);
        let expected = format!("NAME={text:?} is not a number in range, ignored; the default acts");
        assert_eq!(one_warning(&mut env), expected);
    }
    let mut open = env("0");
    assert_eq!(number(&mut open, 1..), None);
    let expected = "NAME=\"0\" is out of range from 1 on, ignored; the default acts";
    assert_eq!(one_warning(&mut open), expected);
}

/// ENV-4 ([Numeric](https://opentelemetry.io/docs/specs/otel/configuration/common/#numeric)).
#[test]
fn a_warning_about_a_number_names_the_range_and_what_acts_instead() {
    let said = |pairs: &[_]| read(pairs, |env, names| env.number(names, 0..=9u32, &5));
    assert_eq!(said(&[]), (None, vec![]));
    // What nobody asks for is not looked at.
    assert_eq!(said(&[("OWN", "3"), ("GENERAL", "x")]), (Some((3, "OWN")), vec![]));
    let (number, warnings) = said(&[("OWN", "10"), ("GENERAL", "7")]);
    assert_eq!(number, Some((7, "GENERAL")));
    assert_eq!(warnings, ["OWN=\"10\" is out of range 0 to 9, ignored; 7 acts, of GENERAL"]);
    let (number, warnings) = said(&[("OWN", "10"), ("GENERAL", "-1")]);
    assert_eq!(number, None);
    assert_eq!(
        warnings,
        [
            "OWN=\"10\" is out of range 0 to 9, ignored; 5 acts",
            "GENERAL=\"-1\" is not a number in range 0 to 9, ignored; 5 acts",
        ]
    );
}

/// ENV-5 ([Duration, timeout](https://opentelemetry.io/docs/specs/otel/configuration/common/#duration)).
#[test]
fn zero_is_a_duration_but_no_timeout() {
    for (text, duration, timeout) in [
        ("0", Duration::ZERO, None),
        ("1500", Duration::from_millis(1500), Some(Duration::from_millis(1500))),
    ] {
        let second = Duration::from_secs(1);
        assert_eq!(env(text).duration_millis(&["NAME"], second), Some((duration, "NAME")));
        assert_eq!(env(text).timeout_millis(&["NAME"], Some(second)), Some((timeout, "NAME")));
    }
}

/// ENV-5 ([Duration, timeout](https://opentelemetry.io/docs/specs/otel/configuration/common/#duration)).
#[test]
fn a_warning_about_a_duration_or_a_timeout_says_what_acts_instead() {
    let default = Duration::from_secs(5);
    for text in ["-1", "1.5", "10s"] {
        let problem =
            format!("OWN={text:?} is not a whole number of milliseconds from 0 on, ignored");
        let duration = |env: &mut Env, names: &[_]| env.duration_millis(names, default);
        assert_eq!(read(&[("OWN", text)], duration), (None, vec![format!("{problem}; 5s acts")]));
        let timeout = |env: &mut Env, names: &[_]| env.timeout_millis(names, Some(default));
        assert_eq!(read(&[("OWN", text)], timeout), (None, vec![format!("{problem}; 5s acts")]));
        let unlimited = |env: &mut Env, names: &[_]| env.timeout_millis(names, None);
        let (found, warnings) = read(&[("OWN", text)], unlimited);
        assert_eq!((found, warnings), (None, vec![format!("{problem}; no limit acts")]));
        let (found, warnings) = read(&[("OWN", text), ("GENERAL", "2500")], duration);
        assert_eq!(found, Some((Duration::from_millis(2500), "GENERAL")));
        assert_eq!(warnings, [format!("{problem}; 2.5s acts, of GENERAL")]);
        let (found, warnings) = read(&[("OWN", text), ("GENERAL", "0")], timeout);
        assert_eq!(found, Some((None, "GENERAL")));
        assert_eq!(warnings, [format!("{problem}; no limit acts, of GENERAL")]);
    }
}

/// ENV-6 ([Enum](https://opentelemetry.io/docs/specs/otel/configuration/common/#enum)).
#[test]
fn a_choice_ignores_case_and_a_warning_shows_the_original_and_what_acts_instead() {
    let chosen = |pairs: &[_]| {
        read(pairs, |env, names| env.choice(names, &[("none", 0), ("gzip", 1)], &"none"))
    };
    assert_eq!(chosen(&[("OWN", "GZip")]), (Some((1, "OWN")), vec![]));
    let problem = "OWN=\"Brotli\" is none of none, gzip, ignored";
    let (found, warnings) = chosen(&[("OWN", "Brotli")]);
    assert_eq!((found, warnings), (None, vec![format!("{problem}; none acts")]));
    let (found, warnings) = chosen(&[("OWN", "Brotli"), ("GENERAL", "GZIP")]);
    assert_eq!(found, Some((1, "GENERAL")));
    assert_eq!(warnings, [format!("{problem}; gzip acts, of GENERAL")]);
}

#[test]
fn warnings_are_recorded_once_and_drained() {
    let mut env = env("x");
    assert_eq!(number::<u8>(&mut env, ..), None);
    assert_eq!(number::<u8>(&mut env, ..), None);
    assert_eq!(env.warnings().len(), 1);
    assert_eq!(env.warnings(), []);
}

#[test]
fn debug_shows_no_value() {
    assert!(!format!("{:?}", env("secret")).contains("secret"));
}
