//! A pipeline, and a subscriber of `tracing` whose spans go there.

use core::error::Error;
use core::fmt;
use std::io;

use throughline::exporters::Memory;
use throughline::tracing::TracingLayer;
use throughline::{Builder, Telemetry, Thread, builder};
use tracing::dispatcher::{self, Dispatch};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;

use crate::conformance::DEADLINE;

/// A pipeline, and a subscriber that is there for one test.
#[derive(Debug)]
pub struct Stage {
    /// The pipeline.
    pub telemetry: Telemetry,
    /// Where its spans go.
    pub memory: Memory,
    /// The subscriber.
    pub dispatch: Dispatch,
}

impl Stage {
    /// With the layer as it is by default.
    pub fn new() -> Self {
        Self::with(TracingLayer::new())
    }

    /// With this layer alone.
    pub fn with(layer: TracingLayer) -> Self {
        Self::on(Dispatch::new(registry().with(layer)))
    }

    /// With this subscriber.
    ///
    /// # Panics
    ///
    /// If the system gives no thread.
    pub fn on(dispatch: Dispatch) -> Self {
        Self::with_settings(builder().long_poll(None), dispatch)
    }

    /// With this subscriber, and a pipeline of these settings.
    ///
    /// # Panics
    ///
    /// If the system gives no thread.
    pub fn with_settings(builder: Builder, dispatch: Dispatch) -> Self {
        let memory = Memory::new();
        let thread = Thread::start().expect("the system gives a thread");
        let telemetry = builder.start(thread, memory.clone());
        Stage { telemetry, memory, dispatch }
    }

    /// Runs the closure where the subscriber and the pipeline are.
    pub fn run<R>(&self, work: impl FnOnce() -> R) -> R {
        let work = || self.telemetry.context().scope(work);
        dispatcher::with_default(&self.dispatch, work)
    }

    /// Ends the pipeline, in which every span must have ended.
    ///
    /// # Panics
    ///
    /// If one has not, or something was lost.
    pub fn finish(&self) -> &Memory {
        let receipt = self.telemetry.shutdown_blocking(DEADLINE);
        assert!(receipt.is_complete(), "{receipt}");
        assert_eq!(receipt.ledger().in_flight(), 0, "{receipt}");
        &self.memory
    }
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}

/// An error with another one behind it.
#[derive(Debug)]
pub struct Refused(io::Error);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the order is not stored")
    }
}

impl Error for Refused {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

/// One of them.
pub fn refused() -> Refused {
    Refused(io::Error::other("connection refused"))
}

/// As `tracing` takes errors.
pub fn as_error(error: &Refused) -> &(dyn Error + 'static) {
    error
}
