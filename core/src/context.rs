//! The context: which span work belongs to, and what travels with it.
//!
//! ```text
//!                enter                         leave
//!   Local  ┌─────────────┐   swap   ┌─────────────┐   swap back
//!   (per   │ outer       │ ───────▶ │ inner       │ ───────▶ outer
//!   thread)└─────────────┘          └─────────────┘
//!                                     the outer one waits in the scope,
//!                                     future or stream that entered
//! ```
//!
//! What is current is **moved** in and out, never cloned or counted. The scope
//! of a span moves the span itself in, so that code inside may add to it; a
//! context that was captured elsewhere is current without its span.

use core::cell::Cell;

use crate::live::Live;
use crate::{IdGenerator, Pipeline, Platform, Span, SpanContext};

/// An immutable snapshot of what is current: the span's identity, the trace
/// state and baggage, the pipeline, and whether telemetry is suppressed.
///
/// It is what one hands to other threads, tasks and processes.
/// ([Context](https://opentelemetry.io/docs/specs/otel/context/))
pub struct Context<P: Platform> {
    pub(crate) head: Head,
    pub(crate) carried: P::Carried,
}

/// The part of a context that is plain data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) span: SpanContext,
    pub(crate) suppressed: Flag,
    pub(crate) pipeline: Option<&'static Pipeline>,
}

/// A truth value as large as a word. What is moved at every poll has neither
/// padding nor single bytes in it: their copies are pieced together, and a load
/// that spans several recent stores has to wait for them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flag(usize);

impl Flag {
    pub(crate) const NO: Flag = Flag(0);
    pub(crate) const YES: Flag = Flag(1);

    #[inline(always)]
    pub(crate) const fn is_set(self) -> bool {
        self.0 != 0
    }

    #[inline(always)]
    pub(crate) const fn or(self, other: Flag) -> Flag {
        Flag(self.0 | other.0)
    }
}

impl Head {
    pub(crate) const EMPTY: Head =
        Head { span: SpanContext::INVALID, suppressed: Flag::NO, pipeline: None };
}

impl<P: Platform> Context<P> {
    /// The empty context: no span, nothing carried, the default pipeline.
    pub fn empty() -> Self {
        Context { head: Head::EMPTY, carried: P::Carried::default() }
    }

    /// The context that is current now.
    #[inline]
    pub fn current() -> Self {
        P::with_local(Local::capture).unwrap_or_else(Self::empty)
    }

    /// A context below a span of another process.
    pub fn remote(span: SpanContext, carried: P::Carried) -> Self {
        Context { head: Head { span, ..Head::EMPTY }, carried }
    }

    /// The identity of the span, [invalid](SpanContext::INVALID) if there is none.
    pub fn span_context(&self) -> SpanContext {
        self.head.span
    }

    /// What travels with the context besides the ids.
    pub fn carried(&self) -> &P::Carried {
        &self.carried
    }

    /// The pipeline of spans below, if it is not the default one.
    pub fn pipeline(&self) -> Option<&'static Pipeline> {
        self.head.pipeline
    }

    /// Whether spans below are neither recorded nor counted.
    pub fn is_suppressed(&self) -> bool {
        self.head.suppressed.is_set()
    }

    /// The same context with other things carried.
    #[must_use]
    pub fn with_carried(self, carried: P::Carried) -> Self {
        Context { carried, ..self }
    }

    /// The same context, whose spans go to this pipeline.
    #[must_use]
    pub fn with_pipeline(mut self, pipeline: &'static Pipeline) -> Self {
        self.head.pipeline = Some(pipeline);
        self
    }

    /// The same context, below which no span is recorded. It travels with
    /// spawned work, so that an exporter never traces itself.
    #[must_use]
    pub fn suppressed(mut self) -> Self {
        self.head.suppressed = Flag::YES;
        self
    }

    /// Runs the closure with this context as the current one.
    pub fn scope<R>(&self, work: impl FnOnce() -> R) -> R {
        Span::from(self.clone()).enter_for(work)
    }
}

impl<P: Platform> Clone for Context<P> {
    fn clone(&self) -> Self {
        Context { head: self.head, carried: self.carried.clone() }
    }
}

impl<P: Platform> Default for Context<P> {
    fn default() -> Self {
        Self::empty()
    }
}

impl<P: Platform> core::fmt::Debug for Context<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Context")
            .field("span", &self.head.span)
            .field("suppressed", &self.is_suppressed())
            .field("carried", &self.carried)
            .finish_non_exhaustive()
    }
}

/// What belongs to one thread: the current context, the id generator, and the
/// shard it uses.
pub struct Local<P: Platform> {
    head: Cell<Head>,
    live: Cell<Option<Live>>,
    carried: Cell<P::Carried>,
    /// No span, no context: nothing was entered on the thread, or a span that
    /// [`is_nothing`](Span::is_nothing).
    is_nothing: Cell<Flag>,
    ids: IdGenerator,
    shard: Cell<usize>,
}

impl<P: Platform> Local<P> {
    /// The state of a thread that has done nothing yet.
    pub const fn new(nothing: P::Carried, seed: u64, shard: usize) -> Self {
        Local {
            head: Cell::new(Head::EMPTY),
            live: Cell::new(None),
            carried: Cell::new(nothing),
            is_nothing: Cell::new(Flag::YES),
            ids: IdGenerator::new(seed),
            shard: Cell::new(shard),
        }
    }

    /// The identity of the current span.
    #[inline]
    pub fn span_context(&self) -> SpanContext {
        self.head.get().span
    }

    /// The generator of ids.
    #[inline]
    pub fn ids(&self) -> &IdGenerator {
        &self.ids
    }

    #[inline]
    pub(crate) fn shard(&self) -> usize {
        self.shard.get()
    }

    #[inline]
    pub(crate) fn is_nothing_current(&self) -> bool {
        self.is_nothing.get().is_set()
    }

    #[inline]
    pub(crate) fn head(&self) -> Head {
        self.head.get()
    }

    #[inline]
    pub(crate) fn carried(&self) -> P::Carried {
        let carried = self.carried.take();
        let copy = carried.clone();
        self.carried.set(carried);
        copy
    }

    #[inline]
    pub(crate) fn capture(&self) -> Context<P> {
        Context { head: self.head.get(), carried: self.carried() }
    }

    /// Exchanges what is current.
    #[inline]
    pub(crate) fn swap(&self, span: &mut Span<P>) {
        span.head = self.head.replace(span.head);
        span.live = self.live.replace(span.live.take());
        span.is_nothing = self.is_nothing.replace(span.is_nothing);
        span.carried = self.carried.replace(core::mem::take(&mut span.carried));
    }

    /// Lends the current span, if it is one that runs here, to the closure.
    /// Inside of it, the span is not there to be lent again.
    pub(crate) fn with_live<R>(&self, use_it: impl FnOnce(&mut Live) -> R) -> Option<R> {
        let mut live = self.live.take()?;
        let result = use_it(&mut live);
        self.live.set(Some(live));
        Some(result)
    }
}

impl<P: Platform> core::fmt::Debug for Local<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Local")
            .field("span", &self.head.get().span)
            .field("shard", &self.shard.get())
            .finish_non_exhaustive()
    }
}
