//! What the `OTEL_*` environment variables say.
//!
//! ([Environment variables](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/))

use core::fmt::Display;
use core::ops::RangeBounds;
use core::str::FromStr;
use std::sync::Arc;

use throughline_core::{AlwaysOff, AlwaysOn, ParentBased, Sampler, TraceIdRatioBased};
use throughline_runtime::{
    Destinations, Diagnostics, Env, Origin, Origins, PipelineOptions, Resource, Runtime, Severity,
};
#[cfg(any(feature = "_otlp", feature = "console"))]
use throughline_runtime::{Exporter, Thread};

use crate::any_runtime;
use crate::detect;
use crate::discard::Discard;
use crate::guard::Guard;
use crate::init_error::InitError;
use crate::setup::Builder;

/// Settles what does not depend on the exporter.
pub(crate) fn apply(env: &mut Env, builder: &mut Builder) {
    log_level(env, builder);
    no_config_file(env);
    no_exceptions_as_logs(env);
    detect::from_env(env, builder);
    propagators(env, builder);
    describe(env, builder);
    if let Some((sampler, variable)) = sampler(env) {
        builder.options.sampler = sampler;
        builder.origins.note("sampler", variable);
    }
    limits(env, builder);
    budgets(env, builder);
    batches(env, builder);
    let mut reader = Reader { env, origins: &mut builder.origins };
    if let Some(disabled) = reader.read("disabled", &["OTEL_SDK_DISABLED"], Env::boolean) {
        builder.disabled = disabled;
    }
}

/// Reads variables, and notes which of them was it.
struct Reader<'a> {
    env: &'a mut Env,
    origins: &'a mut Origins,
}

impl Reader<'_> {
    /// The value of the first variable that has one.
    fn read<T>(
        &mut self,
        setting: &str,
        variables: &[&str],
        mut read: impl FnMut(&mut Env, &str) -> Option<T>,
    ) -> Option<T> {
        variables.iter().find_map(|variable| {
            let value = read(self.env, variable)?;
            self.origins.note(setting, Origin::Variable((*variable).to_owned()));
            Some(value)
        })
    }
}

impl Reader<'_> {
    /// Sets a number, if a variable has one within the range. Returns whether it has.
    fn number<T>(
        &mut self,
        setting: &str,
        variables: &[&str],
        range: impl RangeBounds<T>,
        value: &mut T,
    ) -> bool
    where
        T: FromStr + PartialOrd + Display,
    {
        let Some((number, variable)) = self.env.first_number(variables, range, Some(&*value))
        else {
            return false;
        };
        self.origins.note(setting, Origin::Variable(variable.to_owned()));
        *value = number;
        true
    }
}

/// A handler that the program has set is not taken away from it.
fn log_level(env: &mut Env, builder: &mut Builder) {
    const LEVELS: [(&str, Option<Severity>); 8] = [
        ("none", None),
        ("off", None),
        ("fatal", Some(Severity::Error)),
        ("error", Some(Severity::Error)),
        ("warn", Some(Severity::Warn)),
        ("info", Some(Severity::Info)),
        ("debug", Some(Severity::Info)),
        ("trace", Some(Severity::Info)),
    ];
    if builder.origins.of("diagnostics") == Origin::Code {
        return;
    }
    let mut reader = Reader { env, origins: &mut builder.origins };
    let level = |env: &mut Env, name: &str| env.choice(name, &LEVELS);
    if let Some(level) = reader.read("diagnostics", &["OTEL_LOG_LEVEL"], level) {
        builder.options.diagnostics = Diagnostics::stderr(level);
        builder.least_severity = level;
    }
}

/// A program that was given a file believes that nothing else acts.
fn no_config_file(env: &mut Env) {
    for variable in ["OTEL_CONFIG_FILE", "OTEL_EXPERIMENTAL_CONFIG_FILE"] {
        if let Some(path) = env.text(variable) {
            env.warn(variable, &path, "is ignored: configuration by file is not supported");
        }
    }
}

/// There is no signal of logs for them to move to; nothing is to be lost unheard.
fn no_exceptions_as_logs(env: &mut Env) {
    const VARIABLE: &str = "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN";
    if let Some(value) = env.text(VARIABLE) {
        env.warn(
            VARIABLE,
            &value,
            "is ignored: exceptions are span events, there is no log signal",
        );
    }
}

fn propagators(env: &mut Env, builder: &mut Builder) {
    if let Some(propagator) = throughline_propagation::from_env(env) {
        builder.propagator = Some(Arc::new(propagator));
        builder.origins.note("propagators", Origin::Variable("OTEL_PROPAGATORS".to_owned()));
    }
}

fn describe(env: &mut Env, builder: &mut Builder) {
    const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
    const NAME: &str = "OTEL_SERVICE_NAME";
    if let Some(text) = env.text(ATTRIBUTES) {
        match Resource::parse(&text) {
            Ok(parsed) => {
                for (key, _) in parsed.attributes() {
                    let setting = format!("resource.{key}");
                    // What the program itself says wins.
                    if builder.origins.of(&setting) != Origin::Code {
                        builder.origins.note(&setting, Origin::Variable(ATTRIBUTES.to_owned()));
                    }
                }
                builder.resource = parsed.merge(&builder.resource);
            }
            Err(part) => {
                let problem = format!("`{part}` is not a percent-encoded key=value");
                env.warn(ATTRIBUTES, &text, &problem);
            }
        }
    }
    if let Some(name) = env.text(NAME) {
        builder.resource = core::mem::take(&mut builder.resource).with("service.name", &name);
        builder.origins.note("resource.service.name", Origin::Variable(NAME.to_owned()));
    }
}

fn sampler(env: &mut Env) -> Option<(Arc<dyn Sampler + Send + Sync>, Origin)> {
    const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
    const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
    const NAMES: [&str; 6] = [
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    ];
    let name = env.choice(SAMPLER, &NAMES.map(|name| (name, name)))?;
    let ratio = if name.ends_with("traceidratio") {
        env.first_number(&[ARGUMENT], 0.0..=1.0, Some(&1)).map_or(1.0, |(ratio, _)| ratio)
    } else {
        if let Some(argument) = env.text(ARGUMENT) {
            env.warn(ARGUMENT, &argument, "is ignored: the sampler takes no argument");
        }
        1.0
    };
    let ratio = TraceIdRatioBased::new(ratio);
    let sampler: Arc<dyn Sampler + Send + Sync> = match name {
        "always_on" => Arc::new(AlwaysOn),
        "always_off" => Arc::new(AlwaysOff),
        "traceidratio" => Arc::new(ratio),
        "parentbased_always_off" => Arc::new(ParentBased::new(AlwaysOff)),
        "parentbased_traceidratio" => Arc::new(ParentBased::new(ratio)),
        _ => Arc::new(ParentBased::new(AlwaysOn)),
    };
    Some((sampler, Origin::Variable(SAMPLER.to_owned())))
}

fn limits(env: &mut Env, builder: &mut Builder) {
    let limits = &mut builder.options.limits;
    let mut reader = Reader { env, origins: &mut builder.origins };
    let mut set = |limit: &mut u32, setting: &str, variables: &[&str]| {
        // The name for spans wins over the general one.
        reader.number(setting, variables, 0..=u32::MAX, limit);
    };
    set(
        &mut limits.attribute_count,
        "limits.attribute_count",
        &["OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"],
    );
    set(
        &mut limits.attribute_value_length,
        "limits.attribute_value_length",
        &["OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"],
    );
    set(&mut limits.event_count, "limits.event_count", &["OTEL_SPAN_EVENT_COUNT_LIMIT"]);
    set(&mut limits.link_count, "limits.link_count", &["OTEL_SPAN_LINK_COUNT_LIMIT"]);
    set(
        &mut limits.attribute_per_event_count,
        "limits.attribute_per_event_count",
        &["OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT"],
    );
    set(
        &mut limits.attribute_per_link_count,
        "limits.attribute_per_link_count",
        &["OTEL_LINK_ATTRIBUTE_COUNT_LIMIT"],
    );
}

/// Budgets against floods, of which the specification knows nothing.
fn budgets(env: &mut Env, builder: &mut Builder) {
    let budgets = &mut builder.options.budgets;
    let mut reader = Reader { env, origins: &mut builder.origins };
    let now = Some(budgets.children_per_span).filter(|most| *most < u32::MAX);
    let children = |env: &mut Env, name: &str| budget(env, name, 0, now);
    if let Some(most) = reader.read("budgets.children_per_span", &[CHILDREN], children) {
        budgets.children_per_span = most.unwrap_or(u32::MAX);
    }
    let now = budgets.spans_per_callsite_per_second;
    let spans = |env: &mut Env, name: &str| budget(env, name, 1, now);
    if let Some(most) = reader.read("budgets.spans_per_callsite_per_second", &[CALLSITE], spans) {
        budgets.spans_per_callsite_per_second = most;
    }
}

/// A number, or `none` for no limit; where it is neither, what is there now acts.
fn budget(env: &mut Env, name: &str, least: u32, now: Option<u32>) -> Option<Option<u32>> {
    let text = env.text(name)?;
    if text.trim().eq_ignore_ascii_case("none") {
        return Some(None);
    }
    let acts: &dyn Display = match &now {
        Some(most) => most,
        None => &"none",
    };
    env.first_number(&[name], least..=u32::MAX, Some(acts)).map(|(most, _)| Some(most))
}

fn batches(env: &mut Env, builder: &mut Builder) {
    const BATCH: &str = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
    let (options, origins) = (&mut builder.options, &mut builder.origins);
    let flusher = &mut options.flusher;
    let mut reader = Reader { env, origins };
    let delay = reader.read("schedule_delay", &["OTEL_BSP_SCHEDULE_DELAY"], Env::duration_millis);
    if let Some(delay) = delay {
        flusher.schedule_delay = delay;
    }
    let timeout = reader.read("export_timeout", &["OTEL_BSP_EXPORT_TIMEOUT"], Env::timeout_millis);
    if let Some(timeout) = timeout {
        flusher.export_timeout = timeout;
    }
    let sizes = 1..=PipelineOptions::LARGEST_QUEUE;
    let queue = &mut options.max_queue_size;
    reader.number("max_queue_size", &["OTEL_BSP_MAX_QUEUE_SIZE"], sizes.clone(), queue);
    let requests = 1..=PipelineOptions::MOST_CONCURRENT;
    let most = &mut options.max_concurrent_exports;
    reader.number("max_concurrent_exports", &[CONCURRENT], requests, most);
    if let Some(waits) = reader.read("wait_at_shutdown", &[WAIT], Env::boolean) {
        options.wait_at_shutdown = waits;
    }
    let size = &mut flusher.max_export_batch_size;
    if reader.number("max_export_batch_size", &[BATCH], sizes, size)
        && *size > options.max_queue_size
    {
        let problem = "larger than the queue; the queue's size is used";
        env.warn(BATCH, &size.to_string(), problem);
    }
    // A queue that was made smaller takes the batch with it.
    flusher.max_export_batch_size = flusher.max_export_batch_size.min(options.max_queue_size);
}

/// Installs the pipeline with the exporters that the variables name.
pub(crate) fn install(mut builder: Builder, env: &mut Env) -> Result<Guard, InitError> {
    let names = exporters(env, &mut builder.origins);
    builder.exporter = Some(names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(","));
    if builder.disabled {
        builder.propagate();
        return Ok(Guard::disabled(&builder));
    }
    let named = names.into_iter().map(|name| named(name, env));
    any_runtime::install(builder, Listed(named.collect::<Result<_, _>>()?))
}

fn named(name: Name, env: &mut Env) -> Result<Named, InitError> {
    match name {
        // Spans have ids and are sampled: who comes next may export them.
        Name::None => Ok(Named::None),
        #[cfg(feature = "_otlp")]
        Name::Otlp => match throughline_otlp::Otlp::from_env(env) {
            Ok(otlp) => Ok(Named::Otlp(Box::new(otlp))),
            Err(error) => Err(InitError::Exporter(Box::new(error))),
        },
        #[cfg(feature = "console")]
        Name::Console => Ok(Named::Console(throughline_console::Console::stdout())),
        #[allow(unreachable_patterns)]
        name => {
            let _ = env;
            Err(InitError::MissingFeature {
                variable: EXPORTER,
                value: name.as_str().to_owned(),
                feature: name.as_str(),
            })
        }
    }
}

/// Exporters that variables name, in their order.
struct Listed(Vec<Named>);

enum Named {
    #[cfg(feature = "_otlp")]
    Otlp(Box<throughline_otlp::Otlp>),
    #[cfg(feature = "console")]
    Console(throughline_console::Console),
    None,
}

impl any_runtime::OnAny for Listed {
    fn install<R: Runtime>(self, builder: Builder, runtime: R) -> Result<Guard, InitError> {
        let destinations = self.0.into_iter().fold(None, |list, named| match named {
            #[cfg(feature = "_otlp")]
            Named::Otlp(otlp) => Some(and(list, *otlp)),
            #[cfg(feature = "console")]
            Named::Console(console) => Some(and(list, console)),
            Named::None => list,
        });
        builder.install_to(runtime, destinations.unwrap_or_else(|| Destinations::to(Discard)))
    }
}

#[cfg(any(feature = "_otlp", feature = "console"))]
fn and<R, E>(list: Option<Destinations<R>>, exporter: E) -> Destinations<R>
where
    R: Runtime,
    E: Exporter<R> + Exporter<Thread>,
{
    match list {
        Some(list) => list.and(exporter),
        None => Destinations::to(exporter),
    }
}

/// The exporters that are named, each once, in their order: a pipeline sends to all of
/// them. ([Exporter selection](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#exporter-selection))
fn exporters(env: &mut Env, origins: &mut Origins) -> Vec<Name> {
    const NAMES: [Name; 3] = [Name::Otlp, Name::Console, Name::None];
    let Some(text) = env.text(EXPORTER) else { return vec![Name::Otlp] };
    let mut chosen = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match NAMES.into_iter().find(|name| name.as_str().eq_ignore_ascii_case(part)) {
            Some(name) if chosen.contains(&name) => {}
            Some(name) => chosen.push(name),
            None => {
                let problem = format!("`{part}` is none of otlp, console, none, ignored");
                env.warn(EXPORTER, &text, &problem);
            }
        }
    }
    if chosen.len() > 1 && chosen.contains(&Name::None) {
        chosen.retain(|name| *name != Name::None);
        env.warn(EXPORTER, &text, "`none` is ignored beside the others");
    }
    if chosen.is_empty() {
        return vec![Name::Otlp];
    }
    origins.note("exporter", Origin::Variable(EXPORTER.to_owned()));
    chosen
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
const CONCURRENT: &str = "THROUGHLINE_MAX_CONCURRENT_EXPORTS";
const WAIT: &str = "THROUGHLINE_WAIT_AT_SHUTDOWN";
const CHILDREN: &str = "THROUGHLINE_CHILDREN_PER_SPAN";
const CALLSITE: &str = "THROUGHLINE_SPANS_PER_CALLSITE_PER_SECOND";

#[cfg(test)]
#[path = "from_env_tests.rs"]
mod tests;
