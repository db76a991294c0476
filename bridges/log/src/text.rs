//! A line for people.

use core::fmt::Write;

use log::Level;
use throughline_core::{SpanContext, Value};

use crate::{Line, json, timestamp};

/// Appends the line, without its end.
pub(crate) fn write(
    line: &Line<'_>,
    span: Option<SpanContext>,
    is_coloured: bool,
    out: &mut String,
) {
    let paint = |code: &'static str, out: &mut String, write: &dyn Fn(&mut String)| {
        if is_coloured {
            out.push_str("\x1b[");
            out.push_str(code);
            out.push('m');
        }
        write(out);
        if is_coloured {
            out.push_str("\x1b[0m");
        }
    };
    paint(FAINT, out, &|out| timestamp::write(line.time, out));
    out.push(' ');
    // A string takes everything.
    paint(colour(line.level), out, &|out| {
        let _ = write!(out, "{:5}", line.level.as_str());
    });
    out.push(' ');
    paint(FAINT, out, &|out| {
        visible(line.target, out);
        out.push(':');
    });
    out.push(' ');
    visible(line.message, out);
    for (key, value) in line.fields() {
        out.push(' ');
        paint(FAINT, out, &|out| {
            visible(key, out);
            out.push('=');
        });
        match value {
            Value::Str(text) if !text.is_empty() && !text.contains([' ', '"', '=']) => {
                visible(text, out);
            }
            // Control characters are escaped there.
            other => json::value(other, out),
        }
    }
    if let Some(span) = span {
        let (trace, flags) = (span.trace_id(), span.trace_flags());
        let span = span.span_id();
        paint(FAINT, out, &|out| {
            let _ = write!(out, " trace_id={trace} span_id={span} trace_flags={flags}");
        });
    }
}

/// What would move the cursor or begin another line is escaped: the text may come from
/// anywhere, and the terminal would obey.
fn visible(text: &str, out: &mut String) {
    for character in text.chars() {
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::Error => "31",
        Level::Warn => "33",
        Level::Info => "32",
        Level::Debug => "34",
        Level::Trace => "35",
    }
}

const FAINT: &str = "2";
