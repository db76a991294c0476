//! Carrying plans out, on a pipeline of generous size.

use std::collections::HashSet;

use throughline_core::w3c::{BaggageBuf, TraceStateBuf};
use throughline_core::{
    Accepted, Action, Batch, Context, Key, Pipeline, Span, SpanContext, SpanLimits, SpanOptions,
};
use throughline_runtime::Carried;

use super::{End, Plan, Step};
use crate::simulation::{Setup, Virtual, VirtualFlusher};

/// A pipeline on which plans are carried out, again and again.
#[derive(Debug)]
pub struct Bench {
    pipeline: &'static Pipeline,
    flusher: VirtualFlusher,
}

/// A span that was made, as far as chance decided.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    /// Its identity.
    pub context: SpanContext,
    /// Ticks when it ended.
    pub end: u64,
}

impl Bench {
    /// A pipeline with these limits, in which nothing is too large.
    pub fn new(limits: SpanLimits) -> Self {
        let (pipeline, flusher) = Setup {
            limits,
            ring_units: 64 * 1_024,
            slots: 64,
            spill_blocks: 64,
            spill_block: 256 * 1_024,
            batch_bytes: 16 * 1_024 * 1_024,
            batch_entries: 512,
            ..Setup::small()
        }
        .build();
        Bench { pipeline, flusher }
    }

    /// The limits of its spans.
    pub fn limits(&self) -> &SpanLimits {
        self.pipeline.limits()
    }

    /// Carries the plans out, one after the other, and looks at their batch.
    ///
    /// # Panics
    ///
    /// If they do not fit one batch.
    pub fn make<T>(&mut self, plans: &[Plan], look: impl FnOnce(&[Made], &Batch<'_>) -> T) -> T {
        let made: Vec<Made> = plans.iter().map(|plan| self.make_one(plan)).collect();
        let now = core::time::Duration::ZERO;
        self.flusher.flush();
        let action = self.flusher.poll(now, Virtual::unix_nanos);
        assert_eq!(action, Action::Export);
        let batch = self.flusher.batch();
        assert_eq!(batch.len(), plans.len());
        let result = look(&made, &batch);
        self.flusher.on_export(now, Ok(Accepted::default()));
        self.flusher.poll(now, Virtual::unix_nanos);
        result
    }

    fn make_one(&self, plan: &Plan) -> Made {
        let mut ticks = plan.start;
        Virtual::set_ticks(ticks);
        let (parent, state) = plan.parent.unwrap_or((SpanContext::INVALID, ""));
        let context = context(parent, state).with_pipeline(self.pipeline);
        let mut options = SpanOptions::new().parent(&context);
        if let Some(kind) = plan.kind {
            options = options.kind(kind);
        }
        if let Some(start) = plan.own_start {
            options = options.start_unix_nanos(start);
        }
        let mut span = Span::start_with(plan.callsite, options, |_| ());
        let made = span.span_context();
        let mut set = HashSet::new();
        for step in &plan.steps {
            ticks += 1;
            Virtual::set_ticks(ticks);
            match step {
                // As a field of `span!` when the key is new, and as any other later.
                Step::Attribute(key, value) if set.insert(key) => {
                    let key = Key::new(String::leak(key.to_string()));
                    span.add_distinct_attribute(Box::leak(Box::new(key)), *value);
                }
                Step::Attribute(key, value) => span.set_attribute(key, *value),
                Step::Event(name, None, attributes) => span.add_event(name, attributes),
                Step::Event(name, Some(at), attributes) => span.add_event_at(name, *at, attributes),
                Step::Link(to, state, attributes) => {
                    span.add_link(&self::context(*to, state), attributes);
                }
                Step::Status(code, description) => span.set_status(*code, description),
                Step::Name(name) => span.update_name(name),
            }
        }
        ticks += 1;
        Virtual::set_ticks(ticks);
        match plan.end {
            End::Now => span.end(),
            End::At(at) => span.end_at(at),
            End::As(ending) => span.end_as(ending),
            End::Drop => drop(span),
        }
        Made { context: made, end: ticks }
    }
}

fn context(span: SpanContext, state: &str) -> Context<Virtual> {
    let state = TraceStateBuf::from_headers([state.as_bytes()]).expect("a valid trace state");
    Context::remote(span, Carried::new(state, &BaggageBuf::new()))
}
