//! What is known about a span before the program runs.

use crate::body::Attributes;
use crate::key::Prepared;
use crate::value::{self, Bounds};
use crate::view::AttributesView;
use crate::wire::Out;
use crate::{body, wire};

/// The library or program whose code makes the spans.
///
/// ([InstrumentationScope](https://opentelemetry.io/docs/specs/otel/common/instrumentation-scope/))
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    name: &'static str,
    version: &'static str,
    schema_url: &'static str,
    /// As the OTLP message has them.
    attributes: &'static [u8],
}

impl Scope {
    /// A scope; an empty version means none.
    pub const fn new(name: &'static str, version: &'static str) -> Self {
        Scope { name, version, schema_url: "", attributes: &[] }
    }

    /// The same, whose telemetry follows this schema; an empty one means none. On bare
    /// targets, where code is dear, scopes have neither schema nor attributes.
    ///
    /// ([Schema URL](https://opentelemetry.io/docs/specs/otel/schemas/#schema-url))
    #[cfg(not(target_os = "none"))]
    #[must_use]
    pub const fn with_schema_url(mut self, schema_url: &'static str) -> Self {
        self.schema_url = schema_url;
        self
    }

    /// The same with attributes that [`encode_attributes`](Self::encode_attributes) wrote.
    #[cfg(not(target_os = "none"))]
    #[must_use]
    pub const fn with_attributes(mut self, encoded: &'static [u8]) -> Self {
        self.attributes = encoded;
        self
    }

    /// Writes attributes in the form that a scope keeps, and returns how many bytes that
    /// takes. Where there is no room for all, nothing is written. Keys must be unique.
    pub fn encode_attributes(attributes: &Attributes<'_>, out: &mut [u8]) -> usize {
        let bounds = Bounds { length: u32::MAX, depth: DEPTH };
        let lens = attributes.iter().map(|(key, value)| value::field_len(key, value, bounds));
        let len = lens.sum();
        if let Some(out) = out.get_mut(..len) {
            let mut out = Out::new(out);
            for (key, value) in attributes {
                let len = value.encoded_len(bounds);
                value::field(SCOPE_ATTRIBUTES, key, (value, len), bounds, &mut out);
            }
        }
        len
    }

    /// The name, usually of the crate.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The version, or nothing.
    pub const fn version(&self) -> &'static str {
        self.version
    }

    /// The schema that its telemetry follows, or nothing.
    #[inline]
    pub const fn schema_url(&self) -> &'static str {
        if HAS_MORE { self.schema_url } else { "" }
    }

    /// Its attributes.
    pub fn attributes(&self) -> AttributesView<'static> {
        AttributesView::of_scope(self.attributes)
    }

    /// The length of the OTLP `InstrumentationScope` in bytes.
    pub(crate) const fn encoded_len(&self) -> usize {
        let more = if HAS_MORE { self.attributes.len() } else { 0 };
        wire::text_len(self.name) + wire::text_len(self.version) + more
    }

    /// Hands the OTLP `InstrumentationScope` to `write`.
    pub(crate) fn encode(&self, write: &mut dyn FnMut(&[u8])) {
        wire::text(SCOPE_NAME, self.name, write);
        wire::text(SCOPE_VERSION, self.version, write);
        if HAS_MORE {
            write(self.attributes);
        }
    }
}

/// The place in the source where spans of one name begin: a `static`.
#[derive(Debug)]
pub struct Callsite {
    name: &'static str,
    pub(crate) name_field: Prepared,
    kind: SpanKind,
    scope: &'static Scope,
}

impl Callsite {
    /// A call site of internal spans.
    pub const fn new(name: &'static str, scope: &'static Scope) -> Self {
        Callsite {
            name,
            name_field: Prepared::new(body::NAME, name),
            kind: SpanKind::Internal,
            scope,
        }
    }

    /// The same with another kind.
    #[must_use]
    pub const fn with_kind(mut self, kind: SpanKind) -> Self {
        self.kind = kind;
        self
    }

    /// The name of the spans that begin here.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The kind of the spans that begin here.
    pub const fn kind(&self) -> SpanKind {
        self.kind
    }

    /// Whose code it is.
    pub const fn scope(&self) -> &'static Scope {
        self.scope
    }
}

/// The role of a span in the exchange it belongs to.
///
/// The numbers are those of the OTLP message.
/// ([SpanKind](https://opentelemetry.io/docs/specs/otel/trace/api/#spankind))
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SpanKind {
    /// Work inside the program.
    #[default]
    Internal = 1,
    /// Handles a request of a remote client.
    Server = 2,
    /// Makes a request and waits for its answer.
    Client = 3,
    /// Hands a message over without waiting.
    Producer = 4,
    /// Takes a message that was handed over.
    Consumer = 5,
}

impl SpanKind {
    /// The kind's name in lower case, as OpenTelemetry spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            SpanKind::Internal => "internal",
            SpanKind::Server => "server",
            SpanKind::Client => "client",
            SpanKind::Producer => "producer",
            SpanKind::Consumer => "consumer",
        }
    }

    /// The kind with this number in the OTLP message.
    pub const fn from_wire(number: u64) -> Option<Self> {
        Some(match number {
            1 => SpanKind::Internal,
            2 => SpanKind::Server,
            3 => SpanKind::Client,
            4 => SpanKind::Producer,
            5 => SpanKind::Consumer,
            _ => return None,
        })
    }
}

const SCOPE_NAME: u8 = wire::tag(1, wire::LEN);
const SCOPE_VERSION: u8 = wire::tag(2, wire::LEN);
/// Whether a scope may have more than a name and a version.
const HAS_MORE: bool = !cfg!(target_os = "none");
const SCOPE_ATTRIBUTES: u8 = wire::tag(3, wire::LEN);
/// The levels of arrays and maps: those of a span's attributes by default.
const DEPTH: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Value, ValueView};

    #[test]
    fn attributes_of_a_scope_are_written_where_there_is_room() {
        let attributes = [("a", Value::Bool(true)), ("b", Value::Strs(&["x"]))];
        let mut out = [0; 64];
        let len = Scope::encode_attributes(&attributes, &mut out);
        assert_eq!(Scope::encode_attributes(&attributes, &mut [0; 3]), len);
        let encoded: &'static [u8] = out[..len].to_vec().leak();
        let scope = Scope::new("s", "").with_attributes(encoded);
        let mut read = scope.attributes();
        assert_eq!(read.next(), Some(("a", ValueView::Bool(true))));
        assert!(matches!(read.next(), Some(("b", ValueView::Array(_)))));
        assert_eq!(read.next(), None);
        assert_eq!(scope.encoded_len(), 3 + len);
    }
}
