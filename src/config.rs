//! What the `OTEL_*` environment variables say.
//!
//! ([Environment variables](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/))

use std::fmt;
use std::sync::Arc;

use throughline_core::{AlwaysOff, AlwaysOn, ParentBased, Sampler, TraceIdRatioBased};
use throughline_runtime::{Env, PipelineOptions, Resource};

use crate::any_runtime;
use crate::discard::Discard;
use crate::setup::{Builder, Guard};

/// Why a pipeline could not be set up.
#[derive(Debug)]
#[non_exhaustive]
pub enum InitError {
    /// There is a default pipeline already; it stays.
    AlreadyInstalled,
    /// The variables ask for something that this build leaves out.
    MissingFeature {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// The feature of the crate `throughline` that it needs.
        feature: &'static str,
    },
    /// The exporter cannot be set up as the variables say.
    Exporter(Box<dyn core::error::Error + Send + Sync>),
    /// The operating system gives no thread or event queue.
    Thread(std::io::Error),
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InitError::AlreadyInstalled => f.write_str("there is a default pipeline already"),
            InitError::MissingFeature { variable, value, feature } => {
                write!(f, "{variable}={value} needs the feature `{feature}` of throughline")
            }
            InitError::Exporter(error) => error.fmt(f),
            InitError::Thread(error) => write!(f, "no thread for the exporter: {error}"),
        }
    }
}

impl core::error::Error for InitError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            InitError::Thread(error) => Some(error),
            _ => None,
        }
    }
}

/// Settles what does not depend on the exporter. Returns whether telemetry is
/// switched off.
pub(crate) fn apply(env: &mut Env, options: &mut PipelineOptions, resource: &mut Resource) -> bool {
    describe(env, resource);
    if let Some(sampler) = sampler(env) {
        options.sampler = sampler;
    }
    limits(env, options);
    batches(env, options);
    env.boolean("OTEL_SDK_DISABLED").unwrap_or(false)
}

fn describe(env: &mut Env, resource: &mut Resource) {
    if let Some(text) = env.text("OTEL_RESOURCE_ATTRIBUTES") {
        match Resource::parse(&text) {
            // What the program itself says wins.
            Ok(parsed) => *resource = parsed.merge(resource),
            Err(part) => {
                let problem = format!("`{part}` is not a percent-encoded key=value");
                env.warn("OTEL_RESOURCE_ATTRIBUTES", &text, &problem);
            }
        }
    }
    if let Some(name) = env.text("OTEL_SERVICE_NAME") {
        *resource = core::mem::take(resource).with("service.name", &name);
    }
}

fn sampler(env: &mut Env) -> Option<Arc<dyn Sampler + Send + Sync>> {
    let name = env.choice(
        "OTEL_TRACES_SAMPLER",
        &[
            ("always_on", "always_on"),
            ("always_off", "always_off"),
            ("traceidratio", "traceidratio"),
            ("parentbased_always_on", "parentbased_always_on"),
            ("parentbased_always_off", "parentbased_always_off"),
            ("parentbased_traceidratio", "parentbased_traceidratio"),
        ],
    )?;
    let ratio = if name.ends_with("traceidratio") {
        env.number::<f64>("OTEL_TRACES_SAMPLER_ARG", 0.0..=1.0).unwrap_or(1.0)
    } else {
        1.0
    };
    let ratio = TraceIdRatioBased::new(ratio);
    Some(match name {
        "always_on" => Arc::new(AlwaysOn),
        "always_off" => Arc::new(AlwaysOff),
        "traceidratio" => Arc::new(ratio),
        "parentbased_always_off" => Arc::new(ParentBased::new(AlwaysOff)),
        "parentbased_traceidratio" => Arc::new(ParentBased::new(ratio)),
        _ => Arc::new(ParentBased::new(AlwaysOn)),
    })
}

fn limits(env: &mut Env, options: &mut PipelineOptions) {
    let limits = &mut options.limits;
    let mut set = |limit: &mut u32, names: &[&str]| {
        // The name for spans wins over the general one.
        if let Some(value) = names.iter().find_map(|name| env.number::<u32>(name, ..)) {
            *limit = value;
        }
    };
    set(
        &mut limits.attribute_count,
        &["OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"],
    );
    set(
        &mut limits.attribute_value_length,
        &["OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"],
    );
    set(&mut limits.event_count, &["OTEL_SPAN_EVENT_COUNT_LIMIT"]);
    set(&mut limits.link_count, &["OTEL_SPAN_LINK_COUNT_LIMIT"]);
    set(&mut limits.attribute_per_event_count, &["OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT"]);
    set(&mut limits.attribute_per_link_count, &["OTEL_LINK_ATTRIBUTE_COUNT_LIMIT"]);
}

fn batches(env: &mut Env, options: &mut PipelineOptions) {
    let flusher = &mut options.flusher;
    if let Some(delay) = env.duration_millis("OTEL_BSP_SCHEDULE_DELAY") {
        flusher.schedule_delay = delay;
    }
    if let Some(timeout) = env.timeout_millis("OTEL_BSP_EXPORT_TIMEOUT") {
        flusher.export_timeout = timeout;
    }
    if let Some(size) = env.number::<usize>("OTEL_BSP_MAX_QUEUE_SIZE", 1..) {
        options.max_queue_size = size;
    }
    match env.number::<usize>("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 1..) {
        Some(size) if size > options.max_queue_size => {
            env.warn(
                "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
                &size.to_string(),
                "larger than the queue; the queue's size is used",
            );
            flusher.max_export_batch_size = options.max_queue_size;
        }
        Some(size) => flusher.max_export_batch_size = size,
        // A queue that was made smaller takes the batch with it.
        None => {
            flusher.max_export_batch_size =
                flusher.max_export_batch_size.min(options.max_queue_size);
        }
    }
}

/// Installs the pipeline with the exporter that the variables name.
pub(crate) fn install(builder: Builder, env: &mut Env) -> Result<Guard, InitError> {
    let names = [("otlp", Name::Otlp), ("console", Name::Console), ("none", Name::None)];
    match env.choice("OTEL_TRACES_EXPORTER", &names).unwrap_or(Name::Otlp) {
        // Spans have ids and are sampled: who comes next may export them.
        Name::None => any_runtime::install(builder, Discard),
        #[cfg(feature = "_otlp")]
        Name::Otlp => {
            let otlp = throughline_otlp::Otlp::from_env(env)
                .map_err(|error| InitError::Exporter(Box::new(error)))?;
            any_runtime::install(builder, otlp)
        }
        #[cfg(feature = "console")]
        Name::Console => any_runtime::install(builder, throughline_console::Console::stdout()),
        #[allow(unreachable_patterns)]
        name => Err(InitError::MissingFeature {
            variable: "OTEL_TRACES_EXPORTER",
            value: name.as_str().to_owned(),
            feature: name.as_str(),
        }),
    }
}

#[derive(Clone, Copy, Debug)]
enum Name {
    Otlp,
    Console,
    None,
}

impl Name {
    fn as_str(self) -> &'static str {
        match self {
            Name::Otlp => "otlp",
            Name::Console => "console",
            Name::None => "none",
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use throughline_core::Described;

    use super::*;

    fn applied(pairs: &[(&str, &str)]) -> (PipelineOptions, Resource, bool, Vec<String>) {
        let mut env = Env::from_pairs(pairs.iter().copied());
        let mut options = PipelineOptions::default();
        let mut resource = Resource::empty();
        let disabled = apply(&mut env, &mut options, &mut resource);
        let warnings = env.warnings().iter().map(ToString::to_string).collect();
        (options, resource, disabled, warnings)
    }

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

    /// LIM-5: [attribute limits](https://opentelemetry.io/docs/specs/otel/common/#attribute-limits).
    #[test]
    fn a_limit_for_spans_wins_over_the_general_one_and_that_over_the_default() {
        let general =
            [("OTEL_ATTRIBUTE_COUNT_LIMIT", "5"), ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "6")];
        let [for_spans, length] = [
            ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "7"),
            ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "8"),
        ];
        let limits = |pairs: &[_]| {
            let limits = applied(pairs).0.limits;
            (limits.attribute_count, limits.attribute_value_length)
        };
        assert_eq!(limits(&[]), (128, u32::MAX));
        assert_eq!(limits(&general), (5, 6));
        assert_eq!(limits(&[general[0], for_spans, general[1], length]), (7, 8));
        assert_eq!(limits(&[for_spans]), (7, u32::MAX));
    }

    #[test]
    fn a_batch_never_outgrows_the_queue() {
        let (options, ..) = applied(&[("OTEL_BSP_MAX_QUEUE_SIZE", "100")]);
        assert_eq!(options.flusher.max_export_batch_size, 100);
        let (options, _, _, warnings) = applied(&[
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "200"),
        ]);
        assert_eq!((options.flusher.max_export_batch_size, warnings.len()), (100, 1));
    }

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

    #[test]
    fn a_ratio_out_of_range_is_warned_about_and_ignored() {
        let (options, _, _, warnings) =
            applied(&[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "1.5")]);
        assert_eq!(Described(&*options.sampler).to_string(), "TraceIdRatioBased{1.000000}");
        assert!(warnings.iter().any(|text| text.contains("1.5")), "{warnings:?}");
    }

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

    #[test]
    fn the_service_name_wins_over_the_resource_attributes() {
        let (_, resource, ..) = applied(&[
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,deployment.environment.name=blue%20one"),
            ("OTEL_SERVICE_NAME", "b"),
        ]);
        assert_eq!(resource.get("service.name"), Some("b"));
        assert_eq!(resource.get("deployment.environment.name"), Some("blue one"));
    }

    #[test]
    fn malformed_resource_attributes_are_discarded_whole() {
        let (_, resource, _, warnings) = applied(&[("OTEL_RESOURCE_ATTRIBUTES", "a=1,b")]);
        assert_eq!(resource, Resource::empty());
        assert!(warnings[0].contains("OTEL_RESOURCE_ATTRIBUTES"), "{warnings:?}");
    }

    #[test]
    fn only_true_switches_telemetry_off() {
        assert!(applied(&[("OTEL_SDK_DISABLED", "TRUE")]).2);
        for value in ["", "false", "1", "yes"] {
            assert!(!applied(&[("OTEL_SDK_DISABLED", value)]).2, "{value}");
        }
    }
}
