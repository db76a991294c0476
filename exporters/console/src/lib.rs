//! Finished spans, shown: a waterfall for people, JSON lines for programs. Who
//! has finished spans in hand
//! (an exporter, a receiver, a test) builds a [`Trace`] and prints it.
//!
//! ```text
//!   live pipeline ──┐                        ┌──> waterfall ──> a person
//!                   ├──> FinishedSpan, Trace ┤
//!   OTLP receiver ──┘                        └──> json line ──> a program
//! ```
//!
//! ```
//! use throughline_console::{FinishedSpan, Options, Trace, waterfall};
//!
//! let root = FinishedSpan {
//!     span_id: [1; 8],
//!     name: "GET /orders".into(),
//!     service: "orders".into(),
//!     end_unix_nanos: 2_500_000,
//!     ..FinishedSpan::default()
//! };
//! let load = FinishedSpan {
//!     span_id: [2; 8],
//!     parent_span_id: Some([1; 8]),
//!     name: "load".into(),
//!     end_unix_nanos: 1_000_000,
//!     ..root.clone()
//! };
//! let trace = Trace::new([7; 16], vec![load, root]);
//! let shown = waterfall(&trace, Options::default()).to_string();
//! assert!(shown.contains("2 spans"));
//! assert!(shown.contains("└ load"));
//! ```
//!
//! What is printed is for reading and debugging: **the waterfall's text is not
//! a stable format**; the keys of the JSON lines are
//! ([stdout exporter](https://opentelemetry.io/docs/specs/otel/trace/sdk_exporters/stdout/)).

#![forbid(unsafe_code)]

mod duration;
mod exporter;
mod from_view;
mod json;
mod rows;
mod span;
mod still_running;
mod style;
mod surplus;
mod text;
mod trace;
mod value;
mod waterfall;

pub use exporter::Console;
pub use json::{JsonLine, json_line};
pub use span::{DroppedCounts, Event, FinishedSpan, Link, Status};
pub use style::{Colour, UnknownColour};
pub use throughline_core::{END_ATTRIBUTE, Ending, HEARTBEAT_ATTRIBUTE, SpanKind};
pub use trace::{Standing, Trace};
pub use value::Value;
pub use waterfall::{Options, Waterfall, waterfall};
