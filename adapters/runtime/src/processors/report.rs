//! What became of a processor in a flush or shutdown.

use core::fmt;

use throughline_core::ProcessorError;

/// What became of a [processor](throughline_core::SpanProcessor) in a flush or shutdown.
/// ([ForceFlush](https://opentelemetry.io/docs/specs/otel/trace/sdk/#forceflush-1))
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessorReport {
    pub(crate) name: String,
    pub(crate) result: Result<(), ProcessorError>,
}

impl ProcessorReport {
    /// The processor's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it said.
    ///
    /// # Errors
    ///
    /// Why it may still hold something back: [`ProcessorError::Timeout`] too if it was not
    /// done by the deadline; not asked, since one before it was not; or there was no thread to
    /// ask it on.
    pub fn result(&self) -> Result<(), ProcessorError> {
        self.result
    }
}

impl fmt::Display for ProcessorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.result {
            Ok(()) => write!(f, "the span processor {}: done", self.name),
            Err(error) => write!(f, "the span processor {}: {error}", self.name),
        }
    }
}
