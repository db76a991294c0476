//! When the flusher sends.

use core::time::Duration;

use crate::backoff::Retry;

/// When batches are sent, and what happens when that fails.
///
/// Names and defaults are those of the [batching
/// processor](https://opentelemetry.io/docs/specs/otel/trace/sdk/#batching-processor).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlusherSettings {
    /// How long a span waits for others before it is sent. 5 s by default.
    pub schedule_delay: Duration,
    /// The most spans of a batch. 512 by default.
    pub max_export_batch_size: usize,
    /// How long one transmission may take; `None` is without limit. 30 s by
    /// default.
    pub export_timeout: Option<Duration>,
    /// Repetitions of a failed transmission.
    pub retry: Retry,
}

impl FlusherSettings {
    /// The specification's defaults.
    pub const fn new() -> Self {
        FlusherSettings {
            schedule_delay: Duration::from_millis(5_000),
            max_export_batch_size: 512,
            export_timeout: Some(Duration::from_millis(30_000)),
            retry: Retry::new(),
        }
    }
}

impl Default for FlusherSettings {
    fn default() -> Self {
        Self::new()
    }
}
