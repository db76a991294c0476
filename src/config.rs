//! What is in force, and where it came from.

use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::{Mutex, PoisonError};

use throughline_core::Described;
use throughline_propagation::Propagator;
use throughline_runtime::{Config, Origin, PipelineOptions};

use crate::setup::Builder;

/// What is in force in this process, and where each value came from: a default, the
/// environment variable of that name, the code, or a resource detector.
///
/// It is that of the pipeline that [`init`](crate::init()) or
/// [`Builder::install`] set up last; before, it is empty and says so. Secrets in
/// headers and URLs are masked. [`Guard::config`](crate::Guard::config) gives the
/// same.
///
/// ```
/// println!("{}", throughline::config());
/// ```
pub fn config() -> Config {
    IN_FORCE.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
}

/// Remembers what is in force, for [`config`].
pub(crate) fn remember(config: &Config) {
    *IN_FORCE.lock().unwrap_or_else(PoisonError::into_inner) = Some(config.clone());
}

/// What these settings say. The exporter adds its own.
pub(crate) fn describe(builder: &Builder) -> Config {
    let mut config = Config::default();
    let options = &builder.options;
    let mut set = |name: &str, value: &dyn core::fmt::Display| {
        config.set(name, value, builder.origins.of(name));
    };
    set("disabled", &builder.disabled);
    let resource = builder.whole_resource();
    for (key, value) in resource.attributes() {
        set(&format!("resource.{key}"), &value);
    }
    if let Some(url) = resource.schema_url() {
        set("resource.schema_url", &url);
    }
    let headers = match &builder.propagator {
        Some(propagator) => propagator.fields().join(","),
        None => throughline_propagation::Standard.fields().join(","),
    };
    set("propagators", if headers.is_empty() { &"none" } else { &headers });
    // Code of the program's own.
    let say = |name: &dyn Fn() -> String| {
        catch_unwind(AssertUnwindSafe(name)).unwrap_or_else(|_| "it panics".to_owned())
    };
    set("sampler", &say(&|| Described(&*options.sampler).to_string()));
    let processors: Vec<_> =
        options.processors.iter().map(|each| say(&|| each.name().to_owned())).collect();
    match &processors[..] {
        [] => set("processors", &"none"),
        names => set("processors", &names.join(",")),
    }
    match &options.tail {
        Some(tail) => set("tail", tail),
        None => set("tail", &"off"),
    }
    let limits = &options.limits;
    let within = format_args!("no limit but {} bytes per span", PipelineOptions::SPAN_BYTES);
    for (name, limit) in [
        ("limits.attribute_count", limits.attribute_count),
        ("limits.attribute_value_length", limits.attribute_value_length),
        ("limits.attribute_value_depth", limits.attribute_value_depth),
        ("limits.event_count", limits.event_count),
        ("limits.link_count", limits.link_count),
        ("limits.attribute_per_event_count", limits.attribute_per_event_count),
        ("limits.attribute_per_link_count", limits.attribute_per_link_count),
    ] {
        match limit {
            u32::MAX => set(name, &within),
            limit => set(name, &limit),
        }
    }
    let flusher = &options.flusher;
    set("schedule_delay", &format_args!("{:?}", flusher.schedule_delay));
    match flusher.export_timeout {
        Some(timeout) => set("export_timeout", &format_args!("{timeout:?}")),
        None => set("export_timeout", &"no limit"),
    }
    set("max_export_batch_size", &flusher.max_export_batch_size);
    set("max_queue_size", &options.max_queue_size);
    set("max_live_spans", &options.max_live_spans);
    let (large, bytes) = (options.large_spans(), PipelineOptions::SPAN_BYTES);
    set("max_large_spans", &format_args!("{large}, of {bytes} bytes each"));
    let retry = &flusher.retry;
    let retry = format!(
        "{} times, after {:?} to {:?}",
        retry.max_repetitions, retry.initial_delay, retry.max_delay
    );
    set("retry", &retry);
    set("max_concurrent_exports", &options.max_concurrent_exports);
    set("wait_at_shutdown", &options.wait_at_shutdown);
    let (batches, bytes) = (options.max_destination_batches, options.max_destination_bytes);
    set("destination_queue", &format_args!("{batches} batches, {bytes} bytes"));
    set("poll_profile", &options.poll_profile);
    match options.long_poll {
        Some(threshold) => set("long_poll", &format_args!("{threshold:?}")),
        None => set("long_poll", &"never"),
    }
    let budgets = &options.budgets;
    let children = Some(budgets.children_per_span).filter(|children| *children < u32::MAX);
    for (name, most) in [
        ("budgets.children_per_span", children),
        ("budgets.spans_per_callsite_per_second", budgets.spans_per_callsite_per_second),
    ] {
        match most {
            Some(most) => set(name, &most),
            None => set(name, &"no limit"),
        }
    }
    match options.heartbeat {
        Some(after) => set("heartbeat", &format_args!("{after:?}")),
        None => set("heartbeat", &"never"),
    }
    set("report_leaks", &options.report_leaks);
    match (builder.origins.of("diagnostics"), builder.least_severity) {
        (Origin::Code, _) => set("diagnostics", &"handler"),
        (_, Some(least)) => set("diagnostics", &format_args!("stderr, from {least} on")),
        (_, None) => set("diagnostics", &"none"),
    }
    if let Some(exporter) = &builder.exporter {
        set("exporter", exporter);
    }
    config
}

static IN_FORCE: Mutex<Option<Config>> = Mutex::new(None);
