//! Errors and panics on spans.

use core::any;
use core::error::Error;
use core::fmt;

use heapless::Vec;

use crate::writer::Writer;
use crate::{Attributes, CurrentSpan, Platform, Span, StatusCode, Value};

/// What is known of an error or a panic; what is empty is not recorded.
///
/// On a span it is the event `exception` and the status Error, with the message
/// as its description.
/// ([Exceptions](https://opentelemetry.io/docs/specs/otel/trace/exceptions/))
#[derive(Clone, Copy, Debug, Default)]
pub struct Exception<'a> {
    /// `exception.type`: the type of the error.
    pub kind: &'a str,
    /// `exception.message`.
    pub message: &'a str,
    /// `exception.stacktrace`: where it comes from, as one text.
    pub stacktrace: &'a str,
}

impl<P: Platform> Span<P> {
    /// Records why the work failed: the status Error, and an event `exception`
    /// with the error's type, its message, and, if it has sources, the chain of
    /// them as `exception.stacktrace`.
    ///
    /// ```text
    /// the order is not stored
    /// Caused by: connection refused
    /// ```
    ///
    /// Of a `dyn Error` the type is not known, and left out. Does nothing if the
    /// span is not recorded; the error is not formatted then.
    /// ([Record exception](https://opentelemetry.io/docs/specs/otel/trace/api/#record-exception))
    pub fn record_error<E: Error + ?Sized>(&mut self, error: &E) {
        self.record_error_with(error, &[]);
    }

    /// As [`record_error`](Self::record_error), with more attributes for the event;
    /// they outrank those that are made of the error.
    pub fn record_error_with<E: Error + ?Sized>(&mut self, error: &E, attributes: &Attributes<'_>) {
        if self.is_recording() {
            described::<P, E, _>(error, |exception| {
                self.record_exception_with(exception, attributes);
            });
        }
    }

    /// Records an error or a panic that is described already.
    pub fn record_exception(&mut self, exception: &Exception<'_>) {
        self.record_exception_with(exception, &[]);
    }

    /// As [`record_exception`](Self::record_exception), with more attributes for the
    /// event; they outrank those of the exception.
    pub fn record_exception_with(
        &mut self,
        exception: &Exception<'_>,
        attributes: &Attributes<'_>,
    ) {
        if let Some(span) = self.writer() {
            exception.write(P::ticks(), attributes, span);
        }
    }
}

impl<P: Platform> CurrentSpan<P> {
    /// Records why the work of the current span failed, as
    /// [`Span::record_error`].
    pub fn record_error<E: Error + ?Sized>(error: &E) -> bool {
        Self::record_error_with(error, &[])
    }

    /// As [`record_error`](Self::record_error), with more attributes for the event;
    /// they outrank those that are made of the error.
    pub fn record_error_with<E: Error + ?Sized>(error: &E, attributes: &Attributes<'_>) -> bool {
        // What the error does to format itself runs before the span is borrowed.
        let record = |exception: &Exception<'_>| Self::record_exception_with(exception, attributes);
        Self::is_recording() && described::<P, E, _>(error, record)
    }

    /// Records an error or a panic that is described already.
    pub fn record_exception(exception: &Exception<'_>) -> bool {
        Self::record_exception_with(exception, &[])
    }

    /// As [`record_exception`](Self::record_exception), with more attributes for the
    /// event; they outrank those of the exception.
    pub fn record_exception_with(exception: &Exception<'_>, attributes: &Attributes<'_>) -> bool {
        let now = P::ticks();
        Self::with(&mut |span| exception.write(now, attributes, span))
    }
}

impl Exception<'_> {
    fn write(&self, time: u64, more: &Attributes<'_>, mut span: Writer<'_>) {
        let Exception { kind, message, stacktrace } = *self;
        let known = [
            ("exception.type", kind),
            ("exception.message", message),
            ("exception.stacktrace", stacktrace),
        ];
        let known = known.into_iter().filter(|(_, text)| !text.is_empty());
        let attributes: Vec<_, 3> = known.map(|(key, text)| (key, Value::Str(text))).collect();
        span.set_status(StatusCode::Error, message);
        span.add_event_of("exception", time, [&attributes, more]);
    }
}

fn described<P: Platform, E: Error + ?Sized, R>(
    error: &E,
    use_it: impl FnOnce(&Exception<'_>) -> R,
) -> R {
    let kind = any::type_name::<E>();
    let kind = if kind.starts_with("dyn ") { "" } else { kind };
    P::with_text(error, |message| match error.source() {
        None => use_it(&Exception { kind, message, stacktrace: "" }),
        Some(source) => P::with_text(ErrorChain { message, source }, |stacktrace| {
            use_it(&Exception { kind, message, stacktrace })
        }),
    })
}

/// The message of an error and, on lines of their own, the errors behind it, 32 at
/// most.
#[derive(Clone, Copy, Debug)]
pub struct ErrorChain<'a> {
    /// The message of the error itself.
    pub message: &'a str,
    /// What caused it.
    pub source: &'a (dyn Error + 'static),
}

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message)?;
        let mut next = Some(self.source);
        for _ in 0..MAX_SOURCES {
            let Some(source) = next else { break };
            write!(f, "\nCaused by: {source}")?;
            next = source.source();
        }
        Ok(())
    }
}

/// A chain may be a circle.
const MAX_SOURCES: usize = 32;
