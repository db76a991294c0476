//! throughline, as it is by default.
//!
//! Tuning: none for the producer: an isolated pipeline with the default queue,
//! table and batch size, exported by a thread. Isolated, because a default
//! pipeline stays for ever and [`Scenario::Disabled`] needs there to be none. For
//! total CPU another pipeline with a queue for all spans of a sample, whose
//! exporter writes each batch into a buffer that it keeps, and one that samples
//! nothing for unsampled roots. A task carries the context as the adapters' `spawn`
//! has it do.

use std::future::{Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{Ordering, compiler_fence};
use std::time::Duration;

use throughline::w3c::Setter;
use throughline::{
    AlwaysOff, Carried, Context, Exporter, InSpanExt, Runtime, SpanContext, SpanId, Telemetry,
    Thread, TraceFlags, TraceId, span,
};
use throughline_core::{Accepted, Batch, ExportError, SpanExporter};

use crate::carrier::{INCOMING, Outgoing};
use crate::figures::THROUGHLINE;
use crate::future::{self, Never};
use crate::scenario::{SPANS_PER_TRACE, Scenario};
use crate::sink;
use crate::spawning;
use crate::stopwatch::{Stopwatch, repeat};
use crate::system::{End, Load, System, Traces};

pub(crate) struct Throughline {
    discarding: Telemetry,
    encoding: Telemetry,
    refusing: Telemetry,
    path: String,
    outgoing: Outgoing,
}

impl Throughline {
    pub(crate) fn new() -> Self {
        Self::on(|| Thread::start().expect("the system gives a thread"))
    }

    /// On another runtime: the spans are exported there.
    pub(crate) fn on<R: Runtime>(runtime: impl Fn() -> R) -> Self {
        Throughline {
            discarding: throughline::builder().start(runtime(), Discard),
            encoding: throughline::builder()
                .max_queue_size(2 * Scenario::TotalCpu.operations() as usize)
                .start(runtime(), Encode::default()),
            refusing: throughline::builder().sampler(AlwaysOff).start(runtime(), Discard),
            path: "/orders/1234".to_owned(),
            outgoing: Outgoing::new(),
        }
    }

    #[inline(always)]
    fn child() {
        span!("child").in_scope(work);
    }

    #[inline(always)]
    pub(crate) fn child_with_attributes(path: &String) {
        let mut span = span!(
            "child",
            http.request.method = "GET",
            url.scheme = "https",
            order.id = black_box(1234i64),
            url.path = path,
        );
        span.add_event("cache miss", &[]);
        span.in_scope(work);
    }

    async fn awaits_in_children() {
        for _ in 0..future::AWAITS {
            tokio::task::yield_now().in_span(span!("child")).await;
        }
    }

    /// Inside an unsampled span of this process.
    fn unsampled(&self) -> Context {
        let (trace, span) = (TraceId::from_bytes([1; 16]), SpanId::from_bytes([2; 8]));
        let span = SpanContext::new(trace, span, TraceFlags::NONE);
        Context::remote(span, Carried::default()).with_pipeline(self.discarding.pipeline())
    }
}

/// Work that takes no time, and may look at what is current: otherwise nothing
/// would have to be entered.
#[inline(always)]
fn work() {
    compiler_fence(Ordering::SeqCst);
}

impl System for Throughline {
    fn name(&self) -> &'static str {
        THROUGHLINE
    }

    fn run(&mut self, scenario: Scenario, operations: u32, watch: &mut Stopwatch) -> bool {
        let (context, path) = (self.discarding.context(), &self.path);
        match scenario {
            Scenario::Clock | Scenario::Floor | Scenario::Trace | Scenario::TraceAttributes => {
                return false;
            }
            Scenario::Child => context.scope(|| {
                watch.time(|| span!("root").in_scope(|| repeat(operations, || Self::child())));
            }),
            Scenario::Attributes => context.scope(|| {
                let child = || Self::child_with_attributes(path);
                watch.time(|| span!("root").in_scope(|| repeat(operations, child)));
            }),
            Scenario::TotalCpu => self.encoding.context().scope(|| {
                let child = || Self::child_with_attributes(path);
                let root = || span!("root").in_scope(|| repeat(SPANS_PER_TRACE, child));
                watch.time(|| repeat(operations / SPANS_PER_TRACE, root));
            }),
            Scenario::UnsampledRoot => self.refusing.context().scope(|| {
                watch.time(|| repeat(operations, || Self::child()));
            }),
            Scenario::Unsampled => self.unsampled().scope(|| {
                watch.time(|| repeat(operations, || Self::child()));
            }),
            Scenario::Disabled => watch.time(|| repeat(operations, || Self::child())),
            Scenario::Poll => context.scope(|| {
                let mut future = pin!(Never.in_span(span!("poll")));
                watch.time(|| future::poll(operations, future.as_mut()));
            }),
            Scenario::Awaits => context.scope(|| {
                spawning::on_tokio(watch, async {
                    for _ in 0..operations {
                        future::awaits().in_span(span!("awaits")).await;
                    }
                });
            }),
            Scenario::AwaitsChildren => context.scope(|| {
                spawning::on_tokio(watch, async {
                    for _ in 0..operations {
                        Self::awaits_in_children().in_span(span!("awaits")).await;
                    }
                });
            }),
            Scenario::SpawnTokio | Scenario::SpawnSmol | Scenario::SpawnAsyncStd => {
                context.scope(|| {
                    span!("root").in_scope(|| {
                        spawning::spawn(scenario, operations, watch, |task| {
                            task.with_context(Context::current())
                        });
                    });
                });
            }
            Scenario::Attach => context.scope(|| {
                let captured = span!("root").in_scope(Context::current);
                watch.time(|| repeat(operations, || captured.scope(work)));
            }),
            Scenario::Capture => context.scope(|| {
                span!("root").in_scope(|| watch.time(|| repeat(operations, Context::current)));
            }),
            Scenario::Traceparent => watch.time(|| {
                repeat(operations, || {
                    let context = throughline::extract(black_box(&INCOMING[..]));
                    throughline::inject(&context, &mut self.outgoing);
                });
            }),
            Scenario::Hex => context.scope(|| {
                let span = span!("root").span_context();
                watch.time(|| {
                    repeat(operations, || {
                        let span = black_box(span);
                        (span.trace_id().to_hex(), span.span_id().to_hex())
                    });
                });
            }),
            Scenario::LogFields => context.scope(|| {
                span!("root").in_scope(|| {
                    watch.time(|| {
                        repeat(operations, || {
                            let span = Context::current().span_context();
                            (span.trace_id().to_hex(), span.span_id().to_hex())
                        });
                    });
                });
            }),
        }
        true
    }

    fn traces(&self, load: Load, end: End) -> Option<Traces> {
        let context = match end {
            End::Discarded => self.discarding.context(),
            End::Encoded => self.encoding.context(),
        };
        let path = self.path.clone();
        Some(match load {
            Load::Bare => Arc::new(move |children| {
                context.scope(|| span!("root").in_scope(|| repeat(children, || Self::child())));
            }),
            Load::Attributes => Arc::new(move |children| {
                let child = || Self::child_with_attributes(&path);
                context.scope(|| span!("root").in_scope(|| repeat(children, child)));
            }),
        })
    }

    fn settle(&mut self, scenario: Scenario) {
        let is_encoding = scenario == Scenario::TotalCpu;
        let telemetry = if is_encoding { &self.encoding } else { &self.discarding };
        let receipt = telemetry.flush_blocking(Duration::from_secs(10));
        assert!(receipt.is_complete(), "{receipt}");
    }

    fn dropped(&self) -> Option<u64> {
        let dropped = |telemetry: &Telemetry| telemetry.ledger().dropped_total();
        Some(dropped(&self.discarding) + dropped(&self.encoding))
    }
}

impl Setter for Outgoing {
    fn set(&mut self, name: &str, value: &str) {
        assert_eq!(name, "traceparent");
        self.set_traceparent(value);
    }
}

/// Looks at nothing.
#[derive(Clone, Debug)]
pub(crate) struct Discard;

impl SpanExporter for Discard {
    type Sending = Ready<Result<Accepted, ExportError>>;

    fn export(&mut self, batch: &Batch<'_>) -> Self::Sending {
        sink::take(batch.len());
        ready(Ok(Accepted::default()))
    }
}

/// Writes the request and goes no further.
#[derive(Clone, Debug, Default)]
pub(crate) struct Encode {
    bytes: Vec<u8>,
}

impl SpanExporter for Encode {
    type Sending = Ready<Result<Accepted, ExportError>>;

    fn export(&mut self, batch: &Batch<'_>) -> Self::Sending {
        sink::take(batch.len());
        self.bytes.clear();
        batch.encode(|piece| self.bytes.extend_from_slice(piece));
        black_box(&self.bytes);
        ready(Ok(Accepted::default()))
    }
}

impl<R: Runtime> Exporter<R> for Discard {
    type Connection = Self;

    fn connect(&self, _: &R) -> Self {
        self.clone()
    }
}

impl<R: Runtime> Exporter<R> for Encode {
    type Connection = Self;

    fn connect(&self, _: &R) -> Self {
        self.clone()
    }
}
