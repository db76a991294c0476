//! Values of attributes, owned.

use core::fmt;

use throughline_core::ValueView;

/// The value of an attribute as it was sent: what kind it is can be asserted too.
///
/// Shown as the text that [`CapturedSpan::attributes`](crate::CapturedSpan::attributes)
/// has.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum CapturedValue {
    /// A value that is there and empty.
    Empty,
    /// True or false.
    Bool(bool),
    /// An integer.
    I64(i64),
    /// A floating-point number.
    F64(f64),
    /// Text.
    Str(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// An array.
    Array(Vec<CapturedValue>),
    /// A map.
    Map(Vec<(String, CapturedValue)>),
}

impl From<ValueView<'_>> for CapturedValue {
    fn from(value: ValueView<'_>) -> Self {
        match value {
            ValueView::Str(text) => CapturedValue::Str(text.to_owned()),
            ValueView::Bool(value) => CapturedValue::Bool(value),
            ValueView::I64(value) => CapturedValue::I64(value),
            ValueView::F64(value) => CapturedValue::F64(value),
            ValueView::Bytes(bytes) => CapturedValue::Bytes(bytes.to_vec()),
            ValueView::Array(array) => CapturedValue::Array(array.iter().map(Self::from).collect()),
            ValueView::Map(map) => CapturedValue::Map(
                map.iter().map(|(key, value)| (key.to_owned(), value.into())).collect(),
            ),
            _ => CapturedValue::Empty,
        }
    }
}

impl fmt::Display for CapturedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CapturedValue::Empty => Ok(()),
            CapturedValue::Str(text) => f.write_str(text),
            CapturedValue::Bool(value) => write!(f, "{value}"),
            CapturedValue::I64(value) => write!(f, "{value}"),
            CapturedValue::F64(value) => write!(f, "{value}"),
            CapturedValue::Bytes(bytes) => write!(f, "{bytes:02x?}"),
            CapturedValue::Array(array) => {
                let elements: Vec<_> = array.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", elements.join(", "))
            }
            CapturedValue::Map(map) => {
                let entries: Vec<_> =
                    map.iter().map(|(key, value)| format!("{key}: {value}")).collect();
                write!(f, "{{{}}}", entries.join(", "))
            }
        }
    }
}
