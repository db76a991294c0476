//! The least that uses every part of a span's way. `scripts/firmware` shows
//! that nothing of it can panic: the panic handler is not in its image.
#![no_std]
#![no_main]

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context as TaskContext, Poll, Waker};

use cortex_m_rt::{entry, exception};
use firmware::trace::{Callsite, Context, CurrentSpan, InSpan, Span, SpanOptions, StatusCode};
use firmware::{SCOPE, board, memory, port};
use throughline_core::w3c::{self, TraceParent};
use throughline_core::{Action, SpanId};

static REQUEST: Callsite = Callsite::new("request", &SCOPE);
static STEP: Callsite = Callsite::new("step", &SCOPE);

/// A message, as it came.
static HEADERS: [(&str, &str); 3] = [
    (w3c::TRACEPARENT, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    (w3c::TRACESTATE, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
    (w3c::BAGGAGE, "device=7,place=caf%C3%A9;room=2"),
];

#[entry]
fn main() -> ! {
    let Some(core) = cortex_m::Peripherals::take() else { board::exit(false) };
    let Some((pipeline, mut flusher)) = memory::take() else { board::exit(false) };
    port::install(pipeline);
    board::start(core.SYST);

    let Some((parent, _)) = w3c::extract(&HEADERS[..]) else { board::exit(false) };
    let remote = Context::remote(parent, ());
    let mut span = Span::start_with(&REQUEST, SpanOptions::new().parent(&remote), |_| ());
    span.set_attribute("text", "abc");
    span.set_attribute("number", board::ticks());
    span.set_attribute("number", 0.5);
    span.add_event("event", &[("on", true.into())]);
    span.add_link(&remote, &[]);
    span.update_name("renamed");
    span.set_status(StatusCode::Error, "it failed");
    // Not an `async` block: each of those can panic, when it is polled after its
    // end.
    // What goes on to the next process, and the baggage that came.
    let onward = TraceParent::new(&span.span_context());
    span.set_attribute("onward", onward.as_str());
    let is_known = SpanId::from_hex(&span.span_context().span_id().to_hex()).is_some();
    span.set_attribute("known", is_known && pipeline.live_spans().count() > 0);
    let (baggage, _) = w3c::extract_baggage::<256>(&HEADERS[..]);
    for entry in baggage.entries() {
        span.set_attribute(entry.key(), entry.metadata());
    }
    let work = poll_fn(|_| {
        Span::start(&STEP, |_| ()).in_scope(|| CurrentSpan::set_attribute("key", "value"));
        Poll::<()>::Pending
    });
    {
        // Polled, then dropped: cancelled.
        let mut task = TaskContext::from_waker(Waker::noop());
        let _ = pin!(InSpan::new(work, span)).poll(&mut task);
    }

    flusher.flush();
    loop {
        match flusher.poll(board::now(), port::unix_nanos) {
            Action::Export => {
                let result = port::send(&flusher.batch());
                flusher.on_export(board::now(), result);
                flusher.shutdown(board::now());
            }
            Action::Finished => board::exit(pipeline.ledger().exported() > 0),
            Action::Wait { .. } | Action::Yield => cortex_m::asm::wfi(),
        }
    }
}

#[exception]
fn SysTick() {
    board::on_timer();
    Span::start(&STEP, |_| ()).end();
}
