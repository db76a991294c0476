//! What a running pipeline says about itself.

use std::sync::{MutexGuard, PoisonError};

use throughline_core::{Accepted, ExportError};

use crate::drive::is_exporting_here;
use crate::engine::{Engine, State};
use crate::metrics;
use crate::pipeline::SLOT;
use crate::watch::{Delivery, Watch};
use crate::{Diagnostic, Diagnostics, Health, HealthState, SdkMetrics, Telemetry};

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
        let (ledger, in_flight, processed) = if engine.is_forked() || is_exporting_here() {
            // The lock is not to be had: what is settled is known without it.
            let ledger = pipeline.ledger();
            (ledger, 0, metrics::handed_over(&ledger))
        } else {
            // Nothing is settled meanwhile, so that the numbers belong together.
            let mut state = engine.lock();
            let (ledger, in_flight) = (pipeline.ledger(), state.flusher.in_export() as u64);
            state.processed = state.processed.max(metrics::handed_over(&ledger) + in_flight);
            (ledger, in_flight, state.processed)
        };
        SdkMetrics {
            ledger,
            live: pipeline.live_count() as u64,
            queue_size: pipeline.queue_used().div_ceil(SLOT) as u64,
            queue_capacity: (pipeline.queue_capacity() / SLOT) as u64,
            processed,
            in_flight,
            names: engine.names.clone(),
        }
    }

    /// Who is told what goes wrong.
    pub fn diagnostics(&self) -> &Diagnostics {
        &self.engine.diagnostics
    }
}

impl Engine {
    /// Tells the handler what was noted, under no lock.
    pub(crate) fn say(&self, said: Vec<Diagnostic>) {
        said.iter().for_each(|diagnostic| self.diagnostics.say(diagnostic));
    }

    fn fares(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What became of the batch, and what that changes.
    pub(crate) fn on_export(&self, state: &mut State, result: Result<Accepted, ExportError>) {
        let (now, before) = (self.now(), self.pipeline.ledger());
        state.flusher.on_export(now, result);
        let after = self.pipeline.ledger();
        state.said.extend(self.fares().on_export(now, result, &before, &after));
    }

    /// Looks at the losses that producers met.
    pub(crate) fn look(&self, state: &mut State) {
        state.said.extend(self.fares().look(self.now(), &self.pipeline.ledger()));
    }
}

/// From how much of the queue on it counts as nearly full.
const NEARLY_FULL: f64 = 0.9;
