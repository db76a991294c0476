//! What each propagator reads and writes. A test names the row of the
//! requirements that it shows, and the section of the specification behind it.

mod b3;
mod baggage;
mod carrier;
mod environment;
#[cfg(feature = "http")]
mod headers;
mod jaeger;
mod operations;
mod trace_context;
mod variable;
