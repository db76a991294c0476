//! Colour, only when asked for, and the few styles that are used.

use core::error::Error;
use core::fmt;
use core::str::FromStr;
use std::env;
use std::ffi::OsStr;
use std::io::IsTerminal;

/// Whether to colour: a choice to be made from a stream, or made already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colour {
    /// As [`Colour::auto`] decides.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Colour {
    /// Whether a stream is to be coloured: it is a terminal, its `TERM` is not
    /// `dumb`, and [`NO_COLOR`](https://no-color.org) is unset or empty.
    #[must_use]
    pub fn auto(stream: &impl IsTerminal) -> bool {
        wants_colour(
            stream.is_terminal(),
            env::var_os("NO_COLOR").as_deref(),
            env::var_os("TERM").as_deref(),
        )
    }

    /// The choice for a stream: [`Colour::auto`] unless it was made already.
    #[must_use]
    pub fn decide(self, stream: &impl IsTerminal) -> bool {
        match self {
            Self::Auto => Self::auto(stream),
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// Reads `auto`, `always` or `never`.
impl FromStr for Colour {
    type Err = UnknownColour;

    fn from_str(text: &str) -> Result<Self, UnknownColour> {
        match text {
            "auto" => Ok(Self::Auto),
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            _ => Err(UnknownColour),
        }
    }
}

/// A choice of colour that is none of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownColour;

impl fmt::Display for UnknownColour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("colour is one of auto, always, never")
    }
}

impl Error for UnknownColour {}

/// What a piece of text is, and so how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Strong,
    Faint,
    Bad,
    Warning,
    /// One of a few colours that tell services apart.
    Service(usize),
}

/// Writes text in its style, or plainly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Painter {
    pub(crate) colour: bool,
}

impl Painter {
    /// Writes a clean text; it must hold no escapes of its own.
    pub(crate) fn write(self, out: &mut impl fmt::Write, style: Style, text: &str) -> fmt::Result {
        let code = match style {
            Style::Plain => "",
            Style::Strong => "1",
            Style::Faint => "2",
            Style::Bad => "31",
            Style::Warning => "33",
            Style::Service(number) => SERVICES[number % SERVICES.len()],
        };
        if !self.colour || code.is_empty() || text.trim().is_empty() {
            return out.write_str(text);
        }
        write!(out, "\x1b[{code}m{text}\x1b[0m")
    }
}

/// Cyan, green, blue, magenta and their bright forms: red and yellow say
/// something else here, black and white may be the background.
const SERVICES: [&str; 8] = ["36", "32", "34", "35", "96", "92", "94", "95"];

fn wants_colour(is_terminal: bool, no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
    is_terminal && no_color.is_none_or(OsStr::is_empty) && term != Some(OsStr::new("dumb"))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::{Colour, Painter, Style, UnknownColour, wants_colour};

    #[test]
    fn only_a_terminal_that_did_not_refuse_is_coloured() {
        let set = Some(OsStr::new("1"));
        let empty = Some(OsStr::new(""));
        assert!(wants_colour(true, None, None));
        assert!(wants_colour(true, empty, Some(OsStr::new("xterm"))));
        assert!(!wants_colour(true, set, None));
        assert!(!wants_colour(true, None, Some(OsStr::new("dumb"))));
        assert!(!wants_colour(false, None, None));
    }

    #[test]
    fn a_choice_is_read_and_wins() {
        assert_eq!("always".parse(), Ok(Colour::Always));
        assert_eq!("pink".parse::<Colour>(), Err(UnknownColour));
        assert!(Colour::Always.decide(&std::io::stdin()));
        assert!(!Colour::Never.decide(&std::io::stdin()));
    }

    #[test]
    fn without_colour_nothing_but_the_text_is_written() {
        let written = |colour| {
            let mut out = String::new();
            let painter = Painter { colour };
            painter.write(&mut out, Style::Bad, "x").expect("a string takes it");
            out
        };
        assert_eq!(written(false), "x");
        assert_eq!(written(true), "\x1b[31mx\x1b[0m");
    }
}
