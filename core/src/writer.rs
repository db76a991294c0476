//! Adding to the record of a span.

#[cfg(not(target_os = "none"))]
mod cut;
#[cfg(not(target_os = "none"))]
mod short;

#[cfg(not(target_os = "none"))]
use crate::body::EventConstants;
use crate::body::{Attributes, Body, NoRoom};
use crate::live::{Live, Slot};
use crate::{Key, SpanContext, SpanLimits, StatusCode, Value};

/// Adds to a span that this has to itself.
///
/// What is beyond the limits is dropped and counted on the span. So is what does not fit
/// the span's memory, unless its texts can be cut.
///
/// One word, which is passed by value: the span's handle is in no memory for its sake.
pub(crate) struct Writer<'a> {
    slot: &'a Slot,
}

impl<'a> Writer<'a> {
    #[inline]
    pub(crate) fn new(live: &'a mut Live) -> Self {
        Writer { slot: live }
    }

    /// Of a span that is current on this thread.
    ///
    /// # Safety
    ///
    /// No foreign code runs on the thread before the writer is gone.
    #[inline]
    pub(crate) unsafe fn of_current(live: &'a Live) -> Self {
        Writer { slot: live }
    }

    /// The same writer, for one more call.
    #[cfg(not(target_os = "none"))]
    pub(crate) fn by_ref(&mut self) -> Writer<'_> {
        Writer { slot: self.slot }
    }

    #[cfg(not(target_os = "none"))]
    pub(crate) fn slot(&self) -> &Slot {
        self.slot
    }

    /// The record as it is.
    #[cfg(not(target_os = "none"))]
    pub(crate) fn so_far(&self) -> (&Body, &[u8]) {
        // SAFETY: a writer has the span to itself, and nobody writes by it while it is
        // borrowed shared.
        unsafe { self.slot.record() }
    }

    #[inline]
    fn limits(&self) -> &'static SpanLimits {
        self.slot.pipeline().limits()
    }

    #[inline]
    fn record(&mut self) -> (&mut Body, &mut [u8]) {
        // SAFETY: a writer has the span to itself (see both constructors), and
        // runs no foreign code: values are data.
        unsafe { self.slot.record_mut() }
    }

    /// Writes into the slot's bytes, or else into a spill block.
    #[inline]
    fn write(
        &mut self,
        mut write: impl FnMut(&mut Body, &mut [u8]) -> Result<(), NoRoom>,
    ) -> Result<(), NoRoom> {
        loop {
            let (body, bytes) = self.record();
            if write(body, bytes).is_ok() {
                return Ok(());
            }
            // Once at most. SAFETY: as in `record`.
            if !unsafe { self.slot.spill() } {
                return Err(NoRoom);
            }
        }
    }

    pub(crate) fn set_attribute(mut self, key: &str, value: &Value<'_>) {
        let limits = self.limits();
        if self.write(|body, bytes| body.set_attribute(bytes, key, value, limits)).is_err() {
            self.cut_attribute(key, value);
        }
    }

    /// Adds an attribute whose key is not there yet. What kind of value it is, the place of
    /// the call knows.
    #[inline(always)]
    pub(crate) fn add_distinct(self, key: &Key, value: Value<'_>) {
        #[cfg(not(target_os = "none"))]
        match value {
            Value::Str(text) => self.add_str(key, text),
            Value::I64(number) => self.add_i64(key, number),
            // The wire has signed numbers alone.
            Value::U64(number @ 0..=MAX_I64) => self.add_i64(key, number as i64),
            Value::F64(number) => self.add_f64(key, number),
            Value::Bool(is_true) => self.add_bool(key, is_true),
            other => self.add_attribute(key.as_str(), &other),
        }
        // Where code is dearer than calls, one way is enough.
        #[cfg(target_os = "none")]
        self.set_attribute(key.as_str(), &value);
    }

    /// Adds a number that counts against no limit, unless there is no memory for it.
    #[cold]
    pub(crate) fn add_always(&mut self, key: &Key, number: i64) {
        const NO_LIMITS: &SpanLimits =
            &SpanLimits { attribute_count: u32::MAX, ..SpanLimits::new() };
        let (key, value) = (key.as_str(), Value::I64(number));
        if self.write(|body, bytes| body.add_attribute(bytes, key, &value, NO_LIMITS)).is_err() {
            self.drop_attribute();
        }
    }

    /// Adds an event. Whether it has attributes, the place of the call knows.
    #[cfg(not(target_os = "none"))]
    #[inline(always)]
    pub(crate) fn add_event(self, name: &str, time: u64, attributes: &Attributes<'_>) {
        match attributes {
            [] => self.add_bare_event(name, time),
            _ => self.add_event_with(name, time, attributes, EventConstants::NONE),
        }
    }

    /// Adds an event.
    #[cfg(target_os = "none")]
    pub(crate) fn add_event(mut self, name: &str, time: u64, attributes: &Attributes<'_>) {
        self.add_event_of(name, time, [attributes, &[]]);
    }

    /// As [`add_event`](Self::add_event); attributes of the second list outrank those of
    /// the first.
    pub(crate) fn add_event_of(&mut self, name: &str, time: u64, attributes: [&Attributes<'_>; 2]) {
        let limits = self.limits();
        let add = |body: &mut Body, bytes: &mut [u8]| {
            body.add_event(bytes, name, time, attributes, limits)
        };
        if self.write(add).is_err() {
            self.cut_event(name, time, attributes);
        }
    }

    pub(crate) fn add_link(&mut self, to: &SpanContext, state: &str, attributes: &Attributes<'_>) {
        let has_content = !attributes.is_empty() || !state.is_empty();
        if !to.is_valid() && !has_content {
            return;
        }
        let limits = self.limits();
        let add =
            |body: &mut Body, bytes: &mut [u8]| body.add_link(bytes, to, state, attributes, limits);
        if self.write(add).is_err() {
            self.cut_link(to, state, attributes);
        }
    }

    pub(crate) fn set_status(&mut self, code: StatusCode, description: &str) {
        #[cfg(not(target_os = "none"))]
        if self.write(|body, bytes| body.set_status(bytes, code, description)).is_err() {
            self.cut_status(code, description);
        }
        // The code matters more than its description.
        #[cfg(target_os = "none")]
        for description in [description, ""] {
            if self.write(|body, bytes| body.set_status(bytes, code, description)).is_ok() {
                return;
            }
        }
    }

    /// Replaces the name; one of which nothing fits leaves the former one.
    pub(crate) fn rename(&mut self, name: &str) {
        let renamed = self.write(|body, bytes| body.rename(bytes, name));
        if !cfg!(target_os = "none") && renamed.is_err() {
            self.cut_name(name);
        }
    }

    /// Sets the trace state, once; one that does not fit is left out.
    pub(crate) fn set_trace_state(&mut self, text: &str) {
        let is_set = self.write(|body, bytes| body.set_trace_state(bytes, text));
        if !cfg!(target_os = "none") && is_set.is_err() {
            self.lack_memory();
        }
    }

    /// Shows the record so far to the closure, which may add attributes.
    pub(crate) fn extend<R>(&mut self, ask: impl FnOnce(&[u8], &mut Extension<'_>) -> R) -> R {
        let limits = self.limits();
        // SAFETY: as in `record`; the closure runs foreign code, which does not
        // have the span: `Writer::new` borrows its only handle.
        let (body, bytes) = unsafe { self.slot.record_mut() };
        let (before, bytes) = bytes.split_at_mut_checked(body.len as usize).unwrap_or_default();
        let mut extension = Extension { added: Body::new(), bytes, limits };
        let result = ask(before, &mut extension);
        let added = extension.added;
        let (body, bytes) = self.record();
        body.absorb(bytes, &added, limits);
        #[cfg(not(target_os = "none"))]
        if added.lacks_memory() {
            self.lack_memory();
        }
        result
    }
}

/// Where code is dearer, what does not fit is dropped whole.
#[cfg(target_os = "none")]
impl Writer<'_> {
    #[inline(always)]
    fn cut_attribute(&mut self, _: &str, _: &Value<'_>) {
        self.drop_attribute();
    }

    #[inline(always)]
    fn drop_attribute(&mut self) {
        self.record().0.dropped_attributes += 1;
    }

    #[inline(always)]
    fn cut_event(&mut self, _: &str, _: u64, _: [&Attributes<'_>; 2]) {
        self.record().0.dropped_events += 1;
    }

    #[inline(always)]
    fn cut_link(&mut self, _: &SpanContext, _: &str, _: &Attributes<'_>) {
        self.record().0.dropped_links += 1;
    }

    #[inline(always)]
    fn cut_name(&mut self, _: &str) {}

    #[inline(always)]
    fn lack_memory(&mut self) {}
}

/// Attributes behind those that a record has.
pub(crate) struct Extension<'a> {
    added: Body,
    bytes: &'a mut [u8],
    limits: &'static SpanLimits,
}

impl Extension<'_> {
    pub(crate) fn set_attribute(&mut self, key: &str, value: &Value<'_>) {
        let Extension { added, bytes, limits } = self;
        if added.set_attribute(bytes, key, value, limits).is_err() {
            added.dropped_attributes += 1;
            #[cfg(not(target_os = "none"))]
            added.lack_memory();
        }
    }
}

#[cfg(not(target_os = "none"))]
const MAX_I64: u64 = i64::MAX as u64;
