//! A sensor node on a Cortex-M3, traced from inside: no operating system, no
//! standard library, no allocator.
//!
//! ```text
//!   main.rs ── tasks.rs ─────── executor.rs ── board.rs (SysTick)
//!                 │  spans          │              │ conversion.rs: spans of a handler
//!                 ▼                 ▼              ▼
//!              port.rs ── memory.rs ── telemetry.rs ──▶ OTLP, out of the sink
//! ```
//!
//! [`port`] is what another board replaces; the rest is the application.
#![no_std]

pub mod board;
pub mod conversion;
pub mod executor;
#[cfg(feature = "traced")]
pub mod memory;
pub mod node;
pub mod overload;
#[cfg(feature = "traced")]
pub mod port;
pub mod tasks;
#[cfg(feature = "traced")]
pub mod telemetry;
#[cfg(not(feature = "traced"))]
pub mod untraced;

/// The spans of this firmware.
#[cfg(feature = "traced")]
pub mod trace {
    pub use throughline_core::w3c::traceparent;
    pub use throughline_core::{Callsite, Scope, SpanKind, StatusCode};

    use crate::port::Board;

    /// A span on this board.
    pub type Span = throughline_core::Span<Board>;
    /// The span that the code runs in.
    pub type CurrentSpan = throughline_core::CurrentSpan<Board>;
    /// A context on this board.
    pub type Context = throughline_core::Context<Board>;
    /// How a span begins.
    pub type SpanOptions<'a> = throughline_core::SpanOptions<'a, Board>;
    /// A future in a span.
    pub type InSpan<T> = throughline_core::InSpan<T, Board>;
}
#[cfg(not(feature = "traced"))]
pub use untraced as trace;

use trace::Scope;

/// Whose spans they are.
pub static SCOPE: Scope = Scope::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
