//! The heart of throughline: everything between the start of a span and a batch
//! of OTLP bytes, without a standard library, an allocator, a clock, a thread or
//! a socket.
//!
//! ```text
//!            facade, runtime adapters, or a firmware
//!   start │ attributes, events │ end             ▲ batch: OTLP bytes
//!         ▼                    ▼                 │
//!   ┌───────────┐  encoded  ┌──────┐  frames  ┌─────────┐
//!   │ live-span │ ────────▶ │ ring │ ───────▶ │ flusher │
//!   │   table   │   once    └──────┘          └─────────┘
//!   └───────────┘                                ▲ now, results
//! ```
//!
//! A finished span is written once, as the OTLP message that leaves the process;
//! nothing is converted on the way. Memory is fixed when the [`Pipeline`] is
//! made; what does not fit is refused and counted in the [`Ledger`].
//!
//! Spans and contexts are generic over a [`Platform`]: a clock, a place per
//! thread, and what contexts carry. Programs with a standard library use the
//! `throughline` crate, which supplies one.

#![cfg_attr(not(any(test, throughline_loom)), no_std)]
#![cfg_attr(any(test, throughline_loom), allow(clippy::std_instead_of_core))]

mod backoff;
mod batch;
mod begun;
mod bitmap;
mod body;
mod bridge;
mod callsite;
mod captured;
mod context;
mod counter;
mod current_span;
mod doorbell;
mod each_in_span;
mod exception;
mod export;
mod flood;
mod flusher;
mod frame;
mod guard;
mod heartbeat;
mod hex;
mod id;
mod id_generator;
mod in_span;
mod key;
mod ledger;
mod limits;
mod live;
mod local;
mod message;
#[cfg(throughline_loom)]
pub mod model;
mod pipeline;
mod platform;
mod poll_profile;
#[cfg(all(not(target_has_atomic = "ptr"), not(throughline_loom)))]
mod portable;
mod prefetch;
#[cfg(not(target_os = "none"))]
mod processor;
mod resource;
mod ring;
#[cfg(not(target_os = "none"))]
mod root;
mod route;
mod sampler;
#[cfg(all(test, not(throughline_loom)))]
mod scaffold;
mod scopes;
#[cfg(any(throughline_loom, all(target_has_atomic = "64", not(target_os = "none"))))]
mod shown;
mod span;
mod span_context;
mod spawn_policy;
mod start;
mod state;
mod surplus;
mod sync;
pub mod tail;
#[cfg(not(target_os = "none"))]
mod tally;
mod try_in_span;
mod value;
mod view;
pub mod w3c;
mod wire;
mod with_context;
mod writer;

// Identity.
pub use id::{SpanId, TraceId};
pub use id_generator::IdGenerator;
pub use span_context::{SpanContext, TraceFlags};

// Context and spans.
#[cfg(not(target_os = "none"))]
#[doc(hidden)]
pub use body::EventConstants;
pub use body::{Attributes, StatusCode};
pub use bridge::Bridge;
pub use callsite::{Callsite, Scope, SpanKind};
pub use context::Context;
pub use current_span::CurrentSpan;
pub use each_in_span::{EXHAUSTED_ATTRIBUTE, EachInSpan};
pub use exception::{ErrorChain, Exception};
pub use frame::{END_ATTRIBUTE, Ending, FrameTag};
pub use in_span::InSpan;
pub use key::Key;
pub use limits::SpanLimits;
pub use local::{Local, Seed};
pub use message::Message;
pub use platform::{Carry, Platform};
pub use poll_profile::{
    BUSY_ATTRIBUTE, IDLE_ATTRIBUTE, LONG_POLL_EVENT, POLL_COUNT_ATTRIBUTE, POLL_LONGEST_ATTRIBUTE,
    PollProfile,
};
pub use span::Span;
pub use spawn_policy::SpawnPolicy;
pub use start::SpanOptions;
pub use try_in_span::TryInSpan;
pub use value::Value;
pub use with_context::WithContext;

// Sampling.
pub use sampler::{
    Addition, Additions, AlwaysOff, AlwaysOn, AlwaysRecord, Decision, Described, ParentBased,
    ProbabilitySampler, Sampler, SamplerSwitch, SamplingParameters, TraceIdRatioBased,
};

// Composable samplers, and what their rules look for.
pub use sampler::{
    AddAttribute, AnySpan, Both, ComposableAlwaysOff, ComposableAlwaysOn, ComposableAnnotating,
    ComposableParentThreshold, ComposableProbability, ComposableRateLimiting, ComposableRuleBased,
    ComposableSampler, CompositeSampler, Either, Except, HasAttribute, HasKind, HasName, HasRoute,
    IsRoot, NoRules, Picked, Predicate, Rule, Rules, SamplingIntent, Then,
};

// The counts of what is kept.
pub use sampler::{OtelTraceState, Randomness, Threshold};

// For platforms.
pub use counter::cycles;
pub use guard::{Pushed, Token};
#[cfg(any(throughline_loom, all(target_has_atomic = "64", not(target_os = "none"))))]
pub use shown::Shown;

// The pipeline and its memory.
pub use begun::{Begun, ParentOrigin};
pub use bitmap::TakenWord;
pub use doorbell::Doorbell;
pub use flood::{
    CallsiteBudget, Floods, SURPLUS_COUNT_ATTRIBUTE, SURPLUS_MAX_ATTRIBUTE, SURPLUS_MIN_ATTRIBUTE,
    SURPLUS_SUM_ATTRIBUTE, SURPLUS_UNTIMED_ATTRIBUTE, SpanBudgets,
};
pub use ledger::{DropReason, Ledger};
pub use live::{LastPoll, LiveView, Slot};
pub use pipeline::{Parts, Pipeline, Shard, Wakeup};
pub use ring::{Consumer, Frame, MAX_UNITS, Mark, Refusal, Refused, Ring, UNIT, Unit};
pub use surplus::{Surplus, SurplusSummary};
#[cfg(not(target_os = "none"))]
pub use tally::Tally;

// Who sees spans begin and end.
#[cfg(not(target_os = "none"))]
pub use processor::{
    EndedSpan, EndingSpan, ProcessorError, Processors, SpanProcessor, StartedSpan,
};

// From the rings to an exporter.
pub use backoff::Retry;
pub use batch::{Batch, Entry};
pub use export::{Accepted, ExportError, Failure, SpanExporter};
pub use flusher::{Action, Flusher, FlusherSettings, MAX_SHARDS, Ticket};
pub use heartbeat::{
    HEARTBEAT_ATTRIBUTE, HEARTBEAT_SINCE_ATTRIBUTE, HEARTBEAT_STATE_ATTRIBUTE, Heartbeats, Moment,
};
pub use resource::encode_resource;
pub use view::{
    ArrayView, AttributesView, EventView, LinkView, MapView, ResourceView, SpanView, ValueView,
};
