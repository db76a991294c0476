//! What a flush or a shutdown reports.

use core::time::Duration;
use std::fmt;

use throughline_core::{Ledger, ProcessorError};

use crate::{DestinationReport, FailedExport, LiveSpan, ProcessorReport};

/// What became of the spans by the end of a flush or shutdown.
#[derive(Clone, Debug)]
pub struct Receipt {
    pub(crate) outcome: Outcome,
    pub(crate) ledger: Ledger,
    pub(crate) elapsed: Duration,
    pub(crate) failure: Option<FailedExport>,
    pub(crate) destinations: Vec<DestinationReport>,
    pub(crate) processors: Vec<ProcessorReport>,
    pub(crate) leaked: usize,
    pub(crate) oldest_leaked: Option<LiveSpan>,
}

/// How a flush or shutdown ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Every span that had ended before is exported or counted as lost, at every
    /// destination.
    Complete,
    /// The deadline came first. What is left is in flight after a flush, and
    /// counted as abandoned after a shutdown. An exporter that flushes its own
    /// pipeline while it sends gets this at once.
    DeadlinePassed,
    /// This process was forked from the one that the pipeline belongs to: nothing
    /// was sent, and what the parent had not sent at the fork is in flight there.
    Forked,
}

impl Receipt {
    /// The receipt where there is no pipeline.
    pub fn nothing() -> Self {
        Receipt {
            outcome: Outcome::Complete,
            ledger: Ledger::default(),
            elapsed: Duration::ZERO,
            failure: None,
            destinations: Vec::new(),
            processors: Vec::new(),
            leaked: 0,
            oldest_leaked: None,
        }
    }

    /// Adds what the exporter did after the last batch; nothing, if it was too late.
    pub(crate) fn complete(&mut self, completed: Option<Result<(), FailedExport>>) {
        match completed {
            Some(Ok(())) => {}
            Some(Err(failure)) => {
                self.failure.get_or_insert(failure);
            }
            None => self.outcome = Outcome::DeadlinePassed,
        }
    }

    /// Adds what the processors did.
    pub(crate) fn report(&mut self, processors: Vec<ProcessorReport>) {
        if processors.iter().any(|each| each.result() == Err(ProcessorError::Timeout)) {
            self.outcome = Outcome::DeadlinePassed;
        }
        self.processors = processors;
    }

    /// How it ended.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Whether every span that had ended before is settled.
    pub fn is_complete(&self) -> bool {
        self.outcome == Outcome::Complete
    }

    /// The ledger at the end.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// How long it took.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Spans that were still under way at the end of a shutdown, and so never leave:
    /// their handles, futures or streams are kept somewhere. Zero after a flush.
    /// [`Telemetry::live_spans`](crate::Telemetry::live_spans) lists them.
    pub fn leaked(&self) -> usize {
        self.leaked
    }

    /// The oldest of them.
    pub fn oldest_leaked(&self) -> Option<LiveSpan> {
        self.oldest_leaked
    }

    /// What became of the spans at each destination, in the order in which they were given;
    /// none where nothing could be looked at ([`Outcome::Forked`]).
    pub fn destinations(&self) -> &[DestinationReport] {
        &self.destinations
    }

    /// What became of each span processor, in the order in which they were given. One that
    /// was not done in time makes the outcome [`Outcome::DeadlinePassed`]. None where nobody
    /// waits for them ([`Outcome::Forked`], or
    /// [`wait_at_shutdown`](crate::PipelineOptions::wait_at_shutdown) off).
    /// ([ForceFlush](https://opentelemetry.io/docs/specs/otel/trace/sdk/#forceflush))
    pub fn processors(&self) -> &[ProcessorReport] {
        &self.processors
    }

    /// The failure of the last transmission, if it failed, with where it was sent to and
    /// what it said; of several destinations, that of the first which has one, and
    /// [theirs](DestinationReport::failing) have each its own.
    ///
    /// A flush or shutdown may be [complete](Self::is_complete) all the same: then the spans
    /// are counted as lost.
    pub fn failure(&self) -> Option<&FailedExport> {
        self.failure.as_ref()
    }
}

/// One line: how it ended, the ledger, and why the last transmission failed if it did.
impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match self.outcome {
            Outcome::Complete => "complete",
            Outcome::DeadlinePassed => "deadline passed",
            Outcome::Forked => "forked, nothing sent",
        };
        write!(f, "{outcome} after {:.1?}: {}", self.elapsed, self.ledger)?;
        if let Some(failure) = &self.failure {
            write!(f, "; {failure}")?;
        }
        if self.destinations.len() > 1 {
            self.destinations.iter().try_for_each(|each| write!(f, "; to {each}"))?;
        }
        let failed = self.processors.iter().filter(|each| each.result().is_err());
        failed.into_iter().try_for_each(|each| write!(f, "; {each}"))?;
        match self.oldest_leaked {
            Some(LiveSpan { name, age, .. }) => {
                write!(f, "; {} still live, the oldest `{name}` for {age:.1?}", self.leaked)
            }
            None => Ok(()),
        }
    }
}
