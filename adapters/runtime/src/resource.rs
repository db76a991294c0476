//! What produces the spans, in its OTLP form.

use throughline_core::encode_resource;

/// An immutable description of the program: attributes with unique keys.
///
/// ([Resource](https://opentelemetry.io/docs/specs/otel/resource/sdk/))
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    attributes: Vec<(String, String)>,
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
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.attributes.retain(|(name, _)| name != key);
        self.attributes.push((key.to_owned(), value.to_owned()));
        self
    }

    /// The same, updated by another one, whose values win.
    #[must_use]
    pub fn merge(mut self, updating: &Resource) -> Self {
        for (key, value) in &updating.attributes {
            self = self.with(key, value);
        }
        self
    }

    /// The value of an attribute.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
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
        let mut bytes = Vec::new();
        let attributes = self.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        encode_resource(attributes, |piece| bytes.extend_from_slice(piece));
        bytes
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_is_percent_decoded_and_the_last_value_wins() {
        let resource = Resource::parse("a=1, b=x%2Cy%3D%C3%A9 ,a=2").expect("well-formed");
        assert_eq!(resource.get("a"), Some("2"));
        assert_eq!(resource.get("b"), Some("x,y=é"));
    }

    #[test]
    fn one_bad_part_discards_the_whole_text() {
        for text in ["a=1,b", "a=%zz", "=1", "a=%ff"] {
            assert!(Resource::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn merging_replaces_even_with_an_empty_value() {
        let merged = Resource::parse("a=1,b=2")
            .expect("well-formed")
            .merge(&Resource::empty().with("a", ""));
        assert_eq!((merged.get("a"), merged.get("b")), (Some(""), Some("2")));
    }

    #[test]
    fn the_sdk_names_itself_and_not_opentelemetry() {
        let resource = Resource::sdk();
        assert_eq!(resource.get("telemetry.sdk.name"), Some("throughline"));
        assert!(resource.get("service.name").expect("always").starts_with("unknown_service"));
    }
}
