//! Log lines, caught and read back.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use throughline::log::Output;
use throughline::{SpanId, TraceId};

/// Takes log lines.
#[derive(Clone, Debug, Default)]
pub struct Caught(Arc<Mutex<Vec<u8>>>);

impl Caught {
    /// Where lines go.
    pub fn output(&self) -> Output {
        Output::new(self.clone())
    }

    /// All lines so far, as text.
    pub fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8(bytes.clone()).expect("lines are text")
    }

    /// The lines so far, which are JSON.
    ///
    /// # Panics
    ///
    /// If one is not, or the last one does not end.
    pub fn lines(&self) -> Vec<Value> {
        let text = self.text();
        assert!(text.is_empty() || text.ends_with('\n'), "{text}");
        text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    }

    /// The one line of this message in this trace.
    ///
    /// # Panics
    ///
    /// If there is not exactly one.
    #[track_caller]
    pub fn line(&self, message: &str, trace: TraceId) -> Value {
        let trace = trace.to_string();
        // Of the lines of a process, most are others': only its own are read.
        let text = self.text();
        let own = text.lines().filter(|line| line.contains(&trace));
        let own = own.map(|line| serde_json::from_str(line).expect("a line is JSON"));
        let is_it = |line: &Value| line["message"] == message && line["trace_id"] == trace.as_str();
        let mut all = own.filter(is_it);
        let line = all.next().unwrap_or_else(|| panic!("no line `{message}` in {}", self.text()));
        assert!(all.next().is_none(), "twice: {line}");
        line
    }
}

impl Write for Caught {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Asserts that the line was written in this span.
///
/// # Panics
///
/// If not.
#[track_caller]
pub fn assert_in(line: &Value, trace: TraceId, span: SpanId) {
    assert_eq!(line["trace_id"], trace.to_string(), "{line}");
    assert_eq!(line["span_id"], span.to_string(), "{line}");
    assert_eq!(line["trace_flags"], "03", "{line}");
}

/// Asserts that the line was written outside of any span, and has no ids.
///
/// # Panics
///
/// If not.
#[track_caller]
pub fn assert_outside(line: &Value) {
    for key in ["trace_id", "span_id", "trace_flags"] {
        assert!(line.get(key).is_none(), "{line}");
    }
}
