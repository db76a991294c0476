//! Values of attributes, as the SDK has them.

use opentelemetry::{Array, StringValue, Value};
use throughline_core::{ArrayView, ValueView};

use crate::text;

/// The value; what has no place in theirs is text.
pub(crate) fn value(ours: ValueView<'_>) -> Value {
    match ours {
        ValueView::Bool(value) => Value::Bool(value),
        ValueView::I64(value) => Value::I64(value),
        ValueView::F64(value) => Value::F64(value),
        ValueView::Str(text) => Value::String(text.to_owned().into()),
        ValueView::Array(array) => {
            uniform(array).map_or_else(|| Value::String(text::of(&ours).into()), Value::Array)
        }
        other => Value::String(text::of(&other).into()),
    }
}

/// An array whose elements are of one kind. An empty one is of any.
fn uniform(array: ArrayView<'_>) -> Option<Array> {
    let Some(first) = array.iter().next() else {
        return Some(Array::String(Vec::new()));
    };
    Some(match first {
        ValueView::Bool(_) => Array::Bool(all(array, |value| match value {
            ValueView::Bool(value) => Some(value),
            _ => None,
        })?),
        ValueView::I64(_) => Array::I64(all(array, |value| match value {
            ValueView::I64(value) => Some(value),
            _ => None,
        })?),
        ValueView::F64(_) => Array::F64(all(array, |value| match value {
            ValueView::F64(value) => Some(value),
            _ => None,
        })?),
        ValueView::Str(_) => Array::String(all(array, |value| match value {
            ValueView::Str(text) => Some(StringValue::from(text.to_owned())),
            _ => None,
        })?),
        _ => return None,
    })
}

fn all<T>(array: ArrayView<'_>, of_kind: impl Fn(ValueView<'_>) -> Option<T>) -> Option<Vec<T>> {
    array.iter().map(of_kind).collect()
}
