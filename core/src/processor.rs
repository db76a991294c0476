//! Span processors: code of the program that sees spans begin and end, where they do.
//!
//! ```text
//!   begins ──▶ on_start, of each in turn        ends ──▶ on_end, of each in turn ──▶ ring
//!              (attributes may be added)                 (read only)
//! ```
//!
//! Whoever has none pays nothing: a pipeline with processors is not plain, so that its
//! spans begin in the general way, and a bit of theirs makes them end in it.

mod ended;
mod started;

use core::fmt;
use core::ops::Deref;

pub use ended::EndedSpan;
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
/// Both methods are called on the thread that starts or ends the span, while it does. So they
/// must **not block**, and **not panic**. `throughline-runtime` catches what they throw, and
/// tells it once; over core alone, a panic goes on in whoever starts or ends the span.
/// Spans that a processor begins would come to it too: `throughline-runtime` calls it in a
/// suppressed context, in which there are none; over core alone that is up to the processor.
///
/// What they are given is borrowed: it cannot be kept. A processor that hands spans on copies
/// what it wants, and has its own way to be flushed.
/// ([Span processor](https://opentelemetry.io/docs/specs/otel/trace/sdk/#span-processor))
pub trait SpanProcessor: Sync {
    /// A span began, has the attributes that were given with it, and is not current yet.
    /// Attributes may be added; the sampler has decided already. Nothing, if not said
    /// otherwise.
    /// ([OnStart](https://opentelemetry.io/docs/specs/otel/trace/sdk/#onstart))
    fn on_start(&self, span: &mut StartedSpan<'_>) {
        let _ = span;
    }

    /// A span ended. If it is sampled, it is queued for export afterwards.
    /// ([OnEnd](https://opentelemetry.io/docs/specs/otel/trace/sdk/#onendspan))
    fn on_end(&self, span: &EndedSpan<'_>);

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

    fn on_end(&self, span: &EndedSpan<'_>) {
        (**self).on_end(span);
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
