//! The headers of B3 and Jaeger.

use throughline::Context;
use throughline::propagation::{B3, Jaeger, Propagator};
use throughline::w3c::{Getter, Setter};

/// Each line is a header: its first byte says which. What is read is valid, and is
/// written and read again alike, in both forms.
pub fn b3(data: &[u8]) {
    let names = ["b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags"];
    let headers = headers(data, &names);
    for by in [B3::single(), B3::multi()] {
        let context = read(&by, &headers);
        for other in [B3::single(), B3::multi()] {
            let written = write(&other, &context);
            let again = read(&by, &written);
            assert_eq!(again.span_context(), context.span_context());
            assert_eq!(again.is_suppressed(), context.is_suppressed());
            assert_eq!(write(&other, &again).0, written.0);
        }
    }
}

/// As [`b3`]; baggage is read without a trace too.
pub fn jaeger(data: &[u8]) {
    let headers =
        headers(data, &["uber-trace-id", "uberctx-a", "UBERCTX-b", "uberctx-", "uberctx-("]);
    let context = read(&Jaeger, &headers);
    let written = write(&Jaeger, &context);
    let again = read(&Jaeger, &written);
    assert_eq!(again.span_context(), context.span_context());
    assert_eq!(write(&Jaeger, &again).0, written.0);
}

fn read(by: &impl Propagator, headers: &Headers) -> Context {
    let context = by.extract(Context::empty(), headers);
    let span = context.span_context();
    assert_eq!(span.is_valid(), span.is_remote());
    assert!(!span.trace_flags().is_random(), "nobody said so");
    context
}

fn write(by: &impl Propagator, context: &Context) -> Headers {
    let mut headers = Headers(Vec::new());
    by.inject(context, &mut headers);
    headers
}

fn headers(data: &[u8], names: &[&str]) -> Headers {
    let lines = super::lines(data).filter_map(|line| line.split_first());
    let header = |(name, value): (&u8, &[u8])| {
        (names[usize::from(*name) % names.len()].to_owned(), value.to_vec())
    };
    Headers(lines.map(header).collect())
}

struct Headers(Vec<(String, Vec<u8>)>);

impl Getter for Headers {
    fn get_all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let is_named = move |key: &str| key.eq_ignore_ascii_case(name);
        self.0.iter().filter(move |(key, _)| is_named(key)).map(|(_, value)| value.as_slice())
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

impl Setter for Headers {
    fn set(&mut self, name: &str, value: &str) {
        assert!(
            value.bytes().all(|byte| byte == b'\t' || (0x20..0x7f).contains(&byte)),
            "{value:?}"
        );
        self.0.push((name.to_owned(), value.into()));
    }
}
