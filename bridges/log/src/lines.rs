//! How lines look, and which are written.

use core::cell::Cell;

use crate::{Line, Output, json, text};

/// Writes log lines: how they look, where they go, and which are left out.
#[derive(Debug)]
pub struct Lines {
    shape: Shape,
    output: Output,
    colour: Option<bool>,
    zeros: bool,
    trace_based: bool,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A JSON object with `timestamp` (RFC 3339, UTC, microseconds), `level`, `target`,
    /// `message`, `fields` (an object, absent if there are none), `trace_id`, `span_id`
    /// and `trace_flags`.
    Json,
    /// For people: time, level, target, message, fields, ids. Control characters are
    /// escaped.
    Text,
}

impl Lines {
    /// JSON on the standard error.
    pub const fn json() -> Self {
        Self::new(Shape::Json, Output::stderr())
    }

    /// Text on the standard error, coloured if that is a terminal and
    /// [`NO_COLOR`](https://no-color.org) is not set.
    pub const fn text() -> Self {
        Self::new(Shape::Text, Output::stderr())
    }

    /// Text if the standard error is a terminal, else JSON there.
    pub fn auto() -> Self {
        let output = Output::stderr();
        let shape = if output.is_terminal() { Shape::Text } else { Shape::Json };
        Self::new(shape, output)
    }

    /// Lines of this shape that go there.
    pub const fn new(shape: Shape, output: Output) -> Self {
        Lines { shape, output, colour: None, zeros: false, trace_based: false }
    }

    /// The same, written elsewhere.
    #[must_use]
    pub fn to(mut self, output: Output) -> Self {
        self.output = output;
        self
    }

    /// Whether text is coloured, instead of finding out.
    #[must_use]
    pub const fn colour(mut self, on: bool) -> Self {
        self.colour = Some(on);
        self
    }

    /// Outside of any span the ids are zeros, `trace_flags` too, for readers that want the
    /// fields in every line. They are absent if not said otherwise.
    #[must_use]
    pub const fn zeros_outside_spans(mut self) -> Self {
        self.zeros = true;
        self
    }

    /// Leaves out what happens in a span that is not sampled; what happens outside of any
    /// span is written. Not if not said otherwise.
    /// ([`trace_based`](https://opentelemetry.io/docs/specs/otel/logs/sdk/#loggerconfig))
    #[must_use]
    pub const fn trace_based(mut self) -> Self {
        self.trace_based = true;
        self
    }

    /// Lines that could not be written, or not to their end.
    pub fn lost(&self) -> u64 {
        self.output.lost()
    }

    /// Where they go.
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// Writes the line, unless it is left out.
    pub fn write(&self, line: &Line<'_>) {
        // Taken out meanwhile, in case that the output logs after all.
        let mut buffer = BUFFER.try_with(Cell::take).unwrap_or_default();
        buffer.clear();
        self.render(line, &mut buffer);
        if !buffer.is_empty() {
            self.output.write(buffer.as_bytes());
        }
        if buffer.capacity() <= LARGE {
            let _ = BUFFER.try_with(|kept| kept.set(buffer));
        }
    }

    /// Appends the line with a line feed, or nothing if it is left out.
    pub fn render(&self, line: &Line<'_>, out: &mut String) {
        let is_in_span = line.span.is_valid();
        if self.trace_based && is_in_span && !line.span.trace_flags().is_sampled() {
            return;
        }
        // An invalid context may have one of the ids; both or none are written.
        let span = match is_in_span {
            true => Some(line.span),
            false => self.zeros.then_some(throughline_core::SpanContext::INVALID),
        };
        match self.shape {
            Shape::Json => json::write(line, span, out),
            Shape::Text => {
                let is_coloured = self.colour.unwrap_or_else(|| self.output.wants_colour());
                text::write(line, span, is_coloured, out);
            }
        }
        out.push('\n');
    }
}

thread_local! {
    static BUFFER: Cell<String> = const { Cell::new(String::new()) };
}

/// What an unusual line needed is not kept.
const LARGE: usize = 16 * 1024;
