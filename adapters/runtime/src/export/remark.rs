//! What an exporter has to add to the outcome of a transmission, in words.

use core::cell::RefCell;
use std::sync::Arc;

use crate::export::transmission::is_exporting_here;

/// Adds words to the outcome of the transmission that is being polled: what a failure
/// said of itself, or what a receiver said beside accepting the spans.
///
/// They are told with [`Diagnostic::ExportFailing`] and, after a success, as
/// [`Diagnostic::PartialSuccess`]. To be called by a
/// [`SpanExporter`](throughline_core::SpanExporter) from within
/// [`export`](throughline_core::SpanExporter::export) or a poll of what that returned;
/// anywhere else it does nothing. Of several the last one counts. Of the text the first
/// 200 characters are kept; what cannot be printed becomes a space. There is no place for
/// secrets in it: it may go to stderr.
///
/// [`Diagnostic::ExportFailing`]: crate::Diagnostic::ExportFailing
/// [`Diagnostic::PartialSuccess`]: crate::Diagnostic::PartialSuccess
pub fn remark(text: &str) {
    if is_exporting_here() {
        let text = printable(text);
        REMARK.set((!text.is_empty()).then(|| text.into()));
    }
}

/// Takes what was said on this thread since the last call.
pub(crate) fn take() -> Option<Arc<str>> {
    REMARK.take()
}

/// The beginning of a text that came from outside, in one line.
fn printable(text: &str) -> String {
    let is_blank = |char: char| char.is_control() || char.is_whitespace() || is_direction(char);
    let mut line = String::new();
    let mut left = MAX_CHARS;
    for word in text.split(is_blank).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
            left -= 1;
        }
        line.extend(word.chars().take(left));
        left -= word.chars().count().min(left);
        if left <= 1 {
            break;
        }
    }
    line
}

/// Whether it changes the direction in which a terminal shows what follows.
fn is_direction(char: char) -> bool {
    matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The characters that are kept of a text.
const MAX_CHARS: usize = 200;

std::thread_local! {
    static REMARK: RefCell<Option<Arc<str>>> = const { RefCell::new(None) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::transmission::exporting;

    #[test]
    fn a_remark_is_one_line_of_bounded_length() {
        assert_eq!(printable("bad\r\n\ttenant \u{1b}[31m\u{202e}red\0"), "bad tenant [31m red");
        assert_eq!(printable(" \n"), "");
        assert_eq!(printable(&"é".repeat(1_000)), "é".repeat(200));
        let words = "word ".repeat(100);
        assert_eq!(printable(&words), words[..199]);
        let long = format!("{} tail", "x".repeat(199));
        assert_eq!(printable(&long), "x".repeat(199));
    }

    #[test]
    fn only_an_exporter_at_work_is_heard() {
        remark("nobody asked");
        assert_eq!(take(), None);
        exporting(|| {
            remark("first");
            remark("last");
        })
        .expect("no panic");
        assert_eq!(take().as_deref(), Some("last"));
        assert_eq!(take(), None);
    }
}
