//! A span, from its start to its end.
//!
//! ```text
//!             enter           leave
//!   created ────────▶ active ────────▶ suspended ──┐
//!      │                │  ▲               │       │
//!      │                │  └───────────────┘       │
//!      │                │        enter             │
//!      ▼                ▼                          ▼
//!    ended: completed │ cancelled │ panicked │ dropped
//! ```
//!
//! The end consumes the span, so nothing can be added after it. Whether a span
//! failed is its status, and independent of how it ended.

mod ending;

use core::fmt;

use crate::body::Attributes;
#[cfg(not(target_os = "none"))]
use crate::body::EventConstants;
use crate::captured;
use crate::live::Live;
use crate::start::{self, Drawn, Entered, UNIX};
use crate::state::State;
use crate::writer::Writer;
use crate::{
    Callsite, Carry, Context, Key, Local, Pipeline, Platform, SpanContext, SpanOptions, StatusCode,
    Value,
};
#[cfg(not(target_os = "none"))]
use crate::{processor, root};

/// A handle of a span that has begun: the one owner, who ends it.
///
/// It is recorded or not: either way it has a valid context that propagates.
/// Dropping it ends the span as [`Dropped`](crate::Ending::Dropped), or as
/// [`Panicked`](crate::Ending::Panicked) while the thread unwinds.
pub struct Span<P: Platform> {
    pub(crate) state: State<P>,
}

impl<P: Platform> Span<P> {
    /// Begins a span below what is current. `fill` adds the first attributes; it
    /// is called only when the span is recorded.
    #[inline(always)]
    pub fn start(callsite: &'static Callsite, fill: impl FnOnce(&mut Span<P>)) -> Self {
        if cfg!(target_os = "none") {
            // Where code is dearer than calls, one way is enough.
            return once(fill, |fill| Self::begin_below_current(callsite, fill));
        }
        // Only words leave the calls: a value that is built in memory by one
        // function and copied by another waits for its stores.
        if P::with_local(Local::has_entered_nothing) {
            return Self::start_outside(callsite, fill);
        }
        match P::with_local(|local| start::below_entered(local, callsite)) {
            Entered::Recorded(live) => {
                let mut span = Span { state: State::recorded(live, P::Carried::default()) };
                fill(&mut span);
                span
            }
            Entered::Dropped { trace, span, route } => {
                Span { state: State::Plain { trace, span, route } }
            }
            Entered::Other => Self::start_otherwise(callsite, fill),
        }
    }

    /// Begins a span where nothing was entered.
    #[inline(always)]
    fn start_outside(callsite: &'static Callsite, fill: impl FnOnce(&mut Span<P>)) -> Self {
        if P::with_local(Local::has_nothing) && !P::is_installed() {
            return Self::none();
        }
        Self::start_otherwise(callsite, fill)
    }

    /// As [`start`](Self::start), if the span is as most are: below a sampled one of this
    /// process, with neither trace state nor baggage. Nothing has happened otherwise.
    ///
    /// What this returns is in no memory yet, where it stays in none of the caller's.
    #[doc(hidden)]
    #[inline(always)]
    pub fn start_plain(callsite: &'static Callsite) -> Option<Self> {
        let plain = |local: &Local<P>| {
            start::below_recorded(local, callsite).or_else(|| captured::child(local, callsite))
        };
        P::with_local(plain)
            .map(|live| Span { state: State::recorded(live, P::Carried::default()) })
    }

    #[inline(never)]
    fn start_otherwise(callsite: &'static Callsite, fill: impl FnOnce(&mut Span<P>)) -> Self {
        #[cfg(target_os = "none")]
        let drawn = None;
        #[cfg(not(target_os = "none"))]
        let mut drawn = None;
        #[cfg(not(target_os = "none"))]
        if let Some(state) = P::with_local(|local| root::dropped(local, callsite, &mut drawn)) {
            return Span { state };
        }
        if let Some(live) = P::with_local(|local| captured::child(local, callsite)) {
            let mut span = Span { state: State::recorded(live, P::Carried::default()) };
            fill(&mut span);
            return span;
        }
        once(fill, |fill| Self::begin(callsite, &SpanOptions::new(), drawn, fill))
    }

    /// Begins a span as the options say.
    pub fn start_with(
        callsite: &'static Callsite,
        options: SpanOptions<'_, P>,
        fill: impl FnOnce(&mut Span<P>),
    ) -> Self {
        once(fill, |fill| Self::begin(callsite, &options, None, fill))
    }

    fn begin_below_current(
        callsite: &'static Callsite,
        fill: &mut dyn FnMut(&mut Span<P>),
    ) -> Self {
        Self::begin(callsite, &SpanOptions::new(), None, fill)
    }

    /// Once for all call sites, unlike the closures that fill their spans.
    fn begin(
        callsite: &'static Callsite,
        options: &SpanOptions<'_, P>,
        drawn: Option<Drawn<P>>,
        fill: &mut dyn FnMut(&mut Span<P>),
    ) -> Self {
        P::with_local(|local| {
            let beginning = start::begin(local, callsite, options, drawn);
            let mut span = Span { state: beginning.state };
            #[cfg(not(target_os = "none"))]
            let begun = span.state.live().map(|live| live.span_id());
            if span.is_recording() {
                fill(&mut span);
            }
            let span = match beginning.undecided {
                Some(undecided) => Span { state: undecided.decide(local, span.into_state()) },
                None => span,
            };
            #[cfg(not(target_os = "none"))]
            let span = processor::told(span, begun);
            span
        })
    }

    /// No span: it is not recorded, has no valid context, and entering it changes nothing.
    #[inline(always)]
    pub fn none() -> Self {
        Span { state: State::NOTHING }
    }

    fn into_state(mut self) -> State<P> {
        core::mem::replace(&mut self.state, State::NOTHING)
    }

    #[inline(always)]
    pub(crate) fn writer(&mut self) -> Option<Writer<'_>> {
        self.state.live_mut().map(Writer::new)
    }

    /// The span's identity; the same for its whole life.
    #[inline]
    pub fn span_context(&self) -> SpanContext {
        self.state.span_context()
    }

    /// The context in which the span is the current one, to hand to others.
    pub fn context(&self) -> Context<P> {
        Context { state: self.state.capture() }
    }

    /// The pipeline the span belongs to.
    pub fn pipeline(&self) -> Option<&'static Pipeline> {
        self.state.route().pipeline().or_else(P::default_pipeline)
    }

    /// Whether what is added is kept. It is not on a span that is not sampled, nor on
    /// one that is a child [too many](crate::SpanBudgets).
    #[inline]
    pub fn is_recording(&self) -> bool {
        self.state.live().is_some_and(|live| !live.is_surplus())
    }

    /// Sets an attribute; a key that is set again replaces its value.
    ///
    /// What is beyond the [limits](crate::SpanLimits), or does not fit the
    /// span's memory, is dropped and counted on the span. Attributes given when
    /// the span begins are better: a sampler sees nothing later.
    /// ([Set attributes](https://opentelemetry.io/docs/specs/otel/trace/api/#set-attributes))
    #[inline]
    pub fn set_attribute<'v>(&mut self, key: &str, value: impl Into<Value<'v>>) {
        if let Some(span) = self.writer() {
            span.set_attribute(key, &value.into());
        }
    }

    /// Adds an attribute whose key was not set before: the fields of `span!`,
    /// which are distinct at compile time, need no search for a former value.
    /// A key that was set before would be there twice.
    #[doc(hidden)]
    #[inline]
    pub fn add_distinct_attribute(&mut self, key: &'static Key, value: Value<'_>) {
        if let Some(span) = self.writer() {
            span.add_distinct(key, value);
        }
    }

    /// As [`add_distinct_attribute`](Self::add_distinct_attribute), of a value that the
    /// program's text gives.
    #[cfg(not(target_os = "none"))]
    #[doc(hidden)]
    #[inline(always)]
    pub fn add_constant_attribute(&mut self, key: &'static Key, value: Value<'static>) {
        if let Some(span) = self.writer() {
            span.add_constant(key, value);
        }
    }

    /// Adds an event that happens now.
    ///
    /// ([Add events](https://opentelemetry.io/docs/specs/otel/trace/api/#add-events))
    #[inline]
    pub fn add_event(&mut self, name: &str, attributes: &Attributes<'_>) {
        if let Some(span) = self.writer() {
            span.add_event(name, P::ticks(), attributes);
        }
    }

    /// As [`add_event`](Self::add_event), with attributes that are encoded already.
    #[cfg(not(target_os = "none"))]
    #[doc(hidden)]
    #[inline]
    pub fn add_event_with(
        &mut self,
        name: &str,
        attributes: &Attributes<'_>,
        constants: &EventConstants,
    ) {
        if let Some(span) = self.writer() {
            span.add_event_with(name, P::ticks(), attributes, constants);
        }
    }

    /// Adds an event with its own time, in nanoseconds since the Unix epoch.
    pub fn add_event_at(&mut self, name: &str, unix_nanos: u64, attributes: &Attributes<'_>) {
        if let Some(span) = self.writer() {
            span.add_event(name, unix_nanos | UNIX, attributes);
        }
    }

    /// Links the span to another one.
    ///
    /// ([Add link](https://opentelemetry.io/docs/specs/otel/trace/api/#add-link))
    pub fn add_link(&mut self, to: &Context<P>, attributes: &Attributes<'_>) {
        if let Some(mut span) = self.writer() {
            span.add_link(&to.span_context(), to.carried().trace_state().as_str(), attributes);
        }
    }

    /// Sets the status: Ok outranks Error, Error outranks Unset; only an error
    /// keeps its description.
    ///
    /// ([Set status](https://opentelemetry.io/docs/specs/otel/trace/api/#set-status))
    pub fn set_status(&mut self, code: StatusCode, description: &str) {
        if let Some(mut span) = self.writer() {
            span.set_status(code, description);
        }
    }

    /// Replaces the name. The sampling decision stays.
    pub fn update_name(&mut self, name: &str) {
        if let Some(mut span) = self.writer() {
            span.rename(name);
        }
    }

    /// Replaces the kind, for other APIs in which it may come late; the sampler has not seen
    /// it. Where it is known, it is told [when the span begins](crate::SpanOptions::kind).
    /// Bare targets, where code is dear, do not have this.
    #[cfg(not(target_os = "none"))]
    pub fn update_kind(&mut self, kind: crate::SpanKind) {
        if let Some(mut span) = self.writer() {
            span.set_kind(kind);
        }
    }

    /// Runs the closure inside the span, then ends it.
    ///
    /// The span is the current one meanwhile. If the closure panics, the span
    /// ends as [`Panicked`](crate::Ending::Panicked) and the panic goes on.
    #[inline(always)]
    pub fn in_scope<R>(mut self, work: impl FnOnce() -> R) -> R {
        if !cfg!(target_os = "none") && self.state.is_nothing() {
            core::mem::forget(self);
            return work();
        }
        if let Some(live) = self.state.live() {
            live.set_in_closure(true);
        }
        let result = P::with_local(|local| local.enter(&self.state, work));
        self.end_in_place();
        core::mem::forget(self);
        result
    }

    /// Runs the closure inside the span, which goes on afterwards.
    #[inline(always)]
    pub fn enter_for<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let _leave = self.state.live().map(InClosure::new);
        self.enter(work)
    }

    /// As [`enter_for`](Self::enter_for), for a poll, or a closure after which the span
    /// ends. The list of live spans is told nothing.
    #[inline(always)]
    pub(crate) fn enter<R>(&self, work: impl FnOnce() -> R) -> R {
        P::with_local(|local| local.enter(&self.state, work))
    }
}

/// While a closure runs in a span that goes on afterwards.
struct InClosure<'a>(&'a Live);

impl<'a> InClosure<'a> {
    #[inline(always)]
    fn new(live: &'a Live) -> Self {
        live.set_in_closure(true);
        InClosure(live)
    }
}

impl Drop for InClosure<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.0.set_in_closure(false);
    }
}

/// Makes a closure that is called once one that can be passed by reference.
#[inline(always)]
fn once<A, R>(call: impl FnOnce(&mut A), with: impl FnOnce(&mut dyn FnMut(&mut A)) -> R) -> R {
    let mut call = Some(call);
    with(&mut |argument| {
        if let Some(call) = call.take() {
            call(argument);
        }
    })
}

impl<P: Platform> From<Context<P>> for Span<P> {
    /// A span that is not recorded and stands for the context, as the
    /// specification [wraps a SpanContext in a
    /// span](https://opentelemetry.io/docs/specs/otel/trace/api/#wrapping-a-spancontext-in-a-span).
    fn from(context: Context<P>) -> Self {
        Span { state: context.state }
    }
}

impl<P: Platform> fmt::Debug for Span<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Span")
            .field("name", &self.state.live().map(|live| live.callsite().name()))
            .field("context", &self.span_context())
            .field("recording", &self.is_recording())
            .finish()
    }
}
