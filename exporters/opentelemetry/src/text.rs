//! Values as text, where there is no OTLP.
//!
//! ([AnyValue representation for non-OTLP
//! protocols](https://opentelemetry.io/docs/specs/otel/common/#anyvalue-representation-for-non-otlp-protocols))

use core::fmt::Write;

use throughline_core::ValueView;

/// ATT-6: text as it is, bytes as Base64, nothing for an empty value, all else as JSON.
pub(crate) fn of(value: &ValueView<'_>) -> String {
    let mut out = String::new();
    match value {
        ValueView::Empty => {}
        ValueView::Str(text) => out.push_str(text),
        ValueView::Bytes(bytes) => base64(bytes, &mut out),
        ValueView::F64(number) if !number.is_finite() => out.push_str(not_finite(*number)),
        other => json(other, &mut out),
    }
    out
}

fn json(value: &ValueView<'_>, out: &mut String) {
    match value {
        ValueView::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        ValueView::I64(number) => {
            let _ = write!(out, "{number}");
        }
        ValueView::F64(number) if !number.is_finite() => quoted(not_finite(*number), out),
        ValueView::F64(number) => {
            let _ = write!(out, "{number:?}");
        }
        ValueView::Str(text) => quoted(text, out),
        ValueView::Bytes(bytes) => {
            out.push('"');
            base64(bytes, out);
            out.push('"');
        }
        ValueView::Array(array) => {
            out.push('[');
            for (i, value) in array.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { "," });
                json(&value, out);
            }
            out.push(']');
        }
        ValueView::Map(map) => {
            out.push('{');
            for (i, (key, value)) in map.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { "," });
                quoted(key, out);
                out.push(':');
                json(&value, out);
            }
            out.push('}');
        }
        _ => out.push_str("null"),
    }
}

fn not_finite(number: f64) -> &'static str {
    if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

fn quoted(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\0'..='\x1f' => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

fn base64(bytes: &[u8], out: &mut String) {
    for group in bytes.chunks(3) {
        let mut bits = [0; 4];
        bits[1..1 + group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes(bits);
        for i in 0..4 {
            let digit = bits >> (18 - 6 * i) & 0x3f;
            out.push(if i > group.len() { '=' } else { char::from(DIGITS[digit as usize]) });
        }
    }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of [RFC 4648, section 10](https://www.rfc-editor.org/rfc/rfc4648#section-10).
    #[test]
    fn bytes_are_base64() {
        let vectors =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (bytes, text) in vectors {
            assert_eq!(of(&ValueView::Bytes(bytes.as_bytes())), text);
        }
    }

    /// ATT-6 of [non-OTLP protocols](https://opentelemetry.io/docs/specs/otel/common/#anyvalue-representation-for-non-otlp-protocols).
    #[test]
    fn single_values_have_their_texts() {
        let cases = [
            (ValueView::Empty, ""),
            (ValueView::Bool(true), "true"),
            (ValueView::I64(-7), "-7"),
            (ValueView::F64(0.5), "0.5"),
            (ValueView::F64(f64::NAN), "NaN"),
            (ValueView::F64(f64::NEG_INFINITY), "-Infinity"),
            (ValueView::Str("a\"b"), "a\"b"),
        ];
        for (value, text) in cases {
            assert_eq!(of(&value), text);
        }
        let mut out = String::new();
        quoted("a\"\\\n\u{1}é", &mut out);
        assert_eq!(out, "\"a\\\"\\\\\\u000a\\u0001é\"");
    }
}
