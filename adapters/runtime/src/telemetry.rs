//! A running pipeline, as a program holds it.

use core::time::Duration;
use std::fmt;
use std::sync::Arc;

use throughline_core::tail::TailStats;
use throughline_core::{Ledger, Pipeline};

use crate::export::engine::Engine;
use crate::export::launch::launch;
use crate::export::transmission::FAR;
use crate::setup::pipeline::create;
use crate::{
    Context, Destinations, Exporter, LiveSpans, PipelineOptions, Receipt, Runtime, TailError,
    Thread,
};

/// A running pipeline: its spans are exported in the background.
///
/// It belongs to the process that made it: in a child that was forked off,
/// flush and shutdown return at once ([`Outcome::Forked`](crate::Outcome::Forked)) and the child's copy
/// of the parent's spans is never sent. A child that is to be traced makes a
/// pipeline of its own.
///
/// Cloning gives another handle of the same pipeline. Flush and shutdown return
/// by their deadline, from async or blocking code, whatever state the runtime or
/// the collector is in, and say in a [`Receipt`] what became of the spans. A
/// call that finds nobody driving the flusher (it may itself block the only thread of
/// the runtime) has it driven on a thread, over sockets that need no runtime.
///
/// # When a batch is sent twice
///
/// Delivery is **at least once**; whoever needs spans once drops those whose ids it has.
/// A batch is sent again when
/// - its request failed in a way that allows it: there was no answer in time, the
///   connection broke, the receiver asks for it
///   ([OTLP](https://opentelemetry.io/docs/specs/otlp/#failures));
/// - its request was dropped with the runtime that polled it;
/// - a flush or shutdown waits, and that runtime polls nothing of the pipeline for half of
///   the time that it has, or for the export timeout if that is less, and for half a second
///   at least: it is blocked, mostly by the caller. One that has half a second or less sends
///   nothing again;
/// - a caller who drives could have no thread, and its deadline came.
///
/// A request has an end, which is the export timeout: without one
/// ([`export_timeout`](throughline_core::FlusherSettings::export_timeout)), or with an exporter
/// that blocks where it is polled, others wait behind it for as long as it takes.
///
/// While the runtime runs and the collector answers in time, nothing is sent twice, however
/// many callers flush at the same time. A request that is under way when the deadline of a
/// flush comes goes on, and a later call tells what became of it.
#[derive(Clone)]
pub struct Telemetry {
    pub(crate) engine: Arc<Engine>,
}

impl Telemetry {
    /// Makes a pipeline and drives it on the runtime.
    ///
    /// It is isolated: spans go to it only below its [`context`](Self::context).
    ///
    /// Where [`MAX_PIPELINES`](throughline_core::tail::MAX_PIPELINES) others that are not
    /// shut down share its tail sampler, it exports every trace, and
    /// [says so](crate::Diagnostic::TailRefused); [`try_start_to`](Self::try_start_to)
    /// refuses instead.
    pub fn start<R, E>(options: &PipelineOptions, runtime: R, exporter: E) -> Self
    where
        R: Runtime,
        E: Exporter<R> + Exporter<Thread>,
    {
        Self::start_to(options, runtime, Destinations::to(exporter))
    }

    /// As [`start`](Self::start), to one destination or several.
    pub fn start_to<R: Runtime>(
        options: &PipelineOptions,
        runtime: R,
        destinations: Destinations<R>,
    ) -> Self {
        Telemetry { engine: launch(create(options), options, runtime, destinations) }
    }

    /// As [`start_to`](Self::start_to), with tail sampling or not at all.
    ///
    /// # Errors
    ///
    /// [`TailError::TooManyPipelines`]: as many others that are not shut down share its tail
    /// sampler as can.
    pub fn try_start_to<R: Runtime>(
        options: &PipelineOptions,
        runtime: R,
        destinations: Destinations<R>,
    ) -> Result<Self, TailError> {
        let mut created = create(options);
        created.tail = Ok(created.tail?);
        Ok(Telemetry { engine: launch(created, options, runtime, destinations) })
    }

    /// The pipeline.
    pub fn pipeline(&self) -> &'static Pipeline {
        self.engine.pipeline
    }

    /// The current context, below which spans go to this pipeline.
    pub fn context(&self) -> Context {
        Context::current().with_pipeline(self.engine.pipeline)
    }

    /// What became of every span so far.
    pub fn ledger(&self) -> Ledger {
        self.engine.pipeline.ledger()
    }

    /// The spans that are under way now. It may be asked at any time, on any
    /// thread, in a panic hook too; nobody is stopped meanwhile.
    pub fn live_spans(&self) -> LiveSpans {
        LiveSpans::of(self.engine.pipeline)
    }

    /// Prints the [live spans](Self::live_spans) on stderr, the 100 oldest of them.
    pub fn dump_live_spans(&self) {
        self.live_spans().print("live span", "live spans");
    }

    /// What tail sampling decided so far, if there is any.
    pub fn tail_stats(&self) -> Option<TailStats> {
        self.engine.lock_and(|state| state.flusher.tail().as_ref().map(|tail| tail.book().stats()))
    }

    /// Sends everything that has ended by now. Tail sampling decides everything
    /// that waits, whether or not it is over; what follows goes by the decision.
    ///
    /// While it waits, a thread watches the deadline, since the runtime whose
    /// task drives the pipeline may not be running. See [`Telemetry`] for when a batch may be
    /// sent twice.
    pub async fn flush(&self, within: Duration) -> Receipt {
        if let Some(receipt) = self.engine.refuse() {
            return receipt;
        }
        let (goal, within) = (self.engine.begin_flush(), within.min(FAR));
        self.engine.settle(goal, within).await
    }

    /// Sends everything that has ended by now, and blocks meanwhile. See [`Telemetry`] for
    /// when a batch may be sent twice.
    pub fn flush_blocking(&self, within: Duration) -> Receipt {
        if let Some(receipt) = self.engine.refuse() {
            return receipt;
        }
        let (goal, within) = (self.engine.begin_flush(), within.min(FAR));
        self.engine.settle_blocking(goal, within)
    }

    /// Sends everything that has ended by now and ends the pipeline: later spans
    /// are not recorded. A second call waits for the first. What is under way at the deadline
    /// is given up and counted as lost, though it may arrive. Where
    /// [`wait_at_shutdown`](PipelineOptions::wait_at_shutdown) is off, it ends at once.
    pub async fn shutdown(&self, within: Duration) -> Receipt {
        if let Some(receipt) = self.engine.refuse_shutdown() {
            return receipt;
        }
        let within = self.engine.within(within);
        let goal = self.engine.begin_shutdown(within);
        self.engine.settle(goal, within).await
    }

    /// As [`shutdown`](Self::shutdown), and blocks meanwhile.
    pub fn shutdown_blocking(&self, within: Duration) -> Receipt {
        if let Some(receipt) = self.engine.refuse_shutdown() {
            return receipt;
        }
        let within = self.engine.within(within);
        let goal = self.engine.begin_shutdown(within);
        self.engine.settle_blocking(goal, within)
    }

    /// Flushes in the panic hook, for programs that end when they panic: what had
    /// ended by then leaves before the process does. Spans that the panic
    /// itself ends come later, when it unwinds, if it does.
    ///
    /// The hook that was installed before runs first. Every panic of the process
    /// then waits for the collector, up to the deadline, also one that is caught.
    ///
    /// # Panics
    ///
    /// If the current thread is panicking.
    pub fn flush_on_panic(&self, within: Duration) {
        let (telemetry, former) = (self.clone(), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |info| {
            former(info);
            telemetry.flush_blocking(within);
        }));
    }

    /// [Prints](Self::dump_live_spans) in the panic hook which spans are live, after
    /// the hook that was installed before: also at a panic that is caught.
    ///
    /// # Panics
    ///
    /// If the current thread is panicking.
    pub fn dump_on_panic(&self) {
        let (telemetry, former) = (self.clone(), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |info| {
            former(info);
            telemetry.dump_live_spans();
        }));
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").field("pipeline", self.engine.pipeline).finish_non_exhaustive()
    }
}
