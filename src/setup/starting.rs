//! From the settings to a pipeline.

use throughline_propagation as propagation;
use throughline_runtime::{
    Destinations, Diagnostic, Exporter, Runtime, Telemetry, Thread, set_default_pipeline,
};

use super::Builder;
use crate::guard::Guard;
use crate::init_error::InitError;
use crate::{config, detect};

impl Builder {
    /// Makes the pipeline the default one of the process, exporting on this
    /// runtime.
    ///
    /// # Errors
    ///
    /// There is a default pipeline already, or as many as can
    /// [share its tail sampler](InitError::Tail).
    pub fn install<R, E>(self, runtime: R, exporter: E) -> Result<Guard, InitError>
    where
        R: Runtime,
        E: Exporter<R> + Exporter<Thread>,
    {
        self.install_to(runtime, Destinations::to(exporter))
    }

    /// As [`install`](Self::install), to several destinations, each with a queue,
    /// requests in flight and repetitions of its own.
    ///
    /// ```no_run
    /// # #[cfg(all(feature = "console", feature = "otlp-http"))] {
    /// use throughline::exporters::{Console, Otlp};
    /// use throughline::{Destinations, Thread};
    ///
    /// // A collector, and what goes there as JSON lines on stderr too.
    /// let collector = Otlp::http().endpoint("http://collector:4318/v1/traces")?;
    /// let destinations = Destinations::to(collector).and(Console::json(std::io::stderr()));
    /// let guard = throughline::builder()
    ///     .service_name("orders")
    ///     .install_to(Thread::start()?, destinations)?;
    /// // … the program …
    /// for destination in guard.shutdown_blocking().destinations() {
    ///     // `otlp_http_span_exporter/0 stopped: started 7 = exported 7 + …`
    ///     println!("{destination}");
    /// }
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// There is a default pipeline already, or as many as can
    /// [share its tail sampler](InitError::Tail).
    pub fn install_to<R: Runtime>(
        mut self,
        runtime: R,
        destinations: Destinations<R>,
    ) -> Result<Guard, InitError> {
        let warnings = self.warnings.clone();
        if self.disabled {
            self.propagate();
            for warning in self.warnings.drain(..) {
                self.options.diagnostics.say(&Diagnostic::Ignored(warning));
            }
            let mut guard = Guard::disabled(&self);
            guard.warnings = warnings;
            return Ok(guard);
        }
        if throughline_runtime::default_pipeline().is_some() {
            return Err(InitError::AlreadyInstalled);
        }
        detect::run(&mut self);
        if self.exporter.is_none() {
            self.exporter = Some(destinations.kinds());
            self = self.noted("exporter");
        }
        let mut config = config::describe(&self);
        destinations.describe(&mut config);
        self.prepare();
        let telemetry = Telemetry::try_start_to(&self.options, runtime, destinations);
        let telemetry = telemetry.map_err(InitError::Tail)?;
        set_default_pipeline(telemetry.pipeline()).map_err(|_| InitError::AlreadyInstalled)?;
        config::remember(&config);
        let mut guard = Guard::new(telemetry, config);
        guard.warnings = warnings;
        Ok(guard)
    }

    /// Makes an isolated pipeline: spans go to it only below its
    /// [context](Telemetry::context). Any number of them can exist, in tests that
    /// run at the same time for example.
    ///
    /// If [16](crate::tail::MAX_PIPELINES) others that are not shut down share its
    /// [tail sampler](Self::tail), it exports every trace, and
    /// [says so](crate::Diagnostic::TailRefused).
    pub fn start<R, E>(self, runtime: R, exporter: E) -> Telemetry
    where
        R: Runtime,
        E: Exporter<R> + Exporter<Thread>,
    {
        self.start_to(runtime, Destinations::to(exporter))
    }

    /// As [`start`](Self::start), to several destinations: see
    /// [`install_to`](Self::install_to).
    pub fn start_to<R: Runtime>(mut self, runtime: R, destinations: Destinations<R>) -> Telemetry {
        self.prepare();
        Telemetry::start_to(&self.options, runtime, destinations)
    }

    /// What is done before a pipeline is made.
    fn prepare(&mut self) {
        self.propagate();
        detect::run(self);
        self.options.resource = self.whole_resource();
        let warnings = self.warnings.drain(..).map(Diagnostic::Ignored);
        for problem in warnings.chain(self.problems.drain(..)) {
            self.options.diagnostics.say(&problem);
        }
    }

    /// What comes in goes on, whether or not anything is traced.
    pub(crate) fn propagate(&self) {
        match &self.propagator {
            Some(propagator) => propagation::set_global(propagator.clone()),
            None => {
                propagation::preset_global(propagation::Standard);
            }
        }
    }
}
