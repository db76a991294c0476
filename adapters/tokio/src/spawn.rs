//! Starting tasks in the current context.

use core::future::Future;

use ::tokio::runtime::Handle;
use ::tokio::task::{self, JoinHandle};
use throughline_runtime::{Context, WithContext};

/// [`tokio::spawn`], in the current context.
///
/// # Panics
///
/// If there is no runtime, as tokio does.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    ::tokio::spawn(WithContext::new(future, Context::current()))
}

/// [`tokio::task::spawn_blocking`], in the current context.
///
/// # Panics
///
/// If there is no runtime, as tokio does.
#[track_caller]
pub fn spawn_blocking<F, R>(work: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let context = Context::current();
    task::spawn_blocking(move || context.scope(work))
}

/// [`tokio::task::spawn_local`], in the current context.
///
/// # Panics
///
/// Outside of a `LocalSet` or local runtime, as tokio does.
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    task::spawn_local(WithContext::new(future, Context::current()))
}

/// Starting tasks through a runtime's [`Handle`], in the current context.
pub trait HandleExt {
    /// [`Handle::spawn`], in the current context.
    fn spawn_in_context<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// [`Handle::spawn_blocking`], in the current context.
    fn spawn_blocking_in_context<F, R>(&self, work: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static;
}

impl HandleExt for Handle {
    #[track_caller]
    fn spawn_in_context<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn(WithContext::new(future, Context::current()))
    }

    #[track_caller]
    fn spawn_blocking_in_context<F, R>(&self, work: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let context = Context::current();
        self.spawn_blocking(move || context.scope(work))
    }
}
