//! What an attribute may hold.

/// One attribute value: every kind of OTLP's
/// [`AnyValue`](https://opentelemetry.io/docs/specs/otel/common/#anyvalue).
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// A value that was sent without content; distinct from an empty string.
    #[default]
    Empty,
    /// True or false.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// A double, NaN and the infinities included.
    Double(f64),
    /// Text.
    String(String),
    /// Bytes that are not text.
    Bytes(Vec<u8>),
    /// A list; the kinds of its elements may differ.
    Array(Vec<Value>),
    /// A list of keys and values, in the order they were set.
    Map(Vec<(String, Value)>),
}

impl Value {
    /// The text, when the value is a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}

#[cfg(test)]
mod tests {
    use super::Value;

    #[test]
    fn only_a_string_reads_as_text() {
        assert_eq!(Value::from("a").as_str(), Some("a"));
        assert_eq!(Value::from(1_i64).as_str(), None);
        assert_eq!(Value::Empty.as_str(), None);
    }
}
