//! Each variable, by itself and against code.

use core::time::Duration;

use throughline_core::Described;

use super::*;
use crate::config;

fn apply_to(builder: &mut Builder, pairs: &[(&str, &str)]) -> Vec<String> {
    let mut env = Env::from_pairs(pairs.iter().copied());
    apply(&mut env, builder);
    env.warnings().iter().map(ToString::to_string).collect()
}

/// The names of the exporters that are chosen, and the warnings.
fn chosen(list: &str) -> (String, Vec<String>) {
    let mut env = Env::from_pairs([("OTEL_TRACES_EXPORTER", list)]);
    let names = exporters(&mut env, &mut Origins::default());
    let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
    (names.join(","), env.warnings().iter().map(ToString::to_string).collect())
}

fn applied(pairs: &[(&str, &str)]) -> (PipelineOptions, Resource, bool, Vec<String>) {
    let mut builder = crate::builder();
    let warnings = apply_to(&mut builder, pairs);
    (builder.options, builder.resource, builder.disabled, warnings)
}

/// ENV-13 ([Batch span processor](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#batch-span-processor)).
#[test]
fn the_batch_variables_are_those_of_the_specification() {
    let (options, _, disabled, warnings) = applied(&[
        ("OTEL_BSP_SCHEDULE_DELAY", "2000"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "0"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "4096"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1024"),
    ]);
    assert_eq!(options.flusher.schedule_delay, Duration::from_secs(2));
    assert_eq!(options.flusher.export_timeout, None);
    assert_eq!((options.max_queue_size, options.flusher.max_export_batch_size), (4096, 1024));
    assert!(!disabled && warnings.is_empty(), "{warnings:?}");
}

/// ENV-4 ([Numeric](https://opentelemetry.io/docs/specs/otel/configuration/common/#numeric)).
#[test]
fn a_bad_value_is_a_warning_that_names_variable_and_value_and_changes_nothing() {
    let (options, _, _, warnings) = applied(&[
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "-1"),
    ]);
    assert_eq!(options.max_queue_size, 2_048);
    assert_eq!(options.limits.event_count, 128);
    for (variable, value) in [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "-1"),
    ] {
        let named = |text: &String| text.contains(variable) && text.contains(value);
        assert!(warnings.iter().any(named), "{variable}={value} in {warnings:?}");
    }
}

/// ENV-4 ([Numeric](https://opentelemetry.io/docs/specs/otel/configuration/common/#numeric)).
#[test]
fn a_queue_beyond_any_memory_is_a_warning_and_changes_nothing() {
    for size in ["18446744073709551615", "4194305"] {
        let (options, _, _, warnings) = applied(&[("OTEL_BSP_MAX_QUEUE_SIZE", size)]);
        assert_eq!(options.max_queue_size, 2_048);
        assert!(warnings.iter().any(|text| text.contains(size)), "{warnings:?}");
    }
}

/// ENV-13 ([Batch span processor](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#batch-span-processor)).
#[test]
fn a_batch_never_outgrows_the_queue() {
    let (options, ..) = applied(&[("OTEL_BSP_MAX_QUEUE_SIZE", "100")]);
    assert_eq!(options.flusher.max_export_batch_size, 100);
    let (options, _, _, warnings) =
        applied(&[("OTEL_BSP_MAX_QUEUE_SIZE", "100"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "200")]);
    assert_eq!((options.flusher.max_export_batch_size, warnings.len()), (100, 1));
}

/// SAM-1 ([Built-in samplers](https://opentelemetry.io/docs/specs/otel/trace/sdk/#built-in-samplers)).
/// ENV-11 ([General SDK](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration)).
#[test]
fn each_sampler_of_the_specification_has_its_name() {
    for (name, argument, description) in [
        ("always_on", "", "AlwaysOnSampler"),
        ("always_off", "", "AlwaysOffSampler"),
        ("traceidratio", "0.5", "TraceIdRatioBased{0.500000}"),
        ("traceidratio", "", "TraceIdRatioBased{1.000000}"),
        ("ParentBased_TraceIdRatio", "0.25", "ParentBased{root:TraceIdRatioBased{0.250000},"),
        ("parentbased_always_off", "", "ParentBased{root:AlwaysOffSampler,"),
        ("parentbased_always_on", "", "ParentBased{root:AlwaysOnSampler,"),
    ] {
        let (options, _, _, warnings) =
            applied(&[("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", argument)]);
        let shown = Described(&*options.sampler).to_string();
        assert!(shown.starts_with(description), "{name}: {shown}");
        assert!(warnings.is_empty(), "{warnings:?}");
    }
}

/// ENV-12 ([General SDK](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration)).
#[test]
fn a_ratio_out_of_range_is_warned_about_and_ignored() {
    let (options, _, _, warnings) =
        applied(&[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "1.5")]);
    assert_eq!(Described(&*options.sampler).to_string(), "TraceIdRatioBased{1.000000}");
    assert!(warnings.iter().any(|text| text.contains("1.5")), "{warnings:?}");
}

/// ENV-14 ([Attribute limits](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#attribute-limits)).
/// ENV-15 ([Span limits](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#span-limits)).
#[test]
fn the_limits_of_spans_win_over_the_general_ones() {
    let (options, ..) = applied(&[
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "10"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "20"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "30"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "0"),
    ]);
    let limits = options.limits;
    assert_eq!((limits.attribute_count, limits.attribute_value_length), (20, 30));
    assert_eq!(limits.link_count, 0);
}

/// ENV-8 ([General SDK](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration)).
#[test]
fn the_service_name_wins_over_the_resource_attributes() {
    let (_, resource, ..) = applied(&[
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,deployment.environment.name=blue%20one"),
        ("OTEL_SERVICE_NAME", "b"),
    ]);
    assert_eq!(resource.get("service.name"), Some("b"));
    assert_eq!(resource.get("deployment.environment.name"), Some("blue one"));
}

/// RES-6 ([From a variable](https://opentelemetry.io/docs/specs/otel/resource/sdk/#specifying-resource-information-via-an-environment-variable)).
#[test]
fn malformed_resource_attributes_are_discarded_whole() {
    let (_, resource, _, warnings) = applied(&[("OTEL_RESOURCE_ATTRIBUTES", "a=1,b")]);
    assert_eq!(resource, Resource::empty());
    assert!(warnings[0].contains("OTEL_RESOURCE_ATTRIBUTES"), "{warnings:?}");
}

/// ENV-3 ([Boolean](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#boolean)).
/// ENV-7 ([General SDK](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration)).
#[test]
fn only_true_switches_telemetry_off() {
    assert!(applied(&[("OTEL_SDK_DISABLED", "TRUE")]).2);
    for value in ["", "false", "1", "yes"] {
        assert!(!applied(&[("OTEL_SDK_DISABLED", value)]).2, "{value}");
    }
}

/// ENV-16, OTLP-14: all exporters of a list, each once
/// ([Exporter selection](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#exporter-selection)).
#[test]
fn each_exporter_of_a_list_is_used_once() {
    let named = |list: &str| chosen(list).0;
    for (list, expected) in [
        ("", "otlp"),
        ("Console", "console"),
        (" none ", "none"),
        ("otlp,otlp,", "otlp"),
        ("console, OTLP", "console,otlp"),
    ] {
        assert_eq!((named(list).as_str(), chosen(list).1), (expected, vec![]), "{list}");
    }
    let (names, warnings) = chosen("console,none");
    assert_eq!((names.as_str(), warnings.len()), ("console", 1));
    assert!(warnings[0].contains("`none` beside others, ignored"), "{warnings:?}");
}

/// ENV-6: an unknown word is told, with the user's own spelling, and ignored
/// ([Enum](https://opentelemetry.io/docs/specs/otel/configuration/common/#enum)).
#[test]
fn an_exporter_that_is_unknown_is_told_and_the_known_one_of_the_list_is_used() {
    let (name, warnings) = chosen("Zipkin,console");
    assert_eq!((name.as_str(), warnings.len()), ("console", 1));
    assert!(warnings[0].contains("`Zipkin`, which is none of otlp, console, none"), "{warnings:?}");
    let (name, warnings) = chosen("logging");
    assert_eq!((name.as_str(), warnings.len()), ("otlp", 1));
}

/// ENV-12: the argument is read only for a sampler that takes one
/// ([General SDK configuration](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration)).
/// SAM-1 ([Built-in samplers](https://opentelemetry.io/docs/specs/otel/trace/sdk/#built-in-samplers)).
#[test]
fn the_argument_of_the_sampler_is_read_only_with_the_sampler() {
    let (options, _, _, warnings) = applied(&[("OTEL_TRACES_SAMPLER_ARG", "0")]);
    let default = Described(&*options.sampler).to_string();
    assert!(default.starts_with("ParentBased{root:AlwaysOnSampler,"), "{default}");
    assert_eq!(warnings, Vec::<String>::new());
    let (_, _, _, warnings) =
        applied(&[("OTEL_TRACES_SAMPLER", "always_on"), ("OTEL_TRACES_SAMPLER_ARG", "0.5")]);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
}

/// ENV-11: names of samplers that we do not have are unknown ones
/// ([General SDK configuration](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration)).
#[test]
fn a_sampler_that_is_not_built_is_told_and_the_default_acts() {
    for name in ["jaeger_remote", "parentbased_jaeger_remote", "xray"] {
        let (options, _, _, warnings) = applied(&[("OTEL_TRACES_SAMPLER", name)]);
        let shown = Described(&*options.sampler).to_string();
        assert!(shown.starts_with("ParentBased{root:AlwaysOnSampler,"), "{shown}");
        assert!(warnings[0].contains(name), "{warnings:?}");
    }
}

/// ENV-9: the level of what we say ourselves
/// ([General SDK configuration](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration)).
#[test]
fn the_log_level_sets_what_goes_to_stderr_unless_the_program_has_a_handler() {
    for (level, expected) in
        [("", Some(Severity::Info)), ("ERROR", Some(Severity::Error)), ("none", None)]
    {
        let mut builder = crate::builder();
        assert_eq!(apply_to(&mut builder, &[("OTEL_LOG_LEVEL", level)]), Vec::<String>::new());
        assert_eq!(builder.least_severity, expected, "{level}");
    }
    let mut builder = crate::builder().diagnostics(Diagnostics::to(|_| ()));
    apply_to(&mut builder, &[("OTEL_LOG_LEVEL", "error")]);
    assert_eq!(builder.origins.of("diagnostics"), Origin::Code);
    assert_eq!(apply_to(&mut crate::builder(), &[("OTEL_LOG_LEVEL", "loud")]).len(), 1);
}

#[test]
fn the_propagators_that_are_named_are_in_force() {
    for (list, headers, told) in [
        ("Baggage, tracecontext,baggage", "baggage,traceparent,tracestate", 0),
        ("b3", "b3", 0),
        ("none", "none", 0),
        ("tracecontext,x", "traceparent,tracestate", 1),
    ] {
        let mut builder = crate::builder();
        let warnings = apply_to(&mut builder, &[("OTEL_PROPAGATORS", list)]);
        assert_eq!(warnings.len(), told, "{list}: {warnings:?}");
        let config = crate::config::describe(&builder);
        let setting = config.get("propagators").expect("it is always there");
        assert_eq!(setting.value(), headers, "{list}");
        assert_eq!(*setting.origin(), Origin::Variable("OTEL_PROPAGATORS".to_owned()));
    }
}

/// CFG-2: configuration by file is not there, which a program that relies on it
/// has to hear
/// ([Declarative configuration](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#declarative-configuration)).
#[test]
fn a_configuration_file_is_told_to_be_ignored() {
    let (.., warnings) = applied(&[("OTEL_CONFIG_FILE", "/etc/otel.yaml")]);
    assert!(warnings[0].contains("/etc/otel.yaml"), "{warnings:?}");
}

/// ENV-19: exceptions stay span events, which who asks for logs has to hear
/// ([Exceptions](https://opentelemetry.io/docs/specs/semconv/exceptions/exceptions-spans/)).
#[test]
fn who_asks_for_exceptions_as_logs_is_told_that_they_stay_span_events() {
    for value in ["logs", "logs/dup"] {
        let (.., warnings) = applied(&[("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", value)]);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains(value) && warnings[0].contains("span events"));
    }
}

/// ENV-2: empty equals unset, for every variable
/// ([Empty value](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#parsing-empty-value)).
#[test]
fn variables_that_are_empty_change_nothing() {
    let empty: Vec<(&str, &str)> = VARIABLES.iter().map(|name| (*name, "")).collect();
    let mut builder = crate::builder();
    assert_eq!(apply_to(&mut builder, &empty), Vec::<String>::new());
    assert_eq!(config::describe(&builder), config::describe(&crate::builder()));
}

/// CFG-1: what a variable says can be said in code
/// ([Programmatic](https://opentelemetry.io/docs/specs/otel/configuration/#programmatic)).
#[test]
fn each_variable_has_its_setting_in_code() {
    let from_variables = {
        let mut builder = crate::builder();
        let pairs = [
            ("OTEL_SDK_DISABLED", "true"),
            ("OTEL_SERVICE_NAME", "shop"),
            ("OTEL_RESOURCE_ATTRIBUTES", "a=1"),
            ("OTEL_TRACES_SAMPLER", "always_off"),
            ("OTEL_SPAN_EVENT_COUNT_LIMIT", "7"),
            ("OTEL_BSP_SCHEDULE_DELAY", "1"),
            ("OTEL_BSP_EXPORT_TIMEOUT", "0"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "600"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10"),
            ("OTEL_LOG_LEVEL", "none"),
            ("THROUGHLINE_MAX_CONCURRENT_EXPORTS", "4"),
            ("THROUGHLINE_WAIT_AT_SHUTDOWN", "false"),
            ("THROUGHLINE_CHILDREN_PER_SPAN", "none"),
            ("THROUGHLINE_SPANS_PER_CALLSITE_PER_SECOND", "50"),
        ];
        assert_eq!(apply_to(&mut builder, &pairs), Vec::<String>::new());
        config::describe(&builder)
    };
    let mut limits = throughline_core::SpanLimits::new();
    limits.event_count = 7;
    let mut budgets = throughline_core::SpanBudgets::new();
    (budgets.children_per_span, budgets.spans_per_callsite_per_second) = (u32::MAX, Some(50));
    let builder = crate::builder()
        .disabled(true)
        .attribute("a", "1")
        .service_name("shop")
        .sampler(AlwaysOff)
        .limits(limits)
        .budgets(budgets)
        .schedule_delay(Duration::from_millis(1))
        .export_timeout(None)
        .max_queue_size(600)
        .max_export_batch_size(10)
        .max_concurrent_exports(4)
        .wait_at_shutdown(false)
        .diagnostics(Diagnostics::stderr(None));
    let from_code = config::describe(&builder);
    for setting in from_variables.iter() {
        let name = setting.name();
        let same = from_code.get(name).map(|setting| setting.value());
        match name {
            // A handler by its nature, whatever it does.
            "diagnostics" => assert_eq!((setting.value(), same), ("none", Some("handler"))),
            name => assert_eq!(Some(setting.value()), same, "{name}"),
        }
        let variable = matches!(setting.origin(), Origin::Variable(_));
        let code = from_code.get(name).map(|setting| setting.origin()) == Some(&Origin::Code);
        assert!(!variable || code, "{name}: {:?}", from_code.get(name));
    }
}

/// The code says it, and the variable wins; the resource of the code wins.
#[test]
fn the_table_tells_for_each_setting_who_said_it() {
    let mut builder = crate::builder()
        .schedule_delay(Duration::from_secs(1))
        .max_queue_size(9)
        .max_live_spans(100)
        .attribute("a", "1");
    apply_to(
        &mut builder,
        &[
            ("OTEL_BSP_MAX_QUEUE_SIZE", "4096"),
            ("OTEL_RESOURCE_ATTRIBUTES", "a=2,b=2"),
            ("OTEL_ATTRIBUTE_COUNT_LIMIT", "5"),
            ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many"),
        ],
    );
    let config = config::describe(&builder);
    let row = |name| config.get(name).map(|setting| setting.to_string()).unwrap_or_default();
    assert_eq!(row("schedule_delay"), "schedule_delay=1s (code)");
    assert_eq!(row("max_queue_size"), "max_queue_size=4096 (OTEL_BSP_MAX_QUEUE_SIZE)");
    assert_eq!(row("resource.a"), "resource.a=1 (code)");
    assert_eq!(row("resource.b"), "resource.b=2 (OTEL_RESOURCE_ATTRIBUTES)");
    let limit = "limits.attribute_count=5 (OTEL_ATTRIBUTE_COUNT_LIMIT)";
    assert_eq!(row("limits.attribute_count"), limit);
    assert_eq!(row("limits.link_count"), "limits.link_count=128 (default)");
    assert_eq!(row("export_timeout"), "export_timeout=30s (default)");
    // What is no limit of the program's is one of the memory.
    let length = row("limits.attribute_value_length");
    assert_eq!(length, "limits.attribute_value_length=no limit but 16384 bytes per span (default)");
    let large = "max_large_spans=100, of 16384 bytes each (default)";
    assert_eq!(row("max_large_spans"), large);
    let config = config::describe(&builder.max_large_spans(7));
    let large = config.get("max_large_spans").map(|setting| setting.to_string());
    assert_eq!(large.as_deref(), Some("max_large_spans=7, of 16384 bytes each (code)"));
}

/// Every variable that is read here.
const VARIABLES: [&str; 28] = [
    "OTEL_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_BSP_EXPORT_TIMEOUT",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_CONFIG_FILE",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_EXPERIMENTAL_CONFIG_FILE",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LOG_LEVEL",
    "OTEL_PROPAGATORS",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_SDK_DISABLED",
    "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN",
    "OTEL_SERVICE_NAME",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
    "OTEL_TRACES_EXPORTER",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "THROUGHLINE_CHILDREN_PER_SPAN",
    "THROUGHLINE_MAX_CONCURRENT_EXPORTS",
    "THROUGHLINE_RESOURCE_DETECTORS",
    "THROUGHLINE_SPANS_PER_CALLSITE_PER_SECOND",
    "THROUGHLINE_WAIT_AT_SHUTDOWN",
];

#[test]
fn budgets_against_floods_are_numbers_or_none_and_anything_else_is_told() {
    let budgets = |children: &str, spans: &str| {
        let pairs = [
            ("THROUGHLINE_CHILDREN_PER_SPAN", children),
            ("THROUGHLINE_SPANS_PER_CALLSITE_PER_SECOND", spans),
        ];
        let (options, .., warnings) = applied(&pairs);
        let budgets = options.budgets;
        let both = (budgets.children_per_span, budgets.spans_per_callsite_per_second);
        (both, warnings)
    };
    assert_eq!(budgets("", ""), ((10_000, None), vec![]));
    assert_eq!(budgets("0", "1"), ((0, Some(1)), vec![]));
    assert_eq!(budgets(" None", "NONE"), ((u32::MAX, None), vec![]));
    let (both, warnings) = budgets("-1", "0");
    assert_eq!(both, (10_000, None));
    assert_eq!(
        warnings,
        [
            "THROUGHLINE_CHILDREN_PER_SPAN=\"-1\" is not a number in range 0 to 4294967295, ignored; 10000 acts",
            "THROUGHLINE_SPANS_PER_CALLSITE_PER_SECOND=\"0\" is out of range 1 to 4294967295, ignored; none acts",
        ]
    );
}

/// A variable that makes no sense leaves what the code said.
#[test]
fn a_budget_of_the_code_stays_unless_the_variable_says_another_one() {
    let mut budgets = throughline_core::SpanBudgets::new();
    budgets.children_per_span = 5;
    let mut builder = crate::builder().budgets(budgets);
    apply_to(&mut builder, &[("THROUGHLINE_SPANS_PER_CALLSITE_PER_SECOND", "9")]);
    let config = config::describe(&builder);
    let row = |name| config.get(name).map(|setting| setting.to_string()).unwrap_or_default();
    assert_eq!(row("budgets.children_per_span"), "budgets.children_per_span=5 (code)");
    assert_eq!(
        row("budgets.spans_per_callsite_per_second"),
        "budgets.spans_per_callsite_per_second=9 (THROUGHLINE_SPANS_PER_CALLSITE_PER_SECOND)"
    );
}

/// LIM-5: [attribute limits](https://opentelemetry.io/docs/specs/otel/common/#attribute-limits).
#[test]
fn a_limit_for_spans_wins_over_the_general_one_and_that_over_the_default() {
    let general = [("OTEL_ATTRIBUTE_COUNT_LIMIT", "5"), ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "6")];
    let [for_spans, length] =
        [("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "7"), ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "8")];
    let limits = |pairs: &[_]| {
        let limits = applied(pairs).0.limits;
        (limits.attribute_count, limits.attribute_value_length)
    };
    assert_eq!(limits(&[]), (128, u32::MAX));
    assert_eq!(limits(&general), (5, 6));
    assert_eq!(limits(&[general[0], for_spans, general[1], length]), (7, 8));
    assert_eq!(limits(&[for_spans]), (7, u32::MAX));
}
