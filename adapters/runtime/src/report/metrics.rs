//! Numbers about the pipeline itself, under the names of the semantic conventions.

mod tail;

use std::sync::Arc;

pub(crate) use tail::TailReading;
use throughline_core::{Begun, Decision, DropReason, Ledger, ParentOrigin, Value};

use crate::{Component, ExportDurations};

/// A reading of everything that is counted about a pipeline, as metrics with the
/// names of the [conventions for SDKs](https://opentelemetry.io/docs/specs/semconv/otel/sdk-metrics/).
///
/// No metrics SDK is needed: [`points`](Self::points) can be printed or scraped as
/// it is; `throughline-metrics` hands it to an OpenTelemetry meter. The
/// conventions are in development and may still change the names.
///
/// | metric | what is counted |
/// |---|---|
/// | `otel.sdk.span.started` | spans that began, with `otel.span.parent.origin` and `otel.span.sampling_result` |
/// | `otel.sdk.span.live` | recorded spans under way |
/// | `otel.sdk.processor.span.queue.size` | how much of the queue is taken, in spans as `max_queue_size` counts |
/// | `otel.sdk.processor.span.queue.capacity` | the size of the queue, counted so |
/// | `otel.sdk.processor.span.processed` | spans handed to the exporter; those lost before, with `error.type` |
/// | `otel.sdk.exporter.span.inflight` | spans that the exporter is sending, through all repetitions |
/// | `otel.sdk.exporter.span.exported` | spans delivered; those lost, with `error.type` |
/// | `throughline.tail.trace.decided` | traces that tail sampling kept or dropped (`throughline.tail.decision`), by the rule that kept them (`throughline.tail.rule`, from 0) |
/// | `throughline.tail.trace.failed` | those of them with an error or a panic, kept or dropped |
/// | `throughline.tail.trace.forced` | traces decided before they were over, or without their root, by `throughline.tail.cause` |
/// | `throughline.tail.trace.undecided` | traces that wait |
///
/// The last four are the [`TailStats`](throughline_core::tail::TailStats) of the pipeline's
/// tail sampler, if it has one. Their `otel.component.name` is that of the sampler, a component
/// of its own: pipelines that share it tell the **same series**, which are not to be added up.
/// An OpenTelemetry SDK does not, as their attributes are equal. What it drops is processed,
/// and not lost.
///
/// The histogram `otel.sdk.exporter.operation.duration` is
/// [`export_durations`](Self::export_durations). `error.type` is `queue_full` and
/// `already_shutdown`, as the conventions say, and the [name](DropReason::as_str) of the
/// reason for the others. What is recorded and not sampled is processed when it ends.
#[derive(Clone, Debug)]
pub struct SdkMetrics {
    pub(crate) ledger: Ledger,
    pub(crate) begun: Begun,
    pub(crate) live: u64,
    pub(crate) queue_size: u64,
    pub(crate) queue_capacity: u64,
    pub(crate) processed: u64,
    /// Of each exporter: its books, and what it is sending.
    pub(crate) exporters: Vec<(Ledger, u64)>,
    pub(crate) operations: Vec<ExportDurations>,
    pub(crate) tail: Option<TailReading>,
    pub(crate) names: Arc<Names>,
}

/// One of the metrics of [`SdkMetrics`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SdkMetric {
    /// `otel.sdk.span.started`
    SpanStarted,
    /// `otel.sdk.span.live`
    SpanLive,
    /// `otel.sdk.processor.span.queue.size`
    QueueSize,
    /// `otel.sdk.processor.span.queue.capacity`
    QueueCapacity,
    /// `otel.sdk.processor.span.processed`
    Processed,
    /// `otel.sdk.exporter.span.inflight`
    InFlight,
    /// `otel.sdk.exporter.span.exported`
    Exported,
    /// `throughline.tail.trace.decided`
    TailDecided,
    /// `throughline.tail.trace.failed`
    TailFailed,
    /// `throughline.tail.trace.forced`
    TailForced,
    /// `throughline.tail.trace.undecided`
    TailUndecided,
}

/// One value of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricPoint<'a> {
    /// The metric.
    pub metric: SdkMetric,
    /// The value, in spans or traces.
    pub value: u64,
    /// What it is about; keys are unique.
    pub attributes: Vec<(&'static str, Value<'a>)>,
}

/// What the parts of a pipeline are called.
#[derive(Debug)]
pub(crate) struct Names {
    processor: String,
    exporters: Vec<(Arc<str>, Component)>,
}

impl SdkMetric {
    /// Those of every pipeline, in the order of a span's way.
    pub const ALL: [SdkMetric; 7] = [
        SdkMetric::SpanStarted,
        SdkMetric::SpanLive,
        SdkMetric::QueueSize,
        SdkMetric::QueueCapacity,
        SdkMetric::Processed,
        SdkMetric::InFlight,
        SdkMetric::Exported,
    ];

    /// Those of a pipeline that samples at the tail, besides.
    pub const TAIL: [SdkMetric; 4] = [
        SdkMetric::TailDecided,
        SdkMetric::TailFailed,
        SdkMetric::TailForced,
        SdkMetric::TailUndecided,
    ];

    /// The name, by the conventions where they have one.
    pub fn name(self) -> &'static str {
        match self {
            SdkMetric::SpanStarted => "otel.sdk.span.started",
            SdkMetric::SpanLive => "otel.sdk.span.live",
            SdkMetric::QueueSize => "otel.sdk.processor.span.queue.size",
            SdkMetric::QueueCapacity => "otel.sdk.processor.span.queue.capacity",
            SdkMetric::Processed => "otel.sdk.processor.span.processed",
            SdkMetric::InFlight => "otel.sdk.exporter.span.inflight",
            SdkMetric::Exported => "otel.sdk.exporter.span.exported",
            SdkMetric::TailDecided => "throughline.tail.trace.decided",
            SdkMetric::TailFailed => "throughline.tail.trace.failed",
            SdkMetric::TailForced => "throughline.tail.trace.forced",
            SdkMetric::TailUndecided => "throughline.tail.trace.undecided",
        }
    }

    /// What is counted, in a sentence.
    pub fn description(self) -> &'static str {
        match self {
            SdkMetric::SpanStarted => "Spans that began.",
            SdkMetric::SpanLive => "Recorded spans that have not ended.",
            SdkMetric::QueueSize => {
                "How much of the queue is taken, in spans as `max_queue_size` counts."
            }
            SdkMetric::QueueCapacity => {
                "The size of the queue, in spans as `max_queue_size` counts."
            }
            SdkMetric::Processed => "Spans handed to the exporter, or lost before.",
            SdkMetric::InFlight => "Spans that the exporter is sending.",
            SdkMetric::Exported => "Spans that the exporter delivered, or failed to.",
            SdkMetric::TailDecided => "Traces that tail sampling kept or dropped.",
            SdkMetric::TailFailed => "Traces with an error that tail sampling kept or dropped.",
            SdkMetric::TailForced => {
                "Traces that tail sampling decided before they were over, or without their root."
            }
            SdkMetric::TailUndecided => "Traces that wait for the decision of tail sampling.",
        }
    }

    /// The unit: `{span}`, or `{trace}` for those of tail sampling.
    pub fn unit(self) -> &'static str {
        if Self::TAIL.contains(&self) { "{trace}" } else { "{span}" }
    }

    /// Whether it only grows: a counter, and not an up-down counter.
    pub fn is_monotonic(self) -> bool {
        use SdkMetric::{Exported, Processed, SpanStarted, TailDecided, TailFailed, TailForced};
        matches!(self, SpanStarted | Processed | Exported | TailDecided | TailFailed | TailForced)
    }
}

impl SdkMetrics {
    /// The values, metric by metric. What never happened is left out where it is
    /// told apart by `error.type`, by the origin of a parent or by a decision.
    pub fn points(&self) -> impl Iterator<Item = MetricPoint<'_>> {
        let all = SdkMetric::ALL.into_iter().chain(SdkMetric::TAIL);
        all.flat_map(|metric| self.points_of(metric))
    }

    /// The values of one metric.
    pub fn points_of(&self, metric: SdkMetric) -> Vec<MetricPoint<'_>> {
        let ledger = &self.ledger;
        let one = |value, attributes| vec![MetricPoint { metric, value, attributes }];
        match metric {
            SdkMetric::SpanStarted => {
                let each = ParentOrigin::ALL
                    .into_iter()
                    .flat_map(|origin| DECISIONS.map(|(decision, name)| (origin, decision, name)));
                let point = |(origin, decision, name)| {
                    let value = self.begun.count(origin, decision);
                    let attributes = vec![
                        ("otel.span.parent.origin", Value::Str(origin.as_str())),
                        ("otel.span.sampling_result", Value::Str(name)),
                    ];
                    (value > 0).then_some(MetricPoint { metric, value, attributes })
                };
                each.filter_map(point).collect()
            }
            SdkMetric::SpanLive => one(self.live, vec![]),
            SdkMetric::QueueSize => one(self.queue_size, self.names.of_processor()),
            SdkMetric::QueueCapacity => one(self.queue_capacity, self.names.of_processor()),
            SdkMetric::Processed => {
                let processor = self.names.of_processor();
                // What is not sampled goes to no exporter: that is all there is to do.
                let not_sampled = [DropReason::RecordOnly, DropReason::TailSampledOut];
                let not_sampled: u64 = not_sampled.map(|why| ledger.dropped(why)).iter().sum();
                let processed = self.processed + not_sampled;
                with_losses(metric, processed, processor, ledger, is_lost_before_export)
            }
            SdkMetric::InFlight => self
                .by_exporter()
                .flat_map(|(exporter, _, in_flight)| one(in_flight, exporter))
                .collect(),
            SdkMetric::Exported => self
                .by_exporter()
                .flat_map(|(exporter, ledger, _)| {
                    with_losses(metric, ledger.exported(), exporter, &ledger, |_| true)
                })
                .collect(),
            _ => self.tail.iter().flat_map(|tail| tail.points(metric)).collect(),
        }
    }

    /// How long exports took so far, by how they ended: the histogram
    /// [`ExportOperation::NAME`](crate::ExportOperation::NAME). Nothing where an exporter
    /// asks while it begins to send.
    pub fn export_durations(&self) -> &[ExportDurations] {
        &self.operations
    }

    /// What became of the spans.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The attributes of each exporter, its books, and what it is sending. Where nothing
    /// could be looked at, the only exporter is known by what the pipeline settled.
    fn by_exporter(&self) -> impl Iterator<Item = (Attributes<'_>, Ledger, u64)> {
        (0..self.names.exporters.len()).map(|index| {
            let (ledger, in_flight) = match self.exporters.get(index) {
                Some(known) => *known,
                None if self.names.exporters.len() == 1 => (at_export(&self.ledger, 0), 0),
                None => Default::default(),
            };
            (self.names.of_exporter(index), ledger, in_flight)
        })
    }
}

type Attributes<'a> = Vec<(&'static str, Value<'a>)>;

fn with_losses<'a>(
    metric: SdkMetric,
    good: u64,
    attributes: Attributes<'a>,
    ledger: &Ledger,
    is_told: fn(DropReason) -> bool,
) -> Vec<MetricPoint<'a>> {
    let mut points = vec![MetricPoint { metric, value: good, attributes: attributes.clone() }];
    for (reason, value) in ledger.losses().filter(|(reason, _)| is_told(*reason)) {
        let mut attributes = attributes.clone();
        attributes.push(("error.type", Value::Str(error_type(reason))));
        points.push(MetricPoint { metric, value, attributes });
    }
    points
}

impl Names {
    pub(crate) fn new(components: impl Iterator<Item = Component>) -> Self {
        Names {
            processor: Component::new(PROCESSOR).unique_name(),
            exporters: components.map(|each| (each.unique_name().into(), each)).collect(),
        }
    }

    /// What an exporter is called.
    pub(crate) fn exporter(&self, index: usize) -> Arc<str> {
        self.exporters.get(index).map_or_else(|| "".into(), |(name, _)| name.clone())
    }

    /// Where an exporter sends to, if it says so.
    pub(crate) fn endpoint(&self, index: usize) -> Option<Arc<str>> {
        self.exporters.get(index)?.1.endpoint().cloned()
    }

    fn of_processor(&self) -> Vec<(&'static str, Value<'_>)> {
        vec![
            ("otel.component.name", Value::Str(&self.processor)),
            ("otel.component.type", Value::Str(PROCESSOR)),
        ]
    }

    pub(crate) fn exporter_kind(&self, index: usize) -> &'static str {
        self.exporters.get(index).map_or("", |(_, component)| component.kind())
    }

    pub(crate) fn of_exporter(&self, index: usize) -> Attributes<'_> {
        let Some((name, component)) = self.exporters.get(index) else { return Vec::new() };
        let mut attributes = vec![
            ("otel.component.name", Value::Str(name)),
            ("otel.component.type", Value::Str(component.kind())),
        ];
        if let Some((host, port)) = component.server() {
            attributes.push(("server.address", Value::Str(host)));
            attributes.push(("server.port", Value::I64(port.into())));
        }
        attributes
    }
}

/// What the exporter was given, of the spans that are settled.
pub(crate) fn handed_over(ledger: &Ledger) -> u64 {
    let failed = ledger.losses().filter(|(reason, _)| is_lost_at_export(*reason));
    ledger.exported() + failed.map(|(_, count)| count).sum::<u64>()
}

/// The books of the one exporter of a pipeline, which is sending so many.
pub(crate) fn at_export(ledger: &Ledger, in_export: usize) -> Ledger {
    let mut own = Ledger::default();
    own.add_started(handed_over(ledger) + in_export as u64);
    own.add_exported(ledger.exported());
    for (reason, count) in ledger.losses().filter(|(reason, _)| is_lost_at_export(*reason)) {
        own.add_dropped(reason, count);
    }
    own
}

fn error_type(reason: DropReason) -> &'static str {
    match reason {
        DropReason::AfterShutdown => "already_shutdown",
        reason => reason.as_str(),
    }
}

fn is_lost_at_export(reason: DropReason) -> bool {
    use DropReason::{ExportFailed, Rejected, RetriesExhausted};
    matches!(reason, Rejected | ExportFailed | RetriesExhausted)
}

/// What was recorded for processors alone, is summed up by its parent, or was not kept by
/// tail sampling, was not to be exported.
pub(crate) fn is_wanted(reason: DropReason) -> bool {
    use DropReason::{RecordOnly, Surplus, TailSampledOut};
    matches!(reason, RecordOnly | Surplus | TailSampledOut)
}

fn is_lost_before_export(reason: DropReason) -> bool {
    !is_lost_at_export(reason) && !is_wanted(reason)
}

/// By their names in metrics.
const DECISIONS: [(Decision, &str); 3] = [
    (Decision::Drop, "DROP"),
    (Decision::RecordOnly, "RECORD_ONLY"),
    (Decision::RecordAndSample, "RECORD_AND_SAMPLE"),
];

const PROCESSOR: &str = "batching_span_processor";
