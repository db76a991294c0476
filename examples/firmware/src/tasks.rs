//! What the node does: four tasks, whose spans stay apart although their polls
//! take turns.

use crate::executor::{sleep, timeout};
use crate::trace::{
    Callsite, Context, CurrentSpan, InSpan, Span, SpanKind, SpanOptions, StatusCode, traceparent,
};
use crate::{SCOPE, conversion};

static ANSWER: Callsite = Callsite::new("answer", &SCOPE).with_kind(SpanKind::Server);
static MEASURE: Callsite = Callsite::new("measure", &SCOPE);
static SAMPLE: Callsite = Callsite::new("sample", &SCOPE);
static RENDER: Callsite = Callsite::new("render", &SCOPE);
static STORE: Callsite = Callsite::new("store", &SCOPE);
static ERASE: Callsite = Callsite::new("erase", &SCOPE);
static UPLOAD: Callsite = Callsite::new("upload", &SCOPE);
static SEND: Callsite = Callsite::new("send", &SCOPE).with_kind(SpanKind::Client);
static BLINK: Callsite = Callsite::new("blink", &SCOPE);
static TOGGLE: Callsite = Callsite::new("toggle", &SCOPE);

/// Answers a request: the trace of its `traceparent` goes on here.
pub async fn answer(header: &[u8]) {
    let remote = match traceparent::parse(header) {
        Ok(parent) => Context::remote(parent, ()),
        Err(_) => Context::empty(),
    };
    let span = Span::start_with(&ANSWER, SpanOptions::new().parent(&remote), |_| ());
    InSpan::new(
        async {
            let celsius = measure().await;
            CurrentSpan::set_attribute("celsius", celsius);
            InSpan::new(sleep(1), Span::start(&RENDER, |_| ())).await;
        },
        span,
    )
    .await;
}

async fn measure() -> i32 {
    let work = async {
        let mut sum = 0;
        for _ in 0..2 {
            sleep(2).await;
            sum += Span::start(&SAMPLE, |_| ()).in_scope(conversion::convert);
        }
        sum / 2
    };
    InSpan::new(work, Span::start(&MEASURE, |_| ())).await
}

/// Stores a value, and fails.
pub async fn store() {
    let work = async {
        for attempt in 1..=2 {
            let erase = Span::start(&ERASE, |span| span.set_attribute("attempt", attempt));
            InSpan::new(sleep(1), erase).await;
            CurrentSpan::add_event("refused", &[("attempt", attempt.into())]);
        }
        CurrentSpan::set_status(StatusCode::Error, "the flash is worn out");
    };
    InSpan::new(work, Span::start(&STORE, |_| ())).await;
}

/// Sends to somebody who never answers, and gives up.
pub async fn upload() {
    let work = async {
        let send = InSpan::new(core::future::pending::<()>(), Span::start(&SEND, |_| ()));
        if timeout(5, send).await.is_none() {
            CurrentSpan::set_attribute("timed_out", true);
        }
    };
    InSpan::new(work, Span::start(&UPLOAD, |_| ())).await;
}

/// Blinks, in between the others.
pub async fn blink() {
    let work = async {
        for on in [true, false, true] {
            Span::start(&TOGGLE, |span| span.set_attribute("on", on)).end();
            sleep(2).await;
        }
    };
    InSpan::new(work, Span::start(&BLINK, |_| ())).await;
}
