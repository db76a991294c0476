//! emit, with `emit_batcher`, the queue below its own OTLP exporter.
//!
//! Tuning: the default set-up; as `emit_otlp` does, the emitter keeps ids as
//! they are and other properties as owned values, in a bounded queue of 10,000,
//! which a thread of its own takes in batches. emit's OTLP encoder cannot be had without its HTTP client, so **total
//! CPU ends before the encoding**: emit would pay that besides. An event inside of
//! a span is an event of its own. [`Scenario::Disabled`] is a runtime that was never
//! set up.

use std::hint::black_box;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ::emit::runtime::{AmbientSlot, shared};
use ::emit::value::OwnedValue;
use ::emit::well_known::{KEY_EVT_KIND, KEY_SPAN_ID, KEY_SPAN_PARENT, KEY_TRACE_ID};
use ::emit::{Emitter, Event, Extent, Frame, Kind, Props, SpanId, Str, Template, TraceId};
use emit_batcher::{Sender, bounded};

use crate::figures::EMIT;
use crate::future::{self, Never};
use crate::scenario::{SPANS_PER_TRACE, Scenario};
use crate::sink;
use crate::spawning;
use crate::stopwatch::{Stopwatch, repeat};
use crate::system::{End, Load, System, Traces};

pub(crate) struct Emit {
    path: String,
}

impl Emit {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = bounded(10_000);
        emit_batcher::sync::spawn("emit", receiver, |batch: Vec<Owned>| {
            sink::take(batch.len());
            Ok(())
        })
        .expect("the system gives a thread");
        let _ = ::emit::setup().emit_to(Queue { sender }).init();
        Emit { path: "/orders/1234".to_owned() }
    }
}

/// An event that outlives the call that emits it.
struct Owned {
    _template: Template<'static>,
    _extent: Option<Extent>,
    trace_id: Option<TraceId>,
    span_id: Option<SpanId>,
    parent: Option<SpanId>,
    kind: Option<Kind>,
    rest: Vec<(Str<'static>, OwnedValue)>,
}

impl Owned {
    fn new(event: &Event<'_, impl Props>) -> Self {
        let mut owned = Owned {
            _template: event.tpl().to_owned(),
            _extent: event.extent().cloned(),
            trace_id: None,
            span_id: None,
            parent: None,
            kind: None,
            rest: Vec::new(),
        };
        let _ = event.props().for_each(|key, value| {
            match key.get() {
                KEY_TRACE_ID => owned.trace_id = value.cast(),
                KEY_SPAN_ID => owned.span_id = value.cast(),
                KEY_SPAN_PARENT => owned.parent = value.cast(),
                KEY_EVT_KIND => owned.kind = value.cast(),
                _ => owned.rest.push((key.to_owned(), value.to_owned())),
            }
            ControlFlow::Continue(())
        });
        owned
    }
}

struct Queue {
    sender: Sender<Vec<Owned>>,
}

impl Emitter for Queue {
    fn emit<E: ::emit::event::ToEvent>(&self, event: E) {
        self.sender.send(Owned::new(&event.to_event()));
    }

    fn blocking_flush(&self, timeout: Duration) -> bool {
        emit_batcher::blocking_flush(&self.sender, timeout)
    }
}

#[::emit::span("root")]
fn in_root<R>(work: impl FnOnce() -> R) -> R {
    work()
}

#[::emit::span("child")]
fn child() {}

#[::emit::span(rt: NOBODY.get(), "child")]
fn disabled() {}

#[::emit::span("child", method: "GET", scheme: "https", order_id: black_box(1234i64), path)]
fn child_with_attributes(path: &str) {
    ::emit::info!("cache miss");
}

#[::emit::span("awaits")]
async fn awaits() {
    future::awaits().await;
}

#[::emit::span("child")]
async fn awaits_in_child() {
    tokio::task::yield_now().await;
}

#[::emit::span("awaits")]
async fn awaits_in_children() {
    for _ in 0..future::AWAITS {
        awaits_in_child().await;
    }
}

#[::emit::span("poll")]
async fn never() {
    Never.await;
}

impl System for Emit {
    fn name(&self) -> &'static str {
        EMIT
    }

    fn run(&mut self, scenario: Scenario, operations: u32, watch: &mut Stopwatch) -> bool {
        let path = &self.path;
        match scenario {
            Scenario::Child => watch.time(|| in_root(|| repeat(operations, || child()))),
            Scenario::Attributes => {
                watch.time(|| in_root(|| repeat(operations, || child_with_attributes(path))));
            }
            Scenario::TotalCpu => watch.time(|| {
                let child = || child_with_attributes(path);
                let root = || in_root(|| repeat(SPANS_PER_TRACE, child));
                for _ in 0..operations / SPANS_PER_TRACE {
                    root();
                    // The queue is cleared when it is full.
                    shared().blocking_flush(Duration::from_secs(10));
                }
            }),
            Scenario::Disabled => watch.time(|| repeat(operations, || disabled())),
            Scenario::Awaits => spawning::on_tokio(watch, async {
                for _ in 0..operations {
                    awaits().await;
                }
            }),
            Scenario::AwaitsChildren => spawning::on_tokio(watch, async {
                for _ in 0..operations {
                    awaits_in_children().await;
                }
            }),
            Scenario::Poll => {
                let mut future = pin!(never());
                watch.time(|| future::poll(operations, future.as_mut()));
            }
            Scenario::Attach => in_root(|| {
                let mut frame = Frame::current(shared().ctxt());
                watch.time(|| repeat(operations, || drop(frame.enter())));
            }),
            Scenario::Capture => in_root(|| {
                watch.time(|| repeat(operations, || Frame::current(shared().ctxt())));
            }),
            Scenario::SpawnTokio | Scenario::SpawnSmol | Scenario::SpawnAsyncStd => in_root(|| {
                spawning::spawn(scenario, operations, watch, |task| {
                    Frame::current(shared().ctxt()).in_future(task)
                });
            }),
            _ => return false,
        }
        true
    }

    fn traces(&self, load: Load, _: End) -> Option<Traces> {
        let path = self.path.clone();
        Some(match load {
            Load::Bare => Arc::new(|children| in_root(|| repeat(children, || child()))),
            Load::Attributes => Arc::new(move |children| {
                in_root(|| repeat(children, || child_with_attributes(&path)));
            }),
        })
    }

    fn settle(&mut self, _: Scenario) {
        assert!(shared().blocking_flush(Duration::from_secs(10)));
    }
}

static NOBODY: AmbientSlot = AmbientSlot::new();
