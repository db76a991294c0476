//! The exact text of waterfalls.

use super::{Options, waterfall};
use crate::{DroppedCounts, END_ATTRIBUTE, Event, FinishedSpan, SpanKind, Status, Trace, Value};

const MS: u64 = 1_000_000;

fn span(id: u64, parent: u64, name: &str, from: u64, to: u64) -> FinishedSpan {
    FinishedSpan {
        span_id: id.to_be_bytes(),
        parent_span_id: (parent > 0).then(|| parent.to_be_bytes()),
        name: name.into(),
        service: "orders".into(),
        start_unix_nanos: 1_700_000_000_000_000_000 + from * MS,
        end_unix_nanos: 1_700_000_000_000_000_000 + to * MS,
        ..FinishedSpan::default()
    }
}

fn ended(mut span: FinishedSpan, how: &str) -> FinishedSpan {
    span.attributes.push((END_ATTRIBUTE.into(), how.into()));
    span
}

fn drawn(spans: Vec<FinishedSpan>) -> String {
    waterfall(&Trace::new([0xab; 16], spans), Options::default()).to_string()
}

#[test]
fn bars_are_scaled_to_the_trace_and_services_named() {
    let mut root = span(1, 0, "GET /orders", 0, 100);
    root.kind = SpanKind::Server;
    let mut call = span(3, 1, "POST /reserve", 40, 90);
    call.kind = SpanKind::Client;
    let mut back = span(4, 3, "reserve", 50, 80);
    back.kind = SpanKind::Server;
    back.service = "inventory".into();
    assert_eq!(
        drawn(vec![back, call, root, span(2, 1, "load cart", 0, 25)]),
        "\
trace abababababababababababababababab  100ms  4 spans  2 services
GET /orders                               orders server            100ms  ██████████████████████████
├ load cart                               orders                  25.0ms  ███████
└ POST /reserve                           orders client           50.0ms            ██████████████
  └ reserve                               inventory server        30.0ms               ████████
"
    );
}

#[test]
fn a_flood_is_told_below_its_parent() {
    let flooded = |more: &[(&str, i64)]| {
        let mut parent = span(1, 0, "import", 0, 100);
        let entry = |(key, number): &(&str, i64)| ((*key).to_owned(), Value::from(*number));
        parent.attributes.extend(more.iter().map(entry));
        let drawn = drawn(vec![parent]);
        drawn.lines().skip(2).map(|line| line.trim_start().to_owned()).collect::<Vec<_>>()
    };
    let told = [
        ("throughline.surplus.count", 3),
        ("throughline.surplus.sum_ns", 6_000),
        ("throughline.surplus.min_ns", 1_000),
        ("throughline.surplus.max_ns", 3_000_000),
        ("throughline.surplus.untimed", 1),
    ];
    let count = "• surplus  3 more children, not sent";
    let times = format!("{count}: min/avg/max 1.00µs/2.00µs/3.00ms");
    assert_eq!(flooded(&told[..4]), [times.as_str()]);
    let some_untimed = format!("{count}: min/avg/max 1.00µs/3.00µs/3.00ms, 1 untimed");
    assert_eq!(flooded(&told), [some_untimed.as_str()]);
    let all_untimed = [told[0], ("throughline.surplus.untimed", 3)];
    assert_eq!(flooded(&all_untimed), [count]);
    let one = [("throughline.surplus.count", 1), ("throughline.surplus.untimed", 1)];
    assert_eq!(flooded(&one), ["• surplus  1 more child, not sent"]);
    assert!(flooded(&[("throughline.surplus.count", -1)]).is_empty());
    assert!(flooded(&[]).is_empty());
}

#[test]
fn failures_say_how_and_why() {
    let mut failed = span(2, 1, "charge", 5, 20);
    failed.status = Status::Error("card refused".into());
    failed.events.push(Event {
        unix_nanos: failed.start_unix_nanos + 3 * MS,
        name: "exception".into(),
        attributes: vec![
            ("exception.type".into(), Value::from("Refused")),
            ("exception.message".into(), Value::from("over\nlimit")),
        ],
        ..Event::default()
    });
    failed.dropped = DroppedCounts { attributes: 3, ..DroppedCounts::default() };
    let cancelled = ended(span(3, 1, "slow replica", 5, 30), "cancelled");
    let panicked = ended(span(4, 1, "parse", 6, 7), "panicked");
    let dropped = ended(span(5, 1, "audit", 6, 9), "dropped");
    let orphan = span(6, 77, "lost", 50, 60);
    let root = span(1, 0, "request", 0, 60);
    let child = span(7, 2, "ask bank", 6, 18);
    assert_eq!(
        drawn(vec![root, failed, cancelled, panicked, dropped, orphan, child]),
        "\
trace abababababababababababababababab  60.0ms  7 spans  1 error  1 panicked  1 cancelled  1 dropped  1 without parent
request                                   orders                  60.0ms  ██████████████████████████
├ charge ✗                                orders                  15.0ms    ███████
│ │ • error  card refused
│ │ • exception  Refused: over\\nlimit  +3.00ms
│ │ • dropped  3 attributes over the limit
│ └ ask bank                              orders                  12.0ms    ██████
├ slow replica ⊘ cancelled                orders                  25.0ms    ███████████
├ parse ✗ panicked                        orders                  1.00ms    ██
└ audit ⊘ dropped                         orders                  3.00ms    ██
lost ? no parent                          orders                  10.0ms                       █████
"
    );
}

#[test]
fn spans_that_are_alike_share_a_row() {
    let mut spans = vec![span(1, 0, "batch", 0, 400)];
    for at in 0..187 {
        spans.push(span(1_000 + at, 1, "load", at * 2, at * 2 + 1 + at % 3));
        spans.push(span(2_000 + at, 1_000 + at, "query", at * 2, at * 2 + 1));
    }
    spans[9].status = Status::Error("gone".into());
    assert_eq!(
        drawn(spans),
        "\
trace abababababababababababababababab  400ms  375 spans  1 error
batch                                     orders                   400ms  ██████████████████████████
├ × 186 load                  min/avg/max 1.00ms/1.99ms/3.00ms     373ms  ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒
│ └ × 186 query               min/avg/max 1.00ms/1.00ms/1.00ms     373ms  ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒
└ load ✗                                  orders                  2.00ms  █
  │ • error  gone
  └ query                                 orders                  1.00ms  █
"
    );
}

#[test]
fn names_from_outside_are_harmless_and_cut() {
    let spans = vec![
        span(1, 0, "\x1b]0;owned\x07\x1b[2J", 0, 10),
        span(2, 1, &"very long name ".repeat(10), 1, 9),
        span(3, 1, &"長い名前".repeat(20), 1, 9),
    ];
    let text = drawn(spans);
    assert_eq!(
        text,
        "\
trace abababababababababababababababab  10.0ms  3 spans
\\u{1b}]0;owned\\u{7}\\u{1b}[2J              orders                  10.0ms  ██████████████████████████
├ very long name very long name very lo…  orders                  8.00ms    ██████████████████████
└ 長い名前長い名前長い名前長い名前長い…   orders                  8.00ms    ██████████████████████
"
    );
}

#[test]
fn a_trace_of_20_000_spans_in_a_row_of_parents_stays_readable() {
    let spans = (1..=20_000).map(|id| span(id, id - 1, &format!("step {id}"), id, 20_001));
    let text = waterfall(
        &Trace::new([1; 16], spans.collect()),
        Options { max_rows: 20, ..Options::default() },
    )
    .to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 22);
    assert!(lines[20].starts_with("⋯19 step 20 "), "{}", lines[20]);
    assert_eq!(lines[21], "… 19980 more spans not drawn");
}

#[test]
fn a_trace_of_20_000_equal_children_is_two_rows() {
    let mut spans = vec![span(1, 0, "root", 0, 20_000)];
    spans.extend((2..20_002).map(|id| span(id, 1, "tick", id, id + 1)));
    assert_eq!(drawn(spans).lines().count(), 3);
}

#[test]
fn what_is_not_drawn_is_counted_with_its_failures() {
    let mut spans: Vec<_> =
        (1..=9).map(|id| span(id, 0, &format!("step {id}"), id, id + 1)).collect();
    spans[8].status = Status::Error(String::new());
    let options = Options { max_rows: 3, ..Options::default() };
    let text = waterfall(&Trace::new([1; 16], spans), options).to_string();
    assert!(
        text.ends_with("\n… 6 more spans not drawn, 1 of them failed, cancelled or panicked\n"),
        "{text}"
    );
}

#[test]
fn colour_changes_nothing_but_the_colour() {
    let spans = vec![span(1, 0, "request", 0, 10), ended(span(2, 1, "work", 1, 9), "panicked")];
    let trace = Trace::new([1; 16], spans);
    let coloured = Options { colour: true, ..Options::default() };
    let mut text = waterfall(&trace, coloured).to_string();
    assert!(text.contains("\x1b[31m"));
    while let Some(at) = text.find('\x1b') {
        let end = text[at..].find('m').expect("an escape ends") + at;
        text.replace_range(at..=end, "");
    }
    assert_eq!(text, waterfall(&trace, Options::default()).to_string());
}

#[test]
fn no_line_is_wider_than_asked() {
    let mut spans = vec![span(1, 0, &"n".repeat(300), 0, 10)];
    spans.extend((2..60).map(|id| span(id, id - 1, &"m".repeat(300), 0, 10)));
    spans.extend((100..110).map(|id| span(id, 1, &"k".repeat(300), 0, 10)));
    let trace = Trace::new([1; 16], spans);
    for width in [0, 60, 80, 123, 400, 100_000] {
        let options = Options { width, ..Options::default() };
        let text = waterfall(&trace, options).to_string();
        let widest = text.lines().skip(1).map(crate::text::width).max();
        assert_eq!(widest, Some(width.clamp(60, 400)));
    }
}

#[test]
fn an_empty_trace_is_a_header() {
    assert_eq!(drawn(Vec::new()), "trace abababababababababababababababab  0ns  0 spans\n");
}
