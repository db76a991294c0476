//! Two futures, of which one is enough.

use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::Poll;

/// Which one was ready first.
pub(crate) enum First<A, B> {
    /// The first one, or both.
    Left(A),
    /// The second one.
    Right(B),
}

/// Waits for one of the two. The other one goes on only if it is polled again.
pub(crate) async fn race<A: Future, B: Future>(
    mut left: Pin<&mut A>,
    mut right: Pin<&mut B>,
) -> First<A::Output, B::Output> {
    poll_fn(|task| match left.as_mut().poll(task) {
        Poll::Ready(output) => Poll::Ready(First::Left(output)),
        Poll::Pending => right.as_mut().poll(task).map(First::Right),
    })
    .await
}
