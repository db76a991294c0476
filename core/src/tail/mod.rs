//! Tail sampling: which traces leave the process, decided when they are over.
//!
//! ```text
//!             undecided           ┌──────┐ what it looked like   ┌───────┐
//!   rings ──▶ frames  ──────────▶ │ Book │ ◀──────────────────── │ Rules │
//!     │       wait in a Buffer    └──────┘ ─────────────────────▶└───────┘
//!     │          │                    │      how much is kept
//!     │          │ kept, marked       │ decided
//!     │          ▼                    ▼
//!     │        batch ◀── late spans follow the decision
//!     └──────────────────▲
//! ```
//!
//! Producers know nothing of it: the [`Flusher`](crate::Flusher) puts the frames
//! that it takes from the rings into a [`Buffer`], and the [`Book`] notes what
//! they say about their trace.
//!
//! **What is decided about** is the local part of a trace: all spans with one
//! trace id of the pipelines that share a book. **It is decided** when none of its
//! local roots (spans without a parent, or with one in another process) is under
//! way any more; that is looked up in the live-span tables from time to time, so
//! that a request which calls back into its own process is one trace. A trace
//! whose roots go on is decided when the decision time has passed; one for which
//! there is no room, early. Spans that come later follow the decision, as long as
//! it is remembered.
//!
//! **How it is decided:** the first rule that matches says how much of such traces
//! is kept, as a [`Threshold`](crate::Threshold), and the randomness of the trace
//! says whether this one is. No rule sees the randomness, so that each trace that
//! is kept stands for as many as its threshold says.
//!
//! **What is written:** tail sampling may lower a trace's probability and never
//! raise it, so each span says the higher one of its own threshold and the
//! decision's in `ot=th:…` of its trace state. Where the probability at the head
//! is not known, no threshold would be true; then the attribute
//! [`ADJUSTED_COUNT_ATTRIBUTE`] says how many such traces this one stands for
//! among those that came this far.
//! ([Downstream threshold](https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/),
//! [general requirements](https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/#general-requirements))

mod book;
mod buffer;
mod ended;
mod index;
mod mark;
mod predicate;
mod rule;
mod stage;
mod stats;
mod table;
mod trace;
mod units;

pub use book::{Book, BookSettings, MAX_PIPELINES};
pub use buffer::{Buffer, Lend};
pub use mark::ADJUSTED_COUNT_ATTRIBUTE;
pub use predicate::{
    All, Any, AnyTrace, Cancelled, Facts, Failed, HasAttribute, HasSpan, Not, Panicked, Predicate,
    SlowerThan,
};
pub use rule::{Amount, Rule, Rules};
pub use stage::{NoTail, Stage};
pub use stats::TailStats;
pub use table::Traces;
pub use units::{Chain, Unit};

pub(crate) use stage::{Sink, TURN, Taken, Turn};
