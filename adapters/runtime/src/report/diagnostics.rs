//! What the pipeline has to say about itself, and to whom.

use core::fmt;
use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::io::Write;
use std::sync::Arc;

use throughline_core::{DropReason, ExportError, ProcessorError};

use crate::export::failed_export::Detailed;
use crate::{Context, PipelineOptions, TailError, Warning};

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
        /// Where to.
        target: Target,
        /// What went wrong.
        error: ExportError,
        /// What the failure says of itself, in at most 200 characters: the error of the
        /// system, or the beginning of the answer. It comes from outside.
        detail: Option<Arc<str>>,
    },
    /// A receiver accepted a batch and had something to say: it refused a part, or warns.
    /// Further words are not told until it has accepted a batch without any.
    /// ([OTLP-11](https://opentelemetry.io/docs/specs/otlp/#partial-success-1))
    PartialSuccess {
        /// Where to.
        target: Target,
        /// How many spans it refused; 0 is a warning.
        rejected: u64,
        /// What it said, in at most 200 characters.
        message: Arc<str>,
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
    /// What was recorded on spans does not fit into the memory that there is for one:
    /// [`PipelineOptions::SPAN_BYTES`], or 376 bytes of spans beyond
    /// [`PipelineOptions::max_large_spans`]. Texts are cut, what cannot be cut is left out;
    /// after a time without.
    /// ([LIM-7](https://opentelemetry.io/docs/specs/otel/trace/sdk/#span-limits))
    SpanMemoryExceeded {
        /// How many spans so far.
        spans: u64,
    },
    /// Traces are being decided before they are over, since the memory of
    /// [tail sampling](crate::TailSampling) is full, after a time without: errors that come
    /// later may be lost. More [bytes](crate::TailSampling::max_bytes) or
    /// [traces](crate::TailSampling::max_traces) help. Each pipeline that shares the sampler
    /// tells it.
    TailDecidesEarly {
        /// How many traces so far.
        traces: u64,
    },
    /// A pipeline started without the tail sampling that it was to have: it exports every
    /// trace.
    TailRefused(TailError),
    /// Code of the program that the pipeline calls panicked, and was caught: spans are then
    /// dropped by a sampler, and not matched by a predicate. Told once for each sampler and
    /// tail sampler.
    /// ([ERR-4](https://opentelemetry.io/docs/specs/otel/error-handling/#guidance))
    Panicked {
        /// What did: `the sampler`, `a predicate of tail sampling`, or `the task that drives
        /// the pipeline`, which then [nobody drives](crate::HealthState::Undriven).
        what: &'static str,
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
    /// A span processor could not pass on what it holds back, in a flush or shutdown. Told
    /// when the former one had succeeded. That one was late is in the
    /// [receipt](crate::Receipt::processors), and told only where nobody sees that.
    /// ([ForceFlush](https://opentelemetry.io/docs/specs/otel/trace/sdk/#forceflush-1))
    ProcessorFailed {
        /// The processor's name.
        processor: String,
        /// What went wrong.
        error: ProcessorError,
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

/// Whose spans, and where they were sent to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Target {
    /// The name of the service, as the resource of the pipeline has it.
    pub service: Option<Arc<str>>,
    /// Scheme, host, port and path, if the exporter [says so](crate::Component::with_endpoint);
    /// no credentials and no query.
    pub endpoint: Option<Arc<str>>,
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
    /// A transmission failed, of which nothing more is known.
    pub(crate) fn failing(error: ExportError) -> Self {
        Diagnostic::ExportFailing { target: Target::default(), error, detail: None }
    }

    /// The same, with what is known of the transmission.
    pub(crate) fn about(mut self, where_to: Target, remark: Option<&Arc<str>>) -> Self {
        match &mut self {
            Diagnostic::ExportFailing { target, detail, .. } => {
                *target = where_to;
                *detail = remark.cloned();
            }
            Diagnostic::PartialSuccess { target, .. } => *target = where_to,
            _ => {}
        }
        self
    }

    /// How much it matters.
    pub fn severity(&self) -> Severity {
        match self {
            Diagnostic::ExportFailing { .. }
            | Diagnostic::LosingSpans { .. }
            | Diagnostic::Panicked { .. }
            | Diagnostic::TailRefused(_)
            | Diagnostic::Abandoned { .. } => Severity::Error,
            Diagnostic::Destination { what, .. } => what.severity(),
            Diagnostic::Ignored(_)
            | Diagnostic::PartialSuccess { .. }
            | Diagnostic::Detector { .. }
            | Diagnostic::LimitsExceeded { .. }
            | Diagnostic::SpanMemoryExceeded { .. }
            | Diagnostic::TailDecidesEarly { .. }
            | Diagnostic::ProcessorPanicked { .. }
            | Diagnostic::ProcessorFailed { .. }
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
            Diagnostic::ExportFailing { target, error, detail } => {
                let why = Detailed(*error, detail.as_deref());
                write!(f, "spans{target} cannot be exported: {why}; told again once they can")
            }
            Diagnostic::PartialSuccess { target, rejected: 0, message } => {
                write!(f, "the receiver of spans{target} warns: {message}")
            }
            Diagnostic::PartialSuccess { target, rejected, message } => {
                write!(f, "the receiver of spans{target} rejected {rejected}: {message}")
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
            Diagnostic::SpanMemoryExceeded { spans } => {
                write!(
                    f,
                    "texts are cut, or attributes, events or links left out of spans, as they do not fit into the memory of a span: {} bytes, or 376 beyond `max_large_spans` ({spans} spans so far)",
                    PipelineOptions::SPAN_BYTES
                )
            }
            Diagnostic::TailRefused(error) => write!(f, "every trace is exported: {error}"),
            Diagnostic::Panicked { what } => write!(f, "{what} panicked"),
            Diagnostic::TailDecidesEarly { traces } => {
                write!(
                    f,
                    "traces are decided before they are over, the memory of tail sampling is full ({traces} so far)"
                )
            }
            Diagnostic::PresumedRandomness => f.write_str(
                "a trace id was taken for random by a sampler, though its random flag is not set: counts may be wrong",
            ),
            Diagnostic::ProcessorPanicked { processor, problem } => {
                write!(f, "the span processor {processor} panicked: {problem}")
            }
            Diagnostic::ProcessorFailed { processor, error } => {
                write!(f, "the span processor {processor} could not be flushed: {error}")
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

/// ` of shop to http://collector:4318/v1/traces`, as far as it is known.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(service) = &self.service {
            write!(f, " of {service}")?;
        }
        match &self.endpoint {
            Some(endpoint) => write!(f, " to {endpoint}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicUsize, Ordering};

    use throughline_core::Failure;

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

    #[test]
    fn what_cannot_be_exported_says_whose_where_to_and_why() {
        let target = Target {
            service: Some("shop".into()),
            endpoint: Some("http://h:4318/v1/traces".into()),
        };
        let error = ExportError::Retry { after: None, failure: Failure::Connect };
        let told = Diagnostic::failing(error).about(target.clone(), Some(&"refused".into()));
        assert_eq!(
            told.to_string(),
            "spans of shop to http://h:4318/v1/traces cannot be exported: the receiver could \
             not be reached (refused); it may pass later; told again once they can"
        );
        let message = "too old".into();
        let told = Diagnostic::PartialSuccess { target: Target::default(), rejected: 3, message };
        let told = told.about(target, None);
        assert_eq!(
            told.to_string(),
            "the receiver of spans of shop to http://h:4318/v1/traces rejected 3: too old"
        );
    }
}
