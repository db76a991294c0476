//! Spans under way, to look at.

use core::fmt;
use core::time::Duration;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use throughline_core::{LastPoll, LiveView, Pipeline, SpanContext, SpanId, SpanKind, TraceId};

use crate::{clock, guards};

/// A span that had begun and not ended when it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveSpan {
    /// The id of the trace.
    pub trace_id: TraceId,
    /// The id of the span.
    pub span_id: SpanId,
    /// The id of the parent, invalid for a root.
    pub parent_span_id: SpanId,
    /// The name with which it began.
    pub name: &'static str,
    /// The kind.
    pub kind: SpanKind,
    /// The name of the scope: whose code began it.
    pub scope: &'static str,
    /// Whether it is a child [too many](throughline_core::SpanBudgets): its ids are those
    /// of its parent, and it is not exported.
    pub is_surplus: bool,
    /// How long ago it began.
    pub age: Duration,
    /// What its work does, and since when.
    pub state: LiveState,
}

/// What the work in a live span does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LiveState {
    /// It was never polled: it is a handle, or a future whose turn has not come; or the
    /// pipeline does not time polls.
    Unpolled,
    /// A closure runs in it, or a guard of another API is in it, on some thread. Since when is not noted: the moment would be one more
    /// reading of the clock, and with nearly all closures it is that of the beginning.
    Running,
    /// A poll of its future, stream or sink began so long ago and has not come
    /// back. If that is long, it keeps its executor from other work.
    Polling(Duration),
    /// Its last poll ended so long ago: it waits for something.
    Waiting(Duration),
}

impl LiveSpan {
    fn new(view: &LiveView, entered: &[SpanContext], now: u64) -> Self {
        // A surplus child has the ids of its parent, which is the one that is entered.
        let is_entered = !view.is_surplus && entered.contains(&view.context);
        let since =
            |ticks: u64| Duration::from_nanos(clock::nanos_of(now.saturating_sub(ticks), now));
        LiveSpan {
            trace_id: view.context.trace_id(),
            span_id: view.context.span_id(),
            parent_span_id: view.parent_span_id,
            name: view.name,
            kind: view.kind,
            scope: view.scope.name(),
            is_surplus: view.is_surplus,
            age: match view.start_unix_nanos() {
                Some(start) => unix_now().saturating_sub(Duration::from_nanos(start)),
                None => since(view.start_ticks),
            },
            state: match view.last_poll {
                LastPoll::Never if is_entered => LiveState::Running,
                LastPoll::Never => LiveState::Unpolled,
                LastPoll::InClosure => LiveState::Running,
                LastPoll::Began(ticks) => LiveState::Polling(since(ticks)),
                LastPoll::Ended(ticks) => LiveState::Waiting(since(ticks)),
            },
        }
    }
}

impl fmt::Display for LiveState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (state, since) = match self {
            LiveState::Unpolled => return f.pad("-"),
            LiveState::Running => return f.pad("running"),
            LiveState::Polling(since) => ("polling", since),
            LiveState::Waiting(since) => ("waiting", since),
        };
        f.pad(&format!("{state} {since:.1?}"))
    }
}

/// The spans that were under way at one moment, the oldest first.
///
/// Nobody was stopped to look at them: each is as it was when it was read, and
/// one that began or ended meanwhile may be there or not. `{}` shows a table,
/// `{:.20}` the 20 oldest and how many more there are.
#[derive(Clone, Debug, Default)]
pub struct LiveSpans(Vec<LiveSpan>);

impl LiveSpans {
    pub(crate) fn of(pipeline: &Pipeline) -> Self {
        let (now, entered) = (clock::ticks(), guards::entered());
        let span = |view| LiveSpan::new(&view, &entered, now);
        let mut spans: Vec<_> = pipeline.live_spans().map(span).collect();
        spans.sort_by_key(|span| core::cmp::Reverse(span.age));
        LiveSpans(spans)
    }

    /// The number of spans.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The spans, the oldest first.
    pub fn iter(&self) -> core::slice::Iter<'_, LiveSpan> {
        self.0.iter()
    }

    /// Writes on stderr how many there are of what they are, and the oldest [`ROWS`] of
    /// the table. What cannot be written is left out: it may be a panic hook that asks.
    pub(crate) fn print(&self, one: &str, many: &str) {
        let _ = std::io::stderr().lock().write_all(self.titled(one, many).as_bytes());
    }

    fn titled(&self, one: &str, many: &str) -> String {
        match self.len() {
            0 => format!("throughline: no {many}\n"),
            1 => format!("throughline: 1 {one}\n{self}"),
            count => format!("throughline: {count} {many}\n{self:.ROWS$}"),
        }
    }
}

impl IntoIterator for LiveSpans {
    type Item = LiveSpan;
    type IntoIter = std::vec::IntoIter<LiveSpan>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a LiveSpans {
    type Item = &'a LiveSpan;
    type IntoIter = core::slice::Iter<'a, LiveSpan>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for LiveSpans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = f.precision().unwrap_or(usize::MAX).min(self.len());
        let (age, state, trace, span, parent) = ("age", "state", "trace", "span", "parent");
        writeln!(f, "{age:>9}  {state:<16} {trace:<32} {span:<16} {parent:<16} name")?;
        for live in self.iter().take(rows) {
            let LiveSpan { trace_id, span_id, name, state, .. } = live;
            let age = format!("{:.1?}", live.age);
            let parent = live.parent_span_id;
            let parent = if parent.is_valid() { parent.to_string() } else { String::new() };
            writeln!(f, "{age:>9}  {state:<16} {trace_id} {span_id} {parent:<16} {name}")?;
        }
        match self.len() - rows {
            0 => Ok(()),
            more => writeln!(f, "{:>9}  {more} more", ""),
        }
    }
}

fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// So many spans are printed at most: a screen or two, of what hangs longest.
const ROWS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn live(age: Duration, state: LiveState) -> LiveSpan {
        LiveSpan {
            trace_id: TraceId::from_bytes([0xab; 16]),
            span_id: SpanId::from_bytes([0xcd; 8]),
            parent_span_id: SpanId::INVALID,
            name: "load",
            kind: SpanKind::Internal,
            scope: "orders",
            is_surplus: false,
            age,
            state,
        }
    }

    #[test]
    fn a_table_shows_what_hangs_and_how_many_are_left_out() {
        let (long, short) = (Duration::from_millis(12_340), Duration::from_millis(5));
        let spans = LiveSpans(vec![
            live(long, LiveState::Waiting(short)),
            live(long, LiveState::Unpolled),
            live(short, LiveState::Polling(short)),
        ]);
        let expected = "      age  state            trace                            span             parent           name
    12.3s  waiting 5.0ms    abababababababababababababababab cdcdcdcdcdcdcdcd                  load
    12.3s  -                abababababababababababababababab cdcdcdcdcdcdcdcd                  load
           1 more
";
        assert_eq!(format!("{spans:.2}"), expected);
        assert!(spans.to_string().contains("    5.0ms  polling 5.0ms    abab"));
        let titled = |spans: &LiveSpans| spans.titled("live span", "live spans");
        assert!(titled(&spans).starts_with("throughline: 3 live spans\n      age  "));
        let one = LiveSpans(vec![live(long, LiveState::Running)]);
        assert!(titled(&one).starts_with("throughline: 1 live span\n      age  "));
        assert_eq!(titled(&LiveSpans::default()), "throughline: no live spans\n");
    }
}
