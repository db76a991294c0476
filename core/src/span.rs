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

use core::fmt;
use core::marker::PhantomData;

use crate::body::{Attributes, NoRoom};
use crate::context::{Flag, Head, Local};
use crate::live::{Live, Opening};
use crate::{
    Callsite, Carry, Context, Decision, Ending, Pipeline, Platform, SamplingParameters,
    SpanContext, SpanId, SpanKind, StatusCode, TraceFlags, Value,
};

/// A handle of a span that has begun: the one owner, who ends it.
///
/// It is recorded or not: either way it has a valid context that propagates.
/// Dropping it ends the span as [`Dropped`](Ending::Dropped), or as
/// [`Panicked`](Ending::Panicked) while the thread unwinds.
pub struct Span<P: Platform> {
    pub(crate) head: Head,
    pub(crate) live: Option<Live>,
    pub(crate) carried: P::Carried,
    /// There is nothing in it: it was made by [`Span::none`], and its scope
    /// need not be entered where nothing is current either.
    pub(crate) is_nothing: Flag,
}

/// How a span begins, apart from its call site.
#[derive(Debug)]
pub struct SpanOptions<'a, P: Platform> {
    parent: Parent<'a, P>,
    kind: Option<SpanKind>,
    start: Option<u64>,
}

#[derive(Debug)]
enum Parent<'a, P: Platform> {
    Current,
    Root,
    Of(&'a Context<P>),
}

impl<'a, P: Platform> SpanOptions<'a, P> {
    /// A child of what is current, of the kind of its call site, from now on.
    pub const fn new() -> Self {
        SpanOptions { parent: Parent::Current, kind: None, start: None }
    }

    /// Below this context instead of the current one.
    #[must_use]
    pub const fn parent(mut self, parent: &'a Context<P>) -> Self {
        self.parent = Parent::Of(parent);
        self
    }

    /// The root of a new trace. Baggage and pipeline are still the current ones.
    #[must_use]
    pub const fn root(mut self) -> Self {
        self.parent = Parent::Root;
        self
    }

    /// Of another kind than the call site says.
    #[must_use]
    pub const fn kind(mut self, kind: SpanKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Began at this time, in nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn start_unix_nanos(mut self, nanos: u64) -> Self {
        self.start = Some(nanos | UNIX);
        self
    }
}

impl<P: Platform> Default for SpanOptions<'_, P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Platform> Span<P> {
    /// Begins a span below what is current. `fill` adds the first attributes; it
    /// is called only when the span is recorded.
    #[inline]
    pub fn start(callsite: &'static Callsite, fill: impl FnOnce(&mut Span<P>)) -> Self {
        // Programs without a pipeline end here, without a call.
        if P::default_pipeline().is_none()
            && P::with_local(Local::is_nothing_current).unwrap_or(true)
        {
            return Self::none();
        }
        let mut span = Self::start_below_current(callsite);
        if span.live.is_some() {
            fill(&mut span);
        }
        span
    }

    fn start_below_current(callsite: &'static Callsite) -> Self {
        P::with_local(|local| {
            let head = local.head();
            Self::begin(callsite, local, head, local.carried(), head.span, &SpanOptions::new())
        })
        .unwrap_or_else(Self::none)
    }

    /// Begins a span as the options say.
    pub fn start_with(
        callsite: &'static Callsite,
        options: SpanOptions<'_, P>,
        fill: impl FnOnce(&mut Span<P>),
    ) -> Self {
        let mut span = P::with_local(|local| {
            let (head, carried, parent) = match options.parent {
                Parent::Current => (local.head(), local.carried(), local.head().span),
                Parent::Root => (local.head(), local.carried(), SpanContext::INVALID),
                Parent::Of(context) => {
                    // A context from a message names no pipeline and suppresses
                    // nothing: there, what is current holds.
                    let mut head = context.head;
                    head.pipeline = head.pipeline.or(local.head().pipeline);
                    head.suppressed = head.suppressed.or(local.head().suppressed);
                    (head, context.carried.clone(), head.span)
                }
            };
            Self::begin(callsite, local, head, carried, parent, &options)
        })
        .unwrap_or_else(Self::none);
        if span.live.is_some() {
            fill(&mut span);
        }
        span
    }

    /// No span: it is not recorded and has no valid context.
    #[inline]
    pub fn none() -> Self {
        Span {
            head: Head::EMPTY,
            live: None,
            carried: P::Carried::default(),
            is_nothing: Flag::YES,
        }
    }

    #[inline]
    fn begin(
        callsite: &'static Callsite,
        local: &Local<P>,
        mut head: Head,
        carried: P::Carried,
        parent: SpanContext,
        options: &SpanOptions<'_, P>,
    ) -> Self {
        let Some(pipeline) = head.pipeline.or_else(P::default_pipeline) else {
            return Self::transparent(head, carried, parent);
        };
        if head.suppressed.is_set() || pipeline.is_closed() {
            return Self::transparent(head, carried, parent);
        }
        // An invalid parent counts as none.
        let has_parent = parent.is_valid();
        let (trace_id, flags) = if has_parent {
            (parent.trace_id(), parent.trace_flags())
        } else {
            (local.ids().trace_id(), TraceFlags::RANDOM)
        };
        let kind = options.kind.unwrap_or(callsite.kind());
        let decision = pipeline
            .decide(&parent, SamplingParameters::new(&parent, trace_id, callsite.name(), kind));
        let span_id = local.ids().span_id();
        let sampled = decision == Decision::RecordAndSample;
        head.span = SpanContext::new(trace_id, span_id, flags.with_sampled(sampled));
        if decision == Decision::Drop {
            pipeline.count_unsampled(local.shard());
            return Span { head, live: None, carried, is_nothing: Flag::NO };
        }
        let opening = Opening {
            context: head.span,
            parent: if has_parent { parent.span_id() } else { SpanId::INVALID },
            remote_parent: parent.is_remote(),
            start: options.start.unwrap_or_else(P::ticks),
            kind,
            callsite,
        };
        let Some(mut live) = pipeline.open(local.shard(), &opening) else {
            return Self::refused(head, carried, parent);
        };
        if has_parent {
            let state = carried.trace_state();
            if !state.is_empty() {
                let text = state.as_str();
                let _ = record(&mut live, |body, bytes| body.set_trace_state(bytes, text));
            }
        }
        Span { head, live: Some(live), carried, is_nothing: Flag::NO }
    }

    /// Stands for its parent: what happens inside belongs to the parent.
    fn transparent(mut head: Head, carried: P::Carried, parent: SpanContext) -> Self {
        head.span = parent;
        Span { head, live: None, carried, is_nothing: Flag::NO }
    }

    /// A span for which there was no room. Its children attach to its parent, so
    /// that the trace has no hole; a root takes its whole trace with it.
    #[cold]
    fn refused(mut head: Head, carried: P::Carried, parent: SpanContext) -> Self {
        if parent.is_valid() {
            return Self::transparent(head, carried, parent);
        }
        let root = head.span;
        let flags = root.trace_flags().with_sampled(false);
        head.span = SpanContext::new(root.trace_id(), root.span_id(), flags);
        Span { head, live: None, carried, is_nothing: Flag::NO }
    }

    /// The span's identity; the same for its whole life.
    #[inline]
    pub fn span_context(&self) -> SpanContext {
        self.head.span
    }

    /// The context in which the span is the current one, to hand to others.
    pub fn context(&self) -> Context<P> {
        Context { head: self.head, carried: self.carried.clone() }
    }

    /// The pipeline the span belongs to.
    pub fn pipeline(&self) -> Option<&'static Pipeline> {
        self.head.pipeline.or_else(P::default_pipeline)
    }

    /// Whether what is added is kept.
    #[inline]
    pub fn is_recording(&self) -> bool {
        self.live.is_some()
    }

    /// Sets an attribute; a key that is set again replaces its value.
    ///
    /// What is beyond the [limits](crate::SpanLimits), or does not fit the
    /// span's memory, is dropped and counted on the span. Attributes given when
    /// the span begins are better: a sampler sees nothing later.
    /// ([Set attributes](https://opentelemetry.io/docs/specs/otel/trace/api/#set-attributes))
    #[inline]
    pub fn set_attribute<'v>(&mut self, key: &str, value: impl Into<Value<'v>>) {
        if let Some(live) = &mut self.live {
            set_attribute(live, key, &value.into());
        }
    }

    /// Adds an attribute whose key was not set before: the fields of `span!`,
    /// which are distinct at compile time, need no search for a former value.
    /// A key that was set before would be there twice.
    #[doc(hidden)]
    #[inline]
    pub fn add_distinct_attribute(&mut self, key: &str, value: &Value<'_>) {
        if let Some(live) = &mut self.live {
            add_attribute(live, key, value);
        }
    }

    /// Adds an event that happens now.
    ///
    /// ([Add events](https://opentelemetry.io/docs/specs/otel/trace/api/#add-events))
    #[inline]
    pub fn add_event(&mut self, name: &str, attributes: &Attributes<'_>) {
        if let Some(live) = &mut self.live {
            add_event(live, name, P::ticks(), attributes);
        }
    }

    /// Adds an event with its own time, in nanoseconds since the Unix epoch.
    pub fn add_event_at(&mut self, name: &str, unix_nanos: u64, attributes: &Attributes<'_>) {
        if let Some(live) = &mut self.live {
            add_event(live, name, unix_nanos | UNIX, attributes);
        }
    }

    /// Links the span to another one.
    ///
    /// ([Add link](https://opentelemetry.io/docs/specs/otel/trace/api/#add-link))
    pub fn add_link(&mut self, to: &Context<P>, attributes: &Attributes<'_>) {
        if let Some(live) = &mut self.live {
            add_link(live, &to.span_context(), to.carried().trace_state().as_str(), attributes);
        }
    }

    /// Sets the status: Ok outranks Error, Error outranks Unset; only an error
    /// keeps its description.
    ///
    /// ([Set status](https://opentelemetry.io/docs/specs/otel/trace/api/#set-status))
    pub fn set_status(&mut self, code: StatusCode, description: &str) {
        if let Some(live) = &mut self.live {
            set_status(live, code, description);
        }
    }

    /// Replaces the name. The sampling decision stays.
    pub fn update_name(&mut self, name: &str) {
        if let Some(live) = &mut self.live {
            update_name(live, name);
        }
    }

    /// Runs the closure inside the span, then ends it.
    ///
    /// The span is the current one meanwhile. If the closure panics, the span
    /// ends as [`Panicked`](Ending::Panicked) and the panic goes on.
    #[inline]
    pub fn in_scope<R>(mut self, work: impl FnOnce() -> R) -> R {
        let result = self.enter_for(work);
        self.finish(Ending::Completed);
        result
    }

    /// Runs the closure inside the span, which goes on afterwards.
    #[inline]
    pub fn enter_for<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let entered = Entered::new(self);
        let result = work();
        drop(entered);
        result
    }

    /// Ends the span now, completed.
    #[inline]
    pub fn end(mut self) {
        self.finish(Ending::Completed);
    }

    /// Ends the span now, in another way.
    pub fn end_as(mut self, ending: Ending) {
        self.finish(ending);
    }

    /// Ends the span with an end time in nanoseconds since the Unix epoch.
    pub fn end_at(mut self, unix_nanos: u64) {
        self.finish_at(Ending::Completed, unix_nanos | UNIX);
    }

    #[inline]
    pub(crate) fn finish(&mut self, ending: Ending) {
        if self.live.is_some() {
            self.finish_at(ending, P::ticks());
        }
    }

    #[inline]
    fn finish_at(&mut self, ending: Ending, end: u64) {
        if let Some(live) = self.live.take() {
            let pipeline = live.pipeline();
            let shard = P::with_local(Local::shard).unwrap_or(0);
            pipeline.finish(shard, live, end, ending);
        }
    }
}

impl<P: Platform> From<Context<P>> for Span<P> {
    /// A span that is not recorded and stands for the context, as the
    /// specification [wraps a SpanContext in a
    /// span](https://opentelemetry.io/docs/specs/otel/trace/api/#wrapping-a-spancontext-in-a-span).
    fn from(context: Context<P>) -> Self {
        Span { head: context.head, live: None, carried: context.carried, is_nothing: Flag::NO }
    }
}

impl<P: Platform> Drop for Span<P> {
    #[inline]
    fn drop(&mut self) {
        if self.live.is_some() {
            self.finish(if P::is_panicking() { Ending::Panicked } else { Ending::Dropped });
        }
    }
}

impl<P: Platform> fmt::Debug for Span<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Span")
            .field("name", &self.live.as_ref().map(|live| live.callsite().name()))
            .field("context", &self.head.span)
            .field("recording", &self.live.is_some())
            .finish()
    }
}

/// The span is current while this lives. It stays on the stack of the call that
/// made it, so scopes end in the reverse order of their beginnings.
pub(crate) struct Entered<'a, P: Platform> {
    span: &'a mut Span<P>,
    swapped: bool,
}

impl<'a, P: Platform> Entered<'a, P> {
    #[inline]
    pub(crate) fn new(span: &'a mut Span<P>) -> Self {
        let swapped = P::with_local(|local| {
            let is_change = !(span.is_nothing.is_set() && local.is_nothing_current());
            if is_change {
                local.swap(span);
            }
            is_change
        })
        .unwrap_or(false);
        Entered { span, swapped }
    }
}

impl<P: Platform> Drop for Entered<'_, P> {
    #[inline]
    fn drop(&mut self) {
        if self.swapped {
            P::with_local(|local| local.swap(self.span));
        }
    }
}

/// The span whose scope the current code runs in, to add to it.
///
/// Inside of a context that was captured elsewhere (a spawned task, say) there
/// is no such span: nothing is added, and the methods return false.
#[derive(Debug)]
pub struct CurrentSpan<P>(PhantomData<P>);

impl<P: Platform> CurrentSpan<P> {
    /// Sets an attribute of the current span, as [`Span::set_attribute`].
    pub fn set_attribute<'v>(key: &str, value: impl Into<Value<'v>>) -> bool {
        let value = value.into();
        Self::with(|live| set_attribute(live, key, &value))
    }

    /// Adds an event to the current span, as [`Span::add_event`].
    pub fn add_event(name: &str, attributes: &Attributes<'_>) -> bool {
        Self::with(|live| add_event(live, name, P::ticks(), attributes))
    }

    /// Links the current span to another one, as [`Span::add_link`].
    pub fn add_link(to: &Context<P>, attributes: &Attributes<'_>) -> bool {
        let state = to.carried().trace_state();
        Self::with(|live| add_link(live, &to.span_context(), state.as_str(), attributes))
    }

    /// Sets the status of the current span, as [`Span::set_status`].
    pub fn set_status(code: StatusCode, description: &str) -> bool {
        Self::with(|live| set_status(live, code, description))
    }

    /// Renames the current span, as [`Span::update_name`].
    pub fn update_name(name: &str) -> bool {
        Self::with(|live| update_name(live, name))
    }

    /// Whether there is a current span that records.
    pub fn is_recording() -> bool {
        Self::with(|_| ())
    }

    fn with(use_it: impl FnOnce(&mut Live)) -> bool {
        P::with_local(|local| local.with_live(use_it)).flatten().is_some()
    }
}

/// Does it in the slot's bytes, or else in a spill block.
#[inline]
fn record(
    live: &mut Live,
    mut write: impl FnMut(&mut crate::body::Body, &mut [u8]) -> Result<(), NoRoom>,
) -> Result<(), NoRoom> {
    let (body, bytes) = live.record_mut();
    if write(body, bytes).is_ok() {
        return Ok(());
    }
    if !live.spill() {
        return Err(NoRoom);
    }
    let (body, bytes) = live.record_mut();
    write(body, bytes)
}

#[inline]
fn set_attribute(live: &mut Live, key: &str, value: &Value<'_>) {
    let limits = live.pipeline().limits();
    if record(live, |body, bytes| body.set_attribute(bytes, key, value, limits)).is_err() {
        live.record_mut().0.dropped_attributes += 1;
    }
}

#[inline]
fn add_attribute(live: &mut Live, key: &str, value: &Value<'_>) {
    let limits = live.pipeline().limits();
    if record(live, |body, bytes| body.add_attribute(bytes, key, value, limits)).is_err() {
        live.record_mut().0.dropped_attributes += 1;
    }
}

fn add_event(live: &mut Live, name: &str, time: u64, attributes: &Attributes<'_>) {
    let limits = live.pipeline().limits();
    if record(live, |body, bytes| body.add_event(bytes, name, time, attributes, limits)).is_err() {
        live.record_mut().0.dropped_events += 1;
    }
}

fn add_link(live: &mut Live, to: &SpanContext, state: &str, attributes: &Attributes<'_>) {
    let has_content = !attributes.is_empty() || !state.is_empty();
    if !to.is_valid() && !has_content {
        return;
    }
    let limits = live.pipeline().limits();
    if record(live, |body, bytes| body.add_link(bytes, to, state, attributes, limits)).is_err() {
        live.record_mut().0.dropped_links += 1;
    }
}

fn set_status(live: &mut Live, code: StatusCode, description: &str) {
    if record(live, |body, bytes| body.set_status(bytes, code, description)).is_err() {
        // The code matters more than its description.
        let _ = record(live, |body, bytes| body.set_status(bytes, code, ""));
    }
}

fn update_name(live: &mut Live, name: &str) {
    // A name that does not fit leaves the former one.
    let _ = record(live, |body, bytes| body.rename(bytes, name));
}

/// Marks a time that is in nanoseconds since the Unix epoch already. Neither
/// those (until the year 2262) nor ticks use the bit.
pub(crate) const UNIX: u64 = 1 << 63;
