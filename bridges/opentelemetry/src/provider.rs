//! The provider of tracers.

use core::time::Duration;

use opentelemetry::{InstrumentationScope, global, trace};
use throughline_runtime::{Receipt, Telemetry};

use crate::{Tracer, in_step, scopes};

/// throughline as a provider of OpenTelemetry's tracers.
///
/// Spans go to the pipeline that the context names; where it names none, to that of the
/// [`Telemetry`] which this was made [`of`](Self::of); else to the default one, also if
/// that is installed later. So one global provider serves the whole program, and tests
/// that run at the same time, each with a pipeline of its own. Sampler, limits, ids and
/// resource are the pipeline's.
///
/// After the shutdown of a pipeline, its tracers go on handing contexts over, and their
/// spans are not recorded.
/// ([TracerProvider](https://opentelemetry.io/docs/specs/otel/trace/api/#tracerprovider))
#[derive(Clone, Debug)]
pub struct TracerProvider {
    telemetry: Option<Telemetry>,
    /// Whether what is current in one API is current in the other.
    is_in_step: bool,
}

impl TracerProvider {
    /// A provider for this pipeline, wherever the context names no other.
    ///
    /// From now on, what is current in one API is current in the other, on all threads.
    pub fn of(telemetry: &Telemetry) -> Self {
        TracerProvider { telemetry: Some(telemetry.clone()), is_in_step: in_step::begin() }
    }

    /// Makes it the [global] provider. A later one replaces it; tracers that were handed
    /// out stay what they are.
    pub fn install(self) {
        global::set_tracer_provider(self);
    }

    /// Whether what is current in one API is current in the other. It is not where
    /// another bridge is set, which keeps the order of scopes.
    pub fn is_in_step(&self) -> bool {
        self.is_in_step
    }

    /// Sends everything that has ended by now, and blocks meanwhile: see
    /// [`Telemetry::flush_blocking`]. A provider that is made of no [`Telemetry`] has
    /// nothing to send: whoever installed the default pipeline flushes it.
    /// ([ForceFlush](https://opentelemetry.io/docs/specs/otel/trace/sdk/#forceflush))
    pub fn force_flush(&self, within: Duration) -> Receipt {
        let flush = |telemetry: &Telemetry| telemetry.flush_blocking(within);
        self.telemetry.as_ref().map_or_else(Receipt::nothing, flush)
    }

    /// Sends everything that has ended by now and ends the pipeline, and blocks
    /// meanwhile: see [`Telemetry::shutdown_blocking`].
    /// ([Shutdown](https://opentelemetry.io/docs/specs/otel/trace/sdk/#shutdown))
    pub fn shutdown(&self, within: Duration) -> Receipt {
        let shutdown = |telemetry: &Telemetry| telemetry.shutdown_blocking(within);
        self.telemetry.as_ref().map_or_else(Receipt::nothing, shutdown)
    }
}

/// A provider for whatever pipeline the context names, or else the default one.
impl Default for TracerProvider {
    fn default() -> Self {
        TracerProvider { telemetry: None, is_in_step: in_step::begin() }
    }
}

impl trace::TracerProvider for TracerProvider {
    type Tracer = Tracer;

    fn tracer_with_scope(&self, scope: InstrumentationScope) -> Tracer {
        let pipeline = self.telemetry.as_ref().map(Telemetry::pipeline);
        Tracer::new(scopes::callsite(&scope), pipeline, self.is_in_step)
    }
}
