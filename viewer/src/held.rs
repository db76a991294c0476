//! The traces in memory and the rule by which they leave it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Wire;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use throughline_console::{HEARTBEAT_ATTRIBUTE, Trace};

use crate::quiet::{Due, Quiet};
use crate::stored::{Ids, Names, Origin, StoredSpan};
use crate::{StoreLimits, StoreStats};

/// Everything a store holds, behind its one lock.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) traces: HashMap<[u8; 16], HeldTrace>,
    /// Ids of the held traces, the oldest first: each is in here exactly once.
    pub(crate) order: VecDeque<[u8; 16]>,
    pub(crate) stats: StoreStats,
    pub(crate) quiet: Option<Quiet>,
    pub(crate) is_closed: bool,
    names: Names,
}

/// The spans of one trace, in the order they came.
#[derive(Debug)]
pub(crate) struct HeldTrace {
    pub(crate) spans: Vec<StoredSpan>,
    pub(crate) due: Option<Due>,
    /// How many spans there were when it was last given out.
    pub(crate) given_out: usize,
    number: u64,
    bytes: usize,
    is_detailed: bool,
    has_root: bool,
}

impl Held {
    /// Takes in a request, moving its spans; answers how many were refused for
    /// their ids.
    pub(crate) fn take_in(
        &mut self,
        request: ExportTraceServiceRequest,
        limits: &StoreLimits,
        now: Instant,
    ) -> u64 {
        let mut rejected = 0;
        for group in request.resource_spans {
            let service = self.names.share(service_name(group.resource.as_ref()));
            for scoped in group.scope_spans {
                let scope = scoped.scope.as_ref().map_or("", |scope| &scope.name);
                let origin = Arc::new(Origin {
                    service: Arc::clone(&service),
                    scope: self.names.share(scope),
                });
                // A span that still runs comes again when it has ended.
                let ended = |span: &Span| {
                    !span.attributes.iter().any(|entry| entry.key == HEARTBEAT_ATTRIBUTE)
                };
                for span in scoped.spans.into_iter().filter(ended) {
                    match Ids::of(&span) {
                        Some(ids) => self.insert(ids, span, &origin, limits, now),
                        None => rejected += 1,
                    }
                }
            }
        }
        self.stats.spans_rejected += rejected;
        rejected
    }

    /// Puts a trace that was already there under watch.
    pub(crate) fn watch(&mut self, mut quiet: Quiet, now: Instant) {
        for (&id, trace) in &mut self.traces {
            quiet.touch(now, id, trace.number, trace.has_root, &mut trace.due);
        }
        self.quiet = Some(quiet);
    }

    /// The tree of a held trace.
    pub(crate) fn trace(&self, trace_id: [u8; 16]) -> Option<Trace> {
        let held = self.traces.get(&trace_id)?;
        let spans = held.spans.iter().map(|span| span.finished(trace_id));
        Some(Trace::new(trace_id, spans.collect()))
    }

    fn insert(
        &mut self,
        ids: Ids,
        mut span: Span,
        origin: &Arc<Origin>,
        limits: &StoreLimits,
        now: Instant,
    ) {
        self.stats.spans_received += 1;
        let known = self.traces.get(&ids.trace);
        let is_detailed = known
            .map_or(self.stats.traces_received < limits.detailed_traces, |trace| trace.is_detailed);
        let name = self.names.share(&core::mem::take(&mut span.name));
        // Said better by the fixed part, or by the trace.
        span.trace_id = Vec::new();
        span.span_id = Vec::new();
        span.parent_span_id = Vec::new();
        let span = StoredSpan::new(ids, span, name, Arc::clone(origin), is_detailed);
        let bytes = span.bytes();
        self.make_room(ids.trace, bytes, limits);

        let stats = &mut self.stats;
        let order = &mut self.order;
        let trace = self.traces.entry(ids.trace).or_insert_with(|| {
            stats.traces_received += 1;
            stats.traces_held += 1;
            order.push_back(ids.trace);
            HeldTrace {
                spans: Vec::new(),
                due: None,
                given_out: 0,
                number: stats.traces_received,
                bytes: 0,
                is_detailed,
                has_root: false,
            }
        });
        stats.spans_held += 1;
        stats.bytes_held += bytes;
        trace.bytes += bytes;
        trace.has_root |= span.is_root();
        trace.spans.push(span);
        if let Some(quiet) = &mut self.quiet {
            quiet.touch(now, ids.trace, trace.number, trace.has_root, &mut trace.due);
        }
    }

    /// Evicts the oldest traces until one more span fits.
    fn make_room(&mut self, trace_id: [u8; 16], bytes: usize, limits: &StoreLimits) {
        loop {
            let is_new = usize::from(!self.traces.contains_key(&trace_id));
            let fits = self.stats.spans_held < limits.max_spans
                && self.stats.traces_held + is_new <= limits.max_traces
                && self.stats.bytes_held.saturating_add(bytes) <= limits.max_bytes;
            if fits {
                return;
            }
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            if let Some(mut trace) = self.traces.remove(&oldest) {
                if let Some(quiet) = &mut self.quiet {
                    quiet.forget(&mut trace.due);
                }
                self.stats.traces_held -= 1;
                self.stats.spans_held -= trace.spans.len();
                self.stats.bytes_held -= trace.bytes;
                self.stats.evicted_traces += 1;
                self.stats.evicted_spans += trace.spans.len() as u64;
            }
        }
    }
}

/// The `service.name` of a resource; empty when it has none.
fn service_name(resource: Option<&Resource>) -> &str {
    let mut attributes = resource.into_iter().flat_map(|resource| &resource.attributes);
    let named = attributes.find(|entry| entry.key == "service.name");
    match named.and_then(|entry| entry.value.as_ref()?.value.as_ref()) {
        Some(Wire::StringValue(name)) => name,
        _ => "",
    }
}
