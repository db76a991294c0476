//! Span processors: code of the program that sees spans begin and end, where they do.
//!
//! ```text
//!   begins ──▶ on_start, of each in turn
//!              (attributes may be added)
//!   ends ──▶ on_ending, of each in turn ──▶ on_end, of each in turn ──▶ ring
//!            (may still be added to)        (read only)
//!   flush, shutdown ──▶ force_flush, shutdown, of each in turn
//! ```
//!
//! Whoever has none pays nothing: a pipeline with processors is not plain, so that its
//! spans begin in the general way, and a bit of theirs makes them end in it.

mod ended;
mod ending;
mod error;
mod started;

use core::fmt;
use core::ops::Deref;
use core::time::Duration;

pub use ended::EndedSpan;
pub use ending::EndingSpan;
pub use error::ProcessorError;
pub use started::StartedSpan;

use crate::state::{Held, Holder, State};
use crate::writer::Writer;
use crate::{Carry, Platform, Span, SpanId};

/// Sees the spans of a pipeline begin and end. Called by many threads at once.
///
/// It sees all spans that are **recorded, whether sampled or not**: those that are
/// [recorded only](crate::Decision::RecordOnly) too, which no exporter gets. It sees none that
/// is dropped by the sampler, or that is a child [too many](crate::SpanBudgets), and none after
/// [shutdown](crate::Pipeline::close).
///
/// [`on_start`](Self::on_start), [`on_ending`](Self::on_ending) and [`on_end`](Self::on_end)
/// are called on the thread that starts or ends the span, while it does. So they must **not
/// block**, and **not panic**. `throughline-runtime` catches what they throw, and
/// tells it once; over core alone, a panic goes on in whoever starts or ends the span.
/// Spans that a processor begins would come to it too: `throughline-runtime` calls it in a
/// suppressed context, in which there are none; over core alone that is up to the processor.
///
/// What they are given is borrowed: it cannot be kept. A processor that hands spans on copies
/// what it wants, and passes it on at the latest when it is [flushed](Self::force_flush).
/// ([Span processor](https://opentelemetry.io/docs/specs/otel/trace/sdk/#span-processor))
///
/// [`force_flush`](Self::force_flush) and [`shutdown`](Self::shutdown) may block: core calls
/// neither, and `throughline-runtime` does on a thread of its own, while it flushes or shuts
/// down the pipeline itself. They are called one processor after the other, in the order in
/// which they were given.
pub trait SpanProcessor: Sync {
    /// A span began, has the attributes that were given with it, and is not current yet.
    /// Attributes may be added; the sampler has decided already. Nothing, if not said
    /// otherwise.
    /// ([OnStart](https://opentelemetry.io/docs/specs/otel/trace/sdk/#onstart))
    fn on_start(&self, span: &mut StartedSpan<'_>) {
        let _ = span;
    }

    /// A span ends: its end time is fixed, and what is in it may still be changed, here alone.
    /// Called for all processors before [`on_end`](Self::on_end) is for any. Nothing, if not
    /// said otherwise.
    /// ([OnEnding](https://opentelemetry.io/docs/specs/otel/trace/sdk/#onending), in
    /// development)
    fn on_ending(&self, span: &mut EndingSpan<'_>) {
        let _ = span;
    }

    /// A span ended. If it is sampled, it is queued for export afterwards.
    /// ([OnEnd](https://opentelemetry.io/docs/specs/otel/trace/sdk/#onendspan))
    fn on_end(&self, span: &EndedSpan<'_>);

    /// Passes on what it holds back of the spans that have ended, within this time: it may
    /// block so long, and whoever asked for the flush is told that it failed if it takes
    /// longer. Called with no time left behind one that took it all. Nothing, if not said
    /// otherwise.
    /// ([ForceFlush](https://opentelemetry.io/docs/specs/otel/trace/sdk/#forceflush-1))
    ///
    /// # Errors
    ///
    /// What went wrong. The receipt of the flush tells it.
    fn force_flush(&self, within: Duration) -> Result<(), ProcessorError> {
        let _ = within;
        Ok(())
    }

    /// Passes on what it holds back and ends, within this time. Called once, when the pipeline
    /// is shut down, after the last call about a span has returned; no other method is called
    /// later, but a `force_flush` that is late may not have returned yet. It is not called behind a processor whose own does not return. A
    /// [`force_flush`](Self::force_flush), if not said otherwise.
    /// ([Shutdown](https://opentelemetry.io/docs/specs/otel/trace/sdk/#shutdown-1))
    ///
    /// # Errors
    ///
    /// What went wrong. The receipt of the shutdown tells it.
    fn shutdown(&self, within: Duration) -> Result<(), ProcessorError> {
        self.force_flush(within)
    }

    /// The processor's name, for what is told about it. That of its type, if not said
    /// otherwise.
    fn name(&self) -> &str {
        core::any::type_name::<Self>()
    }
}

/// What points to a processor is one: a `Box`, an `Arc`, a reference.
impl<S> SpanProcessor for S
where
    S: Deref<Target: SpanProcessor> + Sync,
{
    fn on_start(&self, span: &mut StartedSpan<'_>) {
        (**self).on_start(span);
    }

    fn on_ending(&self, span: &mut EndingSpan<'_>) {
        (**self).on_ending(span);
    }

    fn on_end(&self, span: &EndedSpan<'_>) {
        (**self).on_end(span);
    }

    fn force_flush(&self, within: Duration) -> Result<(), ProcessorError> {
        (**self).force_flush(within)
    }

    fn shutdown(&self, within: Duration) -> Result<(), ProcessorError> {
        (**self).shutdown(within)
    }

    fn name(&self) -> &str {
        (**self).name()
    }
}

/// The processors of a pipeline, and the clock of what they see.
pub struct Processors {
    /// In the order in which they are called.
    pub list: &'static [&'static dyn SpanProcessor],
    /// Turns clock ticks into nanoseconds since the Unix epoch. Called on the threads that end
    /// spans: it must not wait.
    pub unix_nanos: &'static (dyn Fn(u64) -> u64 + Sync),
}

impl fmt::Debug for Processors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list.iter().map(|processor| processor.name())).finish()
    }
}

/// The span that began, of which the processors were told, if it is still this one.
pub(crate) fn told<P: Platform>(mut span: Span<P>, begun: Option<SpanId>) -> Span<P> {
    if let State::Held(Held { carried, by: Holder::Span(live) }) = &mut span.state
        // What filled the span may have put another one in its place, of which they know.
        && live.is_processed()
        && begun == Some(live.span_id())
        && let Some(processors) = live.pipeline().processors()
    {
        let mut started = StartedSpan::new(Writer::new(live), carried.baggage());
        for processor in processors.list {
            processor.on_start(&mut started);
        }
    }
    span
}
