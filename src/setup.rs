//! Setting up the default pipeline.

mod exporting;
mod recording;
mod starting;

use std::sync::Arc;

use throughline_propagation::Propagator;
use throughline_runtime::{
    Detector, Diagnostic, Diagnostics, Origin, Origins, PipelineOptions, Resource, Severity,
    Warning,
};

use crate::guard::Guard;
use crate::init_error::InitError;

/// Sets everything up from the `OTEL_*` environment variables, on the runtime
/// that is there.
///
/// That is, of those whose features are on: the tokio runtime that the current
/// code runs on; async-std, if the current code is in one of its tasks; else
/// smol, else async-std, whose global executors serve from anywhere; and where
/// neither is built in, a [`Thread`](crate::Thread). [`Builder::install`] takes the runtime as a
/// value instead, for a program that uses several, or an executor of its own.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let telemetry = throughline::init()?;
/// // … the program …
/// println!("{}", telemetry.shutdown_blocking());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// A variable has a value without which nothing can be exported (an endpoint
/// that is no URL), a feature is missing for what the variables ask, the
/// operating system gives no thread, or there is a default pipeline already. All
/// other bad values are [warnings](Guard::warnings), told once on stderr too, or to
/// [`Builder::diagnostics`].
pub fn init() -> Result<Guard, InitError> {
    builder().init()
}

/// Settings of a pipeline in code. The environment is read only by
/// [`Builder::from_env`], [`Builder::with_env`] and [`Builder::init`].
///
/// What is said last wins: a variable over what the code said before it was read, and the
/// code over variables that were read before. [`Builder::init`] reads them last. The one
/// exception is `OTEL_RESOURCE_ATTRIBUTES`: over what it says, the code wins always, as
/// [the specification
/// says](https://opentelemetry.io/docs/specs/otel/resource/sdk/#specifying-resource-information-via-an-environment-variable).
pub fn builder() -> Builder {
    Builder {
        options: PipelineOptions::default(),
        resource: Resource::empty(),
        propagator: None,
        detectors: Vec::new(),
        detected: Resource::empty(),
        problems: Vec::new(),
        warnings: Vec::new(),
        origins: Origins::default(),
        disabled: false,
        exporter: None,
        least_severity: Some(Severity::Info),
    }
}

/// Settings of a pipeline. Made by [`builder`].
#[derive(Clone)]
#[must_use]
pub struct Builder {
    pub(crate) options: PipelineOptions,
    /// What the code says, and then the variables.
    pub(crate) resource: Resource,
    pub(crate) propagator: Option<Arc<dyn Propagator>>,
    pub(crate) detectors: Vec<&'static dyn Detector>,
    /// What they found.
    pub(crate) detected: Resource,
    /// What is to be told once it is known to whom.
    pub(crate) problems: Vec<Diagnostic>,
    /// Variables that were ignored, to be told once.
    pub(crate) warnings: Vec<Warning>,
    /// Where the values came from.
    pub(crate) origins: Origins,
    pub(crate) disabled: bool,
    /// The names of the exporters, with commas.
    pub(crate) exporter: Option<String>,
    /// What of the diagnostics goes to stderr, if they go there.
    pub(crate) least_severity: Option<Severity>,
}

impl Builder {
    /// The service's name, as backends list it.
    pub fn service_name(self, name: &str) -> Self {
        self.attribute("service.name", name)
    }

    /// An attribute of the resource.
    pub fn attribute(mut self, key: &str, value: &str) -> Self {
        self.resource = self.resource.with(key, value);
        self.noted(&format!("resource.{key}"))
    }

    /// Finds out about the place where the program runs: host, process, container.
    /// What code and variables say wins. The detectors run when the pipeline is set
    /// up; those of the crate `throughline-detectors` are at `throughline::detectors`,
    /// with the feature of that name.
    ///
    /// [`Builder::init`] takes those that `THROUGHLINE_RESOURCE_DETECTORS` names
    /// instead, if it is set: `all`, `none`, or `host,process,…`.
    pub fn detect(mut self, detectors: impl IntoIterator<Item = &'static dyn Detector>) -> Self {
        self.detectors.extend(detectors);
        self
    }

    /// Whether telemetry is switched off, as by `OTEL_SDK_DISABLED`: then nothing
    /// is recorded nor exported, contexts still propagate.
    pub fn disabled(mut self, is_disabled: bool) -> Self {
        self.disabled = is_disabled;
        self.noted("disabled")
    }

    /// Who is told what goes wrong while the pipeline works: a handler of the
    /// program's own, or stderr from another severity on. Each is told once per
    /// change, not per batch. `OTEL_LOG_LEVEL` sets the severity where the code
    /// is silent.
    pub fn diagnostics(mut self, diagnostics: Diagnostics) -> Self {
        self.options.diagnostics = diagnostics;
        self.noted("diagnostics")
    }

    /// How contexts cross processes, for the whole process. W3C's trace context and
    /// baggage where nobody has chosen; [`Composite::none`] switches it off.
    ///
    /// [`Composite::none`]: crate::propagation::Composite::none
    pub fn propagator(mut self, propagator: impl Propagator) -> Self {
        self.propagator = Some(Arc::new(propagator));
        self.noted("propagators")
    }

    /// What describes the program, from the weakest source to the strongest.
    pub(crate) fn whole_resource(&self) -> Resource {
        self.options.resource.clone().merge(&self.detected).merge(&self.resource)
    }

    /// Notes that the program itself said it.
    fn noted(mut self, name: &str) -> Self {
        self.origins.note(name, Origin::Code);
        self
    }
}

impl core::fmt::Debug for Builder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Builder")
            .field("options", &self.options)
            .field("resource", &self.whole_resource())
            .field("disabled", &self.disabled)
            .finish_non_exhaustive()
    }
}
