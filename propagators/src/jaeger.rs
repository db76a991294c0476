//! Jaeger's own headers, for programs whose neighbours still send them.
//!
//! ```text
//!   uber-trace-id: {trace}:{span}:{parent}:{flags}    hex; zeros on the left may be missing
//!   uberctx-{key}: {value}                            baggage, percent-encoded
//! ```
//!
//! Rules: [Propagation format](https://www.jaegertracing.io/sdk-migration/#propagation-format).

use throughline_core::w3c::{Decoded, Setter};
use throughline_core::{Carry, SpanContext, SpanId, TraceFlags, TraceId};
use throughline_runtime::{Baggage, Context, SamplingState};

use crate::b3::of_sender;
use crate::hex::{padded, trimmed};
use crate::propagator::{AnyGetter, Propagator};

/// Jaeger: `uber-trace-id`, and baggage as headers `uberctx-*`.
///
/// Ids may be short, and in any letter case; the value may be percent-encoded as a
/// whole. The parent is sent as `0` and ignored when received. The debug bit goes
/// on as it came. Metadata of baggage is not sent, as there is no place for it.
/// ([Propagators distribution](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#propagators-distribution):
/// deprecated in favour of W3C's)
#[derive(Clone, Copy, Debug, Default)]
pub struct Jaeger;

impl Propagator for Jaeger {
    fn extract(&self, context: Context, carrier: &dyn AnyGetter) -> Context {
        let context = match carrier.first(TRACE_ID).and_then(parse) {
            Some((span, state)) => of_sender(&context, span, state),
            None => context,
        };
        let mut keys: Vec<&str> = Vec::new();
        carrier.for_each_key(&mut |key| {
            if baggage_key(key).is_some() && !keys.contains(&key) {
                keys.push(key);
            }
        });
        if keys.is_empty() { context } else { with_baggage(context, &keys, carrier) }
    }

    fn inject(&self, context: &Context, carrier: &mut dyn Setter) {
        let span = context.span_context();
        if span.is_valid() {
            let is_debug =
                context.carried().sampling_state(span.trace_id()) == SamplingState::Debug;
            let flags = match (is_debug, span.is_sampled()) {
                (true, _) => 3,
                (false, is_sampled) => u8::from(is_sampled),
            };
            let value = format!("{}:{}:0:{flags:x}", span.trace_id(), span.span_id());
            carrier.set(TRACE_ID, &value);
        }
        for entry in context.carried().baggage().entries() {
            carrier.set(&format!("{BAGGAGE_PREFIX}{}", entry.key()), entry.raw_value());
        }
    }

    /// Without those of baggage, whose names depend on its keys.
    fn fields(&self) -> &[&'static str] {
        &[TRACE_ID]
    }
}

fn parse(value: &[u8]) -> Option<(SpanContext, SamplingState)> {
    let value = core::str::from_utf8(trimmed(value)).ok()?;
    // Some clients encode the colons.
    let decoded = Decoded::new(value).to_string();
    let mut parts = decoded.split(':');
    let trace = TraceId::from_bytes(padded(parts.next()?.as_bytes())?);
    let span = SpanId::from_bytes(padded(parts.next()?.as_bytes())?);
    let parent = parts.next()?;
    if !parent.is_empty() {
        padded::<8>(parent.as_bytes())?;
    }
    let [flags] = padded::<1>(parts.next()?.as_bytes())?;
    if parts.next().is_some() || !trace.is_valid() || !span.is_valid() {
        return None;
    }
    let is_debug = flags & 2 != 0;
    let state = if is_debug { SamplingState::Debug } else { SamplingState::InFlags };
    let flags = TraceFlags::NONE.with_sampled(is_debug || flags & 1 != 0);
    Some((SpanContext::remote(trace, span, flags), state))
}

fn baggage_key(header: &str) -> Option<&str> {
    let (prefix, key) = header.split_at_checked(BAGGAGE_PREFIX.len())?;
    (prefix.eq_ignore_ascii_case(BAGGAGE_PREFIX) && !key.is_empty()).then_some(key)
}

/// Adds these to what the context has; what does not fit is left out.
#[cold]
fn with_baggage(context: Context, keys: &[&str], carrier: &dyn AnyGetter) -> Context {
    let entry = |key: &&str| {
        let value = carrier.first(key).map(trimmed);
        let value = value.and_then(|value| core::str::from_utf8(value).ok())?;
        Some((baggage_key(key)?.to_owned(), Decoded::new(value).to_string()))
    };
    let entries: Vec<_> = keys.iter().filter_map(entry).collect();
    let mut baggage = Baggage::of(&context);
    baggage.extend(entries.iter().map(|(key, value)| (key.as_str(), value.as_str(), "")));
    baggage.into_context(context)
}

const TRACE_ID: &str = "uber-trace-id";
const BAGGAGE_PREFIX: &str = "uberctx-";
