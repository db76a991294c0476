//! `baggage`.

use throughline_core::Carry;
use throughline_core::w3c::{BAGGAGE, BaggageBuf, Setter};
use throughline_runtime::Context;

use crate::propagator::{AnyGetter, Propagator};

/// W3C Baggage: `baggage`.
///
/// It does not depend on a trace: it is read and written without one. Received
/// entries take the place of those that the context had; malformed ones are left
/// out, and so are those beyond 64 entries or 8,192 bytes. Entries whose names are no
/// tokens are not written: [`Baggage::local_len`](throughline_runtime::Baggage::local_len)
/// tells how many those are.
/// ([Baggage](https://www.w3.org/TR/baggage/))
#[derive(Clone, Copy, Debug, Default)]
pub struct Baggage;

impl Propagator for Baggage {
    fn extract(&self, context: Context, carrier: &dyn AnyGetter) -> Context {
        let headers = carrier.all(BAGGAGE);
        if headers.is_empty() { context } else { with_baggage(context, &headers) }
    }

    fn inject(&self, context: &Context, carrier: &mut dyn Setter) {
        let baggage = context.carried().baggage();
        if !baggage.is_empty() {
            carrier.set(BAGGAGE, baggage.as_str());
        }
    }

    fn fields(&self) -> &[&'static str] {
        &[BAGGAGE]
    }
}

/// Apart, since most messages have none and it takes 12 KiB of stack.
#[inline(never)]
fn with_baggage(context: Context, headers: &[&[u8]]) -> Context {
    let (baggage, _) = BaggageBuf::from_headers(headers.iter().copied());
    if baggage.is_empty() {
        return context;
    }
    let carried = context.carried().with_baggage(&baggage);
    context.with_carried(carried)
}
