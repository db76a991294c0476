//! Spans and events of the [`tracing`] crate as spans of throughline, with one
//! current context for both.
//!
//! ```text
//!   #[instrument], info_span!, event!      span!, .in_span(..), spawn
//!            │ tracing_subscriber                     │
//!            ▼                                        │
//!       TracingLayer ── enter, leave ──▶ Context ◀────┘
//!            │                              one tree, equal ids
//!            ▼
//!   throughline's pipeline: sampled, written, exported as any other span
//! ```
//!
//! A span of `tracing` that is entered is what [`Context::current`] tells and what
//! `span!` begins below; one that is created in a scope of throughline's is a child of
//! the span there. Ids are made when the span is created, and stay.
//!
//! ```
//! use tracing_subscriber::layer::SubscriberExt;
//!
//! let layer = throughline_tracing::TracingLayer::new();
//! let subscriber = tracing_subscriber::registry().with(layer);
//! tracing::subscriber::with_default(subscriber, || {
//!     tracing::info_span!("load", id = 7).in_scope(|| {
//!         let context = throughline_runtime::Context::current();
//!         # let _ = context;
//!     });
//! });
//! ```
//!
//! # What becomes of what
//!
//! | `tracing` | throughline |
//! |---|---|
//! | the span's name, or its field `otel.name` | the name; samplers see the field if the span is created with it |
//! | the target | the name of the instrumentation scope |
//! | `otel.kind`: `server`, `client`, `producer`, `consumer`, `internal` | the kind; samplers see it if the span is created with it |
//! | `otel.status_code`: `ok`, `error`; `otel.status_description` or `otel.status_message` | the status |
//! | other fields | attributes: numbers, truth values and text as they are, `u64` above `i64` and 128 bits as text, others by their `Debug` |
//! | an error as a field | its message; the errors behind it as an array `<field>.chain` |
//! | `follows_from` | a link |
//! | the end | the span's close: when its last handle is dropped and its children have closed |
//!
//! Events are in [`TracingLayer::events`].
//!
//! # Guards and scopes
//!
//! What is entered last is current, whether by a guard or by a scope. Guards may be
//! dropped in any order and on any thread. A guard that is dropped after the scope in which
//! it was made is current until the scope ends; `tracing` itself would let it stay, so that
//! it reaches into other tasks. For a parent from elsewhere, create the span in its scope:
//! `context.scope(|| info_span!("request"))`.

#![forbid(unsafe_code)]

mod event;
mod fields;
mod format;
mod layer;
mod profile;
mod site;
mod spans;

pub use format::{LogFormat, NoFields, Whole};
pub use layer::{TracingLayer, context_of};
/// What log lines look like and where they go, for [`LogFormat`].
pub use throughline_log::{Lines, Output, Shape};

#[doc(no_inline)]
pub use throughline_runtime::Context;
