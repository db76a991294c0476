//! The logger.

use core::fmt::Write;
use std::time::SystemTime;

use log::kv::{self, VisitSource, VisitValue};
use log::{LevelFilter, Log, Metadata, Record, SetLoggerError};
use throughline_core::Value;
use throughline_runtime::{Context, CurrentSpan};

use crate::{Line, Lines};

/// A logger for the [`log`] crate, which writes [`Lines`] with the ids of the current
/// span, and may add records to that span as events.
#[derive(Debug)]
pub struct Logger {
    lines: Lines,
    level: LevelFilter,
    /// The longest first.
    targets: Vec<(String, LevelFilter)>,
    span_events: bool,
}

impl Logger {
    /// Writes records of level INFO and above to these lines.
    pub fn new(lines: Lines) -> Self {
        Logger { lines, level: LevelFilter::Info, targets: Vec::new(), span_events: false }
    }

    /// Writes records of this level and above.
    #[must_use]
    pub fn level(mut self, level: LevelFilter) -> Self {
        self.level = level;
        self
    }

    /// Another level for a target and the modules below it: `hyper`, `shop::orders`. The
    /// longest that fits holds.
    #[must_use]
    pub fn level_of(mut self, target: impl Into<String>, level: LevelFilter) -> Self {
        self.targets.push((target.into(), level));
        self.targets.sort_by_key(|(target, _)| core::cmp::Reverse(target.len()));
        self
    }

    /// Adds the records that are written to the current span too, if that is recorded.
    ///
    /// The event is named by the field `event.name`, else by the message, and has `level`,
    /// `target` and the fields as attributes.
    /// ([Event to span event bridge](https://opentelemetry.io/docs/specs/otel/logs/sdk/#event-to-span-event-bridge))
    #[must_use]
    pub fn span_events(mut self) -> Self {
        self.span_events = true;
        self
    }

    /// What it writes to.
    pub fn lines(&self) -> &Lines {
        &self.lines
    }

    /// Makes this the logger of the program, and sets the level above which `log` costs
    /// nothing.
    ///
    /// # Errors
    ///
    /// There is a logger already.
    pub fn install(self) -> Result<&'static Self, SetLoggerError> {
        let most = self.targets.iter().map(|(_, level)| *level).fold(self.level, Ord::max);
        let logger: &'static Logger = Box::leak(Box::new(self));
        log::set_logger(logger)?;
        log::set_max_level(most);
        Ok(logger)
    }

    fn level_for(&self, target: &str) -> LevelFilter {
        let is_of = |(of, _): &&(String, LevelFilter)| {
            target
                .strip_prefix(of.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        self.targets.iter().find(is_of).map_or(self.level, |(_, level)| *level)
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= self.level_for(metadata.target())
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        // Formatted first: no code of others runs while a stream is locked or a span
        // is written to.
        let message = match record.args().as_str() {
            Some(text) => text.into(),
            None => alloc(record),
        };
        let mut fields = Fields::default();
        // It fails when a value cannot show itself: the others are kept.
        let _ = record.key_values().visit(&mut fields);
        let fields = fields.borrowed();
        let line = Line {
            time: SystemTime::now(),
            level: record.level(),
            target: record.target(),
            message: &message,
            fields: &fields,
            span: Context::current().span_context(),
        };
        self.lines.write(&line);
        if self.span_events && CurrentSpan::is_recording() {
            add_event(&line);
        }
    }

    fn flush(&self) {
        // Each line is written when it is made.
    }
}

fn alloc<'a>(record: &Record<'_>) -> std::borrow::Cow<'a, str> {
    let mut text = String::new();
    // An error says that the text ends there.
    let _ = write!(text, "{}", record.args());
    text.into()
}

fn add_event(line: &Line<'_>) {
    let named = line.fields.iter().find_map(|(key, value)| match value {
        Value::Str(name) if *key == "event.name" => Some(*name),
        _ => None,
    });
    let level = ("level", Value::Str(line.level.as_str()));
    let target = ("target", Value::Str(line.target));
    let message = named.map(|_| ("message", Value::Str(line.message)));
    let known = [level, target].into_iter().chain(message);
    let fields = line.fields().copied().filter(|(key, _)| *key != "event.name");
    let attributes: Vec<_> = known.chain(fields).collect();
    CurrentSpan::add_event(named.unwrap_or(line.message), &attributes);
}

/// The fields of a record, owned: values live as long as they are visited.
#[derive(Default)]
struct Fields(Vec<(String, Owned)>);

enum Owned {
    Empty,
    Bool(bool),
    I64(i64),
    U64(u64),
    F64(f64),
    Text(String),
}

impl Fields {
    fn borrowed(&self) -> Vec<(&str, Value<'_>)> {
        let value = |value| match value {
            &Owned::Empty => Value::Empty,
            &Owned::Bool(value) => Value::Bool(value),
            &Owned::I64(value) => Value::I64(value),
            &Owned::U64(value) => Value::U64(value),
            &Owned::F64(value) => Value::F64(value),
            Owned::Text(text) => Value::Str(text),
        };
        self.0.iter().map(|(key, owned)| (key.as_str(), value(owned))).collect()
    }
}

impl<'a> VisitSource<'a> for Fields {
    fn visit_pair(&mut self, key: kv::Key<'a>, value: kv::Value<'a>) -> Result<(), kv::Error> {
        let mut owned = Owned::Empty;
        // A value that fails is there and empty.
        let _ = value.visit(&mut owned);
        self.0.push((key.as_str().to_owned(), owned));
        Ok(())
    }
}

impl VisitValue<'_> for &mut Owned {
    fn visit_any(&mut self, value: kv::Value<'_>) -> Result<(), kv::Error> {
        let mut text = String::new();
        let _ = write!(text, "{value}");
        **self = Owned::Text(text);
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        **self = Owned::Empty;
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
        **self = Owned::U64(value);
        Ok(())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
        **self = Owned::I64(value);
        Ok(())
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), kv::Error> {
        **self = Owned::F64(value);
        Ok(())
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), kv::Error> {
        **self = Owned::Bool(value);
        Ok(())
    }

    fn visit_str(&mut self, value: &str) -> Result<(), kv::Error> {
        **self = Owned::Text(value.to_owned());
        Ok(())
    }
}
