//! The context of tasks that were started by plain `tokio::spawn`.
//!
//! ```text
//!   spawn ──▶ the table:  task id ──▶ context, as the policy says
//!   poll  ──▶ it is the thread's ambient context from before to after
//!   end   ──▶ it leaves the table
//! ```

use core::cell::RefCell;
use core::hash::BuildHasher;
use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::tokio::runtime::{Builder, TaskMeta};
use ::tokio::task::Id;
use throughline_runtime::{Context, SpawnPolicy};

/// A runtime that carries the context to every task; with `--cfg tokio_unstable`
/// alone, since it is built on tokio's unstable task hooks.
pub trait BuilderExt {
    /// Tasks that code without any knowledge of throughline starts with
    /// `tokio::spawn` (hyper, tonic, axum, h2) run in the context in which they
    /// were started, as the policy says for each.
    ///
    /// ```
    /// use throughline_runtime::SpawnPolicy;
    /// use throughline_tokio::BuilderExt;
    ///
    /// let runtime = tokio::runtime::Builder::new_multi_thread()
    ///     .enable_all()
    ///     .carry_context(|task| {
    ///         // A connection in a pool outlives the request that opened it.
    ///         let spawned_by = task.spawned_at().file();
    ///         let is_of_library = spawned_by.contains("/hyper");
    ///         if is_of_library { SpawnPolicy::Linked } else { SpawnPolicy::Child }
    ///     })
    ///     .build();
    /// # drop(runtime);
    /// ```
    ///
    /// **[`SpawnPolicy::Child`] is wrong for tasks that serve several requests**: the
    /// driver of a pooled connection would put what it does for the next request
    /// into the trace of the first. `|_| SpawnPolicy::Linked` is right for all tasks
    /// of libraries; the spawns of this crate are children whatever is said here.
    ///
    /// # Limits
    ///
    /// - It takes tokio's four task hooks of this builder; one that is set
    ///   afterwards replaces a part of it.
    /// - Of tasks that have a context at the same time, 65,536 keep it, if they
    ///   spread evenly; others begin without, and are [counted](contexts_lost).
    /// - Each poll of a task looks its context up, behind one of 64 locks.
    /// - Tasks of a `LocalSet`, blocking tasks and the future in `block_on` have no
    ///   hooks. Tasks that the runtime drops when it shuts down are dropped outside
    ///   of their context.
    /// - Where a scope is entered around `block_on`, tasks of a current-thread runtime
    ///   run in that scope.
    fn carry_context<F>(&mut self, policy: F) -> &mut Self
    where
        F: Fn(&TaskMeta<'_>) -> SpawnPolicy + Send + Sync + 'static;
}

impl BuilderExt for Builder {
    fn carry_context<F>(&mut self, policy: F) -> &mut Self
    where
        F: Fn(&TaskMeta<'_>) -> SpawnPolicy + Send + Sync + 'static,
    {
        let spawned = Arc::new(Table::new());
        let (polled, ended) = (spawned.clone(), spawned.clone());
        self.on_task_spawn(move |task| {
            let current = Context::current();
            if !current.is_empty() {
                spawned.insert(task.id(), policy(task).apply(current));
            }
        })
        .on_before_task_poll(move |task| enter(polled.get(task.id())))
        .on_after_task_poll(|_| leave())
        .on_task_terminate(move |task| ended.remove(task.id()))
    }
}

/// How many tasks of this process began without the context that was meant for them,
/// because too many had one.
pub fn contexts_lost() -> u64 {
    // Ordering: Relaxed, nothing is read through it.
    LOST.load(Ordering::Relaxed)
}

static LOST: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// What was ambient before each of the tasks that are being polled on the
    /// thread: more than one where a task runs a runtime of its own.
    static FORMER: RefCell<Vec<Option<Context>>> = const { RefCell::new(Vec::new()) };
}

fn enter(context: Option<Context>) {
    let former = Context::replace_ambient(context);
    // Where a thread has ended that far, there is nothing to go back to.
    let _ = FORMER.try_with(|all| all.borrow_mut().push(former));
}

fn leave() {
    let former = FORMER.try_with(|all| all.borrow_mut().pop()).ok().flatten().flatten();
    drop(Context::replace_ambient(former));
}

/// The contexts of tasks, in parts with a lock each.
struct Table {
    parts: Vec<Mutex<HashMap<Id, Context>>>,
    hasher: RandomState,
}

impl Table {
    const PARTS: usize = 64;
    /// Contexts of a part.
    const ROOM: usize = 1_024;

    fn new() -> Self {
        let parts = (0..Self::PARTS).map(|_| Mutex::default()).collect();
        Table { parts, hasher: RandomState::new() }
    }

    fn part(&self, task: Id) -> MutexGuard<'_, HashMap<Id, Context>> {
        let part = self.hasher.hash_one(task) as usize % self.parts.len();
        self.parts[part].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, task: Id, context: Context) {
        let mut part = self.part(task);
        if part.len() < Self::ROOM {
            part.insert(task, context);
        } else {
            // Ordering: Relaxed, as above.
            LOST.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn get(&self, task: Id) -> Option<Context> {
        self.part(task).get(&task).cloned()
    }

    fn remove(&self, task: Id) {
        let context = self.part(task).remove(&task);
        // Dropped where the lock is free again.
        drop(context);
    }
}
