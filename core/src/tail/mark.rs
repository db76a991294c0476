//! Writing on a span by which threshold its trace was kept.

use heapless::Vec;

use super::ended::{Entry, Remarks, TRACE_STATE};
use crate::sampler::OtelTraceState;
use crate::value::{self, Bounds, Value};
use crate::w3c::TraceState;
use crate::wire::{self, Out};
use crate::{Threshold, body, frame};

/// The attribute that says how many traces one stands for, of those that came as
/// far as the tail. It is there where it is not known how many of all traces
/// those are, so that the trace state must not say.
pub const ADJUSTED_COUNT_ATTRIBUTE: &str = "throughline.tail.adjusted_count";

/// By which threshold a trace was kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mark {
    pub(crate) threshold: Threshold,
    /// Whether every trace like this was sampled at the head: then a span without
    /// a threshold of its own gets this one.
    pub(crate) is_head_known: bool,
}

/// Writes marks, and keeps the last one for the next frame.
#[derive(Debug)]
pub(crate) struct Marker {
    mark: Option<Mark>,
    /// What is appended to a span without trace state.
    suffix: Vec<u8, ROOM>,
}

/// The most bytes by which a frame grows.
pub(crate) const ROOM: usize = 80;

impl Marker {
    pub(crate) const fn new() -> Self {
        Marker { mark: None, suffix: Vec::new() }
    }

    /// Makes the marked frame of a message of this length, which `read` puts where it is told.
    /// There are [`ROOM`] bytes more than its frame takes. A span that is not remarkable has no
    /// trace state. Returns the length of the frame.
    #[inline]
    pub(crate) fn write(
        &mut self,
        mark: Mark,
        (len, is_remarkable): (usize, bool),
        bytes: &mut [u8],
        read: impl FnOnce(&mut [u8]),
    ) -> usize {
        self.prepare(mark);
        let marked = len + self.suffix.len();
        let header = wire::field_len(marked) - marked;
        let Some(message) = bytes.get_mut(header..header + len) else { return 0 };
        read(message);
        if is_remarkable && let Some(state) = trace_state_of(message) {
            return self.write_beside(mark, bytes, header + len, state, header);
        }
        append(bytes, header + len, &self.suffix);
        Out::new(bytes).header(frame::SPAN, marked);
        header + marked
    }

    /// The span has a trace state already.
    #[cold]
    fn write_beside(
        &mut self,
        mark: Mark,
        bytes: &mut [u8],
        len: usize,
        (start, state_len): (usize, usize),
        header: usize,
    ) -> usize {
        let start = header + start;
        let field = bytes.get(start..start + state_len).unwrap_or_default();
        let text = wire::Fields::of(field).next().map_or("", |field| field.payload.text());
        let Ok(state) = TraceState::parse(text) else {
            return self.count(mark, bytes, len, header);
        };
        let former = OtelTraceState::of(state);
        // A stage behind others may raise the threshold, and never lower it.
        let threshold = match former.threshold() {
            Some(own) => own.max(mark.threshold),
            None if mark.is_head_known => mark.threshold,
            None => return self.count(mark, bytes, len, header),
        };
        let Some(changed) = former.with_threshold(Some(threshold)) else {
            return with_header(bytes, header, len);
        };
        let is_said = OtelTraceState::of(changed.as_trace_state()).threshold().is_some();
        let mut end = cut(bytes, start, state_len, len);
        if !changed.is_empty() {
            let text = changed.as_str().as_bytes();
            wire::header(TRACE_STATE, text.len(), &mut |part| end = append(bytes, end, part));
            end = append(bytes, end, text);
        }
        let end = with_header(bytes, header, end);
        if is_said { end } else { self.count(mark, bytes, end, frame::header_len(bytes)) }
    }

    /// The trace state cannot say it.
    fn count(&mut self, mark: Mark, bytes: &mut [u8], len: usize, header: usize) -> usize {
        self.prepare(Mark { is_head_known: false, ..mark });
        let end = append(bytes, len, &self.suffix);
        with_header(bytes, header, end)
    }

    #[inline]
    fn prepare(&mut self, mark: Mark) {
        if self.mark != Some(mark) {
            self.prepare_another(mark);
        }
    }

    #[cold]
    fn prepare_another(&mut self, mark: Mark) {
        self.mark = Some(mark);
        self.suffix.clear();
        if mark.is_head_known {
            let state = OtelTraceState::of(TraceState::EMPTY).with_threshold(Some(mark.threshold));
            let state = state.unwrap_or_default();
            let text = state.as_str().as_bytes();
            let _ = self.suffix.extend_from_slice(&[TRACE_STATE, text.len() as u8]);
            let _ = self.suffix.extend_from_slice(text);
        } else {
            let value = Value::F64(mark.threshold.adjusted_count());
            let bounds = Bounds { length: u32::MAX, depth: 1 };
            let value_len = value.encoded_len(bounds);
            let content = value::entry_len(ADJUSTED_COUNT_ATTRIBUTE, value_len);
            let _ = self.suffix.resize(wire::field_len(content).min(ROOM), 0);
            let mut out = Out::new(&mut self.suffix);
            let value = (&value, value_len);
            value::field(body::ATTRIBUTE, ADJUSTED_COUNT_ATTRIBUTE, value, bounds, &mut out);
        }
    }
}

/// Where the trace state of a span's message is, and its length.
#[inline(never)]
fn trace_state_of(message: &[u8]) -> Option<(usize, usize)> {
    let mut remarks = Remarks::of_span(message);
    let state = remarks.find(|entry: &Entry<'_>| entry.tag == TRACE_STATE)?;
    Some((state.start, state.len))
}

/// Puts these bytes behind the frame. Returns its new end.
fn append(bytes: &mut [u8], end: usize, more: &[u8]) -> usize {
    match bytes.get_mut(end..end + more.len()) {
        Some(place) => {
            wire::copy(place, more);
            end + more.len()
        }
        None => end,
    }
}

/// Takes a part out of the frame. Returns its new end.
fn cut(bytes: &mut [u8], start: usize, len: usize, end: usize) -> usize {
    if start + len > end || end > bytes.len() {
        return end;
    }
    bytes.copy_within(start + len..end, start);
    end - len
}

/// Writes the header of a message that begins behind the room for one, of `old` bytes, and goes
/// to `end`. Returns the frame's new end.
fn with_header(bytes: &mut [u8], old: usize, end: usize) -> usize {
    let message = end.saturating_sub(old);
    let new = wire::field_len(message) - message;
    if new != old && new + message <= bytes.len() && end <= bytes.len() {
        bytes.copy_within(old..end, new);
    }
    if let Some(header) = bytes.get_mut(..new) {
        Out::new(header).header(frame::SPAN, message);
    }
    new + message
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};
    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::SpanView;

    fn message(trace_state: &str, filling: usize) -> Vec<u8> {
        // The fixed fields as `frame.rs` has them, then the body.
        let mut span = vec![0; 54];
        (span[0], span[9], span[18], span[19]) = (7 << 3 | 1, 8 << 3 | 1, 1 << 3 | 2, 16);
        (span[36], span[37], span[46], span[47]) = (2 << 3 | 2, 8, 0x85, 1);
        span[52] = 6 << 3;
        let mut field = |tag: u8, content: &[u8]| {
            wire::header(tag, content.len(), &mut |part| span.extend_from_slice(part));
            span.extend_from_slice(content);
        };
        field(body::NAME, "x".repeat(filling).as_bytes());
        if !trace_state.is_empty() {
            field(TRACE_STATE, trace_state.as_bytes());
        }
        field(15 << 3 | 2, &[3 << 3, 2]);
        span
    }

    fn marked(trace_state: &str, filling: usize, mark: Mark) -> (String, Option<f64>) {
        let message = message(trace_state, filling);
        let mut bytes = vec![0xee; wire::field_len(message.len()) + ROOM];
        let read = |to: &mut [u8]| to.copy_from_slice(&message);
        let len = Marker::new().write(mark, (message.len(), true), &mut bytes, read);
        bytes.truncate(len);
        assert_eq!(wire::Fields::of(&bytes).next().unwrap().whole.len(), len, "one field");
        let span = SpanView::of_frame(&bytes);
        assert_eq!(span.name().len(), filling);
        assert_eq!(span.status().0, crate::StatusCode::Error);
        let count = span.attribute(ADJUSTED_COUNT_ATTRIBUTE).map(|value| match value {
            crate::ValueView::F64(count) => count,
            other => panic!("{other:?}"),
        });
        (span.trace_state().to_string(), count)
    }

    fn mark(threshold: &str, is_head_known: bool) -> Mark {
        Mark { threshold: Threshold::parse(threshold).unwrap(), is_head_known }
    }

    /// PRB-3, PRB-7, PRB-9: "Downstream threshold" and "General requirements" of
    /// tracestate-probability-sampling.
    #[test]
    fn the_higher_threshold_is_said_and_none_is_invented() {
        for (before, threshold, is_head_known, after, count) in [
            ("", "c", true, "ot=th:c", None),
            ("", "0", true, "ot=th:0", None),
            ("", "c", false, "", Some(4.0)),
            ("vendor=1", "c", true, "ot=th:c,vendor=1", None),
            ("vendor=1", "c", false, "vendor=1", Some(4.0)),
            ("ot=th:8", "c", false, "ot=th:c", None),
            ("ot=th:e", "c", false, "ot=th:e", None),
            ("ot=th:8;rv:6e6d1a75832a2f,b=2", "c", true, "ot=th:c;rv:6e6d1a75832a2f,b=2", None),
            ("ot=th:8", "0", true, "ot=th:8", None),
        ] {
            let found = marked(before, 10, mark(threshold, is_head_known));
            assert_eq!(found, (after.to_string(), count), "{before} {threshold}");
        }
    }

    /// PRB-9, and the limit of 256 characters of a member.
    #[test]
    fn a_threshold_without_room_in_the_trace_state_is_a_count() {
        let others = "a:".to_string() + &"x".repeat(247);
        let full = std::format!("ot=th:8;{others}");
        let (state, count) = marked(&full, 10, mark("ccccd", true));
        assert_eq!(
            (state, count),
            (std::format!("ot={others}"), Some(mark("ccccd", true).threshold.adjusted_count()))
        );
    }

    proptest! {
        #[test]
        fn a_marked_frame_is_well_formed_at_every_length(
            filling in 0usize..400,
            state in "(|vendor=1|ot=th:8|ot=th:8;rv:6e6d1a75832a2f,vendor=1)",
            threshold in 0..1u64 << 56,
            is_head_known: bool,
        ) {
            let threshold = Threshold::new(threshold).unwrap();
            let (state, count) = marked(&state, filling, Mark { threshold, is_head_known });
            let said = OtelTraceState::of(TraceState::parse(&state).unwrap()).threshold();
            prop_assert!(said.is_some() != count.is_some());
            prop_assert!(said.is_none_or(|said| said >= threshold));
        }
    }
}
