//! A batch that was handed over: its data, which all lanes share, and what has become
//! of each span.

use core::ops::Range;
use std::sync::Arc;

use throughline_core::{Batch, DropReason, Entry, Ledger, Pipeline};

/// The data of a batch. It never changes.
#[derive(Debug)]
pub(crate) struct Body {
    pipeline: &'static Pipeline,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

impl Body {
    pub(crate) fn new(pipeline: &'static Pipeline, batch: &Batch<'_>) -> Self {
        let mut bytes = vec![0; batch.frames_len()];
        let mut entries = vec![Entry::EMPTY; batch.len()];
        batch.copy_to(&mut bytes, &mut entries);
        Body { pipeline, bytes, entries }
    }

    /// These of its spans.
    pub(crate) fn batch(&self, spans: Range<usize>) -> Batch<'_> {
        Batch::in_memory(self.pipeline, &self.bytes, &self.entries).part(spans.start, spans.end)
    }

    /// The number of spans.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The length of all frames.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// What a batch is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contents {
    /// Spans that ended.
    Spans,
    /// Records of spans that go on: in no lane's ledger, and sent once.
    Heartbeats,
}

#[derive(Debug)]
pub(super) struct Shipment {
    pub(super) body: Arc<Body>,
    pub(super) contents: Contents,
    /// Lanes that are not done with it.
    pub(super) open: usize,
    /// Of each span.
    fates: Vec<Fate>,
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    /// Some destination has it.
    Taken,
    /// No destination has it so far, and this is why the last one has not.
    Lost(DropReason),
}

impl Shipment {
    pub(super) fn new(pipeline: &'static Pipeline, batch: &Batch<'_>, contents: Contents) -> Self {
        Shipment {
            body: Arc::new(Body::new(pipeline, batch)),
            contents,
            open: 0,
            fates: vec![Fate::Lost(DropReason::Abandoned); batch.len()],
        }
    }

    /// A destination took these spans.
    pub(super) fn take(&mut self, spans: Range<usize>) {
        self.fates.get_mut(spans).unwrap_or_default().fill(Fate::Taken);
    }

    /// A destination did not take these spans.
    pub(super) fn lose(&mut self, spans: Range<usize>, reason: DropReason) {
        for fate in self.fates.get_mut(spans).unwrap_or_default() {
            if let Fate::Lost(former) = fate {
                *former = reason;
            }
        }
    }

    /// All destinations are done with it.
    pub(super) fn settle(&self, ledger: &mut Ledger) {
        for fate in &self.fates {
            match (fate, self.contents) {
                (Fate::Taken, Contents::Spans) => ledger.add_exported(1),
                (Fate::Taken, Contents::Heartbeats) => ledger.add_heartbeats(1),
                (Fate::Lost(reason), Contents::Spans) => ledger.add_dropped(*reason, 1),
                (Fate::Lost(_), Contents::Heartbeats) => {}
            }
        }
    }
}
