//! What their API adds to a span of ours, whoever has it.

use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, Status};
use throughline_core::Carry;
use throughline_runtime::{Carried, Context, CurrentSpan, Span};

use crate::{identity, values};

/// The span that is added to.
pub(crate) enum To<'a> {
    /// One that its handle has.
    Own(&'a mut Span),
    /// The one in whose scope the code runs.
    Current,
}

impl To<'_> {
    pub(crate) fn add_event(self, name: &str, at: SystemTime, attributes: &[KeyValue]) {
        let at = values::unix_nanos(at);
        values::with_pairs(attributes, |pairs| match self {
            To::Own(span) => span.add_event_at(name, at, pairs),
            To::Current => drop(CurrentSpan::add_event_at(name, at, pairs)),
        });
    }

    pub(crate) fn set_attribute(self, KeyValue { key, value, .. }: &KeyValue) {
        values::with_value(value, |value| match self {
            To::Own(span) => span.set_attribute(key.as_str(), value),
            To::Current => drop(CurrentSpan::set_attribute(key.as_str(), value)),
        });
    }

    pub(crate) fn set_status(self, status: &Status) {
        let (code, description) = values::status(status);
        match self {
            To::Own(span) => span.set_status(code, description),
            To::Current => drop(CurrentSpan::set_status(code, description)),
        }
    }

    pub(crate) fn update_name(self, name: &str) {
        match self {
            To::Own(span) => span.update_name(name),
            To::Current => drop(CurrentSpan::update_name(name)),
        }
    }

    pub(crate) fn add_link(self, to: &SpanContext, attributes: &[KeyValue]) {
        let to = linked(to);
        values::with_pairs(attributes, |pairs| match self {
            To::Own(span) => span.add_link(&to, pairs),
            To::Current => drop(CurrentSpan::add_link(&to, pairs)),
        });
    }
}

/// The methods of their `Span` that add, for a type with `to(&mut self) -> Option<To<'_>>`.
macro_rules! additions {
    () => {
        fn add_event_with_timestamp<T>(
            &mut self,
            name: T,
            timestamp: std::time::SystemTime,
            attributes: Vec<opentelemetry::KeyValue>,
        ) where
            T: Into<std::borrow::Cow<'static, str>>,
        {
            if let Some(span) = self.to() {
                span.add_event(&name.into(), timestamp, &attributes);
            }
        }

        fn set_attribute(&mut self, attribute: opentelemetry::KeyValue) {
            if let Some(span) = self.to() {
                span.set_attribute(&attribute);
            }
        }

        fn set_status(&mut self, status: opentelemetry::trace::Status) {
            if let Some(span) = self.to() {
                span.set_status(&status);
            }
        }

        fn update_name<T>(&mut self, new_name: T)
        where
            T: Into<std::borrow::Cow<'static, str>>,
        {
            if let Some(span) = self.to() {
                span.update_name(&new_name.into());
            }
        }

        fn add_link(
            &mut self,
            span_context: opentelemetry::trace::SpanContext,
            attributes: Vec<opentelemetry::KeyValue>,
        ) {
            if let Some(span) = self.to() {
                span.add_link(&span_context, &attributes);
            }
        }
    };
}
pub(crate) use additions;

/// What a link of ours leads to.
fn linked(to: &SpanContext) -> Context {
    let state = identity::state_to_ours(to);
    let carried = Carried::default();
    let carried = if state.is_empty() { carried } else { carried.with_trace_state(&state) };
    Context::remote(identity::to_ours(to), carried)
}
