//! A span processor that writes down what it sees.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use throughline::exporters::CapturedSpan;
use throughline::{
    AttributesView, END_ATTRIBUTE, EndedSpan, Ending, SpanContext, SpanId, SpanKind, SpanProcessor,
    StartedSpan, StatusCode, ValueView,
};

/// Keeps a copy of all spans that it sees. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    started: Arc<Mutex<Vec<(String, SpanId)>>>,
    ended: Arc<Mutex<Vec<Seen>>>,
}

/// Keys and values of attributes, as texts.
pub type Texts = Vec<(String, String)>;

/// A span that ended, as a processor saw it.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The name.
    pub name: String,
    /// Ids and flags.
    pub context: SpanContext,
    /// The parent.
    pub parent: (SpanId, bool),
    /// The trace state.
    pub trace_state: String,
    /// The kind.
    pub kind: SpanKind,
    /// The name of the scope.
    pub scope: &'static str,
    /// Start and end, in nanoseconds since the Unix epoch.
    pub times: (u64, u64),
    /// How it ended.
    pub ending: Ending,
    /// The status and its description.
    pub status: (StatusCode, String),
    /// Keys and values.
    pub attributes: Texts,
    /// Names, times and attributes of events.
    pub events: Vec<(String, u64, Texts)>,
    /// Linked spans, with attributes.
    pub links: Vec<(SpanContext, Texts)>,
    /// Dropped attributes, events and links.
    pub dropped: [u32; 3],
}

impl Recorder {
    /// Names and ids of the spans that began, in their order.
    pub fn started(&self) -> Vec<(String, SpanId)> {
        lock(&self.started).clone()
    }

    /// The spans that ended, in their order.
    pub fn ended(&self) -> Vec<Seen> {
        lock(&self.ended).clone()
    }

    /// The names of those that ended, in their order.
    pub fn names(&self) -> Vec<String> {
        lock(&self.ended).iter().map(|span| span.name.clone()).collect()
    }

    /// The only one of this name that ended.
    ///
    /// # Panics
    ///
    /// If there is none, or there are several.
    #[track_caller]
    pub fn span(&self, name: &str) -> Seen {
        let ended = lock(&self.ended);
        let mut found = ended.iter().filter(|span| span.name == name);
        match (found.next(), found.next()) {
            (Some(span), None) => span.clone(),
            _ => panic!("not one span {name} in {ended:#?}"),
        }
    }
}

impl Seen {
    /// Asserts that it is what was exported.
    ///
    /// # Panics
    ///
    /// If something differs.
    #[track_caller]
    pub fn assert_is(&self, exported: &CapturedSpan) {
        assert_eq!(self.name, exported.name);
        assert_eq!(self.context.trace_id(), exported.trace_id);
        assert_eq!(self.context.span_id(), exported.span_id);
        assert_eq!(self.parent, (exported.parent_span_id, exported.has_remote_parent));
        assert_eq!(self.trace_state, exported.trace_state);
        assert_eq!((self.kind, self.scope), (exported.kind, exported.scope));
        assert_eq!(self.status, exported.status);
        let mut attributes = self.attributes.clone();
        let ending = self.ending.as_str().map(|text| (END_ATTRIBUTE.to_owned(), text.to_owned()));
        attributes.extend(ending);
        assert_eq!(attributes, exported.attributes);
        let events = self.events.iter().map(|(name, _, attributes)| (name, attributes));
        assert!(events.eq(exported.events.iter().map(|(name, attributes)| (name, attributes))));
        assert!(self.links.iter().map(|(to, _)| to).eq(&exported.links));
    }
}

impl SpanProcessor for Recorder {
    fn on_start(&self, span: &mut StartedSpan<'_>) {
        let started = (span.name().to_owned(), span.span_context().span_id());
        lock(&self.started).push(started);
    }

    fn on_end(&self, span: &EndedSpan<'_>) {
        let (code, description) = span.status();
        let seen = Seen {
            name: span.name().to_owned(),
            context: span.span_context(),
            parent: (span.parent_span_id(), span.has_remote_parent()),
            trace_state: span.trace_state().to_owned(),
            kind: span.kind(),
            scope: span.scope().name(),
            times: (span.start_unix_nanos(), span.end_unix_nanos()),
            ending: span.ending(),
            status: (code, description.to_owned()),
            attributes: texts(span.attributes()),
            events: span
                .events()
                .map(|event| (event.name().into(), event.unix_nanos(), texts(event.attributes())))
                .collect(),
            links: span
                .links()
                .map(|link| (link.span_context(), texts(link.attributes())))
                .collect(),
            dropped: [span.dropped_attributes(), span.dropped_events(), span.dropped_links()],
        };
        lock(&self.ended).push(seen);
    }
}

fn texts(attributes: AttributesView<'_>) -> Texts {
    let text = |value: ValueView<'_>| match value {
        ValueView::Str(text) => text.to_owned(),
        ValueView::Bool(is_true) => is_true.to_string(),
        ValueView::I64(number) => number.to_string(),
        ValueView::F64(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.map(|(key, value)| (key.to_owned(), text(value))).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
