//! Starting tasks in the current context.

use core::future::Future;

use ::async_std::task::{self, JoinHandle};
use throughline_runtime::{Context, WithContext};

/// [`async_std::task::spawn`], in the current context.
pub fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    task::spawn(WithContext::new(future, Context::current()))
}

/// [`async_std::task::spawn_local`], in the current context.
pub fn spawn_local<T: 'static>(future: impl Future<Output = T> + 'static) -> JoinHandle<T> {
    task::spawn_local(WithContext::new(future, Context::current()))
}

/// [`async_std::task::spawn_blocking`], in the current context.
pub fn spawn_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    let context = Context::current();
    task::spawn_blocking(move || context.scope(work))
}
