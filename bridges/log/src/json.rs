//! A line as a JSON object.

use core::fmt::Write;

use serde_json::Value as Json;
use throughline_core::{SpanContext, Value};

use crate::{Line, timestamp};

/// Appends the object, without an end of line.
pub(crate) fn write(line: &Line<'_>, span: Option<SpanContext>, out: &mut String) {
    out.push_str("{\"timestamp\":\"");
    timestamp::write(line.time, out);
    out.push_str("\",\"level\":\"");
    out.push_str(line.level.as_str());
    out.push_str("\",\"target\":");
    text(line.target, out);
    out.push_str(",\"message\":");
    text(line.message, out);
    let mut between = ",\"fields\":{";
    for (key, value) in line.fields() {
        out.push_str(between);
        between = ",";
        text(key, out);
        out.push(':');
        self::value(value, out);
    }
    if between == "," {
        out.push('}');
    }
    if let Some(span) = span {
        out.push_str(",\"trace_id\":\"");
        digits(&span.trace_id().to_hex(), out);
        out.push_str("\",\"span_id\":\"");
        digits(&span.span_id().to_hex(), out);
        // A string takes everything.
        let _ = write!(out, "\",\"trace_flags\":\"{}\"", span.trace_flags());
    }
    out.push('}');
}

/// Ids as digits, without the machinery of formatting.
fn digits(digits: &[u8], out: &mut String) {
    out.push_str(core::str::from_utf8(digits).unwrap_or_default());
}

fn text(text: &str, out: &mut String) {
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        let _ = write!(out, "{}", Json::from(text));
    }
}

pub(crate) fn value(value: &Value<'_>, out: &mut String) {
    // A string takes everything.
    let _ = match *value {
        Value::Bool(value) => write!(out, "{value}"),
        Value::I64(value) => write!(out, "{value}"),
        Value::U64(value) => write!(out, "{value}"),
        Value::F64(value) => return float(value, out),
        Value::Str(value) => return text(value, out),
        Value::Bytes(bytes) => {
            out.push('"');
            bytes.iter().for_each(|byte| {
                let _ = write!(out, "{byte:02x}");
            });
            out.write_str("\"")
        }
        Value::Array(values) => return array(values.iter().copied(), out),
        Value::Strs(values) => return array(values.iter().map(|value| Value::Str(value)), out),
        Value::I64s(values) => return array(values.iter().map(|value| Value::I64(*value)), out),
        Value::F64s(values) => return array(values.iter().map(|value| Value::F64(*value)), out),
        Value::Bools(values) => return array(values.iter().map(|value| Value::Bool(*value)), out),
        Value::Map(entries) => return map(entries, out),
        // What is there and empty, and kinds that do not exist yet.
        _ => out.write_str("null"),
    };
}

/// JSON has no numbers for what is not finite.
fn float(value: f64, out: &mut String) {
    let _ = match serde_json::Number::from_f64(value) {
        Some(number) => write!(out, "{number}"),
        None => write!(out, "\"{value}\""),
    };
}

fn array<'a>(values: impl Iterator<Item = Value<'a>>, out: &mut String) {
    out.push('[');
    for (index, value) in values.enumerate() {
        out.push_str(if index == 0 { "" } else { "," });
        self::value(&value, out);
    }
    out.push(']');
}

fn map(entries: &[(&str, Value<'_>)], out: &mut String) {
    out.push('{');
    for (index, (key, value)) in entries.iter().enumerate() {
        out.push_str(if index == 0 { "" } else { "," });
        text(key, out);
        out.push(':');
        self::value(value, out);
    }
    out.push('}');
}
