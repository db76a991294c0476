//! What crosses a process boundary: the W3C headers, read and written in place.
//!
//! ```text
//!   traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01   SpanContext
//!   tracestate:  rojo=00f067aa0ba902b7,congo=t61rcWkgMzE                   TraceState
//!   baggage:     userId=alice,serverNode=DF%2028;ttl=30                    Baggage
//! ```
//!
//! A *carrier* is the map of headers of a message. It is read through
//! [`Getter`] and written through [`Setter`], which borrow it as it is; nothing
//! is copied to the heap, and nothing here panics on any input. Types without
//! a suffix borrow header text; types ending in `Buf` own it in a fixed buffer.
//!
//! A broken header never fails a request. A broken `traceparent` starts a new
//! trace and takes its `tracestate` with it; a broken `tracestate` leaves
//! `traceparent` alone; a broken baggage member leaves the others alone.
//!
//! Rules: [W3C Trace Context level 2](https://www.w3.org/TR/trace-context-2/),
//! [W3C Baggage](https://www.w3.org/TR/baggage/), and
//! [OpenTelemetry, Propagators](https://opentelemetry.io/docs/specs/otel/context/api-propagators/).

mod baggage;
mod percent;
mod trace_state;
pub mod traceparent;

use crate::SpanContext;

pub use baggage::{Baggage, BaggageBuf, BaggageEntries, BaggageEntry, BaggageError, BaggageReport};
pub use percent::{Decoded, DecodedChars, Encoded};
pub use trace_state::{TraceState, TraceStateBuf, TraceStateError, TraceStateMembers};
pub use traceparent::{TraceParent, TraceParentError};

/// The name of the header that carries a span's identity.
/// ([traceparent, header name](https://www.w3.org/TR/trace-context-2/#header-name))
pub const TRACEPARENT: &str = "traceparent";

/// The name of the header that carries what tracing systems add to it.
/// ([tracestate, header name](https://www.w3.org/TR/trace-context-2/#header-name-0))
pub const TRACESTATE: &str = "tracestate";

/// The name of the header that carries the application's own pairs.
/// ([baggage, header name](https://www.w3.org/TR/baggage/#header-name))
pub const BAGGAGE: &str = "baggage";

/// Every header written here, so that a reused carrier can be cleaned first.
/// ([Fields](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#fields))
pub const FIELDS: [&str; 3] = [TRACEPARENT, TRACESTATE, BAGGAGE];

/// Reads a carrier.
///
/// It is implemented for the carrier, or for a reference to it in a newtype,
/// and holds no state of its own.
/// ([Getter](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#getter-argument))
pub trait Getter {
    /// The values of all headers of this name, in the carrier's order; none
    /// when it is missing. For HTTP the name matches in any letter case, as
    /// [header name](https://www.w3.org/TR/trace-context-2/#header-name)
    /// demands; `name` is given in lower case.
    fn get_all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]>;

    /// The names of all headers, as the carrier has them; a name may come twice.
    /// ([Keys](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#keys))
    fn keys(&self) -> impl Iterator<Item = &str>;
}

/// Writes a carrier.
///
/// It is implemented for the carrier, or for a mutable reference to it in a
/// newtype, and holds no state of its own.
/// ([Setter](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#setter-argument))
pub trait Setter {
    /// Replaces the header of this name, or adds it. The name is a token of HTTP,
    /// in lower case if it is one of the W3C's, and the value printable ASCII, so
    /// both are legal in HTTP as they are.
    /// ([Set](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#set))
    fn set(&mut self, name: &str, value: &str);
}

/// A list of names and values, as parsers of HTTP hand it out; names match in
/// any letter case.
impl<K: AsRef<str>, V: AsRef<[u8]>> Getter for [(K, V)] {
    #[inline]
    fn get_all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        Named { rest: self.iter(), name }
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(key, _)| key.as_ref())
    }
}

/// The values of a name in a list. Most messages are asked for each of three names.
struct Named<'a, 'n, K, V> {
    rest: core::slice::Iter<'a, (K, V)>,
    name: &'n str,
}

impl<'a, K: AsRef<str>, V: AsRef<[u8]>> Iterator for Named<'a, '_, K, V> {
    type Item = &'a [u8];

    #[inline(always)]
    fn next(&mut self) -> Option<&'a [u8]> {
        for (key, value) in self.rest.by_ref() {
            let key = key.as_ref();
            // Most names are of another length, and others arrive in lower case: equal
            // bytes are found faster.
            if key.len() == self.name.len()
                && (key == self.name || key.eq_ignore_ascii_case(self.name))
            {
                return Some(value.as_ref());
            }
        }
        None
    }
}

/// What is read by reference, as a slice is, can be handed on as a value.
impl<G: Getter + ?Sized> Getter for &G {
    #[inline]
    fn get_all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        (**self).get_all(name)
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        (**self).keys()
    }
}

/// The span context of a message, or `None` where a new trace begins: no
/// `traceparent`, a broken one, or more than one.
///
/// The result is valid and remote.
/// ([Processing model](https://www.w3.org/TR/trace-context-2/#processing-model))
#[inline]
pub fn extract_span_context(carrier: &(impl Getter + ?Sized)) -> Option<SpanContext> {
    let mut headers = carrier.get_all(TRACEPARENT);
    let header = headers.next()?;
    // Two parents cannot both be right, and neither can be told from the other.
    if headers.next().is_some() {
        return None;
    }
    traceparent::parse(header).ok()
}

/// The span context of a message with its trace state, or `None` where a new
/// trace begins.
///
/// `tracestate` is read only where `traceparent` is valid, and a broken one is
/// an empty one; [`TraceStateBuf::from_headers`] tells what is wrong with it.
/// ([tracestate header](https://www.w3.org/TR/trace-context-2/#tracestate-header))
pub fn extract(carrier: &(impl Getter + ?Sized)) -> Option<(SpanContext, TraceStateBuf)> {
    let context = extract_span_context(carrier)?;
    let state = TraceStateBuf::from_headers(carrier.get_all(TRACESTATE));
    Some((context, state.unwrap_or_default()))
}

/// The baggage of a message, and what of it was left out.
///
/// Baggage does not depend on `traceparent`: it is read where a new trace
/// begins, too. ([Baggage, header content](https://www.w3.org/TR/baggage/#header-content))
pub fn extract_baggage<const N: usize>(
    carrier: &(impl Getter + ?Sized),
) -> (BaggageBuf<N>, BaggageReport) {
    BaggageBuf::from_headers(carrier.get_all(BAGGAGE))
}

/// Writes `traceparent`; an invalid context writes nothing.
/// ([Mutating the traceparent field](https://www.w3.org/TR/trace-context-2/#mutating-the-traceparent-field))
#[inline]
pub fn inject_span_context(context: &SpanContext, carrier: &mut (impl Setter + ?Sized)) {
    if context.is_valid() {
        carrier.set(TRACEPARENT, TraceParent::new(context).as_str());
    }
}

/// Writes `traceparent` and `tracestate`; an invalid context writes neither,
/// and an empty trace state is left out.
/// ([Mutating the tracestate field](https://www.w3.org/TR/trace-context-2/#mutating-the-tracestate-field))
pub fn inject(context: &SpanContext, state: TraceState<'_>, carrier: &mut (impl Setter + ?Sized)) {
    inject_span_context(context, carrier);
    if context.is_valid() && !state.is_empty() {
        carrier.set(TRACESTATE, state.as_str());
    }
}

/// Writes `baggage`; an empty one is left out.
/// ([Baggage, header content](https://www.w3.org/TR/baggage/#header-content))
pub fn inject_baggage<const N: usize>(
    baggage: &BaggageBuf<N>,
    carrier: &mut (impl Setter + ?Sized),
) {
    if !baggage.is_empty() {
        carrier.set(BAGGAGE, baggage.as_str());
    }
}

/// A set of ASCII characters; 16 bytes, where a table would take 256.
#[derive(Clone, Copy)]
struct AsciiSet([u32; 4]);

impl AsciiSet {
    const fn of(members: &[u8]) -> Self {
        AsciiSet([0; 4]).and(members)
    }

    /// The characters from `first` to `last`, both included.
    const fn range(first: u8, last: u8) -> Self {
        let mut set = AsciiSet([0; 4]);
        let mut byte = first;
        while byte <= last {
            set = set.and(&[byte]);
            byte += 1;
        }
        set
    }

    const fn and(mut self, members: &[u8]) -> Self {
        let mut i = 0;
        while i < members.len() {
            self.0[(members[i] >> 5) as usize] |= 1 << (members[i] & 31);
            i += 1;
        }
        self
    }

    const fn without(mut self, members: &[u8]) -> Self {
        let mut i = 0;
        while i < members.len() {
            self.0[(members[i] >> 5) as usize] &= !(1 << (members[i] & 31));
            i += 1;
        }
        self
    }

    #[inline]
    fn contains(&self, byte: u8) -> bool {
        // No word has an index above 3, so that bytes above 127 are outside.
        match self.0.get((byte >> 5) as usize) {
            Some(word) => word >> (byte & 31) & 1 != 0,
            None => false,
        }
    }

    fn contains_all(&self, bytes: &[u8]) -> bool {
        bytes.iter().all(|byte| self.contains(*byte))
    }
}

/// Lower-case letters and digits, the base of several grammars.
const LOWER_ALPHANUMERIC: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// Without the optional white space around a header's value or a list's member.
/// ([OWS](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.3))
fn trim_ows(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The text of bytes that a grammar has found to be ASCII.
fn ascii(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};
    use std::vec;
    use std::vec::Vec;

    use super::*;

    const PARENT: &str = "00-12345678901234567890123456789012-1234567890123456-01";
    const OTHER: &str = "00-12345678901234567890123456789011-1234567890123456-01";

    #[derive(Default)]
    struct Headers(Vec<(String, String)>);

    impl Setter for Headers {
        fn set(&mut self, name: &str, value: &str) {
            self.0.retain(|(key, _)| *key != name);
            self.0.push((name.to_string(), value.to_string()));
        }
    }

    #[test]
    fn a_message_without_traceparent_starts_a_trace() {
        let carrier: [(&str, &str); 0] = [];
        assert_eq!(extract_span_context(&carrier[..]), None);
    }

    #[test]
    fn a_valid_traceparent_is_continued_and_remote() {
        let context = extract_span_context(&[(TRACEPARENT, PARENT)][..]).unwrap();
        assert_eq!(context.trace_id().to_string(), "12345678901234567890123456789012");
        assert_eq!(context.span_id().to_string(), "1234567890123456");
        assert!(context.is_remote() && context.is_sampled());
    }

    #[test]
    fn two_traceparent_headers_start_a_trace_even_when_equal() {
        assert!(extract_span_context(&[(TRACEPARENT, OTHER), (TRACEPARENT, PARENT)][..]).is_none());
        assert!(
            extract_span_context(&[(TRACEPARENT, PARENT), (TRACEPARENT, PARENT)][..]).is_none()
        );
        assert!(extract_span_context(&[(TRACEPARENT, PARENT), (TRACEPARENT, "")][..]).is_none());
    }

    #[test]
    fn header_names_match_in_any_case_and_only_whole() {
        for name in ["TraceParent", "TrAcEpArEnT", "TRACEPARENT"] {
            assert!(extract_span_context(&[(name, PARENT)][..]).is_some(), "{name}");
        }
        for name in ["trace-parent", "trace.parent", "traceparent2", ""] {
            assert!(extract_span_context(&[(name, PARENT)][..]).is_none(), "{name}");
        }
        for name in ["TraceState", "TrAcEsTaTe", "TRACESTATE"] {
            let (_, state) = extract(&[(TRACEPARENT, PARENT), (name, "foo=1")][..]).unwrap();
            assert_eq!(state.get("foo"), Some("1"), "{name}");
        }
        for name in ["trace-state", "trace.state"] {
            let (_, state) = extract(&[(TRACEPARENT, PARENT), (name, "foo=1")][..]).unwrap();
            assert!(state.is_empty(), "{name}");
        }
    }

    /// TP-8 ([Tracestate header](https://www.w3.org/TR/trace-context-2/#tracestate-header)).
    #[test]
    fn tracestate_without_a_valid_traceparent_is_not_read() {
        struct Strict(&'static [(&'static str, &'static str)]);
        impl Getter for Strict {
            fn get_all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
                assert_ne!(name, TRACESTATE, "must not be asked for");
                self.0.get_all(name)
            }

            fn keys(&self) -> impl Iterator<Item = &str> {
                self.0.iter().map(|(key, _)| *key)
            }
        }
        assert!(extract(&Strict(&[(TRACESTATE, "foo=1")])).is_none());
        assert!(extract(&Strict(&[(TRACEPARENT, "00-0"), (TRACESTATE, "foo=1")])).is_none());
        assert!(extract(&Strict(&[(TRACEPARENT, OTHER), (TRACEPARENT, PARENT)])).is_none());
    }

    /// TP-8 ([Tracestate header](https://www.w3.org/TR/trace-context-2/#tracestate-header)).
    #[test]
    fn a_broken_tracestate_does_not_harm_traceparent() {
        let carrier = [(TRACEPARENT, PARENT), (TRACESTATE, "foo=1,BAR=2")];
        let (context, state) = extract(&carrier[..]).unwrap();
        assert!(context.is_valid());
        assert!(state.is_empty());
    }

    #[test]
    fn header_bytes_that_are_not_text_are_only_ignored() {
        let carrier: Vec<(&str, &[u8])> = vec![
            (TRACEPARENT, PARENT.as_bytes()),
            (TRACESTATE, b"foo=\xff"),
            (BAGGAGE, b"a=1,b=\xc3\xa4"),
        ];
        let (_, state) = extract(&carrier[..]).unwrap();
        assert!(state.is_empty());
        let (baggage, report) = extract_baggage::<64>(&carrier[..]);
        assert_eq!((baggage.as_str(), report.malformed), ("a=1", 1));
    }

    /// TP-1 ([Traceparent header](https://www.w3.org/TR/trace-context-2/#traceparent-header)).
    #[test]
    fn what_is_extracted_is_injected_under_lower_case_names() {
        let carrier = [
            ("Traceparent", PARENT),
            ("Tracestate", "foo=1 ,, bar=2"),
            ("Tracestate", "baz=3"),
            ("Baggage", "userId = alice"),
        ];
        let (context, state) = extract(&carrier[..]).unwrap();
        let (baggage, _) = extract_baggage::<64>(&carrier[..]);
        let mut headers = Headers::default();
        inject(&context, state.as_trace_state(), &mut headers);
        inject_baggage(&baggage, &mut headers);
        let expected = [
            ("traceparent".to_string(), PARENT.to_string()),
            ("tracestate".to_string(), "foo=1,bar=2,baz=3".to_string()),
            ("baggage".to_string(), "userId=alice".to_string()),
        ];
        assert_eq!(headers.0, expected);
        assert!(headers.0.iter().all(|(name, _)| FIELDS.contains(&name.as_str())));
    }

    #[test]
    fn baggage_is_read_and_written_without_a_trace() {
        let (baggage, report) = extract_baggage::<64>(&[(BAGGAGE, "a=1"), (BAGGAGE, "b=2")][..]);
        assert_eq!(report, BaggageReport::default());
        let mut headers = Headers::default();
        inject_baggage(&baggage, &mut headers);
        assert_eq!(headers.0, [("baggage".to_string(), "a=1,b=2".to_string())]);
    }

    #[test]
    fn nothing_invalid_or_empty_is_injected() {
        let mut headers = Headers::default();
        let state = TraceState::parse("foo=1").unwrap();
        inject(&SpanContext::INVALID, state, &mut headers);
        inject_baggage(&BaggageBuf::<8>::new(), &mut headers);
        assert!(headers.0.is_empty());
        let context = traceparent::parse(PARENT.as_bytes()).unwrap();
        inject(&context, TraceState::parse(" , ").unwrap(), &mut headers);
        assert_eq!(headers.0, [("traceparent".to_string(), PARENT.to_string())]);
    }

    #[test]
    fn ascii_sets_hold_exactly_their_members() {
        let set = AsciiSet::range(b'a', b'c').and(b"~\0").without(b"b");
        let held: Vec<u8> = (0..=255).filter(|byte| set.contains(*byte)).collect();
        assert_eq!(held, [0, b'a', b'c', b'~']);
    }
}
