//! The context: which span work belongs to, and what travels with it.

use core::fmt;

use crate::route::Route;
use crate::state::State;
use crate::{Carry, Local, Pipeline, Platform, SpanContext, SpanId, TraceFlags, TraceId};

/// An immutable snapshot of what is current: the span's identity, the trace
/// state and baggage, the pipeline, and whether telemetry is suppressed.
///
/// It is what one hands to other threads, tasks and processes. A span is
/// current with its context while its scope, future or stream runs; a context
/// that was captured elsewhere is current without its span.
/// ([Context](https://opentelemetry.io/docs/specs/otel/context/))
pub struct Context<P: Platform> {
    /// Never a recorded span.
    pub(crate) state: State<P>,
}

impl<P: Platform> Context<P> {
    /// The empty context: no span, nothing carried, the default pipeline.
    pub fn empty() -> Self {
        Context { state: State::EMPTY }
    }

    /// The context that is current now.
    #[inline]
    pub fn current() -> Self {
        if !cfg!(target_os = "none")
            && let Some(state) =
                P::with_local(|local| local.with_entered(|entered| entered?.capture_plain()))
        {
            return Context { state };
        }
        Self::current_otherwise()
    }

    #[inline(never)]
    fn current_otherwise() -> Self {
        if !cfg!(target_os = "none") && P::bridge().is_none() && P::with_local(Local::has_nothing) {
            return Self::empty();
        }
        // A default made beforehand would have to be dropped.
        P::with_local(|local| {
            local.with_current(|current| match current {
                Some(state) => Context { state: state.capture() },
                None => Context { state: State::EMPTY },
            })
        })
    }

    /// A context below a span of another process.
    pub fn remote(span: SpanContext, carried: P::Carried) -> Self {
        let route = Route::NONE.with_flags(span.trace_flags(), span.is_remote());
        Context { state: State::unrecorded(span.trace_id(), span.span_id(), route, carried) }
    }

    /// A context below a span of another process whose message arrived in this one.
    /// Pipeline and suppression stay.
    #[must_use]
    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub fn below_remote(&self, span: SpanContext, carried: P::Carried) -> Self {
        let route = self.state.route().of_other_trace(span.trace_flags(), span.is_remote());
        Context { state: State::unrecorded(span.trace_id(), span.span_id(), route, carried) }
    }

    /// The identity of the span, [invalid](SpanContext::INVALID) if there is none.
    pub fn span_context(&self) -> SpanContext {
        self.state.span_context()
    }

    /// What travels with the context besides the ids.
    pub fn carried(&self) -> &P::Carried {
        self.state.carried()
    }

    /// The pipeline of spans below, if it is not the default one.
    pub fn pipeline(&self) -> Option<&'static Pipeline> {
        self.state.route().pipeline()
    }

    /// Whether spans below are neither recorded nor counted.
    pub fn is_suppressed(&self) -> bool {
        self.state.route().is_suppressed()
    }

    /// The same context with other things carried.
    #[must_use]
    pub fn with_carried(self, carried: P::Carried) -> Self {
        self.rebuilt(self.state.route(), carried)
    }

    /// The same context, whose spans go to this pipeline.
    #[must_use]
    pub fn with_pipeline(self, pipeline: &'static Pipeline) -> Self {
        let route = self.state.route().with_pipeline(Some(pipeline));
        self.rebuilt(route, self.state.carried().clone())
    }

    /// The same context, below which no span is recorded. It travels with
    /// spawned work, so that an exporter never traces itself.
    #[must_use]
    pub fn suppressed(self) -> Self {
        self.rebuilt(self.state.route().suppressed(), self.state.carried().clone())
    }

    /// The same context without its span: spans that begin in it are roots of new
    /// traces. Pipeline, suppression and baggage stay.
    #[must_use]
    pub fn detached(self) -> Self {
        let route = self.state.route().with_flags(TraceFlags::NONE, false);
        let (trace, span) = (TraceId::INVALID, SpanId::INVALID);
        Context { state: State::unrecorded(trace, span, route, self.state.carried().clone()) }
    }

    /// As [`detached`](Self::detached), and the spans that begin new traces link back
    /// to the span that was there. Without one, this is no different.
    ///
    /// It is for work that a span causes and does not wait for: a queue that is
    /// drained later, a connection that others use too.
    /// ([Links](https://opentelemetry.io/docs/specs/otel/overview/#links-between-spans))
    #[must_use]
    pub fn linked(self) -> Self {
        if !self.span_context().is_valid() {
            return self;
        }
        self.rebuilt(self.state.route().linked(), self.state.carried().clone())
    }

    fn rebuilt(&self, route: Route, carried: P::Carried) -> Self {
        let span = self.state.ids();
        Context { state: State::unrecorded(span.trace_id(), span.span_id(), route, carried) }
    }

    /// Runs the closure with this context as the current one.
    #[inline]
    pub fn scope<R>(&self, work: impl FnOnce() -> R) -> R {
        P::with_local(|local| local.enter(&self.state, work))
    }

    /// Exchanges the ambient context of the thread, which is current wherever no
    /// scope, future or stream is entered. Returns the former one.
    ///
    /// For adapters of runtimes that say when a task begins and ceases to run, and
    /// leave no place to wrap it. Whoever sets one puts the former one back, on the
    /// same thread. What code enters hides it, and it never reaches into that.
    ///
    /// A call from inside of [`Carry`](crate::Carry) changes nothing, and returns its
    /// argument.
    pub fn replace_ambient(ambient: Option<Self>) -> Option<Self> {
        if let Some(bridge) = P::bridge() {
            bridge.replace_ambient(ambient.as_ref());
        }
        let state = ambient.map(|context| context.state);
        P::with_local(|local| local.replace_ambient(state)).map(|state| Context { state })
    }

    /// Whether there is nothing in it: no span, nothing carried, no pipeline of its
    /// own, no suppression.
    pub fn is_empty(&self) -> bool {
        let route = self.state.route();
        let has_ids = self.state.ids().is_valid();
        !has_ids
            && self.carried().is_empty()
            && route.pipeline().is_none()
            && !route.is_suppressed()
    }

    /// The closure, to be called anywhere, with this context as the current one
    /// meanwhile: work for a pool of threads.
    ///
    /// A closure that is called more than once calls [`scope`](Self::scope) itself.
    #[must_use = "closures do nothing unless they are called"]
    pub fn wrap<R>(self, work: impl FnOnce() -> R) -> impl FnOnce() -> R {
        move || self.scope(work)
    }
}

impl<P: Platform> Clone for Context<P> {
    fn clone(&self) -> Self {
        Context { state: self.state.capture() }
    }
}

impl<P: Platform> Default for Context<P> {
    fn default() -> Self {
        Self::empty()
    }
}

impl<P: Platform> fmt::Debug for Context<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("span", &self.span_context())
            .field("suppressed", &self.is_suppressed())
            .field("carried", self.carried())
            .finish_non_exhaustive()
    }
}
