//! Values of attributes, times and kinds: theirs as ours.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace as theirs;
use opentelemetry::{Array, KeyValue, StringValue, Value as Their};
use throughline_core::{SpanKind, StatusCode, Value};

/// Shows a value to the closure.
pub(crate) fn with_value<R>(value: &Their, use_it: impl FnOnce(Value<'_>) -> R) -> R {
    match value {
        Their::Array(Array::String(texts)) => use_it(Value::Strs(&borrowed(texts))),
        other => match plain(other) {
            Some(value) => use_it(value),
            // A kind that came after this was written.
            None => use_it(Value::Str(&other.as_str())),
        },
    }
}

/// Shows keys and values to the closure. Of a key that comes twice, the last value is
/// kept: OTLP wants keys to be unique.
pub(crate) fn with_pairs<R>(
    pairs: &[KeyValue],
    use_it: impl FnOnce(&[(&str, Value<'_>)]) -> R,
) -> R {
    if pairs.is_empty() {
        return use_it(&[]);
    }
    let is_last = |i: usize, pair: &KeyValue| pairs[i + 1..].iter().all(|p| p.key != pair.key);
    let kept = pairs.iter().enumerate().filter(|(i, pair)| is_last(*i, pair)).map(|(_, pair)| pair);
    // What values of ours borrow from: arrays of text, and kinds that are unknown here.
    let texts: Vec<(&KeyValue, Texts<'_>)> = kept
        .map(|pair| {
            let texts = match &pair.value {
                Their::Array(Array::String(texts)) => Texts::Many(borrowed(texts)),
                other if plain(other).is_none() => Texts::One(other.as_str().into_owned()),
                _ => Texts::None,
            };
            (pair, texts)
        })
        .collect();
    let ours: Vec<(&str, Value<'_>)> = texts
        .iter()
        .map(|(pair, texts)| {
            let value = match texts {
                Texts::Many(texts) => Value::Strs(texts),
                Texts::One(text) => Value::Str(text),
                Texts::None => plain(&pair.value).unwrap_or_default(),
            };
            (pair.key.as_str(), value)
        })
        .collect();
    use_it(&ours)
}

enum Texts<'a> {
    None,
    One(String),
    Many(Vec<&'a str>),
}

/// A value that needs no memory of its own.
fn plain(value: &Their) -> Option<Value<'_>> {
    Some(match value {
        Their::Bool(value) => Value::Bool(*value),
        Their::I64(value) => Value::I64(*value),
        Their::F64(value) => Value::F64(*value),
        Their::String(value) => Value::Str(value.as_str()),
        Their::Array(Array::Bool(values)) => Value::Bools(values),
        Their::Array(Array::I64(values)) => Value::I64s(values),
        Their::Array(Array::F64(values)) => Value::F64s(values),
        _ => return None,
    })
}

fn borrowed(texts: &[StringValue]) -> Vec<&str> {
    texts.iter().map(StringValue::as_str).collect()
}

/// Nanoseconds since the Unix epoch, from 1970 until the year 2262; other times are the
/// nearest of these.
pub(crate) fn unix_nanos(time: SystemTime) -> u64 {
    let nanos = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    u64::try_from(nanos).unwrap_or(u64::MAX).min(i64::MAX as u64)
}

pub(crate) fn kind(kind: &theirs::SpanKind) -> SpanKind {
    match kind {
        theirs::SpanKind::Client => SpanKind::Client,
        theirs::SpanKind::Server => SpanKind::Server,
        theirs::SpanKind::Producer => SpanKind::Producer,
        theirs::SpanKind::Consumer => SpanKind::Consumer,
        theirs::SpanKind::Internal => SpanKind::Internal,
    }
}

pub(crate) fn status(status: &theirs::Status) -> (StatusCode, &str) {
    match status {
        theirs::Status::Unset => (StatusCode::Unset, ""),
        theirs::Status::Ok => (StatusCode::Ok, ""),
        theirs::Status::Error { description } => (StatusCode::Error, description),
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    /// ATT-1 and ATT-4 of [AnyValue](https://opentelemetry.io/docs/specs/otel/common/#anyvalue).
    #[test]
    fn values_keep_their_kinds() {
        let texts = Array::String(vec!["a".into(), "".into()]);
        let cases: [(Their, Value<'_>); 8] = [
            (true.into(), Value::Bool(true)),
            (i64::MIN.into(), Value::I64(i64::MIN)),
            (0.5.into(), Value::F64(0.5)),
            ("".into(), Value::Str("")),
            (Their::Array(Array::Bool(vec![true, false])), Value::Bools(&[true, false])),
            (Their::Array(Array::I64(vec![])), Value::I64s(&[])),
            (Their::Array(Array::F64(vec![1.5])), Value::F64s(&[1.5])),
            (Their::Array(texts), Value::Strs(&["a", ""])),
        ];
        for (theirs, ours) in cases {
            with_value(&theirs, |value| assert_eq!(value, ours));
            with_pairs(&[KeyValue::new("k", theirs)], |pairs| assert_eq!(pairs, [("k", ours)]));
        }
    }

    /// ATT-3 of [attribute collections](https://opentelemetry.io/docs/specs/otel/common/#attribute-collections).
    #[test]
    fn of_a_key_that_comes_twice_the_last_value_is_kept() {
        let pairs = [KeyValue::new("a", 1), KeyValue::new("b", 2), KeyValue::new("a", 3)];
        with_pairs(&pairs, |pairs| {
            assert_eq!(pairs, [("b", Value::I64(2)), ("a", Value::I64(3))]);
        });
    }

    #[test]
    fn times_are_nanoseconds_and_never_wrap() {
        assert_eq!(unix_nanos(UNIX_EPOCH + Duration::new(3, 7)), 3_000_000_007);
        assert_eq!(unix_nanos(UNIX_EPOCH - Duration::from_secs(1)), 0);
        let far = UNIX_EPOCH + Duration::from_secs(20_000_000_000);
        assert_eq!(unix_nanos(far), i64::MAX as u64);
    }
}
