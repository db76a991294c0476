//! Log lines that carry the ids of the span in which they are written, and a logger for
//! the [`log`] crate that writes them.
//!
//! ```text
//!   log::info!(..) ──▶ Logger ─┐
//!                              ├─▶ Lines ──▶ Output: one write per line, errors counted
//!   tracing::info!(..) ────────┘     ▲
//!   (throughline-tracing)      Context::current(): trace_id, span_id, trace_flags
//! ```
//!
//! ```
//! use throughline_log::{Lines, Logger};
//!
//! let logger = Logger::new(Lines::json()).install()?;
//! log::info!(order = 7; "stored");
//! // {"timestamp":"2027-01-31T12:00:00.000000Z","level":"INFO","target":"shop",
//! //  "message":"stored","fields":{"order":7},"trace_id":"…","span_id":"…","trace_flags":"03"}
//! assert_eq!(logger.lines().lost(), 0);
//! # Ok::<(), log::SetLoggerError>(())
//! ```
//!
//! The ids are those of the span that is current where the record is made, in whatever
//! task and on whatever thread. **Outside of any span the three fields are absent**, or zeros
//! if one [asks for them](Lines::zeros_outside_spans).
//! ([Trace context in logs](https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/))
//!
//! A log never takes the program down: what cannot be written (the disk is full, the
//! reader of a pipe is gone) is [counted](Lines::lost), and nothing panics or prints.

#![forbid(unsafe_code)]

mod json;
mod line;
mod lines;
mod logger;
mod output;
mod text;
mod timestamp;
mod trace_fields;

pub use line::Line;
pub use lines::{Lines, Shape};
pub use logger::Logger;
pub use output::Output;
pub use trace_fields::TraceFields;
