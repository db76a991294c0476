//! throughline behind the [OpenTelemetry API] of Rust: a library that is instrumented
//! with the crate `opentelemetry` makes spans of the program's one pipeline.
//!
//! ```text
//!   opentelemetry::trace::{Tracer, Span}         throughline: span!, .in_span(..)
//!          │ TracerProvider                                │
//!          ▼                                               ▼
//!   opentelemetry::Context ◀── kept in step, both ways ──▶ Context
//!                     └──────▶ one pipeline ◀──────┘
//! ```
//!
//! ```
//! use opentelemetry::trace::{TraceContextExt, Tracer};
//! use throughline_bridge_opentelemetry::TracerProvider;
//!
//! // Once, where the program sets its telemetry up.
//! TracerProvider::default().install();
//!
//! // In a library that knows that API alone.
//! opentelemetry::global::tracer("shop").in_span("order", |context| {
//!     let _ids = context.span().span_context().clone();
//! });
//! ```
//!
//! # What is current
//!
//! There is one tree. A span that begins in either API is a child of the innermost span
//! of both; [`opentelemetry::Context::current`] within a span of throughline has that
//! span's ids, the baggage of its context, and its suppression; and a context that is
//! attached there ([`attach`], [`FutureExt::with_context`]) is what throughline's
//! `Context::current` gives. Attributes and events that are added through
//! [`opentelemetry::trace::get_active_span`] within a scope of throughline are added to
//! its span.
//!
//! How it is done: when throughline enters a context, the bridge attaches a counterpart
//! to OpenTelemetry's stack, and leaves it with it. So that stack has the order of both
//! worlds. When throughline wants to know what is current, the bridge looks whether the
//! top of the stack still is that counterpart; if it is not, somebody attached a newer
//! context, and it is read. OpenTelemetry's guards need not tell anybody.
//!
//! This was chosen over three others. OpenTelemetry's `ContextObserver` is experimental,
//! exists once per process (a profiler may need it) and would change what every program
//! compiles. To read the other API only where throughline has nothing current gets
//! `a span of ours in a span of theirs in a span of ours` wrong. To hand both contexts
//! around by an explicit extension is right only in code that knows of both, and the
//! code for which a bridge is made does not.
//!
//! It costs what attaching a context costs, each time that throughline enters one: once
//! per scope and once per poll of a future in a span. A program without this crate pays
//! nothing; one that links it and has made no provider, a comparison.
//!
//! # What does not cross
//!
//! - Values that a program keeps in an `opentelemetry::Context` under types of its own
//!   stay on the threads and in the futures where OpenTelemetry carries them: spawning
//!   by throughline carries span, baggage, suppression and pipeline.
//! - `CurrentSpan`, which adds to the span of the scope, does not reach a span that was
//!   made by the other API; its methods return false there.
//! - `SpanRef::end` on a span of throughline does nothing: a span has one owner.
//! - OpenTelemetry lets nobody attach a context while its current one is borrowed, as in
//!   the closure of `get_active_span`. A scope of throughline that is entered in there is
//!   current for throughline alone.
//! - A metadata of baggage that is not ASCII, and entries beyond the limits of W3C
//!   Baggage, are left out, as they could not be sent.
//!
//! Times of spans that are made by this API are readings of the wall clock, as the API
//! hands them over; those of throughline's own spans are of a monotonic clock that is
//! anchored to it. Each duration is of one clock.
//!
//! [OpenTelemetry API]: https://opentelemetry.io/docs/specs/otel/trace/api/
//! [`attach`]: opentelemetry::Context::attach
//! [`FutureExt::with_context`]: opentelemetry::context::FutureExt::with_context

#![forbid(unsafe_code)]

mod additions;
mod baggage;
mod contexts;
mod identity;
mod in_scope;
mod in_step;
mod pipelines;
mod provider;
mod scopes;
mod span;
mod tracer;
mod values;

pub use contexts::{from_opentelemetry, to_opentelemetry};
pub use provider::TracerProvider;
pub use span::Span;
pub use tracer::Tracer;
