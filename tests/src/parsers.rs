//! Every parser of outside input, as a function of arbitrary bytes that panics
//! when a promise is broken.
//!
//! ```text
//!   fuzz/fuzz_targets/*.rs ──▶ libFuzzer, which looks for new paths
//!   tests/parsers.rs       ──▶ the seeds of fuzz/seeds, and some thousands of
//!                              changed ones, the same in every run
//! ```

mod answers;
mod frames;
mod headers;
mod propagators;
mod requests;
mod variables;
mod view;

pub use answers::{grpc_answer, http_answer};
pub use frames::span_round_trip;
pub use headers::{baggage, percent, traceparent, tracestate};
pub use propagators::{b3, jaeger};
pub use requests::viewer_request;
pub use variables::variables;
pub use view::span_view;

/// A parser under test.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its fuzz target and of its folder of seeds.
    pub name: &'static str,
    /// Gives it the bytes.
    pub run: fn(&[u8]),
}

/// All there are.
pub const TARGETS: [Target; 12] = [
    Target { name: "b3", run: b3 },
    Target { name: "baggage", run: baggage },
    Target { name: "grpc_answer", run: grpc_answer },
    Target { name: "http_answer", run: http_answer },
    Target { name: "jaeger", run: jaeger },
    Target { name: "percent", run: percent },
    Target { name: "span_round_trip", run: span_round_trip },
    Target { name: "span_view", run: span_view },
    Target { name: "traceparent", run: traceparent },
    Target { name: "tracestate", run: tracestate },
    Target { name: "variables", run: variables },
    Target { name: "viewer_request", run: viewer_request },
];

/// The lines of the input, as a message with several headers of one name.
fn lines(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    data.split(|byte| *byte == b'\n')
}
