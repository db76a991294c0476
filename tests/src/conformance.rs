//! What holds on every runtime.
//!
//! A runtime implements [`TestRuntime`] and mounts all cases by
//! [`conformance!`](crate::conformance!); its adapter needs no tests of its own
//! for them. Cases wait for each other through channels, never for time.

pub mod bridges;
pub mod context;
pub mod endings;
pub mod export;
pub mod failures;
pub mod hostile;
pub mod items;
mod on_tokio;
pub mod polls;
pub mod processors;
pub mod spawns;

use core::future::Future;
use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use core::task::{Context as TaskContext, Poll};
use std::panic::catch_unwind;
use std::sync::{Arc, Mutex, PoisonError};

pub use on_tokio::{OnTokio, Task};
use throughline::exporters::Memory;
use throughline::{Builder, Context, InSpanExt, Ledger, Runtime, SpanId, Telemetry, builder};

/// A runtime, as far as the cases need it.
pub trait TestRuntime: Send + Sync + 'static {
    /// What drives the flusher.
    type Runtime: Runtime;
    /// A running task.
    type Task<T: Send + 'static>: Future<Output = Result<T, Lost>> + Send + Unpin;

    /// What drives the flusher.
    fn runtime(&self) -> Self::Runtime;

    /// Runs a future to its end.
    fn block_on<F: Future>(&self, future: F) -> F::Output;

    /// Starts a task in the current context, through the adapter.
    fn spawn<F>(future: F) -> Self::Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Runs blocking work in the current context, through the adapter.
    fn spawn_blocking<T: Send + 'static>(
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Self::Task<T>;

    /// Cancels a task, and waits until it is gone.
    fn cancel<T: Send + 'static>(task: Self::Task<T>) -> impl Future<Output = ()> + Send;

    /// Lets others run.
    fn yield_now() -> impl Future<Output = ()> + Send;
}

/// A task panicked or was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

/// A task whose panic would go on in whoever awaits it, and is caught there.
#[derive(Debug)]
pub struct Caught<F>(pub F);

impl<F: Future + Unpin> Future for Caught<F> {
    type Output = Result<F::Output, Lost>;

    fn poll(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        match catch_unwind(AssertUnwindSafe(|| Pin::new(&mut self.0).poll(task))) {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(Lost)),
        }
    }
}

/// A runtime with an isolated pipeline that is exported to memory.
#[derive(Debug)]
pub struct Stage<R> {
    /// The runtime.
    pub runtime: R,
    /// The pipeline.
    pub telemetry: Telemetry,
    /// Where its spans go.
    pub memory: Memory,
}

impl<R: TestRuntime> Stage<R> {
    /// A pipeline of the default settings, but that a poll may take long: what is
    /// asserted must not depend on how busy the machine is.
    pub fn new(runtime: R) -> Self {
        Self::with(builder().long_poll(None), runtime)
    }

    /// A pipeline of these settings.
    pub fn with(builder: Builder, runtime: R) -> Self {
        let memory = Memory::new();
        let telemetry = builder.start(runtime.runtime(), memory.clone());
        Stage { runtime, telemetry, memory }
    }

    /// Runs a future, whose spans go to the pipeline.
    pub fn run<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future.with_context(self.telemetry.context()))
    }

    /// Ends the pipeline. Every span must have ended, and the ledger balance.
    ///
    /// # Panics
    ///
    /// If not.
    pub fn finish(&self) -> Ledger {
        let receipt = self.runtime.block_on(self.telemetry.shutdown(DEADLINE));
        let ledger = *receipt.ledger();
        assert!(receipt.is_complete(), "{receipt}");
        assert_eq!(ledger.in_flight(), 0, "{receipt}");
        assert_eq!(ledger.started(), ledger.exported() + ledger.dropped_total(), "{receipt}");
        assert_eq!(self.memory.spans().len() as u64, ledger.exported(), "{receipt}");
        ledger
    }

    /// Ends the pipeline, which lost nothing, and compares the traces.
    ///
    /// # Panics
    ///
    /// If they differ.
    #[track_caller]
    pub fn finish_with_tree(&self, expected: &str) {
        assert_eq!(self.finish().dropped_total(), 0);
        self.memory.assert_tree(expected);
    }
}

/// Notes, when it is dropped, which span is current then.
#[derive(Clone, Debug, Default)]
pub struct Witness(Arc<Mutex<Vec<SpanId>>>);

impl Witness {
    /// Which spans were current at the drops so far.
    pub fn seen(&self) -> Vec<SpanId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Something that notes when it is dropped.
    pub fn on_drop(&self) -> impl Send + use<> {
        struct OnDrop(Witness);
        impl Drop for OnDrop {
            fn drop(&mut self) {
                self.0.0.lock().unwrap_or_else(PoisonError::into_inner).push(current());
            }
        }
        OnDrop(self.clone())
    }
}

/// The current span.
pub fn current() -> SpanId {
    Context::current().span_context().span_id()
}

/// Mounts every case on a runtime: the expression makes one for each.
#[macro_export]
macro_rules! conformance {
    ($runtime:expr) => {
        $crate::conformance!(@mount $runtime;
            bridges: [
                libraries_of_tracing_and_log_are_in_one_tree_with_ours,
                trees_of_both_worlds_do_not_mix,
            ]
            context: [
                joined_futures_are_siblings_and_do_not_mix,
                tasks_of_tasks_are_below_the_span_that_started_them,
                tasks_that_take_turns_see_their_own_span_only,
                blocking_work_is_below_the_span_that_started_it,
                a_context_is_handed_over_explicitly,
                suppression_travels_with_tasks,
                an_unsampled_trace_still_propagates,
                children_keep_the_decision_of_their_trace,
                pipelines_side_by_side_never_mix,
            ]
            endings: [
                the_loser_of_a_select_ends_with_all_that_is_inside,
                a_cancelled_task_ends_its_span_as_cancelled,
                a_panic_ends_every_span_around_it,
                a_panic_that_is_caught_leaves_the_context_as_it_was,
                a_future_that_was_never_polled_ends_as_dropped,
                a_finished_task_is_exported_while_its_handle_is_kept,
                a_stream_that_moves_between_tasks_is_one_span,
                an_exhausted_stream_is_completed,
            ]
            export: [
                spans_arrive_over_http,
                spans_arrive_over_grpc,
                spans_leave_by_themselves,
                a_flush_may_block_the_runtime,
                a_receiver_that_never_answers_costs_the_timeout,
                a_receiver_that_is_not_there_costs_the_repetitions,
            ]
            spawns: [
                linked_work_begins_new_traces_that_link_back,
                detached_work_begins_new_traces,
                a_new_trace_leaves_the_trace_state_behind,
                a_policy_keeps_pipeline_suppression_and_baggage,
                a_wrapped_closure_runs_in_its_context_on_any_thread,
                a_message_is_handled_in_the_context_in_which_it_was_sent,
            ]
            failures: [
                an_error_is_recorded_with_what_caused_it,
                an_error_within_an_error_type_is_recorded_with_what_caused_it,
                attributes_given_with_an_error_outrank_its_own,
                a_stream_in_a_span_ends_it_at_its_error,
                a_sink_is_in_its_span_until_it_is_closed,
                a_sink_that_fails_ends_its_span,
                a_sink_that_is_dropped_is_cancelled,
                wrappers_are_as_large_and_as_fused_as_what_they_wrap,
            ]
            items: [
                each_item_of_a_stream_has_a_span,
                an_item_that_never_came_is_cancelled,
                each_item_of_a_sink_has_a_span,
            ]
            polls: [
                a_span_says_how_it_was_polled,
                a_cancelled_span_says_how_it_was_polled,
                a_long_poll_is_an_event,
                polls_need_not_be_timed,
                synchronous_spans_have_no_polls,
            ]
            processors: [
                a_processor_sees_what_is_exported_of_all_tasks,
                a_processor_sees_what_is_only_recorded_of_all_tasks,
                what_a_processor_adds_to_an_ending_span_is_exported_of_all_tasks,
            ]
            hostile: [
                attributes_may_start_spans_when_they_are_formatted,
                destructors_may_start_spans_in_a_cancelled_future,
                spans_may_live_and_begin_in_thread_local_destructors,
                a_parent_of_a_hundred_thousand_loses_nothing_unaccounted,
                links_may_point_at_anything,
                handles_may_end_in_any_order,
                spans_end_on_other_threads_than_they_began,
            ]
        );
    };
    (@mount $runtime:expr; $($module:ident: [$($case:ident,)*])*) => {$($(
        #[test]
        fn $case() {
            $crate::conformance::$module::$case($runtime);
        }
    )*)*};
}

/// A deadline that no test reaches.
pub const DEADLINE: core::time::Duration = core::time::Duration::from_secs(60);
