//! Events of `tracing` as log lines.

use core::fmt;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use throughline_core::SpanContext;
use throughline_log::{Line, Lines};
use throughline_runtime::Context;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{self, FormatEvent, FormatFields};
use tracing_subscriber::fmt::{self as subscriber, FmtContext, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use crate::TracingLayer;
use crate::event::{Few, Said};

/// Writes events as [`Lines`]: with the ids of the span that is current, of whichever
/// world it is.
///
/// ```
/// use throughline_tracing::{Lines, LogFormat, TracingLayer};
/// use tracing_subscriber::layer::SubscriberExt;
///
/// let layer = TracingLayer::new();
/// let logs = LogFormat::new(Lines::json()).of(&layer).layer();
/// let subscriber = tracing_subscriber::registry().with(layer).with(logs);
/// # let _ = subscriber;
/// ```
///
/// Spans are not written, nor their fields: these are where the ids lead to.
#[derive(Clone, Debug)]
pub struct LogFormat {
    lines: Arc<Lines>,
    layer: Option<TracingLayer>,
}

impl LogFormat {
    /// Events as these lines.
    pub fn new(lines: Lines) -> Self {
        LogFormat { lines: Arc::new(lines), layer: None }
    }

    /// Knows the spans of this layer: events that name a span as their parent are written
    /// with its ids. Otherwise they have none.
    #[must_use]
    pub fn of(mut self, layer: &TracingLayer) -> Self {
        self.layer = Some(layer.clone());
        self
    }

    /// What it writes to.
    pub fn lines(&self) -> &Lines {
        &self.lines
    }

    /// The layer that writes the lines. It never prints or panics when they cannot be
    /// written, unlike one that is made by hand of this format and another writer.
    pub fn layer<S>(self) -> subscriber::Layer<S, NoFields, Self, Self>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let layer = subscriber::Layer::new().fmt_fields(NoFields).event_format(self.clone());
        layer.with_writer(self).log_internal_errors(false)
    }

    fn span(&self, event: &Event<'_>) -> SpanContext {
        let context = match (event.parent(), &self.layer) {
            (Some(parent), Some(layer)) => layer.spans.context(parent),
            (None, _) if event.is_contextual() => Some(Context::current()),
            _ => None,
        };
        context.map(|context| context.span_context()).unwrap_or_default()
    }
}

impl<S, N> FormatEvent<S, N> for LogFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: format::Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let (time, span) = (SystemTime::now(), self.span(event));
        let mut text = String::new();
        Said::by(event, |said| {
            let mut fields = Few::new();
            said.fields(event, false, &mut fields);
            let line = Line {
                time,
                level: level(*event.metadata().level()),
                target: said.target(event),
                message: said.message(),
                fields: fields.as_slice(),
                span,
            };
            self.lines.render(&line, &mut text);
        });
        writer.write_str(&text)
    }
}

impl<'a> MakeWriter<'a> for LogFormat {
    type Writer = Whole<'a>;

    fn make_writer(&'a self) -> Whole<'a> {
        Whole(&self.lines)
    }

    fn make_writer_for(&'a self, _: &Metadata<'_>) -> Whole<'a> {
        Whole(&self.lines)
    }
}

/// Takes whole lines, and never fails.
#[derive(Debug)]
pub struct Whole<'a>(&'a Lines);

impl io::Write for Whole<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if !line.is_empty() {
            self.0.output().write(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Fields of spans, which are not written and so not formatted.
#[derive(Clone, Copy, Debug)]
pub struct NoFields;

impl<'a> FormatFields<'a> for NoFields {
    fn format_fields<R: RecordFields>(&self, _: format::Writer<'a>, _: R) -> fmt::Result {
        Ok(())
    }
}

fn level(level: Level) -> log::Level {
    match level {
        Level::ERROR => log::Level::Error,
        Level::WARN => log::Level::Warn,
        Level::INFO => log::Level::Info,
        Level::DEBUG => log::Level::Debug,
        Level::TRACE => log::Level::Trace,
    }
}
