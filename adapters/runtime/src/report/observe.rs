//! What a running pipeline says about itself.

use core::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};

use throughline_core::{Accepted, DropReason, ExportError, Ledger};

use crate::export::engine::{Engine, State};
use crate::export::fan_out::Place;
use crate::export::transmission::{Answer, is_exporting_here};
use crate::report::watch::{Delivery, Watch};
use crate::report::{metrics, presumed};
use crate::sampling::guarded_sampler::GuardedSampler;
use crate::setup::pipeline::SLOT;
use crate::{
    DestinationReport, Diagnostic, Diagnostics, ExportOperation, FailedExport, Health, HealthState,
    SdkMetrics, TailSampler, Target, Telemetry,
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
        let watch = if is_forked { Watch::default() } else { engine.fares().clone() };
        // The state is locked while the one exporter begins to send, and that may ask.
        let destinations = match engine.fans_out && !is_forked {
            true => engine.destinations(&engine.lock()),
            false => Vec::new(),
        };
        let worst = destinations.iter().max_by_key(|each| badness(each.state));
        let (delivery, since) = watch.delivery();
        let state = match worst {
            _ if is_forked || pipeline.is_closed() => HealthState::Stopped,
            // Ordering: Relaxed, no value is read through it.
            _ if engine.is_undriven.load(Ordering::Relaxed) => HealthState::Undriven,
            None => health_of(delivery),
            Some(worst) => worst.state,
        };
        let is_short = watch.is_losing() || queue_fill > NEARLY_FULL;
        let latest = destinations.iter().filter_map(|each| each.last_failure());
        let last_failure = latest
            .min_by_key(|(_, ago)| *ago)
            .or_else(|| watch.last_failure().map(|(failed, at)| (failed, now.saturating_sub(*at))))
            .map(|(failed, ago)| (failed.clone(), ago));
        Health {
            state: if state == HealthState::Ok && is_short { HealthState::Degraded } else { state },
            lasting: worst.map_or_else(|| now.saturating_sub(since), |worst| worst.lasting),
            last_failure_ago: last_failure.as_ref().map_or(now, |(_, ago)| *ago),
            last_failure: last_failure.map(|(failed, _)| failed),
            queue_fill,
            lost: ledger
                .losses()
                .filter(|(why, _)| !metrics::is_wanted(*why))
                .map(|(_, n)| n)
                .sum(),
            destinations,
        }
    }

    /// What is counted about the pipeline, as metrics.
    pub fn metrics(&self) -> SdkMetrics {
        let engine = &self.engine;
        let pipeline = engine.pipeline;
        let is_locked = engine.is_forked() || is_exporting_here();
        let tail = engine.tail.as_ref();
        let tail = match is_locked {
            true => tail.and_then(TailSampler::look),
            false => tail.map(TailSampler::read),
        };
        let (ledger, processed, exporters, operations) = if is_locked {
            // The lock is not to be had: what is settled is known without it.
            let ledger = pipeline.ledger();
            (ledger, metrics::handed_over(&ledger), Vec::new(), Vec::new())
        } else {
            // Nothing is settled meanwhile, so that the numbers belong together.
            let mut state = engine.lock();
            let ledger = pipeline.ledger();
            let handed_over = match &state.fan_out {
                Some(fan_out) => fan_out.handed_over(),
                None => metrics::handed_over(&ledger) + state.flusher.in_export() as u64,
            };
            state.processed = state.processed.max(handed_over);
            let operations = state.operations.iter().enumerate();
            let operations =
                operations.flat_map(|(exporter, of)| of.durations(exporter, &engine.names));
            (ledger, state.processed, engine.counts(&state), operations.collect())
        };
        SdkMetrics {
            ledger,
            begun: pipeline.begun(),
            live: pipeline.live_count() as u64,
            queue_size: pipeline.queue_used().div_ceil(SLOT) as u64,
            queue_capacity: (pipeline.queue_capacity() / SLOT) as u64,
            processed,
            exporters,
            operations,
            tail,
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

    /// Whoever drove the pipeline panicked: told once.
    pub(crate) fn driver_panicked(&self) {
        // Ordering: Relaxed, no value is read through it.
        if !self.has_panicked.swap(true, Ordering::Relaxed) {
            self.diagnostics
                .say(&Diagnostic::Panicked { what: "the task that drives the pipeline" });
        }
    }

    fn fares(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What became of the batch, and what that changes.
    pub(crate) fn on_export(&self, state: &mut State, answer: Answer) {
        let result = answer.result;
        let (now, before) = (self.now(), self.pipeline.ledger());
        let spans = state.flusher.batch().len();
        match result {
            Ok(_) if self.discards => {
                let mut nowhere = Ledger::default();
                nowhere.add_dropped(DropReason::RecordOnly, spans as u64);
                state.flusher.hand_over();
                state.flusher.settle(&nowhere);
            }
            result => state.flusher.on_export(now, result),
        }
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
            let ended = state.operations[0].end(now, ONLY, result, &self.names);
            self.keep(state, ended);
        }
        let mut fares = self.fares();
        let said = fares.on_export(now, self.outcome(ONLY.lane, &answer), &before, &after);
        let warned = fares.on_warning(result, answer.remark.as_ref());
        drop(fares);
        let said = said.into_iter().chain(warned);
        state
            .said
            .extend(said.map(|what| what.about(self.target(ONLY.lane), answer.remark.as_ref())));
    }

    /// What became of what was sent at a place of its own, and what that changes.
    pub(crate) fn on_export_at(&self, state: &mut State, place: Place, answer: Answer) {
        let (now, result) = (self.now(), answer.result);
        let Some(fan_out) = &mut state.fan_out else { return };
        let is_of_spans = fan_out.is_of_spans(place);
        let Some(before) = fan_out.lane_mut(place.lane).map(|lane| lane.ledger) else { return };
        let is_over = state.settle_at(now, place, result);
        if is_over
            && is_of_spans
            && let Some(operations) = state.operations.get_mut(place.lane)
        {
            let ended = operations.end(now, place, result, &self.names);
            self.keep(state, ended);
        }
        let Some(fan_out) = &mut state.fan_out else { return };
        let Some(lane) = fan_out.lane_mut(place.lane) else { return };
        let outcome = self.outcome(place.lane, &answer);
        let said = lane.watch.on_export(now, outcome, &before, &lane.ledger);
        let said = said.into_iter().chain(lane.watch.on_warning(result, answer.remark.as_ref()));
        state.said.extend(said.map(|what| {
            let what = what.about(self.target(place.lane), answer.remark.as_ref());
            self.about(place.lane, what)
        }));
    }

    /// The exports under way, if there are any, come to no end.
    pub(crate) fn abandon(&self, state: &mut State) {
        let now = self.now();
        for exporter in 0..state.operations.len() {
            while let Some(ended) = state.operations[exporter].abandon(now, exporter, &self.names) {
                self.keep(state, Some(ended));
            }
        }
    }

    fn keep(&self, state: &mut State, ended: Option<ExportOperation>) {
        // Where nobody listens, nothing is allocated.
        state.ended.extend(ended.filter(|_| !self.listeners.is_empty()));
    }

    /// Looks at the losses that producers and full destinations met.
    pub(crate) fn look(&self, state: &mut State) {
        let (now, ledger) = (self.now(), self.pipeline.ledger());
        let mut fares = self.fares();
        state.said.extend(fares.look_at_limits(now, &ledger));
        state.said.extend(fares.look_at_memory(now, &ledger));
        state.said.extend(fares.look(now, &ledger));
        if let Some(tail) = &self.tail {
            state.said.extend(fares.look_at_tail(now, &tail.stats()));
            if tail.take_panicked() {
                state.said.push(Diagnostic::Panicked { what: "a predicate of tail sampling" });
            }
        }
        if self.sampler.is_some_and(GuardedSampler::take_panicked) {
            state.said.push(Diagnostic::Panicked { what: "the sampler" });
        }
        if presumed::take() {
            state.said.push(Diagnostic::PresumedRandomness);
        }
        drop(fares);
        if self.apart.len() < 2 {
            return;
        }
        for index in 0..self.apart.len() {
            let lane = state.fan_out.as_mut().and_then(|fan_out| fan_out.lane_mut(index));
            let said = lane.and_then(|lane| lane.watch.look(now, &lane.ledger));
            state.said.extend(said.map(|what| self.about(index, what)));
        }
    }

    /// The failure of the last transmission, of the first destination that has one.
    pub(crate) fn failing(&self, state: &State) -> Option<FailedExport> {
        match &state.fan_out {
            Some(fan_out) => fan_out.lanes().iter().find_map(|lane| lane.watch.failing().cloned()),
            None => self.fares().failing().cloned(),
        }
    }

    /// An answer, with all that is known of a failure.
    fn outcome(&self, lane: usize, answer: &Answer) -> Result<Accepted, FailedExport> {
        answer.result.map_err(|error| FailedExport {
            error,
            endpoint: self.names.endpoint(lane),
            detail: answer.remark.clone(),
        })
    }

    /// Where the exporter of this lane sends to, as far as it is known.
    pub(crate) fn target(&self, lane: usize) -> Target {
        Target { service: self.service.clone(), endpoint: self.names.endpoint(lane) }
    }

    /// Says which destination it is about, if there are several.
    fn about(&self, lane: usize, what: Diagnostic) -> Diagnostic {
        match self.apart.len() {
            0 | 1 => what,
            _ => Diagnostic::Destination { name: self.names.exporter(lane), what: Box::new(what) },
        }
    }

    /// How each destination fares.
    pub(crate) fn destinations(&self, state: &State) -> Vec<DestinationReport> {
        let now = self.now();
        let is_closed = self.pipeline.is_closed();
        let report = |(index, watch, ledger): (usize, &Watch, Ledger)| {
            let (delivery, since) = watch.delivery();
            let state = match health_of(delivery) {
                _ if is_closed => HealthState::Stopped,
                HealthState::Ok if watch.is_losing() => HealthState::Degraded,
                state => state,
            };
            let last_failure = watch.last_failure();
            DestinationReport {
                name: self.names.exporter(index),
                ledger,
                state,
                failing: watch.failing().cloned(),
                last_failure: last_failure
                    .map(|(failed, at)| (failed.clone(), now.saturating_sub(*at))),
                lasting: now.saturating_sub(since),
            }
        };
        match &state.fan_out {
            Some(fan_out) => {
                let lanes = fan_out.lanes().iter().enumerate();
                lanes.map(|(i, lane)| report((i, &lane.watch, lane.ledger))).collect()
            }
            None => {
                let ledger = metrics::at_export(&self.pipeline.ledger(), state.flusher.in_export());
                vec![report((0, &self.fares(), ledger))]
            }
        }
    }

    /// The books of each exporter, and what it is sending.
    fn counts(&self, state: &State) -> Vec<(Ledger, u64)> {
        match &state.fan_out {
            Some(fan_out) => {
                let lanes = fan_out.lanes().iter().enumerate();
                lanes.map(|(index, lane)| (lane.ledger, fan_out.in_export(index))).collect()
            }
            None => {
                let in_export = state.flusher.in_export();
                vec![(metrics::at_export(&self.pipeline.ledger(), in_export), in_export as u64)]
            }
        }
    }
}

fn health_of(delivery: Delivery) -> HealthState {
    match delivery {
        Delivery::Lossy { .. } => HealthState::Failing,
        Delivery::Failing { .. } => HealthState::Degraded,
        Delivery::Delivered => HealthState::Ok,
    }
}

fn badness(state: HealthState) -> u8 {
    match state {
        HealthState::Ok | HealthState::Off => 0,
        HealthState::Degraded => 1,
        HealthState::Failing => 2,
        HealthState::Undriven => 3,
        HealthState::Stopped => 4,
    }
}

/// Where there is one destination with one request in flight.
pub(crate) const ONLY: Place = Place { lane: 0, slot: 0 };

/// From how much of the queue on it counts as nearly full.
const NEARLY_FULL: f64 = 0.9;
