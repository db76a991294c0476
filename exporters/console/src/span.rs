//! One finished span, owned and neutral: no wire format, no pipeline behind it.

use std::sync::Arc;

use throughline_core::{END_ATTRIBUTE, Ending, SpanKind};

use crate::Value;

/// A span that has ended, with everything it carried.
///
/// Times are nanoseconds since the Unix epoch. An end before the start (two
/// clocks that disagree) counts as a duration of zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FinishedSpan {
    /// The trace it belongs to.
    pub trace_id: [u8; 16],
    /// Its own id.
    pub span_id: [u8; 8],
    /// The span it was started under; `None` for the root of a trace.
    pub parent_span_id: Option<[u8; 8]>,
    /// Whether the parent lived in another process.
    pub parent_is_remote: bool,
    /// The W3C `tracestate` it had, as text; empty for none.
    pub trace_state: String,
    /// What it did.
    pub name: String,
    /// Its role between processes.
    pub kind: SpanKind,
    /// When it started.
    pub start_unix_nanos: u64,
    /// When it ended.
    pub end_unix_nanos: u64,
    /// Its attributes, in the order they were set.
    pub attributes: Vec<(String, Value)>,
    /// What happened while it ran.
    pub events: Vec<Event>,
    /// Spans elsewhere that it has to do with.
    pub links: Vec<Link>,
    /// How its operation turned out.
    pub status: Status,
    /// The instrumentation scope that made it. Shared: it is the same for
    /// nearly every span of a program.
    pub scope: Arc<str>,
    /// The `service.name` of its resource. Shared for the same reason.
    pub service: Arc<str>,
    /// What limits made it leave out.
    pub dropped: DroppedCounts,
}

impl FinishedSpan {
    /// From start to end, zero if the end lies before the start.
    #[must_use]
    pub fn duration_nanos(&self) -> u64 {
        self.end_unix_nanos.saturating_sub(self.start_unix_nanos)
    }

    /// The value of an attribute; the last one where a key is there twice.
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<&Value> {
        self.attributes.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// How it ended, as its [`END_ATTRIBUTE`] says.
    #[must_use]
    pub fn ending(&self) -> Ending {
        ending(&self.attributes)
    }

    /// Whether its status is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(self.status, Status::Error(_))
    }

    /// Whether it failed or did not end by completing.
    #[must_use]
    pub fn is_flawed(&self) -> bool {
        self.is_error() || self.ending() != Ending::Completed
    }
}

/// How a span ended, as its [`END_ATTRIBUTE`] says. From the back: the attribute
/// is the last one that is set.
fn ending(attributes: &[(String, Value)]) -> Ending {
    let end = attributes.iter().rev().find(|(key, _)| key == END_ATTRIBUTE);
    Ending::from_attribute(end.and_then(|(_, value)| value.as_str()))
}

/// How an operation turned out
/// ([Status](https://opentelemetry.io/docs/specs/otel/trace/api/#set-status)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Nobody said.
    #[default]
    Unset,
    /// It was declared a success.
    Ok,
    /// It failed, and why; the text may be empty.
    Error(String),
}

/// Something that happened at one moment of a span.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// When.
    pub unix_nanos: u64,
    /// What.
    pub name: String,
    /// Its attributes, in the order they were set.
    pub attributes: Vec<(String, Value)>,
    /// Attributes that limits made it leave out.
    pub dropped_attributes: u32,
}

/// A span elsewhere, in this trace or another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Link {
    /// The trace of the linked span.
    pub trace_id: [u8; 16],
    /// The linked span.
    pub span_id: [u8; 8],
    /// Its W3C `tracestate`, as text; empty for none.
    pub trace_state: String,
    /// Its attributes, in the order they were set.
    pub attributes: Vec<(String, Value)>,
    /// Attributes that limits made it leave out.
    pub dropped_attributes: u32,
}

/// What a span left out because of its limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DroppedCounts {
    /// Attributes left out.
    pub attributes: u32,
    /// Events left out.
    pub events: u32,
    /// Links left out.
    pub links: u32,
}

#[cfg(test)]
mod tests {
    use super::{END_ATTRIBUTE, Ending, FinishedSpan, Status};
    use crate::Value;

    #[test]
    fn a_span_without_the_attribute_completed() {
        assert_eq!(FinishedSpan::default().ending(), Ending::Completed);
    }

    #[test]
    fn the_attribute_says_how_a_span_ended() {
        for (text, ending) in [
            ("cancelled", Ending::Cancelled),
            ("panicked", Ending::Panicked),
            ("dropped", Ending::Dropped),
            ("something else", Ending::Completed),
        ] {
            let span = FinishedSpan {
                attributes: vec![(END_ATTRIBUTE.into(), Value::from(text))],
                ..FinishedSpan::default()
            };
            assert_eq!(span.ending(), ending);
        }
    }

    #[test]
    fn an_error_is_a_flaw_and_an_early_end_lasts_zero() {
        let span = FinishedSpan {
            start_unix_nanos: 9,
            end_unix_nanos: 3,
            status: Status::Error(String::new()),
            ..FinishedSpan::default()
        };
        assert!(span.is_flawed());
        assert_eq!(span.duration_nanos(), 0);
    }
}
