//! Heartbeats: spans that have not ended, a line for each.
//!
//! ```text
//!   still running: load  orders  12.3s  waiting for 3.00s  trace 0707…07 span 0101…01
//! ```

use core::fmt::{self, Write as _};

use throughline_core::{HEARTBEAT_ATTRIBUTE, HEARTBEAT_SINCE_ATTRIBUTE, HEARTBEAT_STATE_ATTRIBUTE};

use crate::duration::Human;
use crate::style::{Painter, Style};
use crate::text::clean;
use crate::{FinishedSpan, Options, Value};

impl FinishedSpan {
    /// Whether this is the record of a span that has not ended, as its
    /// [`HEARTBEAT_ATTRIBUTE`] says: its end is when the record was made.
    #[must_use]
    pub fn is_heartbeat(&self) -> bool {
        self.attribute(HEARTBEAT_ATTRIBUTE) == Some(&Value::Bool(true))
    }
}

/// Shows the record of a span that has not ended on one line.
pub(crate) fn still_running(span: &FinishedSpan, options: Options) -> StillRunning<'_> {
    StillRunning { span, options }
}

pub(crate) struct StillRunning<'a> {
    span: &'a FinishedSpan,
    options: Options,
}

impl fmt::Display for StillRunning<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StillRunning { span, options } = self;
        let painter = Painter { colour: options.colour };
        let part = |text: &str| clean(text, options.width / 3);
        painter.write(f, Style::Warning, "still running: ")?;
        painter.write(f, Style::Strong, &part(&span.name))?;
        if !span.service.is_empty() {
            write!(f, "  {}", part(&span.service))?;
        }
        write!(f, "  {}", Human(span.duration_nanos()))?;
        if let Some(state) = span.attribute(HEARTBEAT_STATE_ATTRIBUTE).and_then(Value::as_str) {
            write!(f, "  {}", part(state))?;
            if let Some(Value::Int(nanos)) = span.attribute(HEARTBEAT_SINCE_ATTRIBUTE) {
                write!(f, " for {}", Human(u64::try_from(*nanos).unwrap_or(0)))?;
            }
        }
        let mut ids = String::from("  trace ");
        span.trace_id.iter().try_for_each(|byte| write!(ids, "{byte:02x}"))?;
        ids.push_str(" span ");
        span.span_id.iter().try_for_each(|byte| write!(ids, "{byte:02x}"))?;
        painter.write(f, Style::Faint, &ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, more: &[(&str, Value)]) -> FinishedSpan {
        let mut attributes = vec![(HEARTBEAT_ATTRIBUTE.to_owned(), Value::Bool(true))];
        attributes.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        FinishedSpan {
            trace_id: [7; 16],
            span_id: [1; 8],
            name: name.to_owned(),
            service: "orders".into(),
            start_unix_nanos: 1_000,
            end_unix_nanos: 12_000_001_000,
            attributes,
            ..FinishedSpan::default()
        }
    }

    #[test]
    fn a_span_that_goes_on_is_a_line_with_its_age_its_state_and_its_ids() {
        let state = [
            (HEARTBEAT_STATE_ATTRIBUTE, Value::from("waiting")),
            (HEARTBEAT_SINCE_ATTRIBUTE, Value::from(3_000_000_000i64)),
        ];
        let span = record("load\n", &state);
        assert!(span.is_heartbeat());
        let ids = format!("trace {} span {}", "07".repeat(16), "01".repeat(8));
        assert_eq!(
            still_running(&span, Options::default()).to_string(),
            format!("still running: load\\n  orders  12.0s  waiting for 3.00s  {ids}")
        );
        let unpolled = still_running(&record("load", &[]), Options::default()).to_string();
        assert_eq!(unpolled, format!("still running: load  orders  12.0s  {ids}"));
    }

    /// Who sets the attribute by hand, to something else, has a span like any other.
    #[test]
    fn a_span_without_the_mark_is_no_heartbeat() {
        let mut span = record("load", &[]);
        span.attributes[0].1 = Value::from("");
        assert!(!span.is_heartbeat());
        span.attributes.clear();
        assert!(!span.is_heartbeat());
    }
}
