//! What produces the spans, as the OTLP `Resource` message.

use crate::value::{self, Bounds, Value};
use crate::wire;

/// Hands the OTLP `Resource` message with these text attributes to `write`,
/// piece by piece. The keys must be unique.
///
/// ([Resource](https://opentelemetry.io/docs/specs/otel/resource/sdk/))
pub fn encode_resource<'a>(
    attributes: impl Iterator<Item = (&'a str, &'a str)>,
    mut write: impl FnMut(&[u8]),
) {
    // Resource attributes are exempt from limits.
    let bounds = Bounds { length: u32::MAX, depth: 1 };
    for (key, text) in attributes {
        let len = Value::Str(text).encoded_len(bounds);
        wire::header(ATTRIBUTE, value::entry_len(key, len), &mut write);
        wire::text(value::ENTRY_KEY, key, &mut write);
        wire::header(value::ENTRY_VALUE, len, &mut write);
        wire::header(value::STRING, text.len(), &mut write);
        write(text.as_bytes());
    }
}

const ATTRIBUTE: u8 = wire::tag(1, wire::LEN);
