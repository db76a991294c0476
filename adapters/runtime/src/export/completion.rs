//! What exporters do after the last batch of a flush or of the pipeline, and processors
//! meanwhile.

use core::time::Duration;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use super::remark;
use crate::export::engine::{Engine, Goal};
use crate::export::transmission::{exporting, panicked};
use crate::processors::Call;
use crate::{Completion, Context, FailedExport, ProcessorReport, Receipt};

/// What one exporter does, and where it sends to.
pub(crate) struct Completing {
    pub(crate) completion: Arc<dyn Completion>,
    pub(crate) endpoint: Option<Arc<str>>,
}

/// What was done besides sending batches.
pub(crate) struct Completed {
    exporters: Completions,
    processors: Vec<ProcessorReport>,
}

/// What the exporters said when they completed their work; the outer one says that all
/// did in time, the inner one what failed.
type Completions = Option<Result<(), FailedExport>>;

impl Completed {
    pub(crate) fn tell(self, receipt: &mut Receipt) {
        receipt.complete(self.exporters);
        receipt.report(self.processors);
    }
}

impl Engine {
    /// Has the processors flush or shut down, as the goal is, until then; and says what is to
    /// be waited for.
    pub(crate) fn ask_processors(&self, goal: Goal, deadline: Instant) -> Option<Call> {
        let rounds = self.processors?;
        match goal {
            Goal::Served(_) => Some(rounds.flush(deadline)),
            Goal::Finished => Some(rounds.shutdown(deadline)).filter(|_| self.waits_at_shutdown),
        }
    }

    /// Whether somebody has to be waited for.
    pub(crate) fn has_to_complete(&self, call: Option<Call>) -> bool {
        let is_over = |call| self.processors.is_none_or(|rounds| rounds.is_over(call));
        !self.completions.is_empty() || !call.is_none_or(is_over)
    }

    /// Has each exporter complete its work, and waits for all of them and for the processors
    /// until the deadline.
    pub(crate) fn completed(&self, goal: Goal, call: Option<Call>, deadline: Instant) -> Completed {
        let exporters = completed(&self.completions, goal, deadline);
        Completed { exporters, ..self.processed(call, deadline) }
    }

    /// Waits for the processors alone.
    pub(crate) fn processed(&self, call: Option<Call>, deadline: Instant) -> Completed {
        let wait = |call| self.processors.map(|rounds| rounds.wait(call, deadline));
        let processors = call.and_then(wait).unwrap_or_default();
        Completed { exporters: Some(Ok(())), processors }
    }
}

/// Has each exporter complete its work on a thread of its own, and waits for all of them
/// until the deadline.
fn completed(completions: &[Completing], goal: Goal, deadline: Instant) -> Completions {
    let within = deadline.saturating_duration_since(Instant::now());
    let begun: Vec<_> =
        completions.iter().map(|completing| begin(completing, goal, within)).collect();
    let mut failure = Ok(());
    let mut is_late = false;
    for told in begun {
        let left = deadline.saturating_duration_since(Instant::now());
        match told.and_then(|told| told.recv_timeout(left).ok()) {
            Some(result) => failure = failure.and(result),
            None => is_late = true,
        }
    }
    if is_late { None } else { Some(failure) }
}

/// `None` where there is no thread left.
fn begin(
    completing: &Completing,
    goal: Goal,
    within: Duration,
) -> Option<mpsc::Receiver<Result<(), FailedExport>>> {
    let Completing { completion, endpoint } = completing;
    let (completion, endpoint) = (completion.clone(), endpoint.clone());
    let (tell, told) = mpsc::channel();
    let work = move || {
        let complete = || match goal {
            Goal::Served(_) => completion.force_flush(),
            Goal::Finished => completion.shutdown(within),
        };
        let answer = exporting(complete).unwrap_or_else(|panic| Err(panicked(panic)));
        let detail = remark::take();
        let result = answer.map_err(|error| FailedExport { error, endpoint, detail });
        // Nobody may be waiting any more.
        let _ = tell.send(result);
    };
    let thread = std::thread::Builder::new().name("throughline-exporter".to_owned());
    thread.spawn(move || Context::empty().suppressed().scope(work)).ok()?;
    Some(told)
}
