//! [Jaeger's propagation format](https://www.jaegertracing.io/sdk-migration/#propagation-format)

use proptest::prelude::*;
use throughline_propagation::{Jaeger, Propagator};
use throughline_runtime::Context;

use crate::carrier::{List, SPAN, TRACE, baggage, extracted, forwarded};

/// JG-1: ids with zeros left out, any parent, the sampled and the debug bit.
#[test]
fn ids_are_padded_and_flags_and_debug_go_on() {
    for (sent, expected) in [
        (format!("{TRACE}:{SPAN}:0:1"), format!("{TRACE}:{SPAN}:0:1")),
        (format!("{TRACE}:{SPAN}::0"), format!("{TRACE}:{SPAN}:0:0")),
        (format!("{TRACE}:{SPAN}:{SPAN}:03"), format!("{TRACE}:{SPAN}:0:3")),
        (format!("{TRACE}:{SPAN}:0:2"), format!("{TRACE}:{SPAN}:0:3")),
        (format!("{TRACE}:{SPAN}:0:9"), format!("{TRACE}:{SPAN}:0:1")),
        ("A:b:0:1".to_owned(), format!("{:032x}:{:016x}:0:1", 10, 11)),
        (format!("{TRACE}%3A{SPAN}%3a0%3A1"), format!("{TRACE}:{SPAN}:0:1")),
    ] {
        let out = forwarded(&Jaeger, &[("Uber-Trace-Id", &sent)]);
        assert_eq!(out.get("uber-trace-id"), Some(expected.as_str()), "{sent}");
    }
    assert_eq!(Jaeger.fields(), ["uber-trace-id"]);
}

/// JG-1, PROP-2.
#[test]
fn malformed_values_are_ignored() {
    for value in [
        "",
        ":::",
        "1:2:3",
        "1:2:3:4:5",
        "1:2:3:",
        "0:1:0:1",
        "1:0:0:1",
        "x:1:0:1",
        "1:1:x:1",
        "1:1:0:x",
        "1:1:0:100",
        &format!("1{TRACE}:1:0:1"),
        &format!("1:1{SPAN}:0:1"),
        "1:1:0:1 1",
        "\u{e4}",
    ] {
        assert!(extracted(&Jaeger, &[("uber-trace-id", value)]).is_empty(), "{value}");
    }
}

/// JG-1: baggage in headers of its own, decoded, without a trace too.
#[test]
fn baggage_is_in_a_header_per_key() {
    let headers = [("Uberctx-user", "a%20b"), ("uberctx-n", "1"), ("uberctx-", "no"), ("x", "2")];
    let context = extracted(&Jaeger, &headers);
    assert_eq!(baggage(&context), "user=a%20b,n=1");
    let out = crate::carrier::injected(&Jaeger, &context);
    assert_eq!(out, List::of(&[("uberctx-user", "a%20b"), ("uberctx-n", "1")]));
    let known = Jaeger.extract(context, &List::of(&[("uberctx-n", "2")]));
    assert_eq!(baggage(&known), "user=a%20b,n=2", "what the context had stays");
    let broken = [("uberctx-(", "1"), ("uberctx-b", "2")];
    assert_eq!(baggage(&extracted(&Jaeger, &broken)), "b=2");
}

proptest! {
    #[test]
    fn arbitrary_values_never_panic_and_what_is_read_is_written_alike(value in "[0-9a-fA-F:%3]{0,60}") {
        let context = extracted(&Jaeger, &[("uber-trace-id", &value), ("uberctx-k", &value)]);
        let once = crate::carrier::injected(&Jaeger, &context);
        let again = Jaeger.extract(Context::empty(), &once);
        prop_assert_eq!(crate::carrier::injected(&Jaeger, &again), once);
    }

    #[test]
    fn whatever_span_is_written_is_read_back(trace in 1u128.., span in 1u64.., flags in 0u8..4) {
        let out = forwarded(&Jaeger, &[("uber-trace-id", &format!("{trace:x}:{span:x}:0:{flags:x}"))]);
        let flags = if flags & 2 == 0 { flags } else { 3 };
        let expected = format!("{trace:032x}:{span:016x}:0:{flags:x}");
        prop_assert_eq!(out.get("uber-trace-id"), Some(expected.as_str()));
    }
}
