//! The time one transmission may take.

use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::Poll;

/// A limit over several steps, measured by the runtime's clock.
pub(crate) struct Deadline<'a> {
    state: State<'a>,
}

enum State<'a> {
    Unlimited,
    /// Pinned in the transmission's own future.
    Running(Pin<&'a mut (dyn Future<Output = ()> + Send)>),
    Passed,
}

impl<'a> Deadline<'a> {
    /// Passes when `sleep` ends; never, if there is none.
    pub(crate) fn after<S>(sleep: Pin<&'a mut Option<S>>) -> Self
    where
        S: Future<Output = ()> + Send,
    {
        let state = match sleep.as_pin_mut() {
            Some(sleep) => State::Running(sleep),
            None => State::Unlimited,
        };
        Deadline { state }
    }

    /// What the step gives, or `None` if the time ends before it does. The step
    /// is asked first, so one that is ready passes even then.
    pub(crate) async fn within<F: Future>(&mut self, step: F) -> Option<F::Output> {
        let mut step = pin!(step);
        poll_fn(|cx| {
            if let Poll::Ready(output) = step.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            match &mut self.state {
                State::Unlimited => return Poll::Pending,
                State::Running(sleep) => match sleep.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(()) => self.state = State::Passed,
                },
                State::Passed => {}
            }
            Poll::Ready(None)
        })
        .await
    }
}
