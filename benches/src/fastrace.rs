//! fastrace, with `fastrace-opentelemetry` where OTLP bytes are asked for.
//!
//! Tuning: the default configuration (a report each second) and `LocalSpan`, its
//! fastest form: children of one thread are collected in a local buffer, which
//! the root submits as one. Properties are attached together. There is one
//! reporter per process, so ours passes the spans on only while they shall be
//! encoded. A task can only carry a span of its own, so `spawn` makes one.

use std::borrow::Cow;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ::fastrace::collector::{Config, Reporter, SpanContext, SpanRecord};
use ::fastrace::future::FutureExt;
use ::fastrace::local::LocalSpan;
use ::fastrace::{Event, Span};
use ::opentelemetry::InstrumentationScope;
use fastrace_opentelemetry::OpenTelemetryReporter;
use opentelemetry_sdk::Resource;

use crate::carrier::{Outgoing, TRACEPARENT};
use crate::figures::FASTRACE;
use crate::future::{self, Never};
use crate::opentelemetry::Encode;
use crate::scenario::{SPANS_PER_TRACE, Scenario};
use crate::sink;
use crate::spawning;
use crate::stopwatch::{Stopwatch, repeat};
use crate::system::{End, Load, System, Traces};

pub(crate) struct Fastrace {
    encodes: Arc<AtomicBool>,
    path: String,
    digits: String,
    outgoing: Outgoing,
}

impl Fastrace {
    pub(crate) fn new() -> Self {
        let encodes = Arc::new(AtomicBool::new(false));
        let resource = Resource::builder().with_service_name("benches").build();
        let scope = InstrumentationScope::builder("benches").build();
        let reporter = Switch {
            encodes: encodes.clone(),
            encoding: OpenTelemetryReporter::new(Encode::default(), Cow::Owned(resource), scope),
        };
        ::fastrace::set_reporter(reporter, Config::default());
        Fastrace {
            encodes,
            path: "/orders/1234".to_owned(),
            digits: String::with_capacity(64),
            outgoing: Outgoing::new(),
        }
    }

    #[inline(always)]
    fn child() {
        let _span = LocalSpan::enter_with_local_parent("child");
    }

    #[inline(always)]
    fn child_with_attributes(path: &str) {
        let _span = LocalSpan::enter_with_local_parent("child").with_properties(|| {
            [
                ("http.request.method", Cow::Borrowed("GET")),
                ("url.scheme", Cow::Borrowed("https")),
                ("order.id", Cow::Owned(black_box(1234i64).to_string())),
                ("url.path", Cow::Owned(path.to_owned())),
            ]
        });
        LocalSpan::add_event(Event::new("cache miss"));
    }

    async fn awaits_in_children() {
        for _ in 0..future::AWAITS {
            let child = Span::enter_with_local_parent("child");
            tokio::task::yield_now().in_span(child).await;
        }
    }

    /// A trace, from its root's beginning to its submission.
    #[inline(always)]
    fn in_trace<R>(work: impl FnOnce() -> R) -> R {
        let root = Span::root("root", SpanContext::random());
        let _current = root.set_local_parent();
        work()
    }
}

impl System for Fastrace {
    fn name(&self) -> &'static str {
        FASTRACE
    }

    fn run(&mut self, scenario: Scenario, operations: u32, watch: &mut Stopwatch) -> bool {
        let path = &self.path;
        let child_with_attributes = || Self::child_with_attributes(path);
        // Ordering: Relaxed, nothing is reported before the next flush.
        self.encodes.store(scenario == Scenario::TotalCpu, Ordering::Relaxed);
        match scenario {
            Scenario::Clock | Scenario::Floor | Scenario::Trace | Scenario::TraceAttributes => {
                return false;
            }
            Scenario::Child => {
                watch.time(|| Self::in_trace(|| repeat(operations, || Self::child())));
            }
            Scenario::Attributes => {
                watch.time(|| Self::in_trace(|| repeat(operations, child_with_attributes)));
            }
            Scenario::TotalCpu => watch.time(|| {
                repeat(operations / SPANS_PER_TRACE, || {
                    Self::in_trace(|| repeat(SPANS_PER_TRACE, child_with_attributes));
                });
            }),
            Scenario::UnsampledRoot => watch.time(|| {
                repeat(operations, || {
                    let root = Span::root("root", SpanContext::random().sampled(false));
                    let _current = root.set_local_parent();
                });
            }),
            Scenario::Unsampled => {
                let root = Span::root("root", SpanContext::random().sampled(false));
                let _current = root.set_local_parent();
                watch.time(|| repeat(operations, || Self::child()));
            }
            Scenario::Disabled => watch.time(|| repeat(operations, || Self::child())),
            Scenario::Poll => {
                let span = Span::root("poll", SpanContext::random());
                let mut future = pin!(Never.in_span(span));
                watch.time(|| future::poll(operations, future.as_mut()));
            }
            Scenario::Awaits => Self::in_trace(|| {
                spawning::on_tokio(watch, async {
                    for _ in 0..operations {
                        let span = Span::enter_with_local_parent("awaits");
                        future::awaits().in_span(span).await;
                    }
                });
            }),
            Scenario::AwaitsChildren => Self::in_trace(|| {
                spawning::on_tokio(watch, async {
                    for _ in 0..operations {
                        let span = Span::enter_with_local_parent("awaits");
                        Self::awaits_in_children().in_span(span).await;
                    }
                });
            }),
            Scenario::SpawnTokio | Scenario::SpawnSmol | Scenario::SpawnAsyncStd => {
                Self::in_trace(|| {
                    spawning::spawn(scenario, operations, watch, |task| {
                        task.in_span(Span::enter_with_local_parent("task"))
                    });
                });
            }
            Scenario::Attach => {
                let root = Span::root("root", SpanContext::random());
                watch.time(|| repeat(operations, || drop(root.set_local_parent())));
            }
            Scenario::Capture => Self::in_trace(|| {
                watch.time(|| repeat(operations, SpanContext::current_local_parent));
            }),
            Scenario::Traceparent => watch.time(|| {
                repeat(operations, || {
                    let context = SpanContext::decode_w3c_traceparent(black_box(TRACEPARENT));
                    if let Some(context) = context {
                        self.outgoing.set_traceparent(&context.encode_w3c_traceparent());
                    }
                });
            }),
            Scenario::Hex => {
                let SpanContext { trace_id, span_id, .. } = SpanContext::random();
                watch.time(|| {
                    repeat(operations, || {
                        use std::fmt::Write;
                        let (trace_id, span_id) = black_box((trace_id, span_id));
                        self.digits.clear();
                        write!(self.digits, "{trace_id}{span_id}")
                    });
                });
            }
            Scenario::LogFields => Self::in_trace(|| {
                watch.time(|| {
                    repeat(operations, || {
                        use std::fmt::Write;
                        let SpanContext { trace_id, span_id, .. } =
                            SpanContext::current_local_parent().expect("inside a span");
                        self.digits.clear();
                        write!(self.digits, "{trace_id}{span_id}")
                    });
                });
            }),
        }
        true
    }

    fn traces(&self, load: Load, end: End) -> Option<Traces> {
        let path = self.path.clone();
        // Ordering: Relaxed, as in `run`.
        self.encodes.store(end == End::Encoded, Ordering::Relaxed);
        Some(match load {
            Load::Bare => {
                Arc::new(|children| Self::in_trace(|| repeat(children, || Self::child())))
            }
            Load::Attributes => Arc::new(move |children| {
                Self::in_trace(|| repeat(children, || Self::child_with_attributes(&path)));
            }),
        })
    }

    fn settle(&mut self, _: Scenario) {
        ::fastrace::flush();
    }
}

/// Encodes, or looks at nothing.
struct Switch {
    encodes: Arc<AtomicBool>,
    encoding: OpenTelemetryReporter,
}

impl Reporter for Switch {
    fn report(&mut self, spans: Vec<SpanRecord>) {
        // Ordering: Relaxed, see `run`.
        if self.encodes.load(Ordering::Relaxed) {
            self.encoding.report(spans);
        } else {
            sink::take(spans.len());
        }
    }
}
