//! How a pipeline fares, for readiness probes.

use core::fmt;
use core::time::Duration;

use crate::{DestinationReport, FailedExport};

/// How a pipeline fares at a moment.
///
/// `Display` is one line for a probe's answer or a log. Reading it takes a short
/// lock that no producer of spans takes.
///
/// A service whose spans cannot be exported still serves its users: a readiness
/// probe should report this beside its verdict rather than let it decide.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    pub(crate) state: HealthState,
    pub(crate) lasting: Duration,
    pub(crate) last_failure: Option<FailedExport>,
    pub(crate) last_failure_ago: Duration,
    pub(crate) queue_fill: f64,
    pub(crate) lost: u64,
    pub(crate) destinations: Vec<DestinationReport>,
}

/// The verdict of a [`Health`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HealthState {
    /// Spans are delivered, as far as is known: the last transmission succeeded,
    /// or there was none yet.
    Ok,
    /// The last transmission failed and is repeated, spans were lost for want of
    /// room in the last seconds, or the queue is nearly full.
    Degraded,
    /// Spans were given up, and no transmission has succeeded since.
    Failing,
    /// Nobody drives the pipeline: its background task ended, by a panic or with its
    /// runtime. Spans wait until a flush or a shutdown sends them.
    Undriven,
    /// The pipeline was shut down: later spans are not recorded.
    Stopped,
    /// Telemetry is switched off: there is no pipeline.
    Off,
}

impl Health {
    /// Where telemetry is switched off.
    pub fn off() -> Self {
        Health {
            state: HealthState::Off,
            lasting: Duration::ZERO,
            last_failure: None,
            last_failure_ago: Duration::ZERO,
            queue_fill: 0.0,
            lost: 0,
            destinations: Vec::new(),
        }
    }

    /// Each destination, in the order in which they were given; none where there is one
    /// destination with one request in flight, of which the rest tells.
    pub fn destinations(&self) -> &[DestinationReport] {
        &self.destinations
    }

    /// The verdict; of several destinations, that of the one which fares worst.
    pub fn state(&self) -> HealthState {
        self.state
    }

    /// Whether nothing is wrong: [`HealthState::Ok`], or switched off on purpose.
    pub fn is_ok(&self) -> bool {
        matches!(self.state, HealthState::Ok | HealthState::Off)
    }

    /// For how long transmissions have succeeded, or failed, without a change; on
    /// the runtime's clock.
    pub fn lasting(&self) -> Duration {
        self.lasting
    }

    /// The last failure of a transmission, also if one has succeeded since, with where it
    /// was sent to and what it said, and how long ago it was.
    pub fn last_failure(&self) -> Option<(&FailedExport, Duration)> {
        self.last_failure.as_ref().map(|failure| (failure, self.last_failure_ago))
    }

    /// How full the queue is, from 0 to 1.
    pub fn queue_fill(&self) -> f64 {
        self.queue_fill
    }

    /// Spans lost so far, for all reasons but that they were not to be exported;
    /// the ledger has them apart.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

impl HealthState {
    /// The verdict's name: `ok`, `degraded`, `failing`, `undriven`, `stopped`, `off`.
    pub fn as_str(self) -> &'static str {
        match self {
            HealthState::Ok => "ok",
            HealthState::Degraded => "degraded",
            HealthState::Failing => "failing",
            HealthState::Undriven => "undriven",
            HealthState::Stopped => "stopped",
            HealthState::Off => "off",
        }
    }
}

impl fmt::Display for HealthState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.state == HealthState::Off {
            return f.write_str("off");
        }
        let percent = self.queue_fill * 100.0;
        write!(f, "{} for {:.0?}, queue {percent:.0} %", self.state, self.lasting)?;
        write!(f, ", {} spans lost", self.lost)?;
        if let Some(failure) = &self.last_failure {
            write!(f, "; last failure {:.0?} ago: {failure}", self.last_failure_ago)?;
        }
        if self.destinations.len() > 1 {
            self.destinations
                .iter()
                .try_for_each(|each| write!(f, "; {} {}", each.name, each.state))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use throughline_core::{ExportError, Failure};

    use super::*;

    #[test]
    fn a_line_tells_everything() {
        let health = Health {
            state: HealthState::Failing,
            lasting: Duration::from_secs(90),
            last_failure: Some(FailedExport {
                error: ExportError::Permanent(Failure::Http(401)),
                endpoint: Some("http://h:4318/v1/traces".into()),
                detail: Some("token expired".into()),
            }),
            last_failure_ago: Duration::from_secs(3),
            queue_fill: 0.254,
            lost: 7,
            destinations: Vec::new(),
        };
        assert_eq!(
            health.to_string(),
            "failing for 90s, queue 25 %, 7 spans lost; \
             last failure 3s ago: http://h:4318/v1/traces: the receiver answered HTTP status \
             401 (token expired)"
        );
        assert_eq!(Health::off().to_string(), "off");
    }
}
