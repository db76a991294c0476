//! The owner of the default pipeline.

use core::time::Duration;

use throughline_core::{DropReason, Ledger, ProcessorError};
use throughline_runtime::{
    Config, Diagnostic, Health, LiveSpans, Outcome, ProcessorReport, Receipt, Telemetry, Warning,
};

use crate::config;
use crate::setup::Builder;
#[cfg(all(unix, feature = "signals"))]
use crate::signals::DumpSignal;

/// The default pipeline's owner: keep it until the program ends.
///
/// Dropping it shuts the pipeline down, within [`Guard::DEADLINE`].
#[must_use = "dropping the guard ends the pipeline; bind it to a variable of `main`"]
#[derive(Debug)]
pub struct Guard {
    telemetry: Option<Telemetry>,
    pub(crate) warnings: Vec<Warning>,
    config: Config,
}

impl Guard {
    /// How long a flush or shutdown may take where no deadline is given: 5 s.
    pub const DEADLINE: Duration = Duration::from_secs(5);

    pub(crate) fn new(telemetry: Telemetry, config: Config) -> Self {
        Guard { telemetry: Some(telemetry), warnings: Vec::new(), config }
    }

    /// A guard of nothing, where telemetry is switched off.
    pub(crate) fn disabled(builder: &Builder) -> Self {
        let config = config::describe(builder);
        config::remember(&config);
        Guard { telemetry: None, warnings: Vec::new(), config }
    }

    /// The running pipeline; `None` where telemetry is switched off.
    pub fn telemetry(&self) -> Option<&Telemetry> {
        self.telemetry.as_ref()
    }

    /// What was wrong with the environment variables and was ignored.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// What is in force, and where each value came from. It prints as a table.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How the pipeline fares, for a readiness probe.
    pub fn health(&self) -> Health {
        self.telemetry.as_ref().map_or_else(Health::off, Telemetry::health)
    }

    /// What became of every span so far.
    pub fn ledger(&self) -> Ledger {
        self.telemetry.as_ref().map(Telemetry::ledger).unwrap_or_default()
    }

    /// The spans that are under way now, the oldest first; none where telemetry is
    /// switched off. Nobody is stopped meanwhile, so it may be asked at any time.
    ///
    /// ```
    /// use throughline::{Guard, span};
    ///
    /// fn what_hangs(guard: &Guard) -> String {
    ///     // `{}` is a table; the 20 oldest are enough for a page.
    ///     format!("{:.20}", guard.live_spans())
    /// }
    /// # let _ = (what_hangs, span!("load"));
    /// ```
    pub fn live_spans(&self) -> LiveSpans {
        self.telemetry.as_ref().map(Telemetry::live_spans).unwrap_or_default()
    }

    /// Prints the 100 oldest [live spans](Self::live_spans) on stderr whenever
    /// something panics, after the panic hook that is installed now.
    ///
    /// # Panics
    ///
    /// If the current thread is panicking.
    pub fn dump_on_panic(self) -> Self {
        if let Some(telemetry) = &self.telemetry {
            telemetry.dump_on_panic();
        }
        self
    }

    /// Prints the 100 oldest [live spans](Self::live_spans) on stderr whenever the
    /// process gets this signal, and does nothing else then: a SIGQUIT no longer ends
    /// it.
    ///
    /// # Errors
    ///
    /// The operating system lets no handler be installed, or has no thread left.
    #[cfg(all(unix, feature = "signals"))]
    pub fn dump_on_signal(self, signal: DumpSignal) -> std::io::Result<Self> {
        if let Some(telemetry) = &self.telemetry {
            crate::signals::dump_on_signal(telemetry.clone(), signal)?;
        }
        Ok(self)
    }

    /// Sends everything that has ended by now, within [`Guard::DEADLINE`]. For
    /// another deadline see [`Telemetry::flush`].
    pub async fn flush(&self) -> Receipt {
        match &self.telemetry {
            Some(telemetry) => telemetry.flush(Self::DEADLINE).await,
            None => Receipt::nothing(),
        }
    }

    /// As [`flush`](Self::flush), and blocks meanwhile.
    pub fn flush_blocking(&self) -> Receipt {
        let flush = |telemetry: &Telemetry| telemetry.flush_blocking(Self::DEADLINE);
        self.telemetry.as_ref().map_or_else(Receipt::nothing, flush)
    }

    /// Flushes whenever something panics, within [`Guard::DEADLINE`], after the
    /// panic hook that is installed now. For programs that end when they panic;
    /// see [`Telemetry::flush_on_panic`].
    ///
    /// # Panics
    ///
    /// If the current thread is panicking.
    pub fn flush_on_panic(self) -> Self {
        if let Some(telemetry) = &self.telemetry {
            telemetry.flush_on_panic(Self::DEADLINE);
        }
        self
    }

    /// Shuts the pipeline down when the process is asked to end, within
    /// [`Guard::DEADLINE`]: SIGTERM, SIGINT (Ctrl-C) and SIGHUP. Then the process
    /// ends as it would have done without a handler; a second signal does not wait.
    ///
    /// For programs that do nothing else at their end. One that closes its
    /// listeners and finishes its requests waits for the signal itself and calls
    /// [`shutdown`](Self::shutdown) at last.
    ///
    /// # Errors
    ///
    /// The operating system lets no handler be installed, or has no thread left.
    #[cfg(all(unix, feature = "signals"))]
    pub fn shutdown_on_signals(self) -> std::io::Result<Self> {
        if let Some(telemetry) = &self.telemetry {
            crate::signals::shutdown_on_signals(telemetry.clone(), Self::DEADLINE)?;
        }
        Ok(self)
    }

    /// Sends everything that has ended by now and ends the pipeline, within
    /// [`Guard::DEADLINE`].
    pub async fn shutdown(mut self) -> Receipt {
        match self.telemetry.take() {
            Some(telemetry) => telemetry.shutdown(Self::DEADLINE).await,
            None => Receipt::nothing(),
        }
    }

    /// As [`shutdown`](Self::shutdown), and blocks meanwhile.
    pub fn shutdown_blocking(mut self) -> Receipt {
        let shutdown = |telemetry: Telemetry| telemetry.shutdown_blocking(Self::DEADLINE);
        self.telemetry.take().map_or_else(Receipt::nothing, shutdown)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(telemetry) = self.telemetry.take() {
            let receipt = telemetry.shutdown_blocking(Self::DEADLINE);
            // Nobody sees the receipt.
            if receipt.outcome() == Outcome::DeadlinePassed {
                abandoned(&receipt).iter().for_each(|what| telemetry.diagnostics().say(what));
            }
        }
    }
}

/// What a shutdown left behind: for everybody, for some of several destinations, and with
/// processors.
fn abandoned(receipt: &Receipt) -> Vec<Diagnostic> {
    let lost = |ledger: &Ledger| match ledger.dropped(DropReason::Abandoned) {
        0 => None,
        lost => Some(Diagnostic::Abandoned { lost }),
    };
    let several = if receipt.destinations().len() > 1 { receipt.destinations() } else { &[] };
    let each = several.iter().filter_map(|each| {
        let what = Box::new(lost(each.ledger())?);
        Some(Diagnostic::Destination { name: each.name().into(), what })
    });
    let is_late = |each: &&ProcessorReport| each.result() == Err(ProcessorError::Timeout);
    let late = receipt.processors().iter().filter(is_late).map(|each| {
        let (processor, error) = (each.name().to_owned(), ProcessorError::Timeout);
        Diagnostic::ProcessorFailed { processor, error }
    });
    lost(receipt.ledger()).into_iter().chain(each).chain(late).collect()
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
