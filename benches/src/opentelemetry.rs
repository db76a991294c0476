//! opentelemetry_sdk: the batch processor and an exporter that discards.
//!
//! Tuning: the processor's defaults; attributes are given to the builder
//! together; the tracer is kept. The providers are never made global, so that
//! [`Scenario::Disabled`] uses the global tracer where none was installed. For
//! total CPU another provider with a queue for all spans of a sample, whose
//! exporter encodes with `opentelemetry-proto` into a buffer that it keeps, and one
//! that samples nothing for unsampled roots.

use std::fmt::Write;
use std::hint::black_box;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use ::opentelemetry::context::FutureExt;
use ::opentelemetry::global::{self, BoxedTracer};
use ::opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use ::opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer, TracerProvider,
};
use ::opentelemetry::{Context, KeyValue};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, SpanData,
    SpanExporter,
};
use prost::Message;

use crate::carrier::{INCOMING, Outgoing};
use crate::figures::OPENTELEMETRY;
use crate::future::{self, Never};
use crate::scenario::{SPANS_PER_TRACE, Scenario};
use crate::sink;
use crate::spawning;
use crate::stopwatch::{Stopwatch, repeat};
use crate::system::{End, Load, System, Traces};

pub(crate) struct OpenTelemetry {
    discarding: SdkTracerProvider,
    encoding: SdkTracerProvider,
    tracer: SdkTracer,
    encoding_tracer: SdkTracer,
    refusing_tracer: SdkTracer,
    nobody: BoxedTracer,
    path: String,
    digits: String,
    outgoing: Outgoing,
}

impl OpenTelemetry {
    pub(crate) fn new() -> Self {
        let [discarding, encoding, refusing] = [discarding(), encoding(), refusing()];
        OpenTelemetry {
            tracer: discarding.tracer("benches"),
            encoding_tracer: encoding.tracer("benches"),
            refusing_tracer: refusing.tracer("benches"),
            discarding,
            encoding,
            nobody: global::tracer("benches"),
            path: "/orders/1234".to_owned(),
            digits: String::with_capacity(64),
            outgoing: Outgoing::new(),
        }
    }

    #[inline(always)]
    fn child<T: Tracer>(tracer: &T)
    where
        T::Span: Send + Sync + 'static,
    {
        tracer.in_span("child", |_| ());
    }

    /// A span below the current one, in a context, with which it ends.
    fn start(tracer: &SdkTracer, name: &'static str) -> Context {
        Context::current_with_span(tracer.start(name))
    }

    async fn awaits_in_children(tracer: &SdkTracer) {
        for _ in 0..future::AWAITS {
            let child = Self::start(tracer, "child");
            tokio::task::yield_now().with_context(child).await;
        }
    }

    #[inline(always)]
    fn child_with_attributes(tracer: &SdkTracer, path: &str) {
        let builder = tracer.span_builder("child").with_attributes([
            KeyValue::new("http.request.method", "GET"),
            KeyValue::new("url.scheme", "https"),
            KeyValue::new("order.id", black_box(1234i64)),
            KeyValue::new("url.path", path.to_owned()),
        ]);
        tracer.in_span_with_builder(builder, |context| {
            context.span().add_event("cache miss", Vec::new());
        });
    }
}

/// As it is by default, but for the exporter.
pub(crate) fn discarding() -> SdkTracerProvider {
    SdkTracerProvider::builder().with_batch_exporter(Discard).build()
}

/// With a queue for all spans of a sample of total CPU.
pub(crate) fn encoding() -> SdkTracerProvider {
    let queue = BatchConfigBuilder::default()
        .with_max_queue_size(2 * Scenario::TotalCpu.operations() as usize)
        .build();
    let processor = BatchSpanProcessor::builder(Encode::default()).with_batch_config(queue).build();
    SdkTracerProvider::builder().with_span_processor(processor).build()
}

/// Samples nothing.
pub(crate) fn refusing() -> SdkTracerProvider {
    SdkTracerProvider::builder()
        .with_sampler(Sampler::AlwaysOff)
        .with_batch_exporter(Discard)
        .build()
}

impl System for OpenTelemetry {
    fn name(&self) -> &'static str {
        OPENTELEMETRY
    }

    fn run(&mut self, scenario: Scenario, operations: u32, watch: &mut Stopwatch) -> bool {
        let (tracer, path) = (&self.tracer, &self.path);
        match scenario {
            Scenario::Clock | Scenario::Floor | Scenario::Trace | Scenario::TraceAttributes => {
                return false;
            }
            Scenario::Child => watch.time(|| {
                tracer.in_span("root", |_| repeat(operations, || Self::child(tracer)));
            }),
            Scenario::Attributes => watch.time(|| {
                let child = || Self::child_with_attributes(tracer, path);
                tracer.in_span("root", |_| repeat(operations, child));
            }),
            Scenario::TotalCpu => watch.time(|| {
                let tracer = &self.encoding_tracer;
                let child = || Self::child_with_attributes(tracer, path);
                repeat(operations / SPANS_PER_TRACE, || {
                    tracer.in_span("root", |_| repeat(SPANS_PER_TRACE, child));
                });
            }),
            Scenario::UnsampledRoot => {
                watch.time(|| repeat(operations, || Self::child(&self.refusing_tracer)));
            }
            Scenario::Unsampled => {
                let (trace, span) = (TraceId::from(1), SpanId::from(2));
                let state = TraceState::default();
                let parent = SpanContext::new(trace, span, TraceFlags::default(), false, state);
                let _current = Context::new().with_remote_span_context(parent).attach();
                watch.time(|| repeat(operations, || Self::child(tracer)));
            }
            Scenario::Disabled => watch.time(|| repeat(operations, || Self::child(&self.nobody))),
            Scenario::Poll => tracer.in_span("poll", |context| {
                let mut future = pin!(Never.with_context(context));
                watch.time(|| future::poll(operations, future.as_mut()));
            }),
            Scenario::Awaits => spawning::on_tokio(watch, async {
                for _ in 0..operations {
                    future::awaits().with_context(Self::start(tracer, "awaits")).await;
                }
            }),
            Scenario::AwaitsChildren => spawning::on_tokio(watch, async {
                for _ in 0..operations {
                    let context = Self::start(tracer, "awaits");
                    Self::awaits_in_children(tracer).with_context(context).await;
                }
            }),
            Scenario::SpawnTokio | Scenario::SpawnSmol | Scenario::SpawnAsyncStd => {
                tracer.in_span("root", |_| {
                    spawning::spawn(scenario, operations, watch, FutureExt::with_current_context);
                });
            }
            Scenario::Attach => tracer.in_span("root", |context| {
                watch.time(|| repeat(operations, || drop(context.clone().attach())));
            }),
            Scenario::Capture => tracer.in_span("root", |_| {
                watch.time(|| repeat(operations, Context::current));
            }),
            Scenario::Traceparent => {
                let propagator = TraceContextPropagator::new();
                watch.time(|| {
                    repeat(operations, || {
                        let context =
                            propagator.extract_with_context(&Context::new(), black_box(&Incoming));
                        propagator.inject_context(&context, &mut self.outgoing);
                    });
                });
            }
            Scenario::Hex => tracer.in_span("root", |context| {
                let span = context.span().span_context().clone();
                watch.time(|| {
                    repeat(operations, || {
                        let (trace_id, span_id) = black_box((span.trace_id(), span.span_id()));
                        self.digits.clear();
                        write!(self.digits, "{trace_id}{span_id}")
                    });
                });
            }),
            Scenario::LogFields => tracer.in_span("root", |_| {
                watch.time(|| repeat(operations, || log_fields(&mut self.digits)));
            }),
        }
        true
    }

    fn traces(&self, load: Load, end: End) -> Option<Traces> {
        let tracer = match end {
            End::Discarded => self.tracer.clone(),
            End::Encoded => self.encoding_tracer.clone(),
        };
        let path = self.path.clone();
        Some(match load {
            Load::Bare => Arc::new(move |children| {
                tracer.in_span("root", |_| repeat(children, || Self::child(&tracer)));
            }),
            Load::Attributes => Arc::new(move |children| {
                let child = || Self::child_with_attributes(&tracer, &path);
                tracer.in_span("root", |_| repeat(children, child));
            }),
        })
    }

    fn settle(&mut self, scenario: Scenario) {
        let is_encoding = scenario == Scenario::TotalCpu;
        let provider = if is_encoding { &self.encoding } else { &self.discarding };
        provider.force_flush().expect("the exporter never fails");
    }
}

/// The ids of the current span, as digits.
#[inline]
fn log_fields(digits: &mut String) -> std::fmt::Result {
    Context::map_current(|context| {
        let span = context.span();
        let (trace_id, span_id) = (span.span_context().trace_id(), span.span_context().span_id());
        digits.clear();
        write!(digits, "{trace_id}{span_id}")
    })
}

struct Incoming;

impl Extractor for Incoming {
    fn get(&self, key: &str) -> Option<&str> {
        INCOMING.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| *value)
    }

    fn keys(&self) -> Vec<&str> {
        INCOMING.iter().map(|(name, _)| *name).collect()
    }
}

impl Injector for Outgoing {
    fn set(&mut self, key: &str, value: String) {
        if key == "traceparent" {
            self.set_traceparent(&value);
        }
    }
}

/// Looks at nothing.
#[derive(Debug)]
struct Discard;

impl SpanExporter for Discard {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        sink::take(batch.len());
        Ok(())
    }
}

/// Writes the request and goes no further.
#[derive(Debug, Default)]
pub(crate) struct Encode {
    resource: ResourceAttributesWithSchema,
    bytes: Mutex<Vec<u8>>,
}

impl SpanExporter for Encode {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        sink::take(batch.len());
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let request = ExportTraceServiceRequest { resource_spans };
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.clear();
        request.encode(&mut *bytes).expect("a vector grows");
        black_box(&*bytes);
        Ok(())
    }

    fn set_resource(&mut self, resource: &opentelemetry_sdk::Resource) {
        self.resource = resource.into();
    }
}
