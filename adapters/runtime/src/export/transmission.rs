//! One transmission: its time, and the code of the exporter, which may panic.

use core::any::Any;
use core::cell::Cell;
use core::future::Future;
use core::panic::AssertUnwindSafe;
use core::pin::{Pin, pin};
use core::task::Poll;
use core::time::Duration;
use std::sync::Arc;

use throughline_core::{Accepted, ExportError, Failure};

use super::remark;
use crate::export::race::{First, race};
use crate::{Runtime, panics};

/// What became of a transmission, and what there is to say of it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) result: Result<Accepted, ExportError>,
    /// What the exporter [added](crate::remark()).
    pub(crate) remark: Option<Arc<str>>,
}

impl From<Result<Accepted, ExportError>> for Answer {
    fn from(result: Result<Accepted, ExportError>) -> Self {
        Answer { result, remark: None }
    }
}

/// Waits for the answer, as long as it may take.
pub(crate) async fn with_timeout<S>(
    runtime: &impl Runtime,
    sending: S,
    timeout: Option<Duration>,
) -> Answer
where
    S: Future<Output = Result<Accepted, ExportError>>,
{
    let sending = pin!(catch_panic(sending));
    let Some(timeout) = timeout else { return sending.await };
    match race(sending, pin!(runtime.sleep(timeout.min(FAR)))).await {
        First::Left(answer) => answer,
        First::Right(()) => Answer {
            result: Err(ExportError::Retry { after: None, failure: Failure::Timeout }),
            remark: Some(format!("the export timeout is {timeout:?}").into()),
        },
    }
}

/// An exporter that panics loses its batch, not the flusher.
async fn catch_panic<S>(sending: S) -> Answer
where
    S: Future<Output = Result<Accepted, ExportError>>,
{
    let mut sending = pin!(sending);
    // It may say something in one poll and be done in another.
    let mut said = None;
    core::future::poll_fn(move |context| {
        let sending: Pin<&mut S> = sending.as_mut();
        let polled = exporting(|| sending.poll(context))
            .unwrap_or_else(|panic| Poll::Ready(Err(panicked(panic))));
        if let Some(remark) = remark::take() {
            said = Some(remark);
        }
        polled.map(|result| Answer { result, remark: said.take() })
    })
    .await
}

/// Runs code of the exporter, which may panic.
pub(crate) fn exporting<T>(work: impl FnOnce() -> T) -> std::thread::Result<T> {
    let before = EXPORTING.replace(true);
    let result = std::panic::catch_unwind(AssertUnwindSafe(work));
    EXPORTING.set(before);
    result
}

/// What a panic of the exporter is to the batch. Its text becomes the remark.
pub(crate) fn panicked(panic: Box<dyn Any + Send>) -> ExportError {
    exporting(|| remark::remark(panics::text(&*panic))).ok();
    // What was thrown may throw when it is dropped.
    core::mem::forget(panic);
    ExportError::Permanent(Failure::Panicked)
}

/// The same, as the answer to a transmission that did not begin.
pub(crate) fn panicked_at_once(panic: Box<dyn Any + Send>) -> Answer {
    let result = Err(panicked(panic));
    Answer { result, remark: remark::take() }
}

/// Whether the current thread runs code of an exporter.
pub(crate) fn is_exporting_here() -> bool {
    EXPORTING.get()
}

/// Lets others run.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    core::future::poll_fn(|context| {
        if core::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

thread_local! {
    static EXPORTING: Cell<bool> = const { Cell::new(false) };
}

/// A year: longer than anybody waits, and no clock overflows.
pub(crate) const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
