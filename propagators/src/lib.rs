//! Contexts that cross processes: which headers they are in, and who reads and
//! writes them.
//!
//! ```text
//!   bridges/tower, your code                    extract(&carrier), inject(&cx, &mut carrier)
//!            │
//!   the global propagator                       OTEL_PROPAGATORS, set_global
//!            │
//!   TraceContext  Baggage  B3  Jaeger           each a Propagator; Composite is some of them
//!            │
//!   Getter, Setter                              your carrier: a map of headers, metadata, variables
//! ```
//!
//! A carrier of any library is two short implementations:
//!
//! ```
//! use throughline_core::w3c::{Getter, Setter};
//!
//! struct Metadata(Vec<(String, Vec<u8>)>); // of some message queue
//!
//! impl Getter for Metadata {
//!     fn get_all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
//!         self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_slice())
//!     }
//!     fn keys(&self) -> impl Iterator<Item = &str> {
//!         self.0.iter().map(|(key, _)| key.as_str())
//!     }
//! }
//! impl Setter for Metadata {
//!     fn set(&mut self, name: &str, value: &str) {
//!         self.0.retain(|(key, _)| key != name);
//!         self.0.push((name.to_owned(), value.into()));
//!     }
//! }
//! # use throughline_propagation::{Propagator, TraceContext, extract, inject, set_global};
//! # set_global(TraceContext);
//! # let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
//! # let incoming = extract(&Metadata(vec![("traceparent".to_owned(), parent.into())]));
//! # let mut outgoing = Metadata(Vec::new());
//! # inject(&incoming, &mut outgoing);
//! # assert_eq!(outgoing.0, [("traceparent".to_owned(), parent.into())]);
//! ```
//!
//! Rules: [Propagators](https://opentelemetry.io/docs/specs/otel/context/api-propagators/).

#![forbid(unsafe_code)]

mod b3;
mod baggage;
mod composite;
mod environment;
mod global;
#[cfg(feature = "http")]
mod headers;
mod hex;
mod jaeger;
mod propagator;
mod standard;
mod trace_context;
mod variable;

pub use b3::B3;
pub use baggage::Baggage;
pub use composite::Composite;
pub use environment::Environment;
pub use global::{extract, global, inject, preset_global, set_global};
#[cfg(feature = "http")]
pub use headers::Headers;
pub use jaeger::Jaeger;
pub use propagator::{AnyGetter, Propagator};
pub use standard::Standard;
pub use trace_context::TraceContext;
pub use variable::from_env;
