//! Completed traces, written out.

use std::io::{self, BufWriter, IsTerminal, Write};

use terminal_size::{Width, terminal_size};
use throughline_viewer::Completed;
use throughline_viewer::console::{Options, json_line, waterfall};

use crate::cli::Arguments;

/// Writes traces as they come, flushing after each.
pub(crate) struct Printer<W: Write> {
    out: BufWriter<W>,
    json: bool,
    options: Options,
}

impl<W: Write + IsTerminal> Printer<W> {
    pub(crate) fn new(out: W, arguments: &Arguments) -> Self {
        let defaults = Options::default();
        let terminal = || {
            let Width(columns) = terminal_size()?.0;
            Some(usize::from(columns))
        };
        // Only a terminal's own width says anything about where the text goes.
        let found = if out.is_terminal() { terminal() } else { None };
        Self {
            json: arguments.json,
            options: Options {
                width: arguments.width.or(found).unwrap_or(defaults.width),
                colour: arguments.colour.decide(&out),
                ..defaults
            },
            out: BufWriter::new(out),
        }
    }
}

impl<W: Write> Printer<W> {
    pub(crate) fn print(&mut self, completed: &Completed) -> io::Result<()> {
        if self.json {
            for span in completed.new_spans() {
                json_line(span).write_to(&mut self.out)?;
            }
        } else {
            if completed.is_late() {
                let more = completed.new_spans().count();
                writeln!(self.out, "{more} more of a trace shown before:")?;
            }
            writeln!(self.out, "{}", waterfall(completed.trace(), self.options))?;
        }
        self.out.flush()
    }
}
