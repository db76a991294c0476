//! What takes part.

use std::sync::Arc;

use crate::scenario::Scenario;
use crate::stopwatch::Stopwatch;

/// A tracing system, or the floor below all of them.
pub(crate) trait System {
    fn name(&self) -> &'static str;

    /// Does the scenario's operation so many times, under the watch. Returns
    /// false when there is no such operation.
    fn run(&mut self, scenario: Scenario, operations: u32, watch: &mut Stopwatch) -> bool;

    /// Makes whole traces; `None` when the system makes none.
    fn traces(&self, _: Load, _: End) -> Option<Traces> {
        None
    }

    /// Whether what it makes goes to an exporter.
    fn is_exported(&self) -> bool {
        true
    }

    /// Waits until all that the scenario made is exported, so that the next sample begins with
    /// empty queues.
    fn settle(&mut self, _: Scenario) {}

    /// Spans that were lost so far, where the system can tell.
    fn dropped(&self) -> Option<u64> {
        None
    }
}

/// Makes a trace of one root and so many children, from any thread. The exporter
/// counts them in the [`sink`](crate::sink).
pub(crate) type Traces = Arc<dyn Fn(u32) + Send + Sync>;

/// What becomes of the spans of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The exporter looks at nothing.
    Discarded,
    /// The exporter makes OTLP bytes. Those that cannot be asked to do the above.
    Encoded,
}

impl End {
    /// The scenario whose spans end in the same way.
    pub(crate) const fn scenario(self) -> Scenario {
        match self {
            End::Discarded => Scenario::Child,
            End::Encoded => Scenario::TotalCpu,
        }
    }
}

/// What the children of a trace have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Load {
    /// Nothing.
    Bare,
    /// Two static strings, a number and a `String` that the program keeps, and one
    /// event.
    Attributes,
}
