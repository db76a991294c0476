//! Work that may outlive its request, so that the program must wait for it.

use core::future::Future;

use futures::channel::mpsc::Sender;

/// The work, which holds on to the program until it is over and all that belongs to it
/// is dropped, its span among it: pipelines end after it, whether it completes, panics
/// or is dropped half-way.
pub(crate) fn outliving<F: Future>(
    held: &Sender<()>,
    work: F,
) -> impl Future<Output = F::Output> + use<F> {
    let held = held.clone();
    async move {
        let output = work.await;
        drop(held);
        output
    }
}

#[cfg(test)]
mod tests {
    use core::pin::pin;
    use core::task::Context;
    use core::time::Duration;
    use std::sync::{Arc, Mutex};

    use futures::channel::mpsc;
    use futures::task::{ArcWake, waker};
    use futures::{FutureExt, StreamExt};
    use futures_lite::future::yield_now;
    use throughline::exporters::Otlp;
    use throughline::{InSpanExt, Telemetry, Thread, span};

    use super::*;

    /// Notes how many spans have not ended at the moment when nobody holds on any more.
    struct AllDone(Telemetry, Mutex<Option<usize>>);

    impl ArcWake for AllDone {
        fn wake_by_ref(this: &Arc<Self>) {
            *this.1.lock().unwrap() = Some(this.0.live_spans().len());
        }
    }

    /// What `AllDone` saw, of a task that is polled so many times at most and then dropped.
    fn live_spans_when_all_is_done(polls: usize) -> usize {
        let runtime = Thread::start().expect("a thread");
        // It has nothing to send before it is dropped.
        let telemetry = throughline::builder()
            .schedule_delay(Duration::from_secs(3_600))
            .wait_at_shutdown(false)
            .start(runtime, Otlp::http());
        let scope = telemetry.context();
        let (held, mut all_done) = mpsc::channel(1);
        let seen = Arc::new(AllDone(telemetry, Mutex::new(None)));
        let watching = waker(seen.clone());
        let mut watching = Context::from_waker(&watching);
        let task = scope.scope(|| {
            let span = span!("audit");
            outliving(&held, yield_now().in_span(span)).boxed()
        });
        drop(held);
        assert!(pin!(all_done.next()).poll(&mut watching).is_pending(), "the work holds on");
        let mut task = Some(task);
        for _ in 0..polls {
            let Some(mut work) = task.take() else { break };
            task = work.as_mut().now_or_never().is_none().then_some(work);
        }
        assert_eq!(seen.0.live_spans().len(), usize::from(task.is_some()));
        drop(task);
        let found = seen.1.lock().unwrap().take();
        found.expect("the program learns of it")
    }

    #[test]
    fn the_program_goes_on_when_the_span_of_the_work_has_ended() {
        // Never polled, dropped half-way, completed.
        for polls in [0, 1, 2] {
            assert_eq!(live_spans_when_all_is_done(polls), 0, "after {polls} polls");
        }
    }
}
