//! Models of `throughline-core` under [loom](https://docs.rs/loom): every
//! interleaving of two or three threads, and every value that the memory model
//! lets a load return, up to a bound.
//!
//! ```text
//! RUSTFLAGS="--cfg throughline_loom" cargo test -p throughline-loom-tests --release
//! ```
//!
//! The bounds are quick by default. `THROUGHLINE_LOOM_FULL=1` takes the full
//! ones, and `LOOM_MAX_PREEMPTIONS` another bound for every model. Without the
//! cfg this package is empty, and so are its tests.
//!
//! ```text
//!   tests/*.rs   models: claims, and what would break them
//!      │ bounds, and memory that lives for ever
//!      ▼
//!   this crate
//!      │
//!      ▼
//!   throughline_core, its atomics and cells replaced by loom's
//! ```
#![cfg(throughline_loom)]
#![forbid(unsafe_code)]

mod bounds;
mod memory;

pub use bounds::{Preemptions, join, model};
pub use memory::{flusher, pipeline, pipeline_of, ring, words};
