//! What takes part.

use crate::scenario::Scenario;
use crate::stopwatch::Stopwatch;

/// A tracing system, or the floor below all of them.
pub(crate) trait System {
    fn name(&self) -> &'static str;

    /// Does the scenario's operation so many times, under the watch. Returns
    /// false when there is no such operation.
    fn run(&mut self, scenario: Scenario, operations: u32, watch: &mut Stopwatch) -> bool;

    /// Waits until all that the scenario made is exported, so that the next sample begins with
    /// empty queues.
    fn settle(&mut self, _: Scenario) {}

    /// Spans that were lost so far, where the system can tell.
    fn dropped(&self) -> Option<u64> {
        None
    }
}
