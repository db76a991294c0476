//! [`OTEL_PROPAGATORS`](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration)

use throughline_propagation::{Propagator, Standard, from_env};
use throughline_runtime::Env;

fn read(value: &str) -> (Option<Vec<&'static str>>, Vec<String>) {
    let mut env = Env::from_pairs([("OTEL_PROPAGATORS", value)]);
    let fields = from_env(&mut env, None).map(|propagator| propagator.fields().to_vec());
    (fields, env.warnings().iter().map(ToString::to_string).collect())
}

/// ENV-10: each name, in any letter case, in the order of the list, once.
#[test]
fn each_name_of_the_list_stands_for_its_propagator_once() {
    let multi = ["x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags"];
    for (value, fields) in [
        ("tracecontext,baggage", &["traceparent", "tracestate", "baggage"][..]),
        (" Baggage , TraceContext ,, baggage", &["baggage", "traceparent", "tracestate"]),
        ("b3", &["b3"]),
        ("b3multi", &multi),
        ("jaeger", &["uber-trace-id"]),
        ("b3,b3", &["b3"]),
        ("none", &[]),
    ] {
        assert_eq!(read(value), (Some(fields.to_vec()), vec![]), "{value}");
    }
}

/// ENV-2, ENV-6, ENV-10, PROP-11: what is unset, empty or unknown leaves the default.
#[test]
fn an_unknown_name_is_a_warning_that_shows_it_and_the_others_count() {
    assert_eq!(read(""), (None, vec![]));
    let names = "tracecontext, baggage, b3, b3multi, jaeger, none";
    let (fields, warnings) = read("XRay");
    let told = format!(
        "OTEL_PROPAGATORS=\"XRay\" has `XRay`, which is none of {names}, ignored; \
         tracecontext,baggage acts"
    );
    assert_eq!((fields, warnings), (None, vec![told]));
    let (fields, warnings) = read("b3,ottrace,none");
    let told = [
        format!("has `ottrace`, which is none of {names}, ignored; b3 acts"),
        "has `none` beside others, ignored; b3 acts".to_owned(),
    ];
    let told = told.map(|what| format!("OTEL_PROPAGATORS=\"b3,ottrace,none\" {what}"));
    assert_eq!((fields, warnings), (Some(vec!["b3"]), told.to_vec()));
    assert_eq!(Standard.fields(), ["traceparent", "tracestate", "baggage"]);
}
