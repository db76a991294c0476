//! The places from which flush and shutdown are called, on any runtime.

use core::cell::RefCell;
use core::fmt::Display;
use core::future::{Future, pending};
use core::panic::AssertUnwindSafe;
use core::pin::pin;
use core::task::{Context as TaskContext, Poll, Waker};
use core::time::Duration;
use std::panic::catch_unwind;
use std::sync::{Arc, Once, mpsc};
use std::task::Wake;
use std::thread::Thread as StdThread;

use futures::channel::oneshot;
use futures::future::BoxFuture;
use throughline::{
    Builder, Exporter, Receipt, Retry, Runtime, SpanId, Telemetry, Thread, builder, span,
};

use crate::conformance::TestRuntime;

/// Where a call is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Inside of the runtime's `block_on`: on the only thread, if it has one.
    BlockOn,
    /// A task.
    Task,
    /// A task that a signal woke.
    SignalTask,
    /// Blocking work of the runtime.
    BlockingTask,
    /// A thread of its own, beside a runtime that somebody drives.
    Beside,
    /// A thread of its own, beside a runtime that nobody drives, unless it does
    /// so itself.
    Idle,
    /// A panic hook, on a thread of the runtime.
    PanicHook,
    /// `Drop` of what a task holds, while the runtime is torn down.
    TearDown,
    /// After the runtime was dropped.
    AfterTheRuntime,
}

impl Place {
    /// All there are.
    pub const ALL: [Place; 9] = [
        Place::BlockOn,
        Place::Task,
        Place::SignalTask,
        Place::BlockingTask,
        Place::Beside,
        Place::Idle,
        Place::PanicHook,
        Place::TearDown,
        Place::AfterTheRuntime,
    ];
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
    Place::ALL.into_iter().flat_map(|place| {
        [What::Flush, What::Shutdown]
            .into_iter()
            .flat_map(move |what| [false, true].map(|blocks| Call { place, what, blocks }))
    })
}

/// Makes a pipeline at the place, ends spans in it, and makes the call.
pub fn settle<R, E>(make: impl Fn() -> R, call: Call, exporter: E, within: Duration) -> Receipt
where
    R: TestRuntime,
    E: Exporter<R::Runtime> + Exporter<Thread>,
{
    settle_with(make, call, move |runtime| start(runtime, exporter), within)
}

/// As [`settle`], of a pipeline that is started so.
pub fn settle_with<R: TestRuntime>(
    make: impl Fn() -> R,
    call: Call,
    start: impl FnOnce(R::Runtime) -> Telemetry + Send + 'static,
    within: Duration,
) -> Receipt {
    let runtime = make();
    watched(format!("{call:?}"), move || {
        on_place(runtime, call.place, start, move |telemetry| {
            Box::pin(async move { settle_as(&telemetry, call, within).await })
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

/// Starts a pipeline on the runtime, ends spans in it, and runs the rest at the
/// place.
pub fn on_place<R, T>(
    runtime: R,
    place: Place,
    start: impl FnOnce(R::Runtime) -> Telemetry,
    rest: impl FnOnce(Telemetry) -> BoxFuture<'static, T> + Send + 'static,
) -> T
where
    R: TestRuntime,
    T: Send + 'static,
{
    // In `block_on`, so that whatever has to be inside of the runtime is.
    let telemetry = runtime.block_on(async { start(runtime.runtime()) });
    make_spans(&telemetry);
    let (tell, told) = mpsc::channel();
    let told = move || told.recv().expect("it is told");
    match place {
        Place::BlockOn => runtime.block_on(rest(telemetry)),
        Place::Task => runtime.block_on(async {
            let task = R::spawn(rest(telemetry));
            task.await.expect("no panic")
        }),
        Place::SignalTask => runtime.block_on(async {
            let signal = signal();
            let task = R::spawn(async move {
                signal.await.expect("it is raised");
                rest(telemetry).await
            });
            raise();
            task.await.expect("no panic")
        }),
        Place::BlockingTask => runtime.block_on(async {
            let task = R::spawn_blocking(move || block_on(rest(telemetry)));
            task.await.expect("no panic")
        }),
        Place::Beside => {
            let (done, wait) = oneshot::channel();
            std::thread::spawn(move || done.send(block_on(rest(telemetry))));
            runtime.block_on(wait).expect("no panic")
        }
        Place::Idle => block_on(rest(telemetry)),
        Place::PanicHook => runtime.block_on(async {
            in_panic_hook(move || tell.send(block_on(rest(telemetry))).expect("somebody waits"));
            told()
        }),
        Place::TearDown => {
            let on_drop = OnDrop(Some(move || {
                tell.send(block_on(rest(telemetry))).expect("somebody waits");
            }));
            let mut task = None;
            runtime.block_on(async {
                let (enter, entered) = oneshot::channel();
                task = Some(R::spawn(async move {
                    let _on_drop = on_drop;
                    enter.send(()).expect("somebody waits");
                    pending::<()>().await;
                }));
                entered.await.expect("the task runs");
            });
            drop(runtime);
            // Of a runtime that outlives its handle.
            block_on(R::cancel(task.expect("it was spawned")));
            told()
        }
        Place::AfterTheRuntime => {
            drop(runtime);
            block_on(rest(telemetry))
        }
    }
}

/// A pipeline that sends nothing by itself, and repeats soon, unless it is asked
/// to wait.
pub fn start<R: Runtime, E>(runtime: R, exporter: E) -> Telemetry
where
    E: Exporter<R> + Exporter<Thread>,
{
    settings().start(runtime, exporter)
}

/// The settings of [`start`].
pub fn settings() -> Builder {
    let mut retry = Retry::new();
    retry.initial_delay = Duration::from_millis(1);
    retry.max_delay = Duration::from_secs(3_600);
    retry.max_repetitions = 2;
    // Pipelines are never freed, and a matrix makes hundreds of them.
    let builder = builder().max_live_spans(64).max_queue_size(64);
    builder.schedule_delay(Duration::from_secs(3_600)).retry(retry)
}

/// Starts and ends [`SPANS`] spans.
pub fn make_spans(telemetry: &Telemetry) -> Vec<SpanId> {
    let context = telemetry.context();
    let make = |_| {
        let span = span!(parent: &context, "work");
        let id = span.span_context().span_id();
        span.end();
        id
    };
    (0..SPANS).map(make).collect()
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

/// Runs a future on the current thread, as a program without a runtime does.
/// Unlike the one of `futures` it may be called inside of itself.
pub fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(StdThread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut TaskContext::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Panics, and runs the work in the panic hook.
fn in_panic_hook(work: impl FnOnce() + 'static) {
    type Work = Option<Box<dyn FnOnce()>>;
    thread_local! {
        static WORK: RefCell<Work> = const { RefCell::new(None) };
    }
    // The hook is the process's; threads that did not ask for it keep theirs.
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let former = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| match WORK.take() {
            Some(work) => work(),
            None => former(info),
        }));
    });
    WORK.set(Some(Box::new(work)));
    let caught = catch_unwind(AssertUnwindSafe(|| panic!("as the test wants")));
    assert!(caught.is_err() && WORK.take().is_none(), "the hook ran");
}

/// Completes when the process gets the signal that [`raise`] sends.
fn signal() -> oneshot::Receiver<()> {
    let (tell, told) = oneshot::channel();
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGUSR1])
        .expect("the signal may be handled");
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            let _ = tell.send(());
        }
    });
    told
}

fn raise() {
    signal_hook::low_level::raise(signal_hook::consts::SIGUSR1).expect("it is raised");
}

struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(work) = self.0.take() {
            work();
        }
    }
}
