//! Fields of spans as attributes.

use core::error::Error;
use core::fmt::{Debug, Display};

use throughline_core::{SpanKind, StatusCode, Value};
use throughline_runtime::Span;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};

use crate::site::{Named, Role, Site};
use crate::spans::Spans;

/// What fields say about the status.
#[derive(Debug, Default)]
pub(crate) struct Status {
    pub(crate) code: Option<StatusCode>,
    pub(crate) description: Option<String>,
}

/// The fields of a span that begins.
pub(crate) struct First<'a> {
    pub(crate) span: &'a mut Span,
    pub(crate) site: &'static Site,
    pub(crate) status: &'a mut Status,
    /// Whether it began with the name that a field gives it.
    pub(crate) is_named: bool,
}

/// Fields that are recorded later.
pub(crate) struct Later<'a> {
    pub(crate) spans: &'a Spans,
    pub(crate) id: &'a Id,
    pub(crate) site: &'static Site,
    pub(crate) status: Status,
}

/// Where attributes are set.
trait Target {
    fn site(&self) -> &'static Site;
    fn status(&mut self) -> &mut Status;
    fn set(&mut self, field: &'static Named, value: Value<'_>);
    fn set_other(&mut self, key: &str, value: Value<'_>);
    fn rename(&mut self, name: &str);
    fn set_kind(&mut self, kind: SpanKind);
}

impl Target for First<'_> {
    fn site(&self) -> &'static Site {
        self.site
    }

    fn status(&mut self) -> &mut Status {
        self.status
    }

    #[inline]
    fn set(&mut self, field: &'static Named, value: Value<'_>) {
        if self.site.is_distinct {
            self.span.add_distinct_attribute(&field.key, value);
        } else {
            self.span.set_attribute(field.key.as_str(), value);
        }
    }

    fn set_other(&mut self, key: &str, value: Value<'_>) {
        self.span.set_attribute(key, value);
    }

    fn rename(&mut self, name: &str) {
        // As a rule it began with it.
        if !self.is_named {
            self.span.update_name(name);
        }
    }

    fn set_kind(&mut self, _: SpanKind) {
        // It began with it.
    }
}

impl Target for Later<'_> {
    fn site(&self) -> &'static Site {
        self.site
    }

    fn status(&mut self) -> &mut Status {
        &mut self.status
    }

    fn set(&mut self, field: &'static Named, value: Value<'_>) {
        self.set_other(field.key.as_str(), value);
    }

    fn set_other(&mut self, key: &str, value: Value<'_>) {
        self.spans.with(self.id, |open| open.span.set_attribute(key, value));
    }

    fn rename(&mut self, name: &str) {
        self.spans.with(self.id, |open| open.span.update_name(name));
    }

    fn set_kind(&mut self, kind: SpanKind) {
        self.spans.with(self.id, |open| open.span.update_kind(kind));
    }
}

/// A value that is no text.
#[inline]
fn plain<T: Target>(target: &mut T, field: &Field, value: Value<'_>, text: &dyn Debug) {
    match target.site().field(field) {
        Some(named) if named.role == Role::Attribute => target.set(named, value),
        Some(_) => textual(target, field, &format!("{text:?}")),
        // Of another call site: nobody's role.
        None => target.set_other(field.name(), value),
    }
}

#[inline]
fn textual<T: Target>(target: &mut T, field: &Field, text: &str) {
    match target.site().field(field) {
        Some(named) if named.role == Role::Attribute => target.set(named, Value::Str(text)),
        named => special(target, field, named, text),
    }
}

/// A text that is no attribute.
#[inline(never)]
fn special<T: Target>(target: &mut T, field: &Field, named: Option<&'static Named>, text: &str) {
    let Some(named) = named else {
        return target.set_other(field.name(), Value::Str(text));
    };
    match named.role {
        Role::Attribute => target.set(named, Value::Str(text)),
        Role::Name => target.rename(text),
        Role::Kind => match kind(text) {
            Some(kind) => target.set_kind(kind),
            // It is not lost.
            None => target.set(named, Value::Str(text)),
        },
        Role::StatusDescription => target.status().description = Some(text.to_owned()),
        Role::StatusCode => match code(text) {
            Some(code) => target.status().code = Some(code),
            None => target.set(named, Value::Str(text)),
        },
    }
}

fn error<T: Target>(target: &mut T, field: &Field, error: &(dyn Error + 'static)) {
    textual(target, field, &error.to_string());
    let chain = chain(error);
    if !chain.is_empty() {
        let chain: Vec<&str> = chain.iter().map(String::as_str).collect();
        target.set_other(&format!("{}.chain", field.name()), Value::Strs(&chain));
    }
}

/// The errors behind this one, 32 at most: a chain may be a circle.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    let behind =
        core::iter::successors(error.source(), |error: &&(dyn Error + 'static)| (*error).source());
    behind.take(32).map(ToString::to_string).collect()
}

macro_rules! visit {
    ($($type:ty),*) => {$(
        impl Visit for $type {
            fn record_f64(&mut self, field: &Field, value: f64) {
                plain(self, field, Value::F64(value), &value);
            }

            fn record_i64(&mut self, field: &Field, value: i64) {
                plain(self, field, Value::I64(value), &value);
            }

            fn record_u64(&mut self, field: &Field, value: u64) {
                plain(self, field, Value::U64(value), &value);
            }

            fn record_i128(&mut self, field: &Field, value: i128) {
                textual(self, field, &value.to_string());
            }

            fn record_u128(&mut self, field: &Field, value: u128) {
                textual(self, field, &value.to_string());
            }

            fn record_bool(&mut self, field: &Field, value: bool) {
                plain(self, field, Value::Bool(value), &value);
            }

            fn record_str(&mut self, field: &Field, value: &str) {
                textual(self, field, value);
            }

            fn record_bytes(&mut self, field: &Field, value: &[u8]) {
                plain(self, field, Value::Bytes(value), &value);
            }

            fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
                error(self, field, value);
            }

            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                textual(self, field, &format!("{value:?}"));
            }
        }
    )*};
}

visit!(First<'_>, Later<'_>);

/// What fields say about a span that is created, for the sampler to see.
#[derive(Debug, Default)]
pub(crate) struct Beforehand {
    pub(crate) name: Option<String>,
    pub(crate) kind: Option<SpanKind>,
}

impl Beforehand {
    pub(crate) fn of(attributes: &Attributes<'_>) -> Self {
        let mut found = Beforehand::default();
        attributes.record(&mut found);
        found
    }

    fn hear(&mut self, field: &Field, value: &dyn Display) {
        match field.name() {
            "otel.name" => self.name = Some(value.to_string()),
            "otel.kind" => self.kind = kind(&value.to_string()),
            _ => {}
        }
    }
}

impl Visit for Beforehand {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.hear(field, &value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.hear(field, &format_args!("{value:?}"));
    }
}

fn kind(text: &str) -> Option<SpanKind> {
    use SpanKind::{Client, Consumer, Internal, Producer, Server};
    let kinds = [Internal, Server, Client, Producer, Consumer];
    kinds.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(text))
}

fn code(text: &str) -> Option<StatusCode> {
    let codes =
        [("ok", StatusCode::Ok), ("error", StatusCode::Error), ("unset", StatusCode::Unset)];
    codes.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, code)| code)
}
