//! Attribute values.

use crate::wire::{self, Out};

/// The value of an attribute, borrowed.
///
/// All kinds of OTLP's `AnyValue`, nested to any depth up to
/// [`SpanLimits::attribute_value_depth`](crate::SpanLimits::attribute_value_depth).
/// ([AnyValue](https://opentelemetry.io/docs/specs/otel/common/#anyvalue))
#[derive(Clone, Copy, Debug, PartialEq, Default)]
#[non_exhaustive]
pub enum Value<'a> {
    /// A value that is there and empty.
    #[default]
    Empty,
    /// True or false.
    Bool(bool),
    /// A signed integer.
    I64(i64),
    /// An unsigned integer; one outside of `i64` is sent as decimal digits.
    U64(u64),
    /// A floating-point number.
    F64(f64),
    /// Text.
    Str(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// An array of any values.
    Array(&'a [Value<'a>]),
    /// An array of text.
    Strs(&'a [&'a str]),
    /// An array of signed integers.
    I64s(&'a [i64]),
    /// An array of floating-point numbers.
    F64s(&'a [f64]),
    /// An array of truth values.
    Bools(&'a [bool]),
    /// A map; its keys must be unique.
    Map(&'a [(&'a str, Value<'a>)]),
}

/// How much of a value is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The longest text in characters, the most bytes.
    pub(crate) length: u32,
    /// The levels of arrays and maps, the value itself being the first.
    pub(crate) depth: u32,
}

impl<'a> Value<'a> {
    /// The length of the OTLP `AnyValue` in bytes.
    #[cfg_attr(not(target_os = "none"), inline)]
    pub(crate) fn encoded_len(&self, bounds: Bounds) -> usize {
        match *self {
            Value::Empty => 0,
            Value::Bool(_) => 2,
            Value::I64(number) => 1 + wire::varint_len(number as u64),
            Value::U64(number) if number <= i64::MAX as u64 => 1 + wire::varint_len(number),
            Value::U64(number) => wire::field_len(digits(number, &mut [0; 20]).len()),
            Value::F64(_) => 9,
            Value::Str(text) => wire::field_len(cut(text, bounds.length).len()),
            Value::Bytes(bytes) => wire::field_len(cut_bytes(bytes, bounds).len()),
            _ if bounds.depth == 0 => 0,
            Value::Map(entries) => {
                let inner = bounds.inner();
                wire::field_len(map_len(entries, inner))
            }
            _ => wire::field_len(self.elements_len(bounds.inner())),
        }
    }

    /// Writes the OTLP `AnyValue`. `out` has room for
    /// [`encoded_len`](Self::encoded_len) bytes.
    #[cfg_attr(not(target_os = "none"), inline)]
    pub(crate) fn encode(&self, bounds: Bounds, out: &mut Out<'_>) {
        match *self {
            Value::Empty => {}
            Value::Bool(value) => out.bytes(&[BOOL, value as u8]),
            Value::I64(number) => {
                out.byte(INT);
                out.varint(number as u64);
            }
            Value::U64(number) if number <= i64::MAX as u64 => {
                out.byte(INT);
                out.varint(number);
            }
            Value::U64(number) => out.field(STRING, digits(number, &mut [0; 20])),
            Value::F64(number) => {
                out.byte(DOUBLE);
                out.bytes(&number.to_le_bytes());
            }
            Value::Str(text) => out.field(STRING, cut(text, bounds.length).as_bytes()),
            Value::Bytes(bytes) => out.field(BYTES, cut_bytes(bytes, bounds)),
            // Deeper than the limit: an empty value, as the specification has it.
            _ if bounds.depth == 0 => {}
            Value::Map(entries) => self.encode_map(entries, bounds, out),
            _ => self.encode_array(bounds, out),
        }
    }

    fn encode_map(&self, entries: &[(&str, Value<'_>)], bounds: Bounds, out: &mut Out<'_>) {
        let inner = bounds.inner();
        out.header(KVLIST, map_len(entries, inner));
        for (key, value) in distinct(entries) {
            field(LIST_ELEMENT, key, (value, value.encoded_len(inner)), inner, out);
        }
    }

    fn encode_array(&self, bounds: Bounds, out: &mut Out<'_>) {
        let inner = bounds.inner();
        out.header(ARRAY, self.elements_len(inner));
        for value in self.elements() {
            out.header(LIST_ELEMENT, value.encoded_len(inner));
            value.encode(inner, out);
        }
    }

    fn elements_len(&self, bounds: Bounds) -> usize {
        self.elements().map(|value| wire::field_len(value.encoded_len(bounds))).sum()
    }

    fn elements(&self) -> impl Iterator<Item = Value<'a>> {
        (0..usize::MAX).map_while(|index| self.element(index))
    }

    /// The element of an array, if there is one at the index.
    fn element(&self, index: usize) -> Option<Value<'a>> {
        match *self {
            Value::Array(values) => values.get(index).copied(),
            Value::Strs(values) => values.get(index).map(|value| Value::Str(value)),
            Value::I64s(values) => values.get(index).map(|value| Value::I64(*value)),
            Value::F64s(values) => values.get(index).map(|value| Value::F64(*value)),
            Value::Bools(values) => values.get(index).map(|value| Value::Bool(*value)),
            _ => None,
        }
    }
}

impl Bounds {
    fn inner(self) -> Bounds {
        Bounds { depth: self.depth - 1, ..self }
    }
}

/// The length of the field, `KeyValue` and all.
#[cfg_attr(not(target_os = "none"), inline)]
pub(crate) fn field_len(key: &str, value: &Value<'_>, bounds: Bounds) -> usize {
    wire::field_len(entry_len(key, value.encoded_len(bounds)))
}

/// Writes a `KeyValue` as the field with this tag. The length of the value's
/// `AnyValue` is known.
#[cfg_attr(not(target_os = "none"), inline)]
pub(crate) fn field(
    tag: u8,
    key: &str,
    (value, len): (&Value<'_>, usize),
    bounds: Bounds,
    out: &mut Out<'_>,
) {
    out.header(tag, entry_len(key, len));
    out.field(ENTRY_KEY, key.as_bytes());
    out.header(ENTRY_VALUE, len);
    value.encode(bounds, out);
}

/// The length of a `KeyValue` whose `AnyValue` has `value_len` bytes.
#[cfg_attr(not(target_os = "none"), inline)]
pub(crate) fn entry_len(key: &str, value_len: usize) -> usize {
    wire::field_len(key.len()) + wire::field_len(value_len)
}

fn map_len(entries: &[(&str, Value<'_>)], bounds: Bounds) -> usize {
    distinct(entries).map(|(key, value)| field_len(key, value, bounds)).sum()
}

/// The entries of a map whose keys do not come again: of equal ones the last counts.
/// Where code is dearer, the program sees to it.
fn distinct<'a>(
    entries: &'a [(&'a str, Value<'a>)],
) -> impl Iterator<Item = &'a (&'a str, Value<'a>)> {
    let is_last = |(i, (key, _)): &(usize, &(&str, _))| {
        let later = entries.iter().skip(i + 1);
        cfg!(target_os = "none") || !later.clone().any(|(other, _)| other == key)
    };
    entries.iter().enumerate().filter(is_last).map(|(_, entry)| entry)
}

/// As much of the text as the limit keeps, on a character's boundary.
#[cfg_attr(not(target_os = "none"), inline(always))]
pub(crate) fn cut(text: &str, length: u32) -> &str {
    let limit = length as usize;
    // A text has at most as many characters as bytes.
    if text.len() <= limit {
        return text;
    }
    cut_at(text, limit)
}

#[cold]
fn cut_at(text: &str, characters: usize) -> &str {
    // Of most texts there is nothing to count. Where code is dearer, one way is enough.
    #[cfg(not(target_os = "none"))]
    if let Some(beginning) = text.get(..characters)
        && beginning.is_ascii()
    {
        return beginning;
    }
    match text.char_indices().nth(characters) {
        Some((end, _)) => text.get(..end).unwrap_or_default(),
        None => text,
    }
}

fn cut_bytes(bytes: &[u8], bounds: Bounds) -> &[u8] {
    bytes.get(..bounds.length as usize).unwrap_or(bytes)
}

fn digits(mut number: u64, buffer: &mut [u8; 20]) -> &[u8] {
    let mut start = buffer.len();
    for digit in buffer.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        start -= 1;
        if number == 0 {
            break;
        }
    }
    buffer.get(start..).unwrap_or_default()
}

macro_rules! from {
    ($($type:ty => $variant:ident as $wide:ty),* $(,)?) => {$(
        impl From<$type> for Value<'_> {
            fn from(value: $type) -> Self {
                Value::$variant(value as $wide)
            }
        }
    )*};
}

from! {
    i8 => I64 as i64, i16 => I64 as i64, i32 => I64 as i64, i64 => I64 as i64,
    isize => I64 as i64, u8 => I64 as i64, u16 => I64 as i64, u32 => I64 as i64,
    u64 => U64 as u64, usize => U64 as u64, f32 => F64 as f64, f64 => F64 as f64,
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Value::Str(value)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Value::Bytes(value)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Empty, Into::into)
    }
}

pub(crate) const STRING: u8 = wire::tag(1, wire::LEN);
pub(crate) const BOOL: u8 = wire::tag(2, wire::VARINT);
pub(crate) const INT: u8 = wire::tag(3, wire::VARINT);
pub(crate) const DOUBLE: u8 = wire::tag(4, wire::I64);
const ARRAY: u8 = wire::tag(5, wire::LEN);
const KVLIST: u8 = wire::tag(6, wire::LEN);
const BYTES: u8 = wire::tag(7, wire::LEN);
const LIST_ELEMENT: u8 = wire::tag(1, wire::LEN);
pub(crate) const ENTRY_KEY: u8 = wire::tag(1, wire::LEN);
pub(crate) const ENTRY_VALUE: u8 = wire::tag(2, wire::LEN);
