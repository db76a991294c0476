//! The ids of a span in the forms that logs have for them.

use core::fmt::{self, Display};

use throughline_core::SpanContext;

/// The ids of a span for a log line: `trace_id` and `span_id` in lower-case hexadecimal
/// digits, `trace_flags` in two.
///
/// [`Lines`](crate::Lines) writes them as JSON and text; for other formats they are
/// here, and empty outside of any span.
/// ([Trace context in logs](https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/))
///
/// ```
/// use throughline_log::TraceFields;
/// use throughline_runtime::Context;
///
/// let ids = TraceFields::of(&Context::current().span_context());
/// println!("<14>1 - host app - - {} the order is stored", ids.syslog());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TraceFields(Option<SpanContext>);

impl TraceFields {
    /// Those of this span; of none if the context is invalid, which has not the one id
    /// without the other.
    pub fn of(span: &SpanContext) -> Self {
        TraceFields(span.is_valid().then_some(*span))
    }

    /// Structured data of a syslog message:
    /// `[opentelemetry trace_id="…" span_id="…" trace_flags="01"]`.
    /// ([RFC 5424, 6.3](https://www.rfc-editor.org/rfc/rfc5424#section-6.3)) Outside
    /// of any span it is the `-` that stands for none.
    pub fn syslog(&self) -> impl Display {
        let syslog = |f: &mut fmt::Formatter<'_>, span: &SpanContext| {
            let (trace, span, flags) = (span.trace_id(), span.span_id(), span.trace_flags());
            write!(
                f,
                "[opentelemetry trace_id=\"{trace}\" span_id=\"{span}\" trace_flags=\"{flags}\"]"
            )
        };
        Shown(self.0, syslog, "-")
    }

    /// Fields of a labelled tab-separated line: `trace_id:…`, a tab, `span_id:…`, a tab,
    /// `trace_flags:01`.
    pub fn ltsv(&self) -> impl Display {
        let ltsv = |f: &mut fmt::Formatter<'_>, span: &SpanContext| {
            let (trace, span, flags) = (span.trace_id(), span.span_id(), span.trace_flags());
            write!(f, "trace_id:{trace}\tspan_id:{span}\ttrace_flags:{flags}")
        };
        Shown(self.0, ltsv, "")
    }
}

struct Shown<F>(Option<SpanContext>, F, &'static str);

impl<F: Fn(&mut fmt::Formatter<'_>, &SpanContext) -> fmt::Result> Display for Shown<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(span) => (self.1)(f, span),
            None => f.write_str(self.2),
        }
    }
}
