//! The places from which flush and shutdown are called.

use core::fmt::Display;
use core::future::Future;
use core::time::Duration;
use std::sync::mpsc;

use throughline::{Exporter, Receipt, Retry, Runtime, Telemetry, Thread, Tokio, builder, span};

/// Where a call is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The only thread of the runtime, inside of its `block_on`.
    CurrentThread,
    /// A task on the only worker.
    OneWorker,
    /// A task on one of several workers.
    SeveralWorkers,
    /// A thread of its own, beside a runtime that runs.
    Outside,
    /// A program without an async runtime.
    PlainThread,
    /// After the runtime was dropped.
    AfterTheRuntime,
}

/// Which call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A flush.
    Flush,
    /// A shutdown.
    Shutdown,
}

/// One call of flush or shutdown.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// From where.
    pub place: Place,
    /// Of what.
    pub what: What,
    /// Whether it blocks its thread, instead of being awaited.
    pub blocks: bool,
}

/// The spans that [`make_spans`] makes.
pub const SPANS: u64 = 10;

/// Every call there is.
pub fn calls() -> impl Iterator<Item = Call> {
    let places = [
        Place::CurrentThread,
        Place::OneWorker,
        Place::SeveralWorkers,
        Place::Outside,
        Place::PlainThread,
        Place::AfterTheRuntime,
    ];
    places.into_iter().flat_map(|place| {
        [What::Flush, What::Shutdown]
            .into_iter()
            .flat_map(move |what| [false, true].map(|blocks| Call { place, what, blocks }))
    })
}

/// Makes a pipeline at the place, ends spans in it, and makes the call.
pub fn settle<E>(call: Call, exporter: E, within: Duration) -> Receipt
where
    E: Exporter<Tokio> + Exporter<Thread>,
{
    watched(format!("{call:?}"), move || {
        on_place(call.place, exporter, move |telemetry| async move {
            settle_as(&telemetry, call, within).await
        })
    })
}

/// Makes the call.
pub async fn settle_as(telemetry: &Telemetry, call: Call, within: Duration) -> Receipt {
    match (call.what, call.blocks) {
        (What::Flush, false) => telemetry.flush(within).await,
        (What::Flush, true) => telemetry.flush_blocking(within),
        (What::Shutdown, false) => telemetry.shutdown(within).await,
        (What::Shutdown, true) => telemetry.shutdown_blocking(within),
    }
}

/// Makes a pipeline at the place, ends spans in it, and runs the rest there.
pub fn on_place<E, F, T>(
    place: Place,
    exporter: E,
    rest: impl FnOnce(Telemetry) -> F + Send + 'static,
) -> T
where
    E: Exporter<Tokio> + Exporter<Thread>,
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let on_tokio = {
        let exporter = exporter.clone();
        move || {
            let telemetry = start(Tokio::current().expect("a runtime"), exporter);
            make_spans(&telemetry);
            telemetry
        }
    };
    match place {
        Place::CurrentThread => tokio_runtime(0).block_on(async { rest(on_tokio()).await }),
        Place::OneWorker | Place::SeveralWorkers => {
            let runtime = tokio_runtime(if place == Place::OneWorker { 1 } else { 2 });
            let task = runtime.spawn(async { rest(on_tokio()).await });
            runtime.block_on(task).expect("the task does not panic")
        }
        Place::Outside => {
            let runtime = tokio_runtime(2);
            let telemetry = runtime.block_on(async { on_tokio() });
            futures::executor::block_on(rest(telemetry))
        }
        Place::AfterTheRuntime => {
            let runtime = tokio_runtime(0);
            let telemetry = runtime.block_on(async { on_tokio() });
            drop(runtime);
            futures::executor::block_on(rest(telemetry))
        }
        Place::PlainThread => {
            let telemetry = start(Thread::start().expect("a thread"), exporter);
            make_spans(&telemetry);
            futures::executor::block_on(rest(telemetry))
        }
    }
}

/// A pipeline that sends nothing by itself, and repeats soon.
pub fn start<R: Runtime, E>(runtime: R, exporter: E) -> Telemetry
where
    E: Exporter<R> + Exporter<Thread>,
{
    let mut retry = Retry::new();
    retry.initial_delay = Duration::from_millis(1);
    retry.max_repetitions = 2;
    builder().schedule_delay(Duration::from_secs(3_600)).retry(retry).start(runtime, exporter)
}

/// Starts and ends [`SPANS`] spans.
pub fn make_spans(telemetry: &Telemetry) {
    let context = telemetry.context();
    for _ in 0..SPANS {
        span!(parent: &context, "work").end();
    }
}

/// A tokio runtime with so many workers, or of the current thread.
pub fn tokio_runtime(workers: usize) -> tokio::runtime::Runtime {
    let mut builder = match workers {
        0 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.worker_threads(workers.max(1)).enable_all().build().expect("a runtime")
}

/// Runs the work on a thread and fails when it does not come back.
///
/// # Panics
///
/// If it does not come back within a minute, or panics.
pub fn watched<T: Send + 'static>(
    name: impl Display,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let _ = sender.send(work());
    });
    match receiver.recv_timeout(Duration::from_secs(60)) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{name}: does not come back"),
        Err(mpsc::RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => {
                eprintln!("in {name}:");
                std::panic::resume_unwind(panic)
            }
            Ok(()) => unreachable!("a thread that does not panic sends its result"),
        },
    }
}
