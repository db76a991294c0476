//! What is known about a span before the program runs.

use crate::key::Prepared;
use crate::{body, wire};

/// The library or program whose code makes the spans.
///
/// ([InstrumentationScope](https://opentelemetry.io/docs/specs/otel/common/instrumentation-scope/))
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    name: &'static str,
    version: &'static str,
}

impl Scope {
    /// A scope; an empty version means none.
    pub const fn new(name: &'static str, version: &'static str) -> Self {
        Scope { name, version }
    }

    /// The name, usually of the crate.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The version, or nothing.
    pub const fn version(&self) -> &'static str {
        self.version
    }

    /// The length of the OTLP `InstrumentationScope` in bytes.
    pub(crate) const fn encoded_len(&self) -> usize {
        wire::text_len(self.name) + wire::text_len(self.version)
    }

    /// Hands the OTLP `InstrumentationScope` to `write`.
    pub(crate) fn encode(&self, write: &mut dyn FnMut(&[u8])) {
        wire::text(SCOPE_NAME, self.name, write);
        wire::text(SCOPE_VERSION, self.version, write);
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
