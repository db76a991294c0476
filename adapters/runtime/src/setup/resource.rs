//! What produces the spans, in its OTLP form.

use core::fmt;

use crate::setup::protobuf;

/// An immutable description of the program: attributes with unique keys, and the
/// URL of the schema that their names follow.
///
/// ([Resource](https://opentelemetry.io/docs/specs/otel/resource/sdk/))
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    attributes: Vec<(String, Attribute)>,
    schema_url: Option<String>,
}

/// The value of an attribute of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Attribute {
    Text(String),
    Number(i64),
}

impl Resource {
    /// A resource without attributes.
    pub fn empty() -> Self {
        Resource::default()
    }

    /// What the SDK says of itself, and the service's name as far as it can be
    /// told from the executable.
    ///
    /// ([SDK-provided attributes](https://opentelemetry.io/docs/specs/otel/resource/sdk/#sdk-provided-resource-attributes))
    pub fn sdk() -> Self {
        let executable = std::env::current_exe().ok();
        let name = executable
            .as_deref()
            .and_then(|path| path.file_name())
            .map(|name| format!("unknown_service:{}", name.to_string_lossy()));
        Resource::empty()
            .with("service.name", name.as_deref().unwrap_or("unknown_service"))
            .with("telemetry.sdk.name", "throughline")
            .with("telemetry.sdk.language", "rust")
            .with("telemetry.sdk.version", env!("CARGO_PKG_VERSION"))
    }

    /// The same with an attribute set; a former value of the key is replaced.
    #[must_use]
    pub fn with(self, key: &str, value: &str) -> Self {
        self.set(key, Attribute::Text(value.to_owned()))
    }

    /// The same with an attribute that is a number, such as `process.pid`.
    #[must_use]
    pub fn with_number(self, key: &str, value: i64) -> Self {
        self.set(key, Attribute::Number(value))
    }

    /// The same, whose attributes have the names of this schema: an empty URL is
    /// none.
    #[must_use]
    pub fn with_schema_url(mut self, url: &str) -> Self {
        self.schema_url = Some(url.to_owned()).filter(|url| !url.is_empty());
        self
    }

    /// The same, updated by another one, whose values win, also empty ones.
    ///
    /// The schema URL is that of the one which has one. Two that differ describe
    /// neither result, so there is none then; see
    /// [`is_mergeable`](Self::is_mergeable).
    /// ([Merge](https://opentelemetry.io/docs/specs/otel/resource/sdk/#merge))
    #[must_use]
    pub fn merge(mut self, updating: &Resource) -> Self {
        let is_mergeable = self.is_mergeable(updating);
        for (key, value) in &updating.attributes {
            self = self.set(key, value.clone());
        }
        let either = self.schema_url.take().or_else(|| updating.schema_url.clone());
        Resource { schema_url: either.filter(|_| is_mergeable), ..self }
    }

    /// Whether the schema URLs can be merged: at least one is missing, or they
    /// are equal.
    pub fn is_mergeable(&self, other: &Resource) -> bool {
        match (&self.schema_url, &other.schema_url) {
            (Some(mine), Some(theirs)) => mine == theirs,
            _ => true,
        }
    }

    /// The value of an attribute that is text.
    pub fn get(&self, key: &str) -> Option<&str> {
        match self.attributes.iter().find(|(name, _)| name == key) {
            Some((_, Attribute::Text(text))) => Some(text),
            _ => None,
        }
    }

    /// The value of an attribute that is a number.
    pub fn get_number(&self, key: &str) -> Option<i64> {
        match self.attributes.iter().find(|(name, _)| name == key) {
            Some((_, Attribute::Number(number))) => Some(*number),
            _ => None,
        }
    }

    /// Keys and values, in the order in which they were set.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, impl fmt::Display)> {
        self.attributes.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The URL of the schema that the attributes follow.
    pub fn schema_url(&self) -> Option<&str> {
        self.schema_url.as_deref()
    }

    /// Whether there is no attribute.
    pub fn is_empty(&self) -> bool {
        self.attributes.is_empty()
    }

    /// The attributes in the form of `OTEL_RESOURCE_ATTRIBUTES`:
    /// `key=value,key2=value2`, percent-encoded.
    ///
    /// # Errors
    ///
    /// The part that is not `key=value`, or not percent-encoded UTF-8; then
    /// nothing of the text is used, as the [specification
    /// recommends](https://opentelemetry.io/docs/specs/otel/resource/sdk/#specifying-resource-information-via-an-environment-variable).
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut resource = Resource::empty();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let decoded = part.split_once('=').and_then(|(key, value)| {
                let key = percent_decode(key.trim())?;
                Some((key, percent_decode(value.trim())?)).filter(|(key, _)| !key.is_empty())
            });
            let Some((key, value)) = decoded else {
                return Err(part.to_owned());
            };
            resource = resource.with(&key, &value);
        }
        Ok(resource)
    }

    /// The OTLP `Resource` message.
    pub fn encode(&self) -> Vec<u8> {
        let mut message = Vec::new();
        for (key, value) in &self.attributes {
            let mut any = Vec::new();
            match value {
                Attribute::Text(text) => protobuf::bytes(&mut any, STRING_VALUE, text.as_bytes()),
                Attribute::Number(number) => {
                    protobuf::number(&mut any, INT_VALUE, number.cast_unsigned());
                }
            }
            let mut entry = Vec::new();
            protobuf::bytes(&mut entry, KEY, key.as_bytes());
            protobuf::bytes(&mut entry, VALUE, &any);
            protobuf::bytes(&mut message, ATTRIBUTES, &entry);
        }
        message
    }

    fn set(mut self, key: &str, value: Attribute) -> Self {
        self.attributes.retain(|(name, _)| name != key);
        self.attributes.push((key.to_owned(), value));
        self
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Attribute::Text(text) => f.write_str(text),
            Attribute::Number(number) => number.fmt(f),
        }
    }
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let [high, low] =
                [rest.next()?, rest.next()?].map(|digit| (digit as char).to_digit(16));
            bytes.push((high? * 16 + low?) as u8);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

// Numbers of fields:
// https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/common/v1/common.proto
const ATTRIBUTES: u8 = 1;
const KEY: u8 = 1;
const VALUE: u8 = 2;
const STRING_VALUE: u8 = 1;
const INT_VALUE: u8 = 3;

#[cfg(test)]
mod tests {
    use throughline_core::{ResourceView, ValueView};

    use super::*;

    /// RES-6: `,` and `=` arrive percent-encoded
    /// ([Resource from a variable](https://opentelemetry.io/docs/specs/otel/resource/sdk/#specifying-resource-information-via-an-environment-variable)).
    #[test]
    fn the_text_form_is_percent_decoded_and_the_last_value_wins() {
        let resource = Resource::parse("a=1, b=x%2Cy%3D%C3%A9 ,a=2").expect("well-formed");
        assert_eq!(resource.get("a"), Some("2"));
        assert_eq!(resource.get("b"), Some("x,y=é"));
    }

    /// RES-6: one decoding error discards the whole variable
    /// ([Resource from a variable](https://opentelemetry.io/docs/specs/otel/resource/sdk/#specifying-resource-information-via-an-environment-variable)).
    #[test]
    fn one_bad_part_discards_the_whole_text() {
        for text in ["a=1,b", "a=%zz", "=1", "a=%ff"] {
            assert!(Resource::parse(text).is_err(), "{text}");
        }
    }

    /// RES-5: the updating resource wins
    /// ([Merge](https://opentelemetry.io/docs/specs/otel/resource/sdk/#merge)).
    #[test]
    fn merging_replaces_even_with_an_empty_value() {
        let merged = Resource::parse("a=1,b=2")
            .expect("well-formed")
            .merge(&Resource::empty().with("a", ""));
        assert_eq!((merged.get("a"), merged.get("b")), (Some(""), Some("2")));
    }

    /// RES-5: the schema URL is the one that is there, or the equal one
    /// ([Merge](https://opentelemetry.io/docs/specs/otel/resource/sdk/#merge)).
    #[test]
    fn merging_takes_the_one_schema_url_and_of_two_different_ones_none() {
        let of = |url| Resource::empty().with_schema_url(url);
        for (old, updating, merged) in [
            ("", "", None),
            ("a", "", Some("a")),
            ("", "a", Some("a")),
            ("a", "a", Some("a")),
            ("a", "b", None),
        ] {
            let is_mergeable = of(old).is_mergeable(&of(updating));
            assert_eq!(of(old).merge(&of(updating)).schema_url(), merged, "{old} {updating}");
            assert_eq!(is_mergeable, (old, updating) != ("a", "b"));
        }
    }

    /// RES-3: the SDK's own name, with RES-2 and RES-4
    /// ([Telemetry SDK](https://opentelemetry.io/docs/specs/semconv/resource/#telemetry-sdk)).
    #[test]
    fn the_sdk_names_itself_and_not_opentelemetry() {
        let resource = Resource::sdk();
        assert_eq!(resource.get("telemetry.sdk.name"), Some("throughline"));
        assert_eq!(resource.get("telemetry.sdk.language"), Some("rust"));
        assert_eq!(resource.get("telemetry.sdk.version"), Some(env!("CARGO_PKG_VERSION")));
        let name = resource.get("service.name").expect("always");
        assert!(name.starts_with("unknown_service:throughline_runtime"), "{name}");
    }

    #[test]
    fn the_message_has_texts_and_numbers() {
        let long = "x".repeat(300);
        let bytes = Resource::empty().with("a", &long).with_number("b", -7).encode();
        let view = ResourceView::new(&bytes);
        assert_eq!(view.attribute("a").and_then(|value| value.as_str()), Some(long.as_str()));
        assert_eq!(view.attribute("b"), Some(ValueView::I64(-7)));
    }
}
