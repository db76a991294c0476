//! What a running pipeline says about itself.

use std::sync::{Arc, MutexGuard, PoisonError};

use throughline_core::{Accepted, DropReason, ExportError, Ledger};

use crate::drive::is_exporting_here;
use crate::engine::{Engine, State};
use crate::metrics;
use crate::pipeline::SLOT;
use crate::watch::{Delivery, Watch};
use crate::{
    Diagnostic, Diagnostics, ExportOperation, Health, HealthState, SdkMetrics, Telemetry, presumed,
};

impl Telemetry {
    /// How the pipeline fares, for a readiness probe.
    pub fn health(&self) -> Health {
        let engine = &self.engine;
        let (now, pipeline) = (engine.now(), engine.pipeline);
        let ledger = pipeline.ledger();
        let queue_fill = pipeline.queue_used() as f64 / pipeline.queue_capacity().max(1) as f64;
        // A fork may have copied a lock that nobody will release.
        let is_forked = engine.is_forked();
        let watch = if is_forked { Watch::default() } else { *engine.fares() };
        let (delivery, since) = watch.delivery();
        let (last_failure, is_losing) = (watch.last_failure(), watch.is_losing());
        let state = match delivery {
            _ if is_forked || pipeline.is_closed() => HealthState::Stopped,
            Delivery::Lossy { .. } => HealthState::Failing,
            Delivery::Failing { .. } => HealthState::Degraded,
            Delivery::Delivered if is_losing || queue_fill > NEARLY_FULL => HealthState::Degraded,
            Delivery::Delivered => HealthState::Ok,
        };
        Health {
            state,
            lasting: now.saturating_sub(since),
            last_failure: last_failure.map(|(error, _)| error),
            last_failure_ago: last_failure.map_or(now, |(_, at)| now.saturating_sub(at)),
            queue_fill,
            lost: ledger
                .losses()
                .filter(|(why, _)| !metrics::is_wanted(*why))
                .map(|(_, n)| n)
                .sum(),
        }
    }

    /// What is counted about the pipeline, as metrics.
    pub fn metrics(&self) -> SdkMetrics {
        let engine = &self.engine;
        let pipeline = engine.pipeline;
        let (ledger, in_flight, processed, operations) =
            if engine.is_forked() || is_exporting_here() {
                // The lock is not to be had: what is settled is known without it.
                let ledger = pipeline.ledger();
                (ledger, 0, metrics::handed_over(&ledger), Vec::new())
            } else {
                // Nothing is settled meanwhile, so that the numbers belong together.
                let mut state = engine.lock();
                let (ledger, in_flight) = (pipeline.ledger(), state.flusher.in_export() as u64);
                state.processed = state.processed.max(metrics::handed_over(&ledger) + in_flight);
                (ledger, in_flight, state.processed, state.operations.durations(&engine.names))
            };
        SdkMetrics {
            ledger,
            begun: pipeline.begun(),
            live: pipeline.live_count() as u64,
            queue_size: pipeline.queue_used().div_ceil(SLOT) as u64,
            queue_capacity: (pipeline.queue_capacity() / SLOT) as u64,
            processed,
            in_flight,
            operations,
            names: engine.names.clone(),
        }
    }

    /// Calls the closure with each export that ends from now on, for a histogram of
    /// [their durations](ExportOperation::NAME).
    ///
    /// It runs on whatever thread drives the pipeline, so it must not wait; it holds no
    /// lock of ours, spans in it are not recorded, and a panic in it is caught. It is
    /// never removed. Records of live spans (heartbeats) are no exports.
    pub fn on_export(&self, listener: impl Fn(&ExportOperation) + Send + Sync + 'static) {
        self.engine.listeners.add(Arc::new(listener));
    }

    /// Who is told what goes wrong.
    pub fn diagnostics(&self) -> &Diagnostics {
        &self.engine.diagnostics
    }
}

impl Engine {
    /// Tells the handler what was noted, under no lock.
    pub(crate) fn say(&self, (said, ended): (Vec<Diagnostic>, Vec<ExportOperation>)) {
        said.iter().for_each(|diagnostic| self.diagnostics.say(diagnostic));
        ended.iter().for_each(|operation| self.listeners.tell(operation));
    }

    fn fares(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What became of the batch, and what that changes.
    pub(crate) fn on_export(&self, state: &mut State, result: Result<Accepted, ExportError>) {
        let (now, before) = (self.now(), self.pipeline.ledger());
        let spans = state.flusher.batch().len();
        state.flusher.on_export(now, result);
        let after = self.pipeline.ledger();
        let is_over = match result {
            Err(ExportError::Retry { .. }) => {
                let exhausted = |ledger: &Ledger| ledger.dropped(DropReason::RetriesExhausted);
                exhausted(&after) > exhausted(&before)
            }
            // The halves come next.
            Err(ExportError::TooLarge) => spans <= 1,
            _ => true,
        };
        if is_over {
            let ended = state.operations.end(now, result, &self.names);
            self.keep(state, ended);
        }
        state.said.extend(self.fares().on_export(now, result, &before, &after));
    }

    /// The export under way, if there is one, comes to no end.
    pub(crate) fn abandon(&self, state: &mut State) {
        let ended = state.operations.abandon(self.now(), &self.names);
        self.keep(state, ended);
    }

    fn keep(&self, state: &mut State, ended: Option<ExportOperation>) {
        // Where nobody listens, nothing is allocated.
        state.ended.extend(ended.filter(|_| !self.listeners.is_empty()));
    }

    /// Looks at the losses that producers met.
    pub(crate) fn look(&self, state: &mut State) {
        let (now, ledger) = (self.now(), self.pipeline.ledger());
        let mut fares = self.fares();
        state.said.extend(fares.look_at_limits(now, &ledger));
        state.said.extend(fares.look(now, &ledger));
        if presumed::take() {
            state.said.push(Diagnostic::PresumedRandomness);
        }
    }
}

/// From how much of the queue on it counts as nearly full.
const NEARLY_FULL: f64 = 0.9;
