//! A set of tasks that run in the context in which they were added.

use core::future::Future;
use core::ops::{Deref, DerefMut};

use ::tokio::runtime::Handle;
use ::tokio::task::{self, AbortHandle};
use throughline_runtime::{Context, WithContext};

/// [`tokio::task::JoinSet`], whose tasks run in the context in which each was
/// added. Everything that does not start a task is tokio's own, through `Deref`.
#[derive(Debug)]
pub struct JoinSet<T> {
    set: task::JoinSet<T>,
}

impl<T: 'static> JoinSet<T> {
    /// An empty set.
    pub fn new() -> Self {
        JoinSet { set: task::JoinSet::new() }
    }

    /// [`tokio::task::JoinSet::spawn`], in the current context.
    ///
    /// # Panics
    ///
    /// If there is no runtime, as tokio does.
    #[track_caller]
    pub fn spawn<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        self.set.spawn(WithContext::new(future, Context::current()))
    }

    /// [`tokio::task::JoinSet::spawn_on`], in the current context.
    #[track_caller]
    pub fn spawn_on<F>(&mut self, future: F, handle: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        self.set.spawn_on(WithContext::new(future, Context::current()), handle)
    }

    /// [`tokio::task::JoinSet::spawn_local`], in the current context.
    ///
    /// # Panics
    ///
    /// Outside of a `LocalSet` or local runtime, as tokio does.
    #[track_caller]
    pub fn spawn_local<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        self.set.spawn_local(WithContext::new(future, Context::current()))
    }

    /// [`tokio::task::JoinSet::spawn_blocking`], in the current context.
    ///
    /// # Panics
    ///
    /// If there is no runtime, as tokio does.
    #[track_caller]
    pub fn spawn_blocking<F>(&mut self, work: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        let context = Context::current();
        self.set.spawn_blocking(move || context.scope(work))
    }

    /// [`tokio::task::JoinSet::join_all`].
    ///
    /// # Panics
    ///
    /// If a task panicked, as tokio does.
    pub async fn join_all(self) -> Vec<T> {
        self.set.join_all().await
    }

    /// The set without the contexts of later tasks.
    pub fn into_inner(self) -> task::JoinSet<T> {
        self.set
    }
}

impl<T: 'static> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Deref for JoinSet<T> {
    type Target = task::JoinSet<T>;

    fn deref(&self) -> &Self::Target {
        &self.set
    }
}

impl<T> DerefMut for JoinSet<T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.set
    }
}
