//! Futures to be put in spans.

use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Never ready.
#[derive(Debug)]
pub(crate) struct Never;

impl Future for Never {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        black_box(Poll::Pending)
    }
}

/// Polls the future so many times.
#[inline(always)]
pub(crate) fn poll(times: u32, mut future: Pin<&mut impl Future>) {
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..times {
        let _ = black_box(future.as_mut().poll(&mut context).is_ready());
    }
}

/// Awaits ten times.
pub(crate) async fn awaits() {
    for _ in 0..AWAITS {
        tokio::task::yield_now().await;
    }
}

/// As many as [`awaits`] awaits.
pub(crate) const AWAITS: u32 = 10;
