//! Signs of life: records of spans that still run.
//!
//! ```text
//!   live-span table ── who is older than `after`? ──▶ a batch ──▶ exporter
//!        ▲ looked at each `after`, without stopping anybody
//! ```
//!
//! They go past the rings: no span waits behind them, none is lost because of
//! them, and the ledger counts them apart.

use core::time::Duration;

use crate::batch::{Batch, Entry};
use crate::body::Body;
use crate::frame::{self, SPAN};
use crate::live::{LastPoll, LiveView};
use crate::start::UNIX;
use crate::wire::{self, Out};
use crate::{Accepted, ExportError, Pipeline, SpanLimits, Value};

/// Attribute of a record of a span that still runs: `true`.
///
/// Such a record has ids, parent, name, kind and start of its span; its end is the
/// moment at which it was made, and it has none of the span's own attributes,
/// events, links and status: whoever runs the span writes those without a lock, and to read
/// them meanwhile would cost that thread one, or a copy, each time it adds. Its trace and span
/// id are those of the record that comes when the span has ended, and later on
/// the wire: a backend that replaces a span by a later one of the same ids needs
/// to know nothing, and for any other a collector leaves out what has this
/// attribute.
pub const HEARTBEAT_ATTRIBUTE: &str = "throughline.heartbeat";

/// Attribute of such a record: `polling` or `waiting`, if the span's future,
/// stream or sink was polled; `running`, if a closure runs in the span.
pub const HEARTBEAT_STATE_ATTRIBUTE: &str = "throughline.heartbeat.state";

/// Attribute of such a record: for how many nanoseconds it is in that state, if it is polled.
pub const HEARTBEAT_SINCE_ATTRIBUTE: &str = "throughline.heartbeat.since_ns";

/// A machine that makes batches of spans that still run, told the time. `B` and
/// `E` are the memory of one batch: its bytes and its entries.
///
/// Its driver asks [`gather`](Self::gather) whenever [`due`](Self::due) is over
/// and nothing is being sent, sends [`batch`](Self::batch), and tells
/// [`on_export`](Self::on_export). A record is sent once: the next one is as good.
#[derive(Debug)]
pub struct Heartbeats<B, E> {
    pipeline: &'static Pipeline,
    after: Duration,
    due: Duration,
    /// Where the look at the table goes on when the batch was full.
    next: usize,
    bytes: B,
    entries: E,
    used: usize,
    count: usize,
}

/// A moment, on each of the clocks that records are made by.
#[derive(Clone, Copy, Debug)]
pub struct Moment<F> {
    /// The time of the driver.
    pub now: Duration,
    /// The clock tick.
    pub ticks: u64,
    /// How many ticks the age takes from which on a span has records.
    pub after_ticks: u64,
    /// Turns ticks into nanoseconds since the Unix epoch.
    pub unix_nanos: F,
}

impl<B, E> Heartbeats<B, E>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    E: AsRef<[Entry]> + AsMut<[Entry]>,
{
    /// A record of each span that is older than `after`, each `after`, from now on.
    pub fn new(
        pipeline: &'static Pipeline,
        after: Duration,
        now: Duration,
        bytes: B,
        entries: E,
    ) -> Self {
        let due = now.saturating_add(after);
        Heartbeats { pipeline, after, due, next: 0, bytes, entries, used: 0, count: 0 }
    }

    /// From what age on spans have records, and how often.
    pub fn after(&self) -> Duration {
        self.after
    }

    /// When to look at the table next.
    pub fn due(&self) -> Duration {
        self.due
    }

    /// Makes a batch of what is old enough. Returns whether there is something to
    /// send; then it is to be told what became of it.
    pub fn gather<F: Fn(u64) -> u64>(&mut self, moment: &Moment<F>) -> bool {
        if self.pipeline.is_closed() {
            self.due = Duration::MAX;
        }
        if moment.now < self.due {
            return false;
        }
        (self.used, self.count) = (0, 0);
        let table = self.pipeline.live_table();
        while self.next < table.capacity() {
            if let Some(view) = table.view(self.next)
                && view.context.is_sampled()
                && !view.is_surplus
                && is_older(&view, moment, self.after)
                && !self.push(&view, moment)
            {
                // As much as fits, and the rest at once.
                return true;
            }
            self.next += 1;
        }
        self.next = 0;
        self.due = moment.now.saturating_add(self.after);
        self.count > 0
    }

    /// Whether the record fit. One that fits no batch is left out.
    fn push<F: Fn(u64) -> u64>(&mut self, view: &LiveView, moment: &Moment<F>) -> bool {
        let mut bytes = [0; BODY];
        let body = body_of(view, moment, &mut bytes);
        let body = bytes.get(..body.len as usize).unwrap_or_default();
        let span_len = frame::partial_len(view) + body.len();
        let len = wire::field_len(span_len);
        if len > self.bytes.as_ref().len() || self.entries.as_ref().is_empty() {
            return true;
        }
        let (Some(place), Some(entry)) = (
            self.bytes.as_mut().get_mut(self.used..self.used + len),
            self.entries.as_mut().get_mut(self.count),
        ) else {
            return false;
        };
        let unix_nanos = |ticks| match ticks & UNIX {
            0 => (moment.unix_nanos)(ticks),
            _ => ticks & !UNIX,
        };
        let start = unix_nanos(view.start_ticks);
        let end = (moment.unix_nanos)(moment.ticks).max(start);
        let mut out = Out::new(place);
        out.header(SPAN, span_len);
        frame::write_partial(view, start, end, &mut out);
        out.bytes(body);
        self.used += len;
        self.count += 1;
        *entry = Entry::new(self.used as u32, view.scope);
        true
    }

    /// The records to send.
    pub fn batch(&self) -> Batch<'_> {
        let bytes = self.bytes.as_ref().get(..self.used).unwrap_or_default();
        let entries = self.entries.as_ref().get(..self.count).unwrap_or_default();
        Batch::new(self.pipeline, bytes, 0, entries)
    }

    /// What became of them. They are not sent again.
    pub fn on_export(&mut self, result: Result<Accepted, ExportError>) {
        if let Ok(Accepted { rejected }) = result {
            let count = self.count as u64;
            self.pipeline.counters().count_heartbeats(count - rejected.min(count));
        }
        (self.used, self.count) = (0, 0);
    }
}

/// Whether the span is `after` old. Where the program gave the start, it is a time since
/// the Unix epoch, and its age is told by that clock; a start in the future is no age.
fn is_older<F: Fn(u64) -> u64>(view: &LiveView, moment: &Moment<F>, after: Duration) -> bool {
    if view.start_ticks & UNIX == 0 {
        return moment.ticks.saturating_sub(view.start_ticks) >= moment.after_ticks;
    }
    let age = (moment.unix_nanos)(moment.ticks).saturating_sub(view.start_ticks & !UNIX);
    Duration::from_nanos(age) >= after
}

fn body_of<F: Fn(u64) -> u64>(view: &LiveView, moment: &Moment<F>, bytes: &mut [u8]) -> Body {
    let mut body = Body::new();
    let limits = SpanLimits::new();
    let mut add = |key: &str, value: Value<'_>| {
        // There is room for these three, and no fourth is added.
        let _ = body.add_attribute(bytes, key, &value, &limits);
    };
    add(HEARTBEAT_ATTRIBUTE, Value::Bool(true));
    let (state, since) = match view.last_poll {
        LastPoll::Never => return body,
        LastPoll::InClosure => {
            add(HEARTBEAT_STATE_ATTRIBUTE, Value::Str("running"));
            return body;
        }
        LastPoll::Began(at) => ("polling", at),
        LastPoll::Ended(at) => ("waiting", at),
    };
    let [since, now] = [since, moment.ticks].map(|ticks| (moment.unix_nanos)(ticks));
    add(HEARTBEAT_STATE_ATTRIBUTE, Value::Str(state));
    add(HEARTBEAT_SINCE_ATTRIBUTE, Value::U64(now.saturating_sub(since)));
    body
}

/// Room for the three attributes.
const BODY: usize = 192;
