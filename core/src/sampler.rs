//! Which spans are recorded: decided once, when a span begins.
//!
//! ([Sampling](https://opentelemetry.io/docs/specs/otel/trace/sdk/#sampling))

use core::fmt;

use crate::w3c::{TraceState, TraceStateBuf};
use crate::{AttributesView, LinkView, SpanContext, SpanKind, SpanView, TraceId, Value, ValueView};

/// Decides about a span that begins. Called by many threads at once.
pub trait Sampler: Sync {
    /// The decision for one span, and what to add to it.
    /// ([ShouldSample](https://opentelemetry.io/docs/specs/otel/trace/sdk/#shouldsample))
    fn should_sample(&self, span: &SamplingParameters<'_>, adds: &mut Additions<'_>) -> Decision;

    /// The sampler's name and settings.
    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// The decision, if it is the same for every span.
    fn constant(&self) -> Option<Decision> {
        None
    }

    /// Whether a child of a local span always follows its parent, so that
    /// nobody needs to be asked.
    fn follows_local_parent(&self) -> bool {
        false
    }

    /// Whether the sampler goes by parent, trace id, name and kind alone, and
    /// adds nothing. Then it is asked before the span has memory or attributes,
    /// and a span that is dropped costs next to nothing.
    fn decides_early(&self) -> bool {
        false
    }
}

/// What a sampler knows about a span that begins.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SamplingParameters<'a> {
    /// The parent; [`SpanContext::INVALID`] for a root.
    pub parent: &'a SpanContext,
    /// The id of the trace: the parent's, or the new one of a root.
    pub trace_id: TraceId,
    /// The span's name.
    pub name: &'a str,
    /// The span's kind.
    pub kind: SpanKind,
    /// The trace state of the parent, empty for a root.
    pub trace_state: TraceState<'a>,
    pub(crate) body: SpanView<'a>,
}

impl<'a> SamplingParameters<'a> {
    /// The parameters of a span of this trace, without attributes.
    pub const fn new(
        parent: &'a SpanContext,
        trace_id: TraceId,
        name: &'a str,
        kind: SpanKind,
    ) -> Self {
        let (trace_state, body) = (TraceState::EMPTY, SpanView::of_message(&[]));
        SamplingParameters { parent, trace_id, name, kind, trace_state, body }
    }

    /// The attributes that the span begins with: the fields of `span!`.
    ///
    /// A sampler that [decides early](Sampler::decides_early) sees none.
    pub fn attributes(&self) -> AttributesView<'a> {
        self.body.attributes()
    }

    /// The attribute of this key, if the span begins with it.
    pub fn attribute(&self, key: &str) -> Option<ValueView<'a>> {
        self.body.attribute(key)
    }

    /// The links that the span begins with.
    pub fn links(&self) -> impl Iterator<Item = LinkView<'a>> + use<'a> {
        self.body.links()
    }
}

/// What a sampler adds to a span besides its decision.
pub struct Additions<'a> {
    add: &'a mut dyn FnMut(Addition<'_>),
}

/// One thing that a sampler adds.
#[derive(Clone, Copy, Debug)]
pub enum Addition<'a> {
    /// An attribute of the span, instead of a former one with the same key.
    Attribute(&'a str, &'a Value<'a>),
    /// The trace state of the span and all below, instead of the parent's.
    TraceState(&'a TraceStateBuf),
}

impl<'a> Additions<'a> {
    /// Hands what is added to this closure.
    pub fn new(add: &'a mut dyn FnMut(Addition<'_>)) -> Self {
        Additions { add }
    }

    /// Sets an attribute of the span, if it is recorded.
    pub fn set_attribute<'v>(&mut self, key: &str, value: impl Into<Value<'v>>) {
        (self.add)(Addition::Attribute(key, &value.into()));
    }

    /// Sets the trace state of the span and all below, recorded or not.
    pub fn set_trace_state(&mut self, trace_state: &TraceStateBuf) {
        (self.add)(Addition::TraceState(trace_state));
    }
}

impl fmt::Debug for Additions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Additions").finish_non_exhaustive()
    }
}

/// What happens with a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Neither recorded nor sampled; its context is still propagated.
    Drop,
    /// Recorded for processors and logs, not exported; the sampled flag is not
    /// set.
    RecordOnly,
    /// Recorded and exported; the sampled flag is set.
    RecordAndSample,
}

/// Records every span.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlwaysOn;

/// Records no span.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlwaysOff;

/// Records a fixed part of the traces, as a function of the trace id alone.
///
/// A trace is kept when the low 63 bits of its id, divided by 2⁶³, are below the
/// ratio: the rule of the Go and Rust SDKs, so that services of both kinds agree
/// about a trace, and a larger ratio keeps all that a smaller one keeps. The
/// specification discourages it except as the root of [`ParentBased`].
/// ([TraceIdRatioBased](https://opentelemetry.io/docs/specs/otel/trace/sdk/#traceidratiobased))
#[derive(Clone, Copy, Debug)]
pub struct TraceIdRatioBased {
    ratio: f64,
    bound: u64,
}

impl TraceIdRatioBased {
    /// Keeps this part of the traces; a ratio outside of 0 to 1, or not a
    /// number, becomes the nearest end (not a number: 0).
    pub const fn new(ratio: f64) -> Self {
        let ratio = if ratio >= 1.0 {
            1.0
        } else if ratio > 0.0 {
            ratio
        } else {
            0.0
        };
        TraceIdRatioBased { ratio, bound: (ratio * (1u64 << 63) as f64) as u64 }
    }
}

/// Follows the decision of the parent; asks `root` where there is none.
///
/// Each of the four kinds of parents has a delegate of its own.
/// ([ParentBased](https://opentelemetry.io/docs/specs/otel/trace/sdk/#parentbased))
#[derive(Clone, Copy, Debug)]
pub struct ParentBased<
    Root,
    RemoteSampled = AlwaysOn,
    RemoteNotSampled = AlwaysOff,
    LocalSampled = AlwaysOn,
    LocalNotSampled = AlwaysOff,
> {
    /// Decides for a span without a parent.
    pub root: Root,
    /// Decides below a sampled span of another process.
    pub remote_sampled: RemoteSampled,
    /// Decides below an unsampled span of another process.
    pub remote_not_sampled: RemoteNotSampled,
    /// Decides below a sampled span of this process.
    pub local_sampled: LocalSampled,
    /// Decides below an unsampled span of this process.
    pub local_not_sampled: LocalNotSampled,
}

impl<Root> ParentBased<Root> {
    /// Follows every parent.
    pub const fn new(root: Root) -> Self {
        ParentBased {
            root,
            remote_sampled: AlwaysOn,
            remote_not_sampled: AlwaysOff,
            local_sampled: AlwaysOn,
            local_not_sampled: AlwaysOff,
        }
    }
}

impl Sampler for AlwaysOn {
    fn should_sample(&self, _: &SamplingParameters<'_>, _: &mut Additions<'_>) -> Decision {
        Decision::RecordAndSample
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AlwaysOnSampler")
    }

    fn constant(&self) -> Option<Decision> {
        Some(Decision::RecordAndSample)
    }

    fn decides_early(&self) -> bool {
        true
    }
}

impl Sampler for AlwaysOff {
    fn should_sample(&self, _: &SamplingParameters<'_>, _: &mut Additions<'_>) -> Decision {
        Decision::Drop
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AlwaysOffSampler")
    }

    fn constant(&self) -> Option<Decision> {
        Some(Decision::Drop)
    }

    fn decides_early(&self) -> bool {
        true
    }
}

impl Sampler for TraceIdRatioBased {
    fn should_sample(&self, span: &SamplingParameters<'_>, _: &mut Additions<'_>) -> Decision {
        let [_, low] = span.trace_id.halves();
        if low >> 1 < self.bound { Decision::RecordAndSample } else { Decision::Drop }
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceIdRatioBased{{{:.6}}}", self.ratio)
    }

    fn decides_early(&self) -> bool {
        true
    }
}

impl<R, RS, RN, LS, LN> Sampler for ParentBased<R, RS, RN, LS, LN>
where
    R: Sampler,
    RS: Sampler,
    RN: Sampler,
    LS: Sampler,
    LN: Sampler,
{
    fn should_sample(&self, span: &SamplingParameters<'_>, adds: &mut Additions<'_>) -> Decision {
        let parent = span.parent;
        match (parent.is_valid(), parent.is_remote(), parent.is_sampled()) {
            (false, ..) => self.root.should_sample(span, adds),
            (true, true, true) => self.remote_sampled.should_sample(span, adds),
            (true, true, false) => self.remote_not_sampled.should_sample(span, adds),
            (true, false, true) => self.local_sampled.should_sample(span, adds),
            (true, false, false) => self.local_not_sampled.should_sample(span, adds),
        }
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ParentBased{root:")?;
        self.root.description(f)?;
        f.write_str(",remoteParentSampled:")?;
        self.remote_sampled.description(f)?;
        f.write_str(",remoteParentNotSampled:")?;
        self.remote_not_sampled.description(f)?;
        f.write_str(",localParentSampled:")?;
        self.local_sampled.description(f)?;
        f.write_str(",localParentNotSampled:")?;
        self.local_not_sampled.description(f)?;
        f.write_str("}")
    }

    fn follows_local_parent(&self) -> bool {
        self.local_sampled.constant() == Some(Decision::RecordAndSample)
            && self.local_not_sampled.constant() == Some(Decision::Drop)
    }

    fn decides_early(&self) -> bool {
        self.root.decides_early()
            && self.remote_sampled.decides_early()
            && self.remote_not_sampled.decides_early()
            && self.local_sampled.decides_early()
            && self.local_not_sampled.decides_early()
    }
}

/// Shows a sampler by its description.
#[derive(Debug)]
pub struct Described<'a, S: ?Sized>(pub &'a S);

impl<S: Sampler + ?Sized> fmt::Display for Described<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.description(f)
    }
}
