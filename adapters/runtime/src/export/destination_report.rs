//! How one destination fares.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use throughline_core::Ledger;

use crate::{FailedExport, HealthState};

/// How one of the [destinations](crate::Destinations) of a pipeline fares at a moment.
///
/// Its ledger is of what it was given: `started = exported + dropped + in flight` holds
/// for each destination by itself, and what is in flight waits for it or is on its way.
/// What it lost, another one may have taken.
#[derive(Clone, Debug, PartialEq)]
pub struct DestinationReport {
    pub(crate) name: Arc<str>,
    pub(crate) ledger: Ledger,
    pub(crate) state: HealthState,
    pub(crate) failing: Option<FailedExport>,
    pub(crate) last_failure: Option<(FailedExport, Duration)>,
    /// For how long transmissions have succeeded, or failed.
    pub(crate) lasting: Duration,
}

impl DestinationReport {
    /// The name that metrics and diagnostics call it by:
    /// `otlp_http_span_exporter/0` for example.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it was given, and what became of that.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The verdict, as that of the whole [`Health`](crate::Health).
    pub fn state(&self) -> HealthState {
        self.state
    }

    /// The failure of its last transmission, if that one failed.
    pub fn failing(&self) -> Option<&FailedExport> {
        self.failing.as_ref()
    }

    /// Its last failure, also if one has succeeded since, and how long ago it was.
    pub fn last_failure(&self) -> Option<(&FailedExport, Duration)> {
        self.last_failure.as_ref().map(|(failure, ago)| (failure, *ago))
    }
}

impl fmt::Display for DestinationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.name, self.state, self.ledger)?;
        match &self.failing {
            Some(failure) => write!(f, "; {failure}"),
            None => Ok(()),
        }
    }
}
