//! One JSON object per span and line.

use core::fmt;
use std::io;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::ser::{CharEscape, Formatter};

use crate::{Event, FinishedSpan, Link, Status, Value};

/// A span as one line of JSON, without the line feed.
///
/// Keys: `trace_id`, `span_id`, `parent_span_id` (null for a root; ids in lower
/// case hex), `parent_is_remote`, `name`, `kind`, `service`, `scope`,
/// `start_unix_nanos`, `end_unix_nanos`, `duration_nanos`, `status` (`unset`,
/// `ok`, `error`), `status_message`, `attributes` (an object), `events` and
/// `links` (arrays), `trace_state` and `dropped_attributes`, `dropped_events`,
/// `dropped_links`. Those after `links` and `status_message` are left out when
/// empty or zero. Numbers are integers of 64 bits.
///
/// Bytes are Base64, and NaN and the infinities strings, as
/// [OpenTelemetry maps them](https://opentelemetry.io/docs/specs/otel/common/#anyvalue-representation-for-non-otlp-protocols).
/// Control characters are escaped, also those that JSON would let pass (127 to
/// 159), so that a line is harmless on a terminal.
#[must_use]
pub fn json_line(span: &FinishedSpan) -> JsonLine<'_> {
    JsonLine { span }
}

/// A span that writes itself as JSON when it is displayed; made by [`json_line`].
#[derive(Clone, Copy, Debug)]
pub struct JsonLine<'a> {
    span: &'a FinishedSpan,
}

impl JsonLine<'_> {
    /// Writes the object and a line feed.
    ///
    /// # Errors
    ///
    /// What the writer answers.
    pub fn write_to(&self, mut out: impl io::Write) -> io::Result<()> {
        let mut serializer = serde_json::Serializer::with_formatter(&mut out, Harmless);
        self.serialize(&mut serializer).map_err(io::Error::from)?;
        out.write_all(b"\n")
    }
}

impl fmt::Display for JsonLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::new();
        let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Harmless);
        self.serialize(&mut serializer).map_err(|_| fmt::Error)?;
        f.write_str(core::str::from_utf8(&bytes).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for JsonLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let span = self.span;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("trace_id", &hex(&span.trace_id))?;
        map.serialize_entry("span_id", &hex(&span.span_id))?;
        let parent = span.parent_span_id.as_ref().map(|id| hex(id));
        map.serialize_entry("parent_span_id", &parent)?;
        map.serialize_entry("parent_is_remote", &span.parent_is_remote)?;
        map.serialize_entry("name", &span.name)?;
        map.serialize_entry("kind", span.kind.as_str())?;
        map.serialize_entry("service", &*span.service)?;
        map.serialize_entry("scope", &*span.scope)?;
        map.serialize_entry("start_unix_nanos", &span.start_unix_nanos)?;
        map.serialize_entry("end_unix_nanos", &span.end_unix_nanos)?;
        map.serialize_entry("duration_nanos", &span.duration_nanos())?;
        let (status, message) = match &span.status {
            Status::Unset => ("unset", ""),
            Status::Ok => ("ok", ""),
            Status::Error(message) => ("error", message.as_str()),
        };
        map.serialize_entry("status", status)?;
        if !message.is_empty() {
            map.serialize_entry("status_message", message)?;
        }
        map.serialize_entry("attributes", &Attributes(&span.attributes))?;
        map.serialize_entry("events", &List(&span.events))?;
        map.serialize_entry("links", &List(&span.links))?;
        if !span.trace_state.is_empty() {
            map.serialize_entry("trace_state", &span.trace_state)?;
        }
        for (key, count) in [
            ("dropped_attributes", span.dropped.attributes),
            ("dropped_events", span.dropped.events),
            ("dropped_links", span.dropped.links),
        ] {
            if count > 0 {
                map.serialize_entry(key, &count)?;
            }
        }
        map.end()
    }
}

/// A list whose elements serialize through [`Json`].
struct List<'a, T>(&'a [T]);

impl<'a, T> Serialize for List<'a, T>
where
    Json<'a, T>: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for element in self.0 {
            list.serialize_element(&Json(element))?;
        }
        list.end()
    }
}

struct Json<'a, T>(&'a T);

impl Serialize for Json<'_, Event> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let event = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &event.name)?;
        map.serialize_entry("unix_nanos", &event.unix_nanos)?;
        map.serialize_entry("attributes", &Attributes(&event.attributes))?;
        if event.dropped_attributes > 0 {
            map.serialize_entry("dropped_attributes", &event.dropped_attributes)?;
        }
        map.end()
    }
}

impl Serialize for Json<'_, Link> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let link = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("trace_id", &hex(&link.trace_id))?;
        map.serialize_entry("span_id", &hex(&link.span_id))?;
        if !link.trace_state.is_empty() {
            map.serialize_entry("trace_state", &link.trace_state)?;
        }
        map.serialize_entry("attributes", &Attributes(&link.attributes))?;
        if link.dropped_attributes > 0 {
            map.serialize_entry("dropped_attributes", &link.dropped_attributes)?;
        }
        map.end()
    }
}

impl Serialize for Json<'_, Value> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Empty => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Int(value) => serializer.serialize_i64(*value),
            Value::Double(value) if value.is_nan() => serializer.serialize_str("NaN"),
            Value::Double(f64::INFINITY) => serializer.serialize_str("Infinity"),
            Value::Double(f64::NEG_INFINITY) => serializer.serialize_str("-Infinity"),
            Value::Double(value) => serializer.serialize_f64(*value),
            Value::String(text) => serializer.serialize_str(text),
            Value::Bytes(bytes) => serializer.serialize_str(&base64(bytes)),
            Value::Array(values) => List(values).serialize(serializer),
            Value::Map(entries) => Attributes(entries).serialize(serializer),
        }
    }
}

struct Attributes<'a>(&'a [(String, Value)]);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in self.0 {
            map.serialize_entry(key, &Json(value))?;
        }
        map.end()
    }
}

/// Compact JSON in which delete and the C1 controls are escaped too.
struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        let mut rest = fragment;
        while let Some(at) = rest.find(|char| matches!(char, '\u{7f}'..='\u{9f}')) {
            let (before, from) = rest.split_at(at);
            writer.write_all(before.as_bytes())?;
            let mut chars = from.chars();
            if let Some(control) = chars.next() {
                write!(writer, "\\u{:04x}", u32::from(control))?;
            }
            rest = chars.as_str();
        }
        writer.write_all(rest.as_bytes())
    }

    fn write_char_escape<W>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        serde_json::ser::CompactFormatter.write_char_escape(writer, escape)
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    let pairs = bytes.iter();
    pairs.flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let value = bits >> (18 - 6 * digit) & 63;
            let is_padding = digit > chunk.len();
            out.push(if is_padding { '=' } else { char::from(DIGITS[value as usize]) });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{base64, json_line};
    use crate::{DroppedCounts, Event, FinishedSpan, Link, SpanKind, Status, Value};

    fn full() -> FinishedSpan {
        FinishedSpan {
            trace_id: [0xab; 16],
            span_id: [1; 8],
            parent_span_id: Some([2; 8]),
            parent_is_remote: true,
            trace_state: "a=b".into(),
            name: "load".into(),
            kind: SpanKind::Client,
            start_unix_nanos: 1_000,
            end_unix_nanos: 4_000,
            attributes: vec![
                ("n".into(), Value::Int(i64::MIN)),
                ("x".into(), Value::Double(f64::NAN)),
                ("raw".into(), Value::Bytes(vec![0, 255])),
                ("list".into(), Value::Array(vec![Value::Bool(true), Value::Empty])),
                ("map".into(), Value::Map(vec![("k".into(), "v".into())])),
            ],
            events: vec![Event { unix_nanos: 2_000, name: "retry".into(), ..Event::default() }],
            links: vec![Link { trace_id: [3; 16], span_id: [4; 8], ..Link::default() }],
            status: Status::Error("no answer".into()),
            scope: "db".into(),
            service: "orders".into(),
            dropped: DroppedCounts { events: 2, ..DroppedCounts::default() },
        }
    }

    #[test]
    fn every_field_is_there_in_order() {
        assert_eq!(
            json_line(&full()).to_string(),
            concat!(
                r#"{"trace_id":"abababababababababababababababab","span_id":"0101010101010101","#,
                r#""parent_span_id":"0202020202020202","parent_is_remote":true,"name":"load","#,
                r#""kind":"client","service":"orders","scope":"db","start_unix_nanos":1000,"#,
                r#""end_unix_nanos":4000,"duration_nanos":3000,"status":"error","#,
                r#""status_message":"no answer","attributes":{"n":-9223372036854775808,"#,
                r#""x":"NaN","raw":"AP8=","list":[true,null],"map":{"k":"v"}},"#,
                r#""events":[{"name":"retry","unix_nanos":2000,"attributes":{}}],"#,
                r#""links":[{"trace_id":"03030303030303030303030303030303","#,
                r#""span_id":"0404040404040404","attributes":{}}],"#,
                r#""trace_state":"a=b","dropped_events":2}"#,
            )
        );
    }

    #[test]
    fn a_root_without_anything_is_short() {
        let line = json_line(&FinishedSpan::default()).to_string();
        assert!(line.contains(r#""parent_span_id":null"#), "{line}");
        assert!(line.contains(r#""status":"unset","attributes":{}"#), "{line}");
        assert!(line.ends_with(r#""links":[]}"#), "{line}");
    }

    #[test]
    fn a_line_is_one_line_and_holds_no_control_character() {
        let name = "a\nb\x1b[31m\u{9b}2J\x7f\"é";
        let span = FinishedSpan { name: name.into(), ..FinishedSpan::default() };
        let line = json_line(&span).to_string();
        assert!(!line.contains(char::is_control), "{line:?}");
        let read: serde_json::Value = serde_json::from_str(&line).expect("valid JSON");
        assert_eq!(read["name"], name);
    }

    #[test]
    fn writing_ends_the_line() {
        let mut out = Vec::new();
        let line = json_line(&FinishedSpan::default()).write_to(&mut out);
        assert!(line.is_ok());
        assert!(out.ends_with(b"}\n"));
    }

    #[test]
    fn base64_pads_to_four() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg=="),
            (b"fo", "Zm8="),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg=="),
        ] {
            assert_eq!(base64(bytes), text);
        }
    }
}
