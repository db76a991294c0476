//! How a set-up chooses the propagators. One test, as they are of the whole process.

use throughline::propagation::{Composite, global};
use throughline::w3c::Setter;
use throughline::{Context, Env, Thread, builder, exporters::Discard, inject, span};

const TRACE: &str = "80f198ee56343ba864fe8b2a57d3eff7";
const SPAN: &str = "e457b5a2e4d86bd1";

#[derive(Default)]
struct List(Vec<(String, String)>);

impl Setter for List {
    fn set(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }
}

/// ENV-7, ENV-10: [General SDK configuration](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration);
/// PROP-11: [Global propagators](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#global-propagators).
#[test]
fn code_chooses_then_the_variable_and_the_default_only_where_neither_does() {
    assert!(global().fields().is_empty(), "nothing is set up");

    let thread = || Thread::start().expect("a thread");
    let isolated = builder().start(thread(), Discard);
    assert_eq!(global().fields(), ["traceparent", "tracestate", "baggage"]);

    // Telemetry that is switched off still hands on what comes in.
    let mut env = Env::from_pairs([("OTEL_SDK_DISABLED", "true"), ("OTEL_PROPAGATORS", "b3,xray")]);
    let guard = builder().init_from(&mut env).expect("it is switched off");
    assert!(guard.telemetry().is_none());
    let warnings: Vec<_> = guard.warnings().iter().map(ToString::to_string).collect();
    assert!(warnings.len() == 1 && warnings[0].contains("xray"), "{warnings:?}");
    let incoming = format!("{TRACE}-{SPAN}-1");
    let context = throughline::extract(&[("b3", incoming.as_str())][..]);
    let out = span!(parent: &context, "serve").in_scope(outgoing);
    assert_eq!(out, [("b3".to_owned(), incoming)]);

    // Another pipeline does not take the choice back.
    drop(builder().start(thread(), Discard));
    assert_eq!(global().fields(), ["b3"]);
    drop(builder().propagator(Composite::none()).start(thread(), Discard));
    assert!(isolated.context().scope(|| span!("root").in_scope(outgoing)).is_empty());

    // Without an exporter spans have ids, and are sampled.
    let pairs = [("OTEL_TRACES_EXPORTER", "none"), ("OTEL_PROPAGATORS", "tracecontext")];
    let guard = builder().init_from(&mut Env::from_pairs(pairs)).expect("a pipeline");
    let out = span!("root").in_scope(outgoing);
    assert!(matches!(&out[..], [(name, value)] if name == "traceparent" && value.ends_with("-03")));
    drop(guard);
}

fn outgoing() -> Vec<(String, String)> {
    let mut list = List::default();
    inject(&Context::current(), &mut list);
    list.0
}
