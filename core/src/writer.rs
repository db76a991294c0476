//! Adding to the record of a span.

#[cfg(not(target_os = "none"))]
use crate::body::EventConstants;
use crate::body::{Attributes, Body, NoRoom};
use crate::live::Live;
use crate::wire::{self, Out};
use crate::{Key, SpanContext, SpanLimits, StatusCode, Value, value};

/// Adds to a span that this has to itself.
///
/// What is beyond the limits, or does not fit the span's memory, is dropped and
/// counted on the span.
pub(crate) struct Writer<'a> {
    live: &'a Live,
}

impl<'a> Writer<'a> {
    #[inline]
    pub(crate) fn new(live: &'a mut Live) -> Self {
        Writer { live }
    }

    /// Of a span that is current on this thread.
    ///
    /// # Safety
    ///
    /// No foreign code runs on the thread before the writer is gone.
    #[inline]
    pub(crate) unsafe fn of_current(live: &'a Live) -> Self {
        Writer { live }
    }

    #[inline]
    fn limits(&self) -> &'static SpanLimits {
        self.live.pipeline().limits()
    }

    #[inline]
    fn record(&mut self) -> (&mut Body, &mut [u8]) {
        // SAFETY: a writer has the span to itself (see both constructors), and
        // runs no foreign code: values are data.
        unsafe { self.live.record_mut() }
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
            if !unsafe { self.live.spill() } {
                return Err(NoRoom);
            }
        }
    }

    pub(crate) fn set_attribute(&mut self, key: &str, value: &Value<'_>) {
        let limits = self.limits();
        if self.write(|body, bytes| body.set_attribute(bytes, key, value, limits)).is_err() {
            self.record().0.dropped_attributes += 1;
        }
    }

    /// Adds a text whose key is not there yet.
    pub(crate) fn add_str(&mut self, key: &Key, text: &str) {
        // Where code is dearer than calls, one way is enough, here and below.
        if IS_SMALL {
            return self.add_attribute(key.as_str(), &Value::Str(text));
        }
        // What makes no call keeps all in registers, and has none to save.
        if text.len() > wire::SHORT || !self.add_short_str(key, text, wire::copy_short) {
            self.add_long_str(key, text);
        }
    }

    #[inline(always)]
    fn add_short_str(&mut self, key: &Key, text: &str, copy: fn(&mut [u8], &[u8])) -> bool {
        let limits = self.limits();
        let (body, bytes) = self.record();
        let head = [value::STRING, text.len() as u8];
        let is_whole = text.len() <= limits.attribute_value_length as usize;
        let place = is_whole.then(|| body.add_short(bytes, &key.field, head, text.len(), limits));
        place.flatten().map(|place| copy(place, text.as_bytes())).is_some()
    }

    #[inline(never)]
    fn add_long_str(&mut self, key: &Key, text: &str) {
        if !self.add_short_str(key, text, wire::copy) {
            self.add_attribute(key.as_str(), &Value::Str(text));
        }
    }

    /// Adds a number whose key is not there yet.
    pub(crate) fn add_i64(&mut self, key: &Key, number: i64) {
        // Most take three bytes at most.
        let byte = |shift: u32| (number >> shift) as u8;
        let is_short = match number {
            _ if IS_SMALL => false,
            0..0x80 => self.add_short_head(key, [value::INT, byte(0)]),
            0x80..0x4000 => self.add_short_head(key, [value::INT, byte(0) | 0x80, byte(7)]),
            0x4000..0x20_0000 => {
                let head = [value::INT, byte(0) | 0x80, byte(7) | 0x80, byte(14)];
                self.add_short_head(key, head)
            }
            _ => false,
        };
        if !is_short {
            self.add_long_i64(key, number);
        }
    }

    #[inline(always)]
    fn add_short_head<const HEAD: usize>(&mut self, key: &Key, head: [u8; HEAD]) -> bool {
        let limits = self.limits();
        let (body, bytes) = self.record();
        body.add_short(bytes, &key.field, head, 0, limits).is_some()
    }

    #[inline(never)]
    fn add_long_i64(&mut self, key: &Key, number: i64) {
        if IS_SMALL {
            return self.add_attribute(key.as_str(), &Value::I64(number));
        }
        let limits = self.limits();
        let (body, bytes) = self.record();
        let len = wire::varint_len(number as u64);
        match body.add_short(bytes, &key.field, [value::INT], len, limits) {
            Some(place) => Out::new(place).varint(number as u64),
            None => self.add_attribute(key.as_str(), &Value::I64(number)),
        }
    }

    /// Adds a number that counts against no limit, unless there is no memory for it.
    #[cold]
    pub(crate) fn add_always(&mut self, key: &Key, number: i64) {
        const NO_LIMITS: &SpanLimits =
            &SpanLimits { attribute_count: u32::MAX, ..SpanLimits::new() };
        let (key, value) = (key.as_str(), Value::I64(number));
        if self.write(|body, bytes| body.add_attribute(bytes, key, &value, NO_LIMITS)).is_err() {
            self.record().0.dropped_attributes += 1;
        }
    }

    /// Adds an attribute whose key is not there yet.
    #[cold]
    pub(crate) fn add_attribute(&mut self, key: &str, value: &Value<'_>) {
        if IS_SMALL {
            return self.set_attribute(key, value);
        }
        let limits = self.limits();
        if self.write(|body, bytes| body.add_attribute(bytes, key, value, limits)).is_err() {
            self.record().0.dropped_attributes += 1;
        }
    }

    pub(crate) fn add_event(&mut self, name: &str, time: u64, attributes: &Attributes<'_>) {
        let is_short = !IS_SMALL && attributes.is_empty() && name.len() <= wire::SHORT;
        if !(is_short && self.add_short_event(name, time)) {
            self.add_long_event(name, time, attributes);
        }
    }

    #[inline(always)]
    fn add_short_event(&mut self, name: &str, time: u64) -> bool {
        let limits = self.limits();
        let (body, bytes) = self.record();
        body.add_short_event(bytes, name, time, limits).is_some()
    }

    #[inline(never)]
    fn add_long_event(&mut self, name: &str, time: u64, attributes: &Attributes<'_>) {
        #[cfg(not(target_os = "none"))]
        return self.add_event_with(name, time, attributes, EventConstants::NONE);
        #[cfg(target_os = "none")]
        self.add_event_of(name, time, [attributes, &[]]);
    }

    /// As [`add_event`](Self::add_event), with attributes that are encoded already.
    #[cfg(not(target_os = "none"))]
    pub(crate) fn add_event_with(
        &mut self,
        name: &str,
        time: u64,
        attributes: &Attributes<'_>,
        constants: &EventConstants,
    ) {
        let limits = self.limits();
        let (body, bytes) = self.record();
        let all = (attributes, constants);
        if body.add_plain_event(bytes, name, time, all, limits).is_none() {
            self.add_event_of(name, time, [attributes, constants.attributes]);
        }
    }

    /// As [`add_event`](Self::add_event); attributes of the second list outrank those of
    /// the first.
    pub(crate) fn add_event_of(&mut self, name: &str, time: u64, attributes: [&Attributes<'_>; 2]) {
        let limits = self.limits();
        let add = |body: &mut Body, bytes: &mut [u8]| {
            body.add_event(bytes, name, time, attributes, limits)
        };
        if self.write(add).is_err() {
            self.record().0.dropped_events += 1;
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
            self.record().0.dropped_links += 1;
        }
    }

    pub(crate) fn set_status(&mut self, code: StatusCode, description: &str) {
        // The code matters more than its description.
        for description in [description, ""] {
            if self.write(|body, bytes| body.set_status(bytes, code, description)).is_ok() {
                return;
            }
        }
    }

    /// Replaces the name; one that does not fit leaves the former one.
    pub(crate) fn rename(&mut self, name: &str) {
        let _ = self.write(|body, bytes| body.rename(bytes, name));
    }

    #[cfg(not(target_os = "none"))]
    pub(crate) fn set_kind(&mut self, kind: crate::SpanKind) {
        self.live.set_kind(kind);
    }

    /// Sets the trace state, once; one that does not fit is left out.
    pub(crate) fn set_trace_state(&mut self, text: &str) {
        let _ = self.write(|body, bytes| body.set_trace_state(bytes, text));
    }

    /// Shows the record so far to the closure, which may add attributes.
    pub(crate) fn extend<R>(&mut self, ask: impl FnOnce(&[u8], &mut Extension<'_>) -> R) -> R {
        let limits = self.limits();
        // SAFETY: as in `record`; the closure runs foreign code, which does not
        // have the span: `Writer::new` borrows its only handle.
        let (body, bytes) = unsafe { self.live.record_mut() };
        let (before, bytes) = bytes.split_at_mut_checked(body.len as usize).unwrap_or_default();
        let mut extension = Extension { added: Body::new(), bytes, limits };
        let result = ask(before, &mut extension);
        let added = extension.added;
        let (body, bytes) = self.record();
        body.absorb(bytes, &added, limits);
        result
    }
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
        }
    }
}

const IS_SMALL: bool = cfg!(target_os = "none");
