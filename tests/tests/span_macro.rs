//! The `span!` macro: what its fields and options become.

use core::cell::Cell;
use core::time::Duration;

use throughline::exporters::Memory;
use throughline::{
    AlwaysOff, InSpan, InSpanExt, Span, SpanKind, SpanLimits, Telemetry, Thread, TryInSpan,
    builder, span,
};

fn traced(work: impl FnOnce()) -> Memory {
    let memory = Memory::new();
    let telemetry = telemetry(memory.clone());
    telemetry.context().scope(work);
    telemetry.flush_blocking(Duration::from_secs(60));
    memory
}

fn telemetry(memory: Memory) -> Telemetry {
    builder().start(Thread::start().expect("a thread"), memory)
}

#[test]
fn a_future_in_a_span_grows_by_96_bytes_at_most() {
    assert!(size_of::<InSpan<u64>>() - size_of::<u64>() <= 96, "{}", size_of::<InSpan<u64>>());
    assert_eq!(size_of::<TryInSpan<u64>>(), size_of::<InSpan<u64>>());
}

#[test]
fn the_parent_may_be_a_temporary() {
    let memory = Memory::new();
    let telemetry = telemetry(memory.clone());
    let span = span!(parent: &telemetry.context(), "root");
    span.end();
    telemetry.flush_blocking(Duration::from_secs(60));
    memory.assert_tree("root");
}

#[test]
fn a_span_that_is_nothing_leaves_current_what_is() {
    // Nothing is installed in this process and nothing entered here.
    let (closure, future) = (span!("closure"), span!("future"));
    let memory = traced(|| {
        span!("root").in_scope(|| {
            closure.in_scope(|| span!("in the closure").end());
            smol::block_on(async { span!("in the future").end() }.in_span(future));
            Span::none().in_scope(|| span!("in none").end());
        });
    });
    memory.assert_tree(
        "
        root
          in the closure
          in the future
          in none
        ",
    );
}

#[test]
fn a_literal_is_recorded_as_what_is_not_one() {
    macro_rules! spans {
        ($($key:ident = $value:literal),*) => {{
            let memory = traced(|| {
                span!("literal", $($key = $value),*).end();
                span!("other", $($key = { $value }),*).end();
            });
            let literal = memory.span("literal");
            let given = [$(stringify!($key)),*];
            assert!(literal.attributes.iter().map(|(key, _)| key.as_str()).eq(given));
            assert_eq!(literal.attributes, memory.span("other").attributes);
            literal
        }};
    }
    let literal = spans!(
        short = "GET",
        empty = "",
        long = "a text that is longer than what is short, by some",
        a_key_that_is_longer_than_a_prepared_one = "x",
        zero = 0,
        three = 3_000,
        four = 2_097_152,
        most = 18_446_744_073_709_551_615_u64,
        below = -1,
        float = 0.5,
        yes = true,
        bytes = b"bytes"
    );
    assert_eq!(literal.attributes[0].1, "GET");
}

/// LIM-2, LIM-3: Attribute Limits.
#[test]
fn limits_hold_for_literals_too() {
    let mut limits = SpanLimits::default();
    (limits.attribute_count, limits.attribute_value_length) = (3, 2);
    let memory = Memory::new();
    let builder = builder().limits(limits);
    let telemetry = builder.start(Thread::start().expect("a thread"), memory.clone());
    telemetry.context().scope(|| span!("s", a = "äöü", b = "xy", c = 300, d = 4, e = "z").end());
    telemetry.flush_blocking(Duration::from_secs(60));
    let span = memory.span("s");
    let shown = span.attributes.iter().map(|(key, value)| format!("{key}={value}"));
    assert!(shown.eq(["a=äö", "b=xy", "c=300"]), "{:?}", span.attributes);
}

#[test]
fn an_expression_may_begin_like_a_literal() {
    let number = 7;
    let memory = traced(|| {
        let below = span!("s", below = -number, len = "four".len(), less = 3 > number, n = -1);
        below.end();
    });
    let attributes = memory.span("s").attributes;
    let shown = attributes.iter().map(|(key, value)| format!("{key}={value}"));
    assert!(shown.eq(["below=-7", "len=4", "less=false", "n=-1"]), "{attributes:?}");
}

#[test]
fn fields_keep_their_types_keys_and_order() {
    let (id, name, path) = (7_u64, String::from("shelf"), "/a");
    let memory = traced(|| {
        span!(
            "load",
            id,
            name,
            %path,
            name_of = ?Some(1),
            http.route = "/x",
            "literal key" = true,
            big = u64::MAX,
            missing = None::<i64>,
        )
        .end();
    });
    let attributes = memory.span("load").attributes;
    let expected = [
        ("id", "7"),
        ("name", "shelf"),
        ("path", "/a"),
        ("name_of", "Some(1)"),
        ("http.route", "/x"),
        ("literal key", "true"),
        ("big", "18446744073709551615"),
        ("missing", ""),
    ];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(attributes, expected);
}

#[test]
fn options_choose_parent_and_kind() {
    let memory = traced(|| {
        span!("outer").in_scope(|| {
            span!(kind: Client, "call").end();
            span!(root, kind: Server, "other trace").end();
        });
    });
    assert_eq!(memory.span("call").kind, SpanKind::Client);
    assert_eq!(memory.span("other trace").kind, SpanKind::Server);
    assert_ne!(memory.span("other trace").trace_id, memory.span("outer").trace_id);
    assert_eq!(memory.span("call").parent_span_id, memory.span("outer").span_id);
}

#[test]
fn fields_of_a_span_that_is_not_recorded_are_not_evaluated() {
    let telemetry =
        builder().sampler(AlwaysOff).start(Thread::start().expect("a thread"), Memory::new());
    let evaluated = Cell::new(0);
    telemetry.context().scope(|| {
        span!(
            "never",
            cost = {
                evaluated.set(evaluated.get() + 1);
                1
            }
        )
        .end();
    });
    assert_eq!(evaluated.get(), 0);
    assert_eq!((telemetry.ledger().started(), telemetry.ledger().unsampled()), (0, 1));
}

#[test]
fn the_scope_is_the_crate_in_which_the_macro_stands() {
    let memory = traced(|| span!("here").end());
    assert_eq!(memory.span("here").scope, "throughline-tests");
}
