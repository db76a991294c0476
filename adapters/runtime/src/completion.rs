//! What exporters do after the last batch of a flush or of the pipeline.

use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use throughline_core::{ExportError, Failure};

use crate::engine::Goal;
use crate::{Completion, Context};

/// What the exporters said when they completed their work; the outer one says that all
/// did in time, the inner one what failed.
pub(crate) type Completed = Option<Result<(), ExportError>>;

/// Has each exporter complete its work on a thread of its own, and waits for all of them
/// until the deadline.
pub(crate) fn completed(
    completions: &[Arc<dyn Completion>],
    goal: Goal,
    deadline: Instant,
) -> Completed {
    let within = deadline.saturating_duration_since(Instant::now());
    let begun: Vec<_> =
        completions.iter().map(|completion| begin(completion.clone(), goal, within)).collect();
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
    completion: Arc<dyn Completion>,
    goal: Goal,
    within: Duration,
) -> Option<mpsc::Receiver<Result<(), ExportError>>> {
    let (tell, told) = mpsc::channel();
    let work = move || {
        let complete = || match goal {
            Goal::Served(_) => completion.force_flush(),
            Goal::Finished => completion.shutdown(within),
        };
        let result = std::panic::catch_unwind(AssertUnwindSafe(complete));
        // Nobody may be waiting any more.
        let _ = tell.send(result.unwrap_or(Err(ExportError::Permanent(Failure::Panicked))));
    };
    let thread = std::thread::Builder::new().name("throughline-exporter".to_owned());
    thread.spawn(move || Context::empty().suppressed().scope(work)).ok()?;
    Some(told)
}
