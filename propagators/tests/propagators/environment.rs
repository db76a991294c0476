//! [Environment variables as carriers](https://opentelemetry.io/docs/specs/otel/context/env-carriers/)

use std::ffi::{OsStr, OsString};

use proptest::prelude::*;
use throughline_core::w3c::{Getter, Setter};
use throughline_propagation::{Environment, Propagator, Standard};
use throughline_runtime::Context;

use crate::carrier::{PARENT, extracted, injected};

/// EC-1: [Propagator mechanisms](https://opentelemetry.io/docs/specs/otel/context/env-carriers/#propagator-mechanisms).
#[test]
fn a_context_goes_to_a_child_in_three_variables() {
    let headers = [("traceparent", PARENT), ("tracestate", "a=1"), ("baggage", "b=%20;p,c=3")];
    let context = extracted(&Standard, &headers);
    let mut variables = Environment::new();
    Standard.inject(&context, &mut variables);
    let expected = [("BAGGAGE", "b=%20;p,c=3"), ("TRACEPARENT", PARENT), ("TRACESTATE", "a=1")];
    let written: Vec<_> = variables.iter().map(|(name, value)| (name, value.to_str())).collect();
    assert_eq!(written, expected.map(|(name, value)| (name, Some(value))));
    let mut command = std::process::Command::new("true");
    command.envs(&variables);
    assert!(
        command
            .get_envs()
            .any(|(name, value)| { name == "TRACEPARENT" && value == Some(OsStr::new(PARENT)) })
    );
    let child = Standard.extract(Context::empty(), &variables);
    assert_eq!(injected(&Standard, &child), crate::carrier::List::of(&headers));
}

/// EC-1: values are opaque to the carrier.
#[test]
fn values_are_neither_checked_nor_changed() {
    let mut variables = Environment::new();
    for value in ["", " x ", "\n", "=;,"] {
        variables.set("k", value);
        assert_eq!(variables.get_all("k").collect::<Vec<_>>(), [value.as_bytes()]);
    }
}

/// EC-2: [Key name normalization](https://opentelemetry.io/docs/specs/otel/context/env-carriers/#key-name-normalization).
#[test]
fn names_are_normalised_for_get_set_and_keys() {
    for (key, name) in [
        ("traceparent", "TRACEPARENT"),
        ("x-b3-traceid", "X_B3_TRACEID"),
        ("", "_"),
        ("1a", "_1A"),
        ("a.b c", "A_B_C"),
        ("\u{e4}", "_"),
    ] {
        assert_eq!(Environment::normalize(key), name);
        let mut variables = Environment::new();
        variables.set(key, "1");
        assert_eq!(variables.keys().collect::<Vec<_>>(), [name]);
        assert_eq!(variables.get_all(key).count(), 1);
    }
    let pairs = [("traceparent", "1"), ("OTHER", "2")];
    let lower: Environment =
        pairs.iter().map(|(k, v)| (OsString::from(k), OsString::from(v))).collect();
    assert_eq!(lower.get_all("traceparent").count(), 0, "only the normal name is read");
    assert_eq!(lower.keys().collect::<Vec<_>>(), ["OTHER"]);
}

#[test]
fn debug_shows_no_value() {
    let mut variables = Environment::new();
    variables.set("token", "hunter2");
    let shown = format!("{variables:?}");
    assert!(shown.contains("TOKEN") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn the_variables_of_the_process_are_read() {
    let process = Environment::of_process();
    let path = std::env::var_os("PATH").expect("cargo sets it");
    let found: Vec<_> = process.get_all("path").collect();
    assert_eq!(found, [path.as_encoded_bytes()]);
}

proptest! {
    /// EC-2.
    #[test]
    fn every_normal_name_has_the_form_of_the_specification(key: String) {
        let name = Environment::normalize(&key);
        let is_first = |c: char| c.is_ascii_uppercase() || c == '_';
        prop_assert!(name.starts_with(is_first));
        prop_assert!(name.chars().all(|c| is_first(c) || c.is_ascii_digit()));
        prop_assert_eq!(Environment::normalize(&name), name);
    }
}
