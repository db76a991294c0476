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
    let of_code = builder.origins.of("sampler") == Origin::Code;
    if let Some((sampler, variable)) = sampler(env, of_code) {
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
        let number = self.env.number(variables, range, &*value);
        self.set(setting, number, value)
    }

    /// Sets what a variable says, if one does. Returns whether it does.
    fn set<T>(&mut self, setting: &str, found: Option<(T, &str)>, value: &mut T) -> bool {
        let Some((found, variable)) = found else { return false };
        self.origins.note(setting, Origin::Variable(variable.to_owned()));
        *value = found;
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
    let least = &mut builder.least_severity;
    let acts: &dyn Display = match &*least {
        Some(severity) => severity,
        None => &"none",
    };
    let level = reader.env.choice(&["OTEL_LOG_LEVEL"], &LEVELS, acts);
    if reader.set("diagnostics", level, least) {
        builder.options.diagnostics = Diagnostics::stderr(*least);
    }
}

/// A program that was given a file believes that nothing else acts.
fn no_config_file(env: &mut Env) {
    for variable in ["OTEL_CONFIG_FILE", "OTEL_EXPERIMENTAL_CONFIG_FILE"] {
        if let Some(path) = env.text(variable) {
            env.warn(
                variable,
                &path,
                "is ignored: configuration by file is not supported; variables and code act",
            );
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
    let of_code = builder.propagator.as_ref().map(|_| "what the code says");
    if let Some(propagator) = throughline_propagation::from_env(env, of_code) {
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
                let problem = format!(
                    "has `{part}`, which is not a percent-encoded key=value, ignored whole; \
                     the resource without it acts"
                );
                env.warn(ATTRIBUTES, &text, &problem);
            }
        }
    }
    if let Some(name) = env.text(NAME) {
        builder.resource = core::mem::take(&mut builder.resource).with("service.name", &name);
        builder.origins.note("resource.service.name", Origin::Variable(NAME.to_owned()));
    }
}

/// The sampler that is named. Where none is, the program's own acts, or the default.
fn sampler(env: &mut Env, of_code: bool) -> Option<(Arc<dyn Sampler + Send + Sync>, Origin)> {
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
    let acts = if of_code { "the sampler of the code" } else { "parentbased_always_on" };
    let (name, _) = env.choice(&[SAMPLER], &NAMES.map(|name| (name, name)), &acts)?;
    let ratio = if name.ends_with("traceidratio") {
        env.number(&[ARGUMENT], 0.0..=1.0, &1).map_or(1.0, |(ratio, _)| ratio)
    } else {
        if let Some(argument) = env.text(ARGUMENT) {
            let problem = format!("is ignored: {name}, which acts, takes no argument");
            env.warn(ARGUMENT, &argument, &problem);
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
    env.number(&[name], least..=u32::MAX, acts).map(|(most, _)| Some(most))
}

fn batches(env: &mut Env, builder: &mut Builder) {
    const BATCH: &str = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
    let (options, origins) = (&mut builder.options, &mut builder.origins);
    let flusher = &mut options.flusher;
    let mut reader = Reader { env, origins };
    let delay = &mut flusher.schedule_delay;
    let found = reader.env.duration_millis(&["OTEL_BSP_SCHEDULE_DELAY"], *delay);
    reader.set("schedule_delay", found, delay);
    let timeout = &mut flusher.export_timeout;
    let found = reader.env.timeout_millis(&["OTEL_BSP_EXPORT_TIMEOUT"], *timeout);
    reader.set("export_timeout", found, timeout);
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
        let problem = format!(
            "is larger than the queue, ignored; the queue's size acts, {}",
            options.max_queue_size
        );
        env.warn(BATCH, &size.to_string(), &problem);
    }
    // A queue that was made smaller takes the batch with it.
    flusher.max_export_batch_size = flusher.max_export_batch_size.min(options.max_queue_size);
}

/// Installs the pipeline with the exporters that the variables name.
pub(crate) fn install(mut builder: Builder, env: &mut Env) -> Result<Guard, InitError> {
    let names = exporters(env, &mut builder.origins);
    builder.exporter = Some(listed(&names));
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
    let (mut chosen, mut problems) = (Vec::new(), Vec::new());
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match NAMES.into_iter().find(|name| name.as_str().eq_ignore_ascii_case(part)) {
            Some(name) if chosen.contains(&name) => {}
            Some(name) => chosen.push(name),
            None => problems.push(format!("has `{part}`, which is none of otlp, console, none")),
        }
    }
    if chosen.len() > 1 && chosen.contains(&Name::None) {
        chosen.retain(|name| *name != Name::None);
        problems.push("has `none` beside others".to_owned());
    }
    match chosen.is_empty() {
        true => chosen.push(Name::Otlp),
        false => origins.note("exporter", Origin::Variable(EXPORTER.to_owned())),
    }
    for problem in problems {
        env.warn(EXPORTER, &text, &format!("{problem}, ignored; {} acts", listed(&chosen)));
    }
    chosen
}

/// The names, with commas between them.
fn listed(names: &[Name]) -> String {
    names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(",")
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

#[cfg(test)]
#[path = "from_env_warning_tests.rs"]
mod warning_tests;
