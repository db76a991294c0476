//! Starting tasks in the current context.

use core::future::Future;

use ::smol::{Executor, LocalExecutor, Task};
use throughline_runtime::{Context, WithContext};

/// [`smol::spawn`], in the current context.
pub fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Task<T> {
    ::smol::spawn(WithContext::new(future, Context::current()))
}

/// [`smol::unblock`], in the current context.
pub fn unblock<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Task<T> {
    let context = Context::current();
    ::smol::unblock(move || context.scope(work))
}

/// Starting tasks on an [`Executor`], in the current context.
pub trait ExecutorExt<'a> {
    /// [`Executor::spawn`], in the current context.
    fn spawn_in_context<T: Send + 'a>(
        &self,
        future: impl Future<Output = T> + Send + 'a,
    ) -> Task<T>;
}

impl<'a> ExecutorExt<'a> for Executor<'a> {
    fn spawn_in_context<T: Send + 'a>(
        &self,
        future: impl Future<Output = T> + Send + 'a,
    ) -> Task<T> {
        self.spawn(WithContext::new(future, Context::current()))
    }
}

/// Starting tasks on a [`LocalExecutor`], in the current context.
pub trait LocalExecutorExt<'a> {
    /// [`LocalExecutor::spawn`], in the current context.
    fn spawn_in_context<T: 'a>(&self, future: impl Future<Output = T> + 'a) -> Task<T>;
}

impl<'a> LocalExecutorExt<'a> for LocalExecutor<'a> {
    fn spawn_in_context<T: 'a>(&self, future: impl Future<Output = T> + 'a) -> Task<T> {
        self.spawn(WithContext::new(future, Context::current()))
    }
}
