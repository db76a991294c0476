//! What the pipeline has to say about itself, and to whom.

use core::fmt;
use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::io::Write;
use std::sync::Arc;

use throughline_core::{DropReason, ExportError};

use crate::{Context, Warning};

/// Something that went wrong and was not passed to a caller, or that is over.
///
/// Each is told once per change of state, not once per batch or span: how often
/// it happened is in the ledger.
/// ([Error handling](https://opentelemetry.io/docs/specs/otel/error-handling/#self-diagnostics))
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Diagnostic {
    /// The value of an environment variable was ignored, in whole or in part.
    Ignored(Warning),
    /// A resource detector failed while it looked.
    Detector {
        /// The detector's name.
        name: &'static str,
        /// What failed.
        problem: String,
    },
    /// A transmission failed after the last one had succeeded, or the first one
    /// did. Further failures are not told until one has succeeded.
    ExportFailing {
        /// What went wrong.
        error: ExportError,
    },
    /// A transmission succeeded again.
    ExportRecovered {
        /// How long they had failed.
        after: Duration,
        /// Spans that were given up meanwhile.
        lost: u64,
    },
    /// Spans are being lost for want of room, or refused by the receiver, after a
    /// time without such losses.
    /// ([BSP-9](https://opentelemetry.io/docs/specs/otel/performance/#trade-off-between-non-blocking-and-memory-consumption))
    LosingSpans {
        /// Why most of them were lost.
        reason: DropReason,
        /// How many so far.
        lost: u64,
    },
    /// Attributes, events or links are being left out of spans, because of a
    /// [limit](throughline_core::SpanLimits), after a time without. Each span says how many
    /// it is short of.
    /// ([LIM-7](https://opentelemetry.io/docs/specs/otel/trace/sdk/#span-limits))
    LimitsExceeded {
        /// How many spans so far.
        spans: u64,
    },
    /// A sampler that keeps a part of the traces decided about the child of another
    /// process by a trace id of which nobody says that it is random. Counts may be wrong.
    /// Told once in the life of the process.
    /// ([PRB-5](https://opentelemetry.io/docs/specs/otel/trace/sdk/#compatibility-warnings-for-probabilitysampler))
    PresumedRandomness,
    /// A [span processor](throughline_core::SpanProcessor) panicked. It is called again for
    /// further spans, and told of no more. Told on the thread on which it happened.
    /// ([ERR-4](https://opentelemetry.io/docs/specs/otel/error-handling/#guidance))
    ProcessorPanicked {
        /// The processor's name.
        processor: String,
        /// What it panicked with.
        problem: String,
    },
    /// No span was lost for a while.
    LossEnded {
        /// How many were lost since the losses began.
        lost: u64,
    },
    /// One of these about one of several destinations.
    Destination {
        /// Its name, as metrics have it.
        name: Arc<str>,
        /// What there is to say.
        what: Box<Diagnostic>,
    },
    /// The pipeline ended by its deadline, with spans that were not sent.
    Abandoned {
        /// How many.
        lost: u64,
    },
}

/// How much a [`Diagnostic`] matters, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Severity {
    /// Spans are lost, or will be.
    Error,
    /// Something was ignored.
    Warn,
    /// Something is over.
    Info,
}

/// Who is told: a line on stderr each, unless a program sets a handler.
///
/// The handler runs on whatever thread drives the pipeline, so it must not wait;
/// it holds no lock of ours, spans in it are not recorded, and a panic in it is
/// caught. ([Configuring error handlers](https://opentelemetry.io/docs/specs/otel/error-handling/#configuring-error-handlers))
#[derive(Clone)]
pub struct Diagnostics {
    handler: Arc<dyn Fn(&Diagnostic) + Send + Sync>,
}

impl Diagnostic {
    /// How much it matters.
    pub fn severity(&self) -> Severity {
        match self {
            Diagnostic::ExportFailing { .. }
            | Diagnostic::LosingSpans { .. }
            | Diagnostic::Abandoned { .. } => Severity::Error,
            Diagnostic::Destination { what, .. } => what.severity(),
            Diagnostic::Ignored(_)
            | Diagnostic::Detector { .. }
            | Diagnostic::LimitsExceeded { .. }
            | Diagnostic::ProcessorPanicked { .. }
            | Diagnostic::PresumedRandomness => Severity::Warn,
            Diagnostic::ExportRecovered { .. } | Diagnostic::LossEnded { .. } => Severity::Info,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warn => "warn",
            Severity::Info => "info",
        })
    }
}

impl Diagnostics {
    /// Tells this handler.
    pub fn to(handler: impl Fn(&Diagnostic) + Send + Sync + 'static) -> Self {
        Diagnostics { handler: Arc::new(handler) }
    }

    /// A line on stderr for each that is at least as grave; `None` is silence. A
    /// stderr that is closed or full takes nothing down.
    pub fn stderr(least: impl Into<Option<Severity>>) -> Self {
        let least = least.into();
        Self::to(move |diagnostic| {
            if least.is_some_and(|least| diagnostic.severity() <= least) {
                let _ = writeln!(std::io::stderr(), "throughline: {diagnostic}");
            }
        })
    }

    /// Tells the handler.
    pub fn say(&self, diagnostic: &Diagnostic) {
        let tell = || (self.handler)(diagnostic);
        let context = Context::empty().suppressed();
        // User code: what it throws is not the flusher's to die of.
        let _ = std::panic::catch_unwind(AssertUnwindSafe(|| context.scope(tell)));
    }
}

/// All of them, on stderr.
impl Default for Diagnostics {
    fn default() -> Self {
        Self::stderr(Severity::Info)
    }
}

impl fmt::Debug for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Diagnostics").finish_non_exhaustive()
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Diagnostic::Ignored(warning) => warning.fmt(f),
            Diagnostic::Detector { name, problem } => {
                write!(f, "the resource detector {name} failed: {problem}")
            }
            Diagnostic::ExportFailing { error } => {
                write!(f, "spans cannot be exported: {error}; told again once they can")
            }
            Diagnostic::ExportRecovered { after, lost } => {
                write!(f, "spans are exported again after {after:.1?}, {lost} were given up")
            }
            Diagnostic::LosingSpans { reason, lost } => {
                write!(f, "spans are being lost: {} ({lost} so far)", reason.as_str())
            }
            Diagnostic::LimitsExceeded { spans } => {
                write!(
                    f,
                    "attributes, events or links are left out of spans, as the limits say ({spans} spans so far)"
                )
            }
            Diagnostic::PresumedRandomness => f.write_str(
                "a trace id was taken for random by a sampler, though its random flag is not set: counts may be wrong",
            ),
            Diagnostic::ProcessorPanicked { processor, problem } => {
                write!(f, "the span processor {processor} panicked: {problem}")
            }
            Diagnostic::LossEnded { lost } => {
                write!(f, "no more spans are being lost, {lost} were")
            }
            Diagnostic::Destination { name, what } => write!(f, "{name}: {what}"),
            Diagnostic::Abandoned { lost } => {
                write!(f, "the pipeline ended by its deadline with {lost} spans not sent")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// ERR-4: a handler is user code
    /// ([Error handling](https://opentelemetry.io/docs/specs/otel/error-handling/#guidance)).
    #[test]
    fn a_handler_that_panics_harms_nobody() {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        let diagnostics = Diagnostics::to(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            panic!("in the handler");
        });
        diagnostics.say(&Diagnostic::LossEnded { lost: 1 });
        diagnostics.say(&Diagnostic::LossEnded { lost: 2 });
        assert_eq!(calls.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_handler_is_called_in_a_suppressed_context() {
        let seen = Arc::new(AtomicUsize::new(0));
        let noted = seen.clone();
        let diagnostics = Diagnostics::to(move |_| {
            noted.store(1 + usize::from(Context::current().is_suppressed()), Ordering::Relaxed);
        });
        diagnostics.say(&Diagnostic::LossEnded { lost: 1 });
        assert_eq!(seen.load(Ordering::Relaxed), 2);
    }
}
