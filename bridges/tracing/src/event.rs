//! Events of `tracing` as span events.

use core::cell::Cell;
use core::error::Error;
use core::fmt::{Debug, Write};
use core::ops::Range;

use throughline_core::{Attributes, ErrorChain, EventConstants, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use crate::site::Site;

/// What an event says, formatted: no code of others runs while it is added to a span.
///
/// Kept by the thread from one event to the next.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// All that is text, one behind the other.
    text: String,
    bytes: Vec<u8>,
    fields: Vec<(&'static str, Stored)>,
    message: Option<Range<usize>>,
    /// The message of an error, and the errors behind it.
    error: Option<(Range<usize>, Option<Range<usize>>)>,
    /// What stands for the target where the event comes from the `log` crate.
    log_target: Option<Range<usize>>,
}

#[derive(Clone, Debug)]
enum Stored {
    Bool(bool),
    I64(i64),
    U64(u64),
    F64(f64),
    Text(Range<usize>),
    Bytes(Range<usize>),
}

impl Said {
    /// Shows what the event says to the closure.
    pub(crate) fn by<R>(event: &Event<'_>, use_it: impl FnOnce(&Said) -> R) -> R {
        // Taken out meanwhile: what is formatted may make events itself.
        let mut said = KEPT.try_with(Cell::take).ok().flatten().unwrap_or_default();
        said.clear();
        event.record(&mut *said);
        if said.error.is_none() && *event.metadata().level() == Level::ERROR {
            // `#[instrument(err)]` has no other field, and no error as such.
            let error = said.fields.iter().find(|(name, _)| *name == "error");
            if let Some((_, Stored::Text(text))) = error {
                said.error = Some((text.clone(), None));
            }
        }
        let result = use_it(&said);
        if said.text.capacity() <= LARGE && said.bytes.capacity() <= LARGE {
            let _ = KEPT.try_with(|kept| kept.set(Some(said)));
        }
        result
    }

    fn clear(&mut self) {
        self.text.clear();
        self.bytes.clear();
        self.fields.clear();
        (self.message, self.error, self.log_target) = (None, None, None);
    }

    /// The name and the attributes of the span event, and those that it always has.
    #[inline]
    pub(crate) fn show<R>(
        &self,
        event: &Event<'_>,
        with_location: bool,
        use_it: impl FnOnce(&str, &Attributes<'_>, &EventConstants) -> R,
    ) -> R {
        let metadata = event.metadata();
        let name = match &self.message {
            _ if self.is_exception() => "exception",
            Some(_) if is_unnamed(metadata.name()) => self.message(),
            _ => metadata.name(),
        };
        let mut all = Few::new();
        self.fields(event, with_location, &mut all);
        if self.message.is_some() && self.message() != name {
            all.add("message", Value::Str(self.message()));
        }
        if self.log_target.is_none() {
            return use_it(name, all.as_slice(), &Site::of(metadata).constants);
        }
        all.add("level", Value::Str(metadata.level().as_str()));
        all.add("target", Value::Str(self.target(event)));
        use_it(name, all.as_slice(), EventConstants::NONE)
    }

    /// Whether it has an error, or what describes one by the conventions.
    fn is_exception(&self) -> bool {
        let describes = |name: &str| matches!(name, "exception.type" | "exception.message");
        self.error.is_some() || self.fields.iter().any(|(name, _)| describes(name))
    }

    /// The text, empty if there is none.
    pub(crate) fn message(&self) -> &str {
        self.message.clone().map_or("", |message| self.text(message))
    }

    /// Whose event it is.
    pub(crate) fn target<'a>(&'a self, event: &Event<'a>) -> &'a str {
        self.log_target.clone().map_or(event.metadata().target(), |target| self.text(target))
    }

    /// Adds what else it says.
    pub(crate) fn fields<'a>(&'a self, event: &Event<'a>, with_location: bool, all: &mut Few<'a>) {
        for (name, value) in &self.fields {
            all.add(name, self.value(value));
        }
        if let Some((message, stack)) = &self.error {
            // What the program says itself is better.
            let is_said = |key| self.fields.iter().any(|(name, _)| *name == key);
            if !is_said("exception.message") {
                all.add("exception.message", Value::Str(self.text(message.clone())));
            }
            if let Some(stack) = stack.clone().filter(|_| !is_said("exception.stacktrace")) {
                all.add("exception.stacktrace", Value::Str(self.text(stack)));
            }
        }
        let metadata = event.metadata();
        if let Some(file) = metadata.file().filter(|_| with_location) {
            all.add("code.file.path", Value::Str(file));
        }
        if let Some(line) = metadata.line().filter(|_| with_location) {
            all.add("code.line.number", line.into());
        }
    }

    /// Why the work failed, as far as it says.
    pub(crate) fn reason(&self) -> &str {
        let error = self.error.as_ref().map(|(message, _)| message);
        error.or(self.message.as_ref()).map_or("", |text| self.text(text.clone()))
    }

    fn text(&self, range: Range<usize>) -> &str {
        self.text.get(range).unwrap_or_default()
    }

    fn value(&self, stored: &Stored) -> Value<'_> {
        match stored {
            Stored::Bool(value) => Value::Bool(*value),
            Stored::I64(value) => Value::I64(*value),
            Stored::U64(value) => Value::U64(*value),
            Stored::F64(value) => Value::F64(*value),
            Stored::Text(range) => Value::Str(self.text(range.clone())),
            Stored::Bytes(range) => Value::Bytes(self.bytes.get(range.clone()).unwrap_or_default()),
        }
    }

    /// Adds to the text, whatever the value does to write itself.
    fn write(&mut self, write: impl FnOnce(&mut String) -> core::fmt::Result) -> Range<usize> {
        let start = self.text.len();
        // An error says that the value has no more to say.
        let _ = write(&mut self.text);
        start..self.text.len()
    }

    fn textual(&mut self, field: &Field, text: Range<usize>) {
        match field.name() {
            "message" => self.message = Some(text),
            "log.target" => self.log_target = Some(text),
            // Where a record of the `log` crate comes from.
            name if name.starts_with("log.") => {}
            name => self.fields.push((name, Stored::Text(text))),
        }
    }
}

impl Visit for Said {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.fields.push((field.name(), Stored::F64(value)));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.fields.push((field.name(), Stored::I64(value)));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() != "log.line" {
            self.fields.push((field.name(), Stored::U64(value)));
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.fields.push((field.name(), Stored::Bool(value)));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let text = self.write(|text| text.write_str(value));
        self.textual(field, text);
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.fields.push((field.name(), Stored::Bytes(start..self.bytes.len())));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let message = self.write(|text| write!(text, "{value}"));
        let stack = value.source().map(|source| {
            self.write(|text| {
                write!(text, "{}", ErrorChain { message: &value.to_string(), source })
            })
        });
        self.textual(field, message.clone());
        self.error.get_or_insert((message, stack));
    }

    // 128 bits, too, which are text.
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = self.write(|text| write!(text, "{value:?}"));
        self.textual(field, text);
    }
}

/// Attributes, on the stack as far as they are few. It is not moved: that would take longer
/// than to fill it.
pub(crate) struct Few<'a> {
    few: heapless::Vec<(&'a str, Value<'a>), 16>,
    many: Vec<(&'a str, Value<'a>)>,
}

impl<'a> Few<'a> {
    #[inline(always)]
    pub(crate) const fn new() -> Self {
        Few { few: heapless::Vec::new(), many: Vec::new() }
    }

    #[inline]
    fn add(&mut self, key: &'a str, value: Value<'a>) {
        if !self.many.is_empty() || self.few.push((key, value)).is_err() {
            self.add_many(key, value);
        }
    }

    #[cold]
    fn add_many(&mut self, key: &'a str, value: Value<'a>) {
        if self.many.is_empty() {
            self.many.extend_from_slice(&self.few);
        }
        self.many.push((key, value));
    }

    pub(crate) fn as_slice(&self) -> &Attributes<'a> {
        if self.many.is_empty() { &self.few } else { &self.many }
    }
}

/// Whether the name is what `tracing` makes up: the place in the source.
fn is_unnamed(name: &str) -> bool {
    name.starts_with("event ") || name == "log event"
}

thread_local! {
    static KEPT: Cell<Option<Box<Said>>> = const { Cell::new(None) };
}

/// What an unusual event needed is not kept.
const LARGE: usize = 16 * 1024;
