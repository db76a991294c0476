//! A batch: finished spans on their way to an exporter, still the frames that
//! were written when the spans ended.

use crate::Pipeline;
use crate::callsite::Scope;
use crate::view::{ResourceView, SpanView};
use crate::wire;

/// Finished spans, in the order in which they were taken from the rings.
///
/// Its OTLP form is headers (resource, scopes) around the frames as they are.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    resource: &'static [u8],
    schema_url: &'static str,
    bytes: &'a [u8],
    /// Where the first frame begins.
    start: usize,
    entries: &'a [Entry],
}

/// Where a frame lies in the batch's bytes, and whose scope it is of.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    end: u32,
    scope: &'static Scope,
}

impl Entry {
    /// No frame: what the memory of a batch is filled with at first.
    pub const EMPTY: Entry = Entry { end: 0, scope: &Scope::new("", "") };

    pub(crate) const fn new(end: u32, scope: &'static Scope) -> Self {
        Entry { end, scope }
    }

    pub(crate) fn end(&self) -> usize {
        self.end as usize
    }

    /// Whether the scope is the same: mostly the one that stands for all that are equal.
    fn is_of(&self, scope: &'static Scope) -> bool {
        core::ptr::eq(self.scope, scope) || self.scope == scope
    }
}

impl Default for Entry {
    fn default() -> Self {
        Entry::EMPTY
    }
}

impl<'a> Batch<'a> {
    pub(crate) fn new(
        pipeline: &'static Pipeline,
        bytes: &'a [u8],
        start: usize,
        entries: &'a [Entry],
    ) -> Self {
        let (resource, schema_url) = (pipeline.resource(), pipeline.schema_url());
        Batch { resource, schema_url, bytes, start, entries }
    }

    /// The batch that was [copied](Self::copy_to) into this memory.
    pub fn in_memory(pipeline: &'static Pipeline, bytes: &'a [u8], entries: &'a [Entry]) -> Self {
        Batch::new(pipeline, bytes, 0, entries)
    }

    /// Copies the frames and where they lie. Returns whether the memory is as large as
    /// it must be at least: [`frames_len`](Self::frames_len) and [`len`](Self::len).
    pub fn copy_to(&self, bytes: &mut [u8], entries: &mut [Entry]) -> bool {
        let frames = self.bytes.get(self.start..self.start + self.frames_len());
        let (Some(frames), Some(copy), Some(places)) =
            (frames, bytes.get_mut(..self.frames_len()), entries.get_mut(..self.entries.len()))
        else {
            return false;
        };
        copy.copy_from_slice(frames);
        for (place, entry) in places.iter_mut().zip(self.entries) {
            *place = Entry { end: entry.end - self.start as u32, scope: entry.scope };
        }
        true
    }

    /// The length of all frames in bytes.
    pub fn frames_len(&self) -> usize {
        self.entries.last().map_or(0, |last| last.end() - self.start)
    }

    /// The spans `from..to` of it; none if there are not so many.
    #[must_use]
    pub fn part(&self, from: usize, to: usize) -> Batch<'a> {
        let before = from.checked_sub(1).and_then(|last| self.entries.get(last));
        let start = before.map_or(self.start, Entry::end);
        Batch { start, entries: self.entries.get(from..to).unwrap_or_default(), ..*self }
    }

    /// The number of spans.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no span.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What produced the spans.
    pub fn resource(&self) -> ResourceView<'static> {
        ResourceView::new(self.resource)
    }

    /// The URL of the schema that the attributes of the resource follow; empty if
    /// there is none.
    pub fn schema_url(&self) -> &'static str {
        self.schema_url
    }

    /// The spans, with the scope of each.
    pub fn spans(&self) -> impl Iterator<Item = (&'static Scope, SpanView<'a>)> + use<'a> {
        self.frames().map(|(entry, frame)| (entry.scope, SpanView::of_frame(frame)))
    }

    /// The length of the `ExportTraceServiceRequest` in bytes.
    pub fn encoded_len(&self) -> usize {
        wire::field_len(self.resource_spans_len())
    }

    /// Hands the `ExportTraceServiceRequest` to `write`, piece by piece.
    ///
    /// Spans are grouped by scope, in the order in which the scopes come first.
    /// ([trace.proto](https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto))
    pub fn encode(&self, mut write: impl FnMut(&[u8])) {
        wire::header(RESOURCE_SPANS, self.resource_spans_len(), &mut write);
        wire::header(RESOURCE, self.resource.len(), &mut write);
        write(self.resource);
        wire::text(SCHEMA_URL, self.schema_url, &mut write);
        self.each_scope(&mut |scope, frames_len| {
            wire::header(SCOPE_SPANS, scope_spans_len(scope, frames_len), &mut write);
            wire::header(SCOPE, scope.encoded_len(), &mut write);
            scope.encode(&mut write);
            self.each_run(scope, &mut write);
            if !scope.schema_url().is_empty() {
                wire::text(SCHEMA_URL, scope.schema_url(), &mut write);
            }
        });
    }

    fn resource_spans_len(&self) -> usize {
        let mut len = wire::field_len(self.resource.len()) + wire::text_len(self.schema_url);
        self.each_scope(&mut |scope, frames_len| {
            len += wire::field_len(scope_spans_len(scope, frames_len));
        });
        len
    }

    /// Calls back for each distinct scope, with the length of its frames.
    fn each_scope(&self, visit: &mut dyn FnMut(&'static Scope, usize)) {
        // All of one scope is the rule.
        if let Some((first, rest)) = self.entries.split_first()
            && rest.iter().all(|entry| core::ptr::eq(entry.scope, first.scope))
        {
            return visit(first.scope, self.frames_len());
        }
        for (i, entry) in self.entries.iter().enumerate() {
            let is_known = |earlier: &Entry| earlier.is_of(entry.scope);
            // Runs of one scope are the rule: look back at the nearest first.
            if self.entries.iter().take(i).rev().any(is_known) {
                continue;
            }
            let mut len = 0;
            self.each_run(entry.scope, &mut |run| len += run.len());
            visit(entry.scope, len);
        }
    }

    /// Calls back for each run of neighbouring frames of the scope.
    fn each_run(&self, scope: &'static Scope, visit: &mut dyn FnMut(&[u8])) {
        let (mut start, mut end) = (self.start, self.start);
        for entry in self.entries {
            if entry.is_of(scope) {
                end = entry.end();
            } else {
                if end > start {
                    visit(self.bytes.get(start..end).unwrap_or_default());
                }
                (start, end) = (entry.end(), entry.end());
            }
        }
        if end > start {
            visit(self.bytes.get(start..end).unwrap_or_default());
        }
    }

    fn frames(&self) -> impl Iterator<Item = (&'a Entry, &'a [u8])> + use<'a> {
        let (bytes, mut start) = (self.bytes, self.start);
        self.entries.iter().map(move |entry| {
            let frame = bytes.get(start..entry.end()).unwrap_or_default();
            start = entry.end();
            (entry, frame)
        })
    }
}

fn scope_spans_len(scope: &Scope, frames_len: usize) -> usize {
    wire::field_len(scope.encoded_len()) + frames_len + wire::text_len(scope.schema_url())
}

const RESOURCE_SPANS: u8 = wire::tag(1, wire::LEN);
const RESOURCE: u8 = wire::tag(1, wire::LEN);
const SCOPE_SPANS: u8 = wire::tag(2, wire::LEN);
const SCHEMA_URL: u8 = wire::tag(3, wire::LEN);
const SCOPE: u8 = wire::tag(1, wire::LEN);
