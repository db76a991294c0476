//! More than fits: spans under way, spans that ended, bytes of one span.

use crate::SCOPE;
use crate::executor::sleep;
use crate::trace::{Callsite, Span};

static MANY: Callsite = Callsite::new("many", &SCOPE);
static ONE_OF_MANY: Callsite = Callsite::new("one of many", &SCOPE);
static BURST: Callsite = Callsite::new("burst", &SCOPE);
static OVERSIZED: Callsite = Callsite::new("oversized", &SCOPE);

/// Spans that are under way at once: more than the live-span table holds.
pub const AT_ONCE: usize = 20;
/// Spans that end without a pause: more than the ring holds.
pub const BURST_LEN: usize = 100;
/// The bytes of an attribute: more than a span's record.
pub const DATA_LEN: usize = 600;

/// Overloads each limit in turn. What is lost is counted, and nothing else
/// happens.
pub async fn overload() {
    Span::start(&MANY, |_| ()).in_scope(|| {
        let spans: [Span; AT_ONCE] = core::array::from_fn(|_| Span::start(&ONE_OF_MANY, |_| ()));
        spans.into_iter().for_each(Span::end);
    });
    // The sender has its turn.
    sleep(60).await;
    for _ in 0..BURST_LEN {
        Span::start(&BURST, |_| ()).end();
    }
    sleep(60).await;
    Span::start(&OVERSIZED, |span| {
        span.set_attribute("fits", "yes");
        span.set_attribute("data", &[0x55; DATA_LEN][..]);
    })
    .end();
}
