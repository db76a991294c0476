//! Settings of a pipeline from the environment.

use throughline_runtime::{Diagnostic, Env};

use crate::from_env;
use crate::guard::Guard;
use crate::init_error::InitError;
use crate::setup::Builder;

impl Builder {
    /// Applies the `OTEL_*` variables, and those of throughline, to these settings: all but
    /// `OTEL_TRACES_EXPORTER` and `OTEL_EXPORTER_*`, which are about the exporter that
    /// [`install`](Self::install) and [`start`](Self::start) are given. They win over what
    /// the code said before, but for [attributes of the resource](crate::builder), and what it says
    /// after this wins over them.
    ///
    /// What is wrong with them is told once the pipeline is there, and by
    /// [`Guard::warnings`]. `OTEL_SDK_DISABLED` is for [`install`](Self::install): an
    /// isolated pipeline is [started](Self::start) all the same.
    ///
    /// ```no_run
    /// # #[cfg(feature = "console")] {
    /// use throughline::{Thread, exporters::Console};
    ///
    /// let guard = throughline::builder()
    ///     .max_queue_size(8_192) // unless OTEL_BSP_MAX_QUEUE_SIZE is set
    ///     .from_env()
    ///     .install(Thread::start()?, Console::stdout())?;
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_env(self) -> Self {
        self.warned_by(&mut Env::process())
    }

    /// Applies variables, and keeps what is wrong with them until somebody can be told.
    fn warned_by(self, env: &mut Env) -> Self {
        let mut builder = self.with_env(env);
        builder.warnings.extend(env.warnings());
        builder
    }

    /// As [`from_env`](Self::from_env), from variables that are given. What is wrong with
    /// them stays with `env`, for the caller to tell.
    pub fn with_env(mut self, env: &mut Env) -> Self {
        from_env::apply(env, &mut self);
        self
    }

    /// As [`init`](crate::init()), on top of these settings: a variable that is set
    /// wins, but for [attributes of the resource](crate::builder).
    ///
    /// # Errors
    ///
    /// Those of [`init`](crate::init()).
    pub fn init(self) -> Result<Guard, InitError> {
        self.init_from(&mut Env::process())
    }

    /// As [`Builder::init`], from variables that are given.
    ///
    /// # Errors
    ///
    /// Those of [`init`](crate::init()).
    pub fn init_from(mut self, env: &mut Env) -> Result<Guard, InitError> {
        from_env::apply(env, &mut self);
        let diagnostics = self.options.diagnostics.clone();
        let guard = from_env::install(self, env);
        let warnings = env.warnings();
        for warning in &warnings {
            diagnostics.say(&Diagnostic::Ignored(warning.clone()));
        }
        guard.map(|mut guard| {
            guard.warnings.extend(warnings);
            guard
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use throughline_runtime::{Diagnostics, Thread};

    use super::*;
    use crate::builder;
    use crate::config::describe;
    use crate::discard::Discard;

    #[test]
    fn what_is_said_last_wins_but_for_attributes_of_the_resource() {
        let mut env = Env::from_pairs([
            ("OTEL_BSP_MAX_QUEUE_SIZE", "512"),
            ("OTEL_TRACES_SAMPLER", "always_off"),
            ("OTEL_SERVICE_NAME", "variable"),
            ("OTEL_RESOURCE_ATTRIBUTES", "before=variable,after=variable"),
            ("OTEL_BSP_SCHEDULE_DELAY", "abc"),
        ]);
        let builder = builder()
            .max_queue_size(9)
            .service_name("code")
            .attribute("before", "code")
            .with_env(&mut env)
            .sampler(throughline_core::AlwaysOn)
            .attribute("after", "code");
        let config = describe(&builder);
        for (name, row) in [
            ("max_queue_size", "max_queue_size=512 (OTEL_BSP_MAX_QUEUE_SIZE)"),
            ("sampler", "sampler=AlwaysOnSampler (code)"),
            ("resource.service.name", "resource.service.name=variable (OTEL_SERVICE_NAME)"),
            ("resource.before", "resource.before=code (code)"),
            ("resource.after", "resource.after=code (code)"),
        ] {
            assert_eq!(config.get(name).map(ToString::to_string).as_deref(), Some(row));
        }
        // They are the caller's to tell.
        assert_eq!(env.warnings().len(), 1);
        assert_eq!(builder.warnings, []);
    }

    #[test]
    fn what_is_wrong_with_a_variable_is_told_when_the_pipeline_is_there() {
        let mut env = Env::from_pairs([("OTEL_BSP_SCHEDULE_DELAY", "abc")]);
        let (sender, told) = mpsc::channel();
        let tell = move |diagnostic: &Diagnostic| {
            // The test may be over.
            let _ = sender.send(diagnostic.clone());
        };
        let builder = builder().diagnostics(Diagnostics::to(tell)).warned_by(&mut env);
        assert!(told.try_recv().is_err());
        let _telemetry = builder.start(Thread::start().expect("a thread"), Discard);
        match told.try_recv() {
            Ok(Diagnostic::Ignored(warning)) => {
                assert_eq!(warning.variable, "OTEL_BSP_SCHEDULE_DELAY");
            }
            other => panic!("{other:?}"),
        }
    }
}
