//! What is said of values that make no sense: which variable, which value, what is wrong, and
//! what acts instead.

use core::time::Duration;

use super::*;

/// The warnings of a program with these settings, of which the variables are about one.
#[track_caller]
fn is_told(mut builder: Builder, pairs: &[(&str, &str)], warnings: &[&str]) {
    let mut env = Env::from_pairs(pairs.iter().copied());
    apply(&mut env, &mut builder);
    exporters(&mut env, &mut builder.origins);
    let told: Vec<_> = env.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(told, warnings);
}

/// ENV-5 ([Duration](https://opentelemetry.io/docs/specs/otel/configuration/common/#duration)).
#[test]
fn a_duration_or_timeout_that_makes_no_sense_leaves_the_default_or_the_codes() {
    const WRONG: &str = "is not a whole number of milliseconds from 0 on, ignored";
    let pairs = [("OTEL_BSP_SCHEDULE_DELAY", "abc"), ("OTEL_BSP_EXPORT_TIMEOUT", "30s")];
    let told = |delay: &str, timeout: &str| {
        [
            format!("OTEL_BSP_SCHEDULE_DELAY=\"abc\" {WRONG}; {delay} acts"),
            format!("OTEL_BSP_EXPORT_TIMEOUT=\"30s\" {WRONG}; {timeout} acts"),
        ]
    };
    let of_code =
        || crate::builder().schedule_delay(Duration::from_millis(200)).export_timeout(None);
    for (builder, told) in
        [(crate::builder(), told("5s", "30s")), (of_code(), told("200ms", "no limit"))]
    {
        is_told(builder, &pairs, &told.each_ref().map(|text| &**text));
    }
}

/// ENV-4 ([Numeric](https://opentelemetry.io/docs/specs/otel/configuration/common/#numeric)).
#[test]
fn a_number_that_makes_no_sense_leaves_another_variable_the_default_or_the_codes() {
    is_told(
        crate::builder().max_queue_size(5_000),
        &[
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "6000"),
            ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "-1"),
            ("OTEL_ATTRIBUTE_COUNT_LIMIT", "64"),
            ("OTEL_SPAN_EVENT_COUNT_LIMIT", "many"),
            ("THROUGHLINE_MAX_CONCURRENT_EXPORTS", "0"),
            ("THROUGHLINE_WAIT_AT_SHUTDOWN", "no"),
        ],
        &[
            "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=\"-1\" is not a number in range 0 to 4294967295, ignored; 64 acts, of OTEL_ATTRIBUTE_COUNT_LIMIT",
            "OTEL_SPAN_EVENT_COUNT_LIMIT=\"many\" is not a number in range 0 to 4294967295, ignored; 128 acts",
            "OTEL_BSP_MAX_QUEUE_SIZE=\"0\" is out of range 1 to 4194304, ignored; 5000 acts",
            "THROUGHLINE_MAX_CONCURRENT_EXPORTS=\"0\" is out of range 1 to 256, ignored; 1 acts",
            "THROUGHLINE_WAIT_AT_SHUTDOWN=\"no\" is neither true nor false, taken as false",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=\"6000\" is larger than the queue, ignored; the queue's size acts, 5000",
        ],
    );
}

/// ENV-6, ENV-11, ENV-12 ([Enum](https://opentelemetry.io/docs/specs/otel/configuration/common/#enum),
/// [general SDK configuration](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration)).
#[test]
fn a_sampler_that_makes_no_sense_leaves_the_default_or_the_codes() {
    const WRONG: &str = "OTEL_TRACES_SAMPLER=\"foo\" is none of always_on, always_off, traceidratio, \
        parentbased_always_on, parentbased_always_off, parentbased_traceidratio, ignored";
    let unknown = [("OTEL_TRACES_SAMPLER", "foo")];
    is_told(crate::builder(), &unknown, &[&format!("{WRONG}; parentbased_always_on acts")]);
    let of_code = crate::builder().sampler(AlwaysOff);
    is_told(of_code, &unknown, &[&format!("{WRONG}; the sampler of the code acts")]);
    is_told(
        crate::builder(),
        &[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "half")],
        &["OTEL_TRACES_SAMPLER_ARG=\"half\" is not a number in range 0 to 1, ignored; 1 acts"],
    );
    is_told(
        crate::builder(),
        &[("OTEL_TRACES_SAMPLER", "Always_On"), ("OTEL_TRACES_SAMPLER_ARG", "0.5")],
        &["OTEL_TRACES_SAMPLER_ARG=\"0.5\" is ignored: always_on, which acts, takes no argument"],
    );
}

/// ENV-6 ([Enum](https://opentelemetry.io/docs/specs/otel/configuration/common/#enum)).
#[test]
fn a_level_that_makes_no_sense_leaves_the_default() {
    is_told(
        crate::builder(),
        &[("OTEL_LOG_LEVEL", "loud")],
        &[
            "OTEL_LOG_LEVEL=\"loud\" is none of none, off, fatal, error, warn, info, debug, trace, ignored; info acts",
        ],
    );
}

/// ENV-6, ENV-10, ENV-16 ([Enum](https://opentelemetry.io/docs/specs/otel/configuration/common/#enum)).
#[test]
fn lists_say_which_of_their_words_is_ignored_and_what_is_left() {
    const EXPORTER: &str = "which is none of otlp, console, none, ignored";
    const PROPAGATOR: &str =
        "which is none of tracecontext, baggage, b3, b3multi, jaeger, none, ignored";
    for (variable, value, told) in [
        ("OTEL_TRACES_EXPORTER", "zipkin", format!("has `zipkin`, {EXPORTER}; otlp acts")),
        ("OTEL_TRACES_EXPORTER", "console,x", format!("has `x`, {EXPORTER}; console acts")),
        (
            "OTEL_TRACES_EXPORTER",
            "none,otlp",
            "has `none` beside others, ignored; otlp acts".into(),
        ),
        ("OTEL_PROPAGATORS", "x", format!("has `x`, {PROPAGATOR}; tracecontext,baggage acts")),
        ("OTEL_PROPAGATORS", "B3,x", format!("has `x`, {PROPAGATOR}; b3 acts")),
        ("OTEL_PROPAGATORS", "none,x", format!("has `x`, {PROPAGATOR}; none acts")),
        ("OTEL_PROPAGATORS", "b3,none", "has `none` beside others, ignored; b3 acts".into()),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "a=1,b",
            "has `b`, which is not a percent-encoded key=value, ignored whole; the resource \
             without it acts"
                .into(),
        ),
    ] {
        let told = format!("{variable}={value:?} {told}");
        is_told(crate::builder(), &[(variable, value)], &[&told]);
    }
    let of_code = crate::builder().propagator(throughline_propagation::Standard);
    let told = format!("OTEL_PROPAGATORS=\"x\" has `x`, {PROPAGATOR}; what the code says acts");
    is_told(of_code, &[("OTEL_PROPAGATORS", "x")], &[&told]);
}

/// ENV-6 ([Enum](https://opentelemetry.io/docs/specs/otel/configuration/common/#enum)).
#[test]
fn a_detector_that_is_unknown_or_not_built_in_says_which_act() {
    let variable = [("THROUGHLINE_RESOURCE_DETECTORS", "x")];
    #[cfg(not(feature = "detectors"))]
    let told = "needs the feature `detectors` of throughline, ignored; none acts".to_owned();
    #[cfg(feature = "detectors")]
    let told = {
        let known: Vec<_> = throughline_detectors::ALL.iter().map(|each| each.name()).collect();
        let known = known.join(", ");
        format!("has `x`, which is none of all, none, {known}, ignored; none acts")
    };
    let told = format!("THROUGHLINE_RESOURCE_DETECTORS=\"x\" {told}");
    is_told(crate::builder(), &variable, &[&told]);
}

/// CFG-2 ([Declarative configuration](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#declarative-configuration)).
#[test]
fn a_configuration_file_leaves_variables_and_code() {
    is_told(
        crate::builder(),
        &[("OTEL_CONFIG_FILE", "/etc/otel.yaml")],
        &[
            "OTEL_CONFIG_FILE=\"/etc/otel.yaml\" is ignored: configuration by file is not supported; variables and code act",
        ],
    );
}
