//! The runtime whose sockets and timers a wrapped exporter uses.

use core::future::Future;
use core::pin::Pin;
use core::time::Duration;
use std::sync::Arc;

/// Where an exporter is at home.
#[derive(Clone, Debug)]
pub(crate) enum Home {
    /// Anywhere.
    None,
    /// On a tokio runtime.
    #[cfg(feature = "tokio")]
    Tokio(tokio::runtime::Handle),
}

/// A time that passes.
pub(crate) type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;
/// Lets a time pass.
pub(crate) type Sleep = dyn Fn(Duration) -> Waiting + Send + Sync;
/// Answers whether the home runs.
pub(crate) type Question = Pin<Box<dyn Future<Output = bool> + Send>>;

impl Home {
    /// Runs code that may use the home's sockets and timers.
    pub(crate) fn enter<R>(&self, work: impl FnOnce() -> R) -> R {
        #[cfg(feature = "tokio")]
        let _entered = match self {
            Home::Tokio(runtime) => Some(runtime.enter()),
            Home::None => None,
        };
        work()
    }

    /// Whether it has no threads of its own, so that it stands still while its only
    /// thread is blocked.
    pub(crate) fn may_stand_still(&self) -> bool {
        match self {
            Home::None => false,
            #[cfg(feature = "tokio")]
            Home::Tokio(runtime) => {
                runtime.runtime_flavor() == tokio::runtime::RuntimeFlavor::CurrentThread
            }
        }
    }

    /// Asks the home whether it runs: it is given a task, and some time.
    pub(crate) fn ask(&self, sleep: &Arc<Sleep>) -> Question {
        match self {
            Home::None => {
                let _ = sleep;
                Box::pin(core::future::ready(true))
            }
            #[cfg(feature = "tokio")]
            Home::Tokio(runtime) => {
                let (runtime, mut patience) = (runtime.clone(), sleep(PATIENCE));
                Box::pin(async move {
                    let mut task = runtime.spawn(async {});
                    core::future::poll_fn(move |context| {
                        use core::task::Poll;
                        if let Poll::Ready(ran) = Pin::new(&mut task).poll(context) {
                            // One that has ended cancels the task.
                            return Poll::Ready(ran.is_ok());
                        }
                        patience.as_mut().poll(context).map(|()| false)
                    })
                    .await
                })
            }
        }
    }
}

/// How long a runtime that is busy may take to answer. A flush has seconds.
#[cfg(feature = "tokio")]
const PATIENCE: Duration = Duration::from_millis(250);
