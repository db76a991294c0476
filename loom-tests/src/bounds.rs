//! How far a model is explored.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::env;
use std::sync::Arc;
use std::time::Instant;

use loom::thread::JoinHandle;

/// How often threads may be preempted in one execution. Switches where a thread
/// ends or waits are free, and most bugs of lock-free code need two preemptions.
#[derive(Clone, Copy, Debug)]
pub struct Preemptions {
    /// In an ordinary run.
    pub quick: usize,
    /// With `THROUGHLINE_LOOM_FULL=1`.
    pub full: usize,
}

/// Runs the model in all its executions.
///
/// # Panics
///
/// If one of them panics, races or deadlocks.
pub fn model(preemptions: Preemptions, run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    // Set already if LOOM_MAX_PREEMPTIONS is.
    let bound = if is_full() { preemptions.full } else { preemptions.quick };
    let bound = *builder.preemption_bound.get_or_insert(bound);
    builder.max_branches = builder.max_branches.max(BRANCHES);
    let executions = Arc::new(AtomicUsize::new(0));
    let (count, began) = (executions.clone(), Instant::now());
    builder.check(move || {
        // Ordering: Relaxed, no value is read through it; loom does not see it.
        count.fetch_add(1, Ordering::Relaxed);
        run();
    });
    // Ordering: Relaxed, as above.
    let executions = executions.load(Ordering::Relaxed);
    println!("{executions} executions, {bound} preemptions, {:.1?}", began.elapsed());
}

/// Waits for a thread of a model and gives its result.
///
/// # Panics
///
/// If the thread panicked.
pub fn join<T>(thread: JoinHandle<T>) -> T {
    thread.join().expect("a thread of the model panicked")
}

fn is_full() -> bool {
    env::var_os("THROUGHLINE_LOOM_FULL").is_some_and(|value| value != "0" && !value.is_empty())
}

/// A span is opened and ended in about sixty steps, more than loom expects.
const BRANCHES: usize = 10_000;
