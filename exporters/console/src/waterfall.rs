//! A trace drawn as a waterfall.
//!
//! ```text
//!   trace 0707…07  12.3ms  4 spans  1 error
//!   GET /orders                  orders server     12.3ms  ████████████████
//!   ├ load                       orders            4.00ms   █████
//!   │ • exception  Timeout: no answer  +3.00ms
//!   └ × 24 reserve        min/avg/max 1ms/2ms/3ms  6.00ms          ▒▒▒▒▒▒▒
//!
//!   └ name ─────────────────────┘└ service, kind ─┘└ time ┘└ bar ─────────┘
//! ```

use core::fmt::{self, Write as _};

use crate::duration::Human;
use crate::rows::{Row, Rows};
use crate::style::{Painter, Style};
use crate::surplus::surplus;
use crate::text::{clean, pad, width};
use crate::{Ending, Event, FinishedSpan, Standing, Status, Trace};

/// Draws a trace. Text that came from outside is escaped, so what is printed
/// holds no control characters but line feeds and, when asked for, colours.
#[must_use]
pub fn waterfall(trace: &Trace, options: Options) -> Waterfall<'_> {
    Waterfall { trace, options }
}

/// How a waterfall is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Columns to fill, 100 unless told; fewer than 60 count as 60, more than
    /// 400 as 400.
    pub width: usize,
    /// Whether to colour with ANSI escapes; see [`Colour`](crate::Colour).
    pub colour: bool,
    /// Rows after which the rest is only counted; 200 unless told.
    pub max_rows: usize,
    /// As many siblings of one name share one row; 5 unless told, at least 2.
    pub collapse_from: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { width: 100, colour: false, max_rows: 200, collapse_from: 5 }
    }
}

/// A trace that draws itself when it is displayed; made by [`waterfall`].
#[derive(Clone, Copy, Debug)]
pub struct Waterfall<'a> {
    trace: &'a Trace,
    options: Options,
}

impl fmt::Display for Waterfall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sheet = Sheet::new(self.trace, self.options);
        sheet.header(f)?;
        let collapse_from = self.options.collapse_from.max(2);
        let levels = (sheet.name_columns - LEAST_NAME) / 2;
        let mut rows = Rows::new(self.trace, collapse_from, levels);
        for row in rows.by_ref().take(self.options.max_rows) {
            match row.spans[..] {
                [at] => sheet.single(f, &row, at)?,
                _ => sheet.many(f, &row)?,
            }
        }
        sheet.rest(f, rows)
    }
}

/// The widths of the columns and what they are measured against.
struct Sheet<'a> {
    trace: &'a Trace,
    painter: Painter,
    services: Vec<&'a str>,
    start: u64,
    duration: u64,
    name_columns: usize,
    service_columns: usize,
    bar_columns: usize,
}

impl<'a> Sheet<'a> {
    fn new(trace: &'a Trace, options: Options) -> Self {
        let columns = options.width.clamp(60, 400);
        let name_columns = columns * 2 / 5;
        let service_columns = columns / 5;
        let mut services: Vec<&str> = Vec::new();
        for span in trace.spans() {
            // More services than this are only told apart by name.
            if services.len() < MAX_SERVICES && !services.contains(&&*span.service) {
                services.push(&span.service);
            }
        }
        Self {
            trace,
            painter: Painter { colour: options.colour },
            services,
            start: trace.start_unix_nanos(),
            duration: trace.duration_nanos().max(1),
            name_columns,
            service_columns,
            bar_columns: columns - name_columns - service_columns - TIME_COLUMNS - 2 * GAPS,
        }
    }

    /// `trace 0af7…  12.3ms  14 spans  2 services  1 error`
    fn header(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut id = String::with_capacity(32);
        for byte in self.trace.trace_id() {
            write!(id, "{byte:02x}")?;
        }
        self.painter.write(f, Style::Faint, "trace ")?;
        self.painter.write(f, Style::Strong, &id)?;
        write!(f, "  {}", Human(self.trace.duration_nanos()))?;
        let spans = self.trace.spans();
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        write!(f, "  {} span{}", spans.len(), plural(spans.len()))?;
        if self.services.len() > 1 {
            let more = if self.services.len() == MAX_SERVICES { "+" } else { "" };
            write!(f, "  {}{more} services", self.services.len())?;
        }
        let ended = |ending| spans.iter().filter(|span| span.ending() == ending).count();
        let standing = |at: &usize| self.trace.standing(*at) == Standing::Orphan;
        let errors = spans.iter().filter(|span| span.is_error()).count();
        for (count, style, what) in [
            (errors, Style::Bad, format!("error{}", plural(errors))),
            (ended(Ending::Panicked), Style::Bad, "panicked".into()),
            (ended(Ending::Cancelled), Style::Warning, "cancelled".into()),
            (ended(Ending::Dropped), Style::Warning, "dropped".into()),
            (self.trace.tops().filter(standing).count(), Style::Bad, "without parent".into()),
        ] {
            if count > 0 {
                f.write_str("  ")?;
                self.painter.write(f, style, &format!("{count} {what}"))?;
            }
        }
        f.write_char('\n')
    }

    fn single(&self, f: &mut fmt::Formatter<'_>, row: &Row, at: usize) -> fmt::Result {
        let span = &self.trace.spans()[at];
        let (mark, style) = mark(span, self.trace.standing(at));
        let style = match style {
            Style::Plain if row.depth == 0 => Style::Strong,
            style => style,
        };
        let room = self.name_columns - width(&row.guide) - width(mark);
        self.painter.write(f, Style::Faint, &row.guide)?;
        let mut name = clean(&span.name, room);
        name.push_str(mark);
        pad(&mut name, self.name_columns - width(&row.guide));
        self.painter.write(f, style, &name)?;

        let mut place = clean(&span.service, self.service_columns);
        let kind = span.kind.as_str();
        if kind != "internal" && width(&place) + 1 + kind.len() <= self.service_columns {
            place.extend([" ", kind]);
        }
        pad(&mut place, self.service_columns);
        f.write_str("  ")?;
        self.painter.write(f, self.service_style(span), &place)?;

        let bar = self.bar(span.start_unix_nanos, span.end_unix_nanos, '█');
        self.timing(f, span.duration_nanos(), self.service_style(span), &bar)?;
        self.notes(f, row, span)
    }

    /// One row for spans that are alike.
    fn many(&self, f: &mut fmt::Formatter<'_>, row: &Row) -> fmt::Result {
        let spans = || row.spans.iter().map(|&at| &self.trace.spans()[at]);
        let first = &self.trace.spans()[row.spans[0]];
        let durations = || spans().map(FinishedSpan::duration_nanos);
        let total: u128 = durations().map(u128::from).sum();
        let mean = u64::try_from(total / row.spans.len() as u128).unwrap_or(u64::MAX);
        let shortest = Human(durations().min().unwrap_or(0));
        let longest = Human(durations().max().unwrap_or(0));
        let mean = Human(mean);
        let style = mark(first, Standing::Child).1;
        let flaw = if style == Style::Plain { "" } else { "✗ " };
        let count = format!("{flaw}× {} ", row.spans.len());

        self.painter.write(f, Style::Faint, &row.guide)?;
        let columns = self.name_columns + 2 + self.service_columns - width(&row.guide);
        // As much of the profile as leaves the name some room.
        let columns_left = |profile: &str| columns.saturating_sub(width(&count) + width(profile));
        let mut profile = format!(" min/avg/max {shortest}/{mean}/{longest}");
        if columns_left(&profile) < LEAST_NAME / 2 {
            profile = format!(" {shortest}/{mean}/{longest}");
        }
        if columns_left(&profile) < LEAST_NAME / 2 {
            profile = format!(" avg {mean}");
        }
        let mut name = clean(&first.name, columns_left(&profile));
        name.insert_str(0, &count);
        pad(&mut name, columns.saturating_sub(width(&profile)));
        self.painter.write(f, style, &name)?;
        self.painter.write(f, Style::Faint, &profile)?;

        let start = spans().map(|span| span.start_unix_nanos).min().unwrap_or(0);
        let end = spans().map(|span| span.end_unix_nanos).max().unwrap_or(0);
        let bar = self.bar(start, end, '▒');
        self.timing(f, end.saturating_sub(start), self.service_style(first), &bar)
    }

    fn timing(
        &self,
        f: &mut fmt::Formatter<'_>,
        nanos: u64,
        style: Style,
        bar: &str,
    ) -> fmt::Result {
        let time = Human(nanos).to_string();
        let missing = TIME_COLUMNS.saturating_sub(width(&time));
        write!(f, "  {:missing$}{time}  ", "")?;
        self.painter.write(f, style, bar)?;
        f.write_char('\n')
    }

    /// Cells from start to end, at least one, on the scale of the trace.
    fn bar(&self, start: u64, end: u64, cell: char) -> String {
        let cells = self.bar_columns as u128;
        let scale = |time: u64| u128::from(time.saturating_sub(self.start)) * cells;
        let duration = u128::from(self.duration);
        let from = (scale(start) / duration).min(cells - 1);
        let to = scale(end).div_ceil(duration).clamp(from + 1, cells);
        let blank = core::iter::repeat_n(' ', from as usize);
        blank.chain(core::iter::repeat_n(cell, (to - from) as usize)).collect()
    }

    /// What is worth a line below a span: why it failed, its exceptions, every event
    /// when something is wrong with it, and what is not there of it.
    fn notes(&self, f: &mut fmt::Formatter<'_>, row: &Row, span: &FinishedSpan) -> fmt::Result {
        if let Status::Error(message) = &span.status
            && !message.is_empty()
        {
            self.note(f, row, "error", message, None)?;
        }
        let flawed = span.is_flawed();
        let matters = |event: &&Event| {
            flawed || event.name == "exception" || event.name.starts_with("throughline.")
        };
        for event in span.events.iter().filter(matters).take(MAX_EVENTS) {
            let at = event.unix_nanos.saturating_sub(span.start_unix_nanos);
            self.note(f, row, &event.name, &gist(event), Some(at))?;
        }
        let more = span.events.iter().filter(matters).count();
        if more > MAX_EVENTS {
            let text = format!("{} more events", more - MAX_EVENTS);
            self.note(f, row, "…", &text, None)?;
        }
        if let Some(text) = surplus(span) {
            self.note(f, row, "surplus", &text, None)?;
        }
        let dropped = span.dropped;
        for (count, what) in [
            (dropped.attributes, "attributes over the limit"),
            (dropped.events, "events over the limit"),
            (dropped.links, "links over the limit"),
        ] {
            if count > 0 {
                self.note(f, row, "dropped", &format!("{count} {what}"), None)?;
            }
        }
        Ok(())
    }

    fn note(
        &self,
        f: &mut fmt::Formatter<'_>,
        row: &Row,
        what: &str,
        text: &str,
        at: Option<u64>,
    ) -> fmt::Result {
        let whole = self.name_columns + self.service_columns + TIME_COLUMNS + self.bar_columns;
        let tail = at.map_or(String::new(), |at| format!("  +{}", Human(at)));
        let what = clean(what, 30);
        let columns = whole.saturating_sub(width(&row.below) + width(&what) + 4 + width(&tail));
        let gap = if text.is_empty() { "" } else { "  " };
        let line = format!("• {what}{gap}{}{tail}", clean(text, columns));
        self.painter.write(f, Style::Faint, &row.below)?;
        self.painter.write(f, Style::Faint, &line)?;
        f.write_char('\n')
    }

    /// The line that stands for the rows that were not drawn.
    fn rest(&self, f: &mut fmt::Formatter<'_>, rows: Rows<'_>) -> fmt::Result {
        let mut hidden = 0;
        let mut flawed = 0;
        for at in rows.flat_map(|row| row.spans) {
            hidden += 1;
            flawed += usize::from(self.trace.spans()[at].is_flawed());
        }
        if hidden == 0 {
            return Ok(());
        }
        write!(f, "… {hidden} more spans not drawn")?;
        if flawed > 0 {
            f.write_str(", ")?;
            let text = format!("{flawed} of them failed, cancelled or panicked");
            self.painter.write(f, Style::Bad, &text)?;
        }
        f.write_char('\n')
    }

    fn service_style(&self, span: &FinishedSpan) -> Style {
        let number = self.services.iter().position(|&name| name == &*span.service);
        number.map_or(Style::Plain, Style::Service)
    }
}

/// What stands behind a name, and how both look.
fn mark(span: &FinishedSpan, standing: Standing) -> (&'static str, Style) {
    match (span.ending(), span.is_error(), standing) {
        (Ending::Panicked, _, _) => (" ✗ panicked", Style::Bad),
        (Ending::Cancelled, true, _) => (" ✗ cancelled", Style::Bad),
        (Ending::Cancelled, false, _) => (" ⊘ cancelled", Style::Warning),
        (Ending::Dropped, _, _) => (" ⊘ dropped", Style::Warning),
        (Ending::Completed, true, _) => (" ✗", Style::Bad),
        (Ending::Completed, false, Standing::Orphan) => (" ? no parent", Style::Warning),
        (Ending::Completed, false, _) => ("", Style::Plain),
    }
}

/// An exception's type and message, or an event's first texts.
fn gist(event: &Event) -> String {
    let text = |key| {
        let mut attributes = event.attributes.iter();
        attributes.find(|(name, _)| name == key)?.1.as_str()
    };
    match (text("exception.type"), text("exception.message")) {
        (Some(kind), Some(message)) => format!("{kind}: {message}"),
        (Some(only), None) | (None, Some(only)) => only.to_owned(),
        (None, None) => String::new(),
    }
}

/// Columns of a duration: `5124095h34m` is the longest and never seen.
const TIME_COLUMNS: usize = 8;
/// Gaps of two columns, between four columns.
const GAPS: usize = 3;
/// Columns left to a name, however deep it stands.
const LEAST_NAME: usize = 16;
/// Events drawn below one span.
const MAX_EVENTS: usize = 5;
/// Services told apart by colour and counted.
const MAX_SERVICES: usize = 32;

#[cfg(test)]
#[path = "waterfall_tests.rs"]
mod tests;
