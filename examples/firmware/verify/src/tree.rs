//! What the firmware's spans must be.

use core::fmt::Write as _;
use std::collections::HashSet;

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use crate::sent::{Sent, number, text};

/// The spans of the tasks and of the interrupt, as parents and children.
const TREE: &str = "\
answer celsius=21
  measure
    sample
      convert raw=512
    sample
      convert raw=512
  render
blink
  toggle on=1
  toggle on=0
  toggle on=1
interrupt
interrupt
store error
  erase attempt=1
  erase attempt=2
upload timed_out=1
  send cancelled
";

/// What a span of the tree shows of its attributes.
const SHOWN: [&str; 5] = ["celsius", "raw", "on", "attempt", "timed_out"];

/// The spans that overload made, and what became of them.
const OVERLOAD: [&str; 5] = ["many", "one of many", "burst", "oversized", "ledger"];

const AT_ONCE: i64 = 20;
const BURST: i64 = 100;

/// # Errors
///
/// The first thing that is not as it must be.
pub(crate) fn verify(sent: &Sent) -> Result<(), String> {
    ids(sent)?;
    let tree = drawn(sent);
    if tree != TREE {
        return Err(format!("the tree is\n{tree}\nand must be\n{TREE}"));
    }
    continued(sent)?;
    interrupt(sent)?;
    failed(sent)?;
    overload(sent)
}

/// Ids are unique and valid, parents are there, times are in order.
fn ids(sent: &Sent) -> Result<(), String> {
    let spans: HashSet<&[u8]> = sent.spans.iter().map(|span| &*span.span_id).collect();
    must(spans.len() == sent.spans.len(), "two spans have the same id")?;
    for span in &sent.spans {
        let name = &span.name;
        must(span.trace_id.len() == 16 && span.span_id.len() == 8, "an id has another length")?;
        let is_whole = span.parent_span_id.is_empty()
            || spans.contains(&*span.parent_span_id)
            || name == "answer";
        must(is_whole, &format!("the parent of {name:?} is missing"))?;
        // After 2020, that is: in nanoseconds since the Unix epoch.
        let is_in_order = 1_577_836_800_000_000_000 < span.start_time_unix_nano
            && span.start_time_unix_nano <= span.end_time_unix_nano;
        must(is_in_order, &format!("the times of {name:?} are not in order"))?;
    }
    Ok(())
}

/// The trace of the request goes on.
fn continued(sent: &Sent) -> Result<(), String> {
    let answer = sent.one("answer")?;
    must(hex(&answer.trace_id) == "0af7651916cd43dd8448eb211c80319c", "another trace")?;
    must(hex(&answer.parent_span_id) == "b7ad6b7169203331", "another parent")?;
    must(answer.flags & 0x300 == 0x300, "the parent is not said to be remote")?;
    must(answer.kind == 2, "a request is not of kind server")?;
    let traced = sent.spans.iter().filter(|span| span.trace_id == answer.trace_id).count();
    must(traced == 7, "not all of the request is in its trace")
}

/// The handler's own span is in a trace of its own, came in the middle of the
/// task's, and links to it.
fn interrupt(sent: &Sent) -> Result<(), String> {
    for (interrupt, sample) in sent.named("interrupt").zip(sent.named("sample")) {
        must(interrupt.trace_id != sample.trace_id, "the interrupt is in the task's trace")?;
        let is_inside = sample.start_time_unix_nano < interrupt.start_time_unix_nano
            && interrupt.end_time_unix_nano < sample.end_time_unix_nano;
        must(is_inside, "the interrupt was not in the middle of the task's span")?;
        let links = &interrupt.links;
        let is_linked = links.len() == 1
            && links[0].span_id == sample.span_id
            && links[0].trace_id == sample.trace_id;
        must(is_linked, "the interrupt does not link to the task's span")?;
    }
    Ok(())
}

fn failed(sent: &Sent) -> Result<(), String> {
    let store = sent.one("store")?;
    let message = store.status.as_ref().map(|status| &*status.message);
    must(message == Some("the flash is worn out"), "the failure is not described")?;
    let events = &store.events;
    must(events.len() == 2 && events.iter().all(|event| event.name == "refused"), "events")?;
    let is_inside = |at: u64| (store.start_time_unix_nano..=store.end_time_unix_nano).contains(&at);
    must(events.iter().all(|event| is_inside(event.time_unix_nano)), "an event's time")
}

/// What did not fit is counted, in the batches themselves.
fn overload(sent: &Sent) -> Result<(), String> {
    let oversized = sent.one("oversized")?;
    must(oversized.dropped_attributes_count == 1, "the oversized attribute is not counted")?;
    must(text(&oversized.attributes, "fits") == Some("yes"), "an attribute that fits is lost")?;

    let ledgers: Vec<&Span> = sent.named("ledger").collect();
    must(ledgers.len() >= 3, "losses were not told in the batch after them")?;
    let last = ledgers.last().ok_or("there is no ledger")?;
    let count = |key: &str| number(&last.attributes, key).unwrap_or(0);
    let (table, queue) = (count("live_table_full"), count("queue_full"));
    let came = |name: &str| sent.named(name).count() as i64;
    must(table > 0 && came("one of many") + table == AT_ONCE, "the full table is not counted")?;
    must(queue > 0 && came("burst") + queue == BURST, "the full ring is not counted")?;
    // The last ledger was read when all had ended but itself.
    let all = sent.spans.len() as i64 - 1 + table + queue;
    must(count("started") == all, "the ledger does not balance")?;
    println!("lost and counted: {table} to the full table, {queue} to the full ring");
    Ok(())
}

/// The spans of the tasks as an indented tree, roots by name.
fn drawn(sent: &Sent) -> String {
    let is_root = |span: &&Span| span.parent_span_id.is_empty() || span.name == "answer";
    let mut roots: Vec<&Span> = sent.spans.iter().filter(is_root).collect();
    roots.retain(|span| !OVERLOAD.contains(&&*span.name));
    roots.sort_by_key(|span| (&span.name, span.start_time_unix_nano));
    let mut tree = String::new();
    roots.into_iter().for_each(|root| draw(sent, root, 0, &mut tree));
    tree
}

fn draw(sent: &Sent, span: &Span, depth: usize, tree: &mut String) {
    let _ = write!(tree, "{:1$}{2}", "", 2 * depth, span.name);
    for key in SHOWN {
        if let Some(value) = number(&span.attributes, key) {
            let _ = write!(tree, " {key}={value}");
        }
    }
    if let Some(ending) = text(&span.attributes, "throughline.end") {
        let _ = write!(tree, " {ending}");
    }
    if span.status.as_ref().is_some_and(|status| status.code == StatusCode::Error as i32) {
        tree.push_str(" error");
    }
    tree.push('\n');
    let mut children: Vec<&Span> =
        sent.spans.iter().filter(|child| child.parent_span_id == span.span_id).collect();
    children.sort_by_key(|child| child.start_time_unix_nano);
    children.into_iter().for_each(|child| draw(sent, child, depth + 1, tree));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn must(is_so: bool, otherwise: &str) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(otherwise.to_owned()) }
}
