//! What the tests of throughline share: a pipeline on a virtual clock, and the
//! cases that hold on every runtime.
//!
//! ```text
//!   tests/simulation.rs, wire.rs ──▶ simulation: core alone, time as a number
//!   tests/conformance_*.rs       ──▶ conformance: cases over any runtime
//!                                    flush: flush and shutdown from every place
//!                                    destinations: of several destinations
//!   tests/parsers.rs, fuzz/      ──▶ parsers: outside input, as arbitrary bytes
//!   tests/faults.rs              ──▶ faulty: a receiver that fails as it is told
//!   tests/processors*.rs         ──▶ recorder: a span processor that writes down what it sees
//!                                    processor_calls: one that is flushed
//!   tests/logs.rs, tracing_*.rs  ──▶ logs: lines, caught and read back; subscribed: tracing
//! ```

pub mod conformance;
pub mod destinations;
pub mod faulty;
pub mod flush;
pub mod logs;
pub mod parsers;
pub mod places;
pub mod processor_calls;
pub mod recorder;
pub mod scripted;
pub mod simulation;
pub mod subscribed;
pub mod wire;
