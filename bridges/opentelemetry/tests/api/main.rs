//! The OpenTelemetry API over throughline, on one thread.

mod baggage;
mod nesting;
mod processors;
mod provider;
mod sampling;
mod spans;
mod suppression;

use core::time::Duration;

use throughline::exporters::Memory;
use throughline::{Builder, Telemetry, Thread, builder};
use throughline_bridge_opentelemetry::{Tracer, TracerProvider};

/// An isolated pipeline, and a tracer for it.
struct Stage {
    telemetry: Telemetry,
    memory: Memory,
    provider: TracerProvider,
}

impl Stage {
    fn new() -> Self {
        Self::with(builder())
    }

    fn with(builder: Builder) -> Self {
        let memory = Memory::new();
        let telemetry = builder.start(Thread::start().expect("a thread"), memory.clone());
        let provider = TracerProvider::of(&telemetry);
        assert!(provider.is_in_step());
        Stage { telemetry, memory, provider }
    }

    fn tracer(&self) -> Tracer {
        opentelemetry::trace::TracerProvider::tracer(&self.provider, "library")
    }

    /// Runs within the pipeline's context.
    fn run<R>(&self, work: impl FnOnce() -> R) -> R {
        self.telemetry.context().scope(work)
    }

    /// Sends everything: what the memory has is complete.
    #[track_caller]
    fn finish(&self) -> &Memory {
        let receipt = self.provider.shutdown(Duration::from_secs(20));
        assert!(receipt.is_complete(), "{receipt}");
        &self.memory
    }

    #[track_caller]
    fn finish_with_tree(&self, expected: &str) {
        self.finish().assert_tree(expected);
    }
}
