//! What a flush or a shutdown reports.

use core::time::Duration;
use std::fmt;

use throughline_core::{ExportError, Ledger};

/// What became of the spans by the end of a flush or shutdown.
#[derive(Clone, Copy, Debug)]
pub struct Receipt {
    pub(crate) outcome: Outcome,
    pub(crate) ledger: Ledger,
    pub(crate) elapsed: Duration,
    pub(crate) failure: Option<ExportError>,
}

/// How a flush or shutdown ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Every span that had ended before is exported or counted as lost.
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
        }
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

    /// The failure of the last transmission, if it failed.
    pub fn failure(&self) -> Option<ExportError> {
        self.failure
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match self.outcome {
            Outcome::Complete => "complete",
            Outcome::DeadlinePassed => "deadline passed",
            Outcome::Forked => "forked, nothing sent",
        };
        write!(f, "{outcome} after {:.1?}: {}", self.elapsed, self.ledger)?;
        match self.failure {
            Some(failure) => write!(f, "; {failure}"),
            None => Ok(()),
        }
    }
}
