//! A cooperative executor: every task is polled after every interrupt.
//!
//! The timer interrupts each millisecond, so nothing needs to wake a task; an
//! interrupt between the last poll and the sleep delays it by a millisecond.

use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use crate::board;

/// Runs the tasks until all are done.
pub fn run<const N: usize>(tasks: [Pin<&mut dyn Future<Output = ()>>; N]) {
    let mut tasks = tasks.map(Some);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        let mut is_busy = false;
        for slot in &mut tasks {
            let Some(task) = slot else { continue };
            match task.as_mut().poll(&mut context) {
                Poll::Ready(()) => *slot = None,
                Poll::Pending => is_busy = true,
            }
        }
        if !is_busy {
            return;
        }
        cortex_m::asm::wfi();
    }
}

/// Lets the other tasks run until the next interrupt.
pub async fn next_turn() {
    let mut is_next = false;
    poll_fn(
        |_| if core::mem::replace(&mut is_next, true) { Poll::Ready(()) } else { Poll::Pending },
    )
    .await;
}

/// Waits.
pub async fn sleep(millis: u64) {
    let until = board::now() + Duration::from_millis(millis);
    while board::now() < until {
        next_turn().await;
    }
}

/// The work's result, or `None` when it took too long: then it is dropped.
pub async fn timeout<T>(millis: u64, work: impl Future<Output = T>) -> Option<T> {
    let until = board::now() + Duration::from_millis(millis);
    let mut work = pin!(work);
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending if board::now() >= until => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}
