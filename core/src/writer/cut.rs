//! What does not fit into the span's memory: texts are cut, what else there is is dropped and
//! counted on the span; and the span is counted. Not on bare targets.

use super::Writer;
use crate::body::{Attributes, Body, NoRoom};
use crate::{SpanContext, StatusCode, Value};

impl Writer<'_> {
    #[cold]
    pub(super) fn cut_attribute(&mut self, key: &str, value: &Value<'_>) {
        let limits = self.limits();
        let cut =
            |body: &mut Body, bytes: &mut [u8]| body.set_cut_attribute(bytes, key, value, limits);
        if self.cut(cut).is_err() {
            self.drop_attribute();
        }
    }

    #[cold]
    pub(super) fn drop_attribute(&mut self) {
        self.lack_memory();
        self.record().0.dropped_attributes += 1;
    }

    #[cold]
    pub(super) fn cut_event(&mut self, name: &str, time: u64, attributes: [&Attributes<'_>; 2]) {
        let limits = self.limits();
        let cut = |body: &mut Body, bytes: &mut [u8]| {
            body.add_cut_event(bytes, name, time, attributes, limits)
        };
        if self.cut(cut).is_err() {
            self.record().0.dropped_events += 1;
        }
    }

    #[cold]
    pub(super) fn cut_link(&mut self, to: &SpanContext, state: &str, attributes: &Attributes<'_>) {
        let limits = self.limits();
        let cut = |body: &mut Body, bytes: &mut [u8]| {
            body.add_cut_link(bytes, to, state, attributes, limits)
        };
        if self.cut(cut).is_err() {
            self.record().0.dropped_links += 1;
        }
    }

    /// If there is no room for the code either, the former status stays.
    #[cold]
    pub(super) fn cut_status(&mut self, code: StatusCode, description: &str) {
        let _ = self.cut(|body, bytes| body.set_cut_status(bytes, code, description));
    }

    #[cold]
    pub(super) fn cut_name(&mut self, name: &str) {
        let _ = self.cut(|body, bytes| body.cut_rename(bytes, name));
    }

    /// Counts the span, once, whose memory was too small.
    #[cold]
    pub(super) fn lack_memory(&mut self) {
        let pipeline = self.slot.pipeline();
        if self.record().0.lack_memory() {
            pipeline.counters().count_memory_limited();
        }
    }

    fn cut(
        &mut self,
        cut: impl FnOnce(&mut Body, &mut [u8]) -> Result<(), NoRoom>,
    ) -> Result<(), NoRoom> {
        self.lack_memory();
        let (body, bytes) = self.record();
        cut(body, bytes)
    }
}
