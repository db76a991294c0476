//! The layer.

use throughline_core::{
    Attributes as SpanAttributes, EventConstants, Platform, SpanKind, StatusCode,
};
use throughline_runtime::guards::{self, Registered};
use throughline_runtime::{Context, CurrentSpan, Span, SpanOptions, Std};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{self, Layer};
use tracing_subscriber::registry::LookupSpan;

use crate::event::Said;
use crate::fields::{Beforehand, First, Later, Status};
use crate::profile::Profile;
use crate::site::Site;
use crate::spans::{Open, Spans};

/// A [`Layer`] that makes `tracing`'s spans and events throughline's: see the
/// [crate](crate).
///
/// A filter on it (`with_filter`), or on the whole subscriber, decides what reaches it;
/// what does not costs nothing here. Clones share their open spans, and are for one
/// subscriber. Each [`new`](Self::new) takes 64 KiB that are never freed.
#[derive(Clone, Debug)]
pub struct TracingLayer {
    pub(crate) spans: &'static Spans,
    keeper: Registered,
    events: bool,
    failing: bool,
    location: bool,
    profile: bool,
}

impl TracingLayer {
    /// Spans and events; errors fail their spans; neither locations nor poll profiles.
    pub fn new() -> Self {
        let spans = Spans::leaked();
        TracingLayer {
            spans,
            keeper: Registered::new(spans),
            events: true,
            failing: true,
            location: false,
            profile: false,
        }
    }

    /// Whether events become span events. They do if not said otherwise.
    ///
    /// An event goes to the span that is current, or the one that it names as its
    /// parent, if that is recorded; else nowhere. It has the attributes `level`, `target`
    /// and its fields. Its name is its message; where `tracing` was given a name
    /// (`name: "…"`), that is the name, and the message is the attribute `message`.
    ///
    /// An event with an error (as `&dyn Error`, or at level ERROR as the field `error`, which
    /// is what `#[instrument(err)]` makes) is named `exception` and has
    /// `exception.message` and, if there are errors behind it,
    /// `exception.stacktrace`, unless it has fields of these names itself. So is one with
    /// a field `exception.type` or `exception.message`.
    /// ([Exceptions](https://opentelemetry.io/docs/specs/otel/trace/exceptions/))
    #[must_use]
    pub fn events(mut self, on: bool) -> Self {
        self.events = on;
        self
    }

    /// Whether an event at level ERROR sets the status of its span to Error, described by
    /// the error or the message. It does if not said otherwise: `#[instrument(err)]` has no
    /// other way to say it. Events need not be on.
    #[must_use]
    pub fn failing(mut self, on: bool) -> Self {
        self.failing = on;
        self
    }

    /// Whether spans and events say where they are in the source: `code.file.path` and
    /// `code.line.number`. Not if not said otherwise.
    /// ([Code attributes](https://opentelemetry.io/docs/specs/semconv/registry/attributes/code/))
    #[must_use]
    pub fn location(mut self, on: bool) -> Self {
        self.location = on;
        self
    }

    /// Whether spans say how often and how long they were entered, in the attributes of
    /// the poll profile (`throughline.poll.count`, `throughline.busy_ns`,
    /// `throughline.idle_ns`, `throughline.poll.longest_ns`). Not if not said otherwise:
    /// it takes two readings of the clock each time.
    #[must_use]
    pub fn poll_profile(mut self, on: bool) -> Self {
        self.profile = on;
        self
    }

    /// The context of a span that it names as its parent; spans that a filter keeps from
    /// this layer are passed over.
    fn explicit_parent<S>(
        &self,
        named: &Id,
        id: &Id,
        all: &layer::Context<'_, S>,
    ) -> Option<Context>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let known = self.spans.context(named);
        known.or_else(|| self.spans.context(&all.span(id)?.parent()?.id()))
    }

    #[inline(never)]
    fn fill_and_keep(
        &self,
        attributes: &Attributes<'_>,
        site: &'static Site,
        id: &Id,
        mut span: Span,
    ) {
        let mut status = Status::default();
        let (span_of_fields, status) = (&mut span, &mut status);
        let mut first = First { span: span_of_fields, site, status, is_named: false };
        attributes.record(&mut first);
        self.spans.insert(id, span, site, None);
    }

    #[inline(never)]
    fn begin<S>(
        &self,
        attributes: &Attributes<'_>,
        site: &'static Site,
        id: &Id,
        all: &layer::Context<'_, S>,
    ) where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let mut status = Status::default();
        let span = if attributes.is_contextual() && !site.has_beforehand {
            let status = &mut status;
            Span::start(&site.callsite, |span| {
                self.fill(attributes, First { span, site, status, is_named: false });
            })
        } else {
            self.begin_otherwise(attributes, site, id, all, &mut status)
        };
        if !span.is_recording() && span.context().is_empty() {
            // Where nobody listens, there is nothing to keep.
            return;
        }
        let is_profiled = self.profile && span.is_recording();
        let profile = is_profiled.then(|| Box::new(Profile::new()));
        self.spans.insert(id, span, site, profile);
        if site.has_status {
            self.spans.with(id, |open| open.set_status(&status));
        }
    }

    fn begin_otherwise<S>(
        &self,
        attributes: &Attributes<'_>,
        site: &'static Site,
        id: &Id,
        all: &layer::Context<'_, S>,
        status: &mut Status,
    ) -> Span
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let parent;
        let mut options = SpanOptions::new();
        if let Some(named) = attributes.parent() {
            parent = self.explicit_parent(named, id, all);
            options = match &parent {
                Some(parent) => options.parent(parent),
                None => options.root(),
            };
        } else if attributes.is_root() {
            options = options.root();
        }
        let beforehand;
        let mut is_named = false;
        if site.has_beforehand {
            beforehand = Beforehand::of(attributes);
            options = options.kind(beforehand.kind.unwrap_or(SpanKind::Internal));
            if let Some(name) = &beforehand.name {
                options = options.name(name);
                is_named = true;
            }
        }
        Span::start_with(&site.callsite, options, |span| {
            self.fill(attributes, First { span, site, status, is_named });
        })
    }

    fn fill(&self, attributes: &Attributes<'_>, mut first: First<'_>) {
        if self.location {
            say_where(attributes.metadata(), first.span);
        }
        attributes.record(&mut first);
    }

    fn with_profile(&self, id: &Id, tell: impl FnOnce(&mut Profile, u64)) {
        let tell = |open: &mut Open| {
            if let Some(profile) = &mut open.profile {
                tell(profile, Std::ticks());
            }
        };
        self.spans.with(id, tell);
    }

    /// Where the event goes, if that is recorded.
    fn place(&self, event: &Event<'_>) -> Option<Place> {
        let (place, is_named) = match event.parent() {
            Some(id) => (Some((id.into_u64(), self.spans.version(id))), true),
            None => (guards::current(self.keeper), false),
        };
        if let Some((key, version)) = place {
            let is_recording =
                self.spans.with_version(key, version, |open| open.span.is_recording());
            if let Some(is_recording) = is_recording {
                return is_recording.then_some(Place::Open(key, version));
            }
        }
        (!is_named && CurrentSpan::is_recording()).then_some(Place::Current)
    }
}

/// Where an event goes.
enum Place {
    /// To an open span, by its key and version.
    Open(u64, u32),
    /// To what is current.
    Current,
}

impl Place {
    fn add_event(
        &self,
        spans: &Spans,
        name: &str,
        attributes: &SpanAttributes<'_>,
        constants: &EventConstants,
    ) {
        match *self {
            Place::Open(key, version) => {
                let add = |open: &mut Open| open.span.add_event_with(name, attributes, constants);
                spans.with_version(key, version, add);
            }
            Place::Current => {
                CurrentSpan::add_event_with(name, attributes, constants);
            }
        }
    }

    fn fail(&self, spans: &Spans, why: &str) {
        let error = StatusCode::Error;
        match *self {
            Place::Open(key, version) => {
                spans.with_version(key, version, |open| open.span.set_status(error, why));
            }
            Place::Current => {
                CurrentSpan::set_status(error, why);
            }
        }
    }
}

impl<S> Layer<S> for TracingLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, all: layer::Context<'_, S>) {
        let site = Site::of(attributes.metadata());
        // Most begin below what is current. A span that nobody fills need not be in memory
        // before it is where it stays: to move it takes longer than to make it.
        if site.is_simple
            && attributes.is_contextual()
            && !(self.location || self.profile)
            && let Some(span) = Span::start_plain(&site.callsite)
        {
            if site.is_bare {
                return self.spans.insert(id, span, site, None);
            }
            return self.fill_and_keep(attributes, site, id, span);
        }
        self.begin(attributes, site, id, &all);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: layer::Context<'_, S>) {
        let site = self.spans.with(id, |open| open.span.is_recording().then_some(open.site));
        // It may be closed, or not recorded.
        let Some(site) = site.flatten() else { return };
        let mut later = Later { spans: self.spans, id, site, status: Status::default() };
        values.record(&mut later);
        let status = later.status;
        if site.has_status {
            self.spans.with(id, |open| open.set_status(&status));
        }
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, _: layer::Context<'_, S>) {
        if let Some(follows) = self.spans.context(follows) {
            self.spans.with(id, |open| open.span.add_link(&follows, &[]));
        }
    }

    fn on_event(&self, event: &Event<'_>, _: layer::Context<'_, S>) {
        let is_failing = self.failing && *event.metadata().level() == Level::ERROR;
        if !self.events && !is_failing || event.is_root() {
            return;
        }
        // What no recorded span takes is not formatted.
        let Some(place) = self.place(event) else { return };
        Said::by(event, |said| {
            if self.events {
                said.show(event, self.location, |name, attributes, constants| {
                    place.add_event(self.spans, name, attributes, constants);
                });
            }
            if is_failing {
                place.fail(self.spans, said.reason());
            }
        });
    }

    fn on_enter(&self, id: &Id, _: layer::Context<'_, S>) {
        guards::enter(self.keeper, id.into_u64(), self.spans.version(id));
        if self.profile {
            self.with_profile(id, Profile::enter);
        }
    }

    fn on_exit(&self, id: &Id, _: layer::Context<'_, S>) {
        guards::leave(self.keeper, id.into_u64());
        if self.profile {
            self.with_profile(id, Profile::exit);
        }
    }

    fn on_close(&self, id: Id, _: layer::Context<'_, S>) {
        self.spans.end(&id);
    }
}

fn say_where(metadata: &Metadata<'_>, span: &mut Span) {
    if let Some(file) = metadata.file() {
        span.set_attribute("code.file.path", file);
    }
    if let Some(line) = metadata.line() {
        span.set_attribute("code.line.number", line);
    }
}

impl Default for TracingLayer {
    fn default() -> Self {
        Self::new()
    }
}

/// The context in which this span is the current one, to hand to others or to put into a
/// request. Nothing for a span that is disabled, filtered out, closed, or not of a
/// subscriber with a [`TracingLayer`].
///
/// Where the span is entered, [`Context::current`] is the same.
pub fn context_of(span: &tracing::Span) -> Option<Context> {
    span.with_subscriber(|(id, subscriber)| {
        subscriber.downcast_ref::<TracingLayer>()?.spans.context(id)
    })
    .flatten()
}
