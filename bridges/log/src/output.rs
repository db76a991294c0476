//! Where lines go.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::env;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

/// Where lines go: each in one write, whole. What fails is counted, and nothing else
/// happens: no panic, no message about it.
pub struct Output {
    to: To,
    /// The last line was written in part.
    is_torn: AtomicBool,
    lost: AtomicU64,
}

enum To {
    Stdout,
    Stderr,
    Other(Mutex<Box<dyn Write + Send>>),
}

impl Output {
    /// The standard error.
    pub const fn stderr() -> Self {
        Self::of(To::Stderr)
    }

    /// The standard output.
    pub const fn stdout() -> Self {
        Self::of(To::Stdout)
    }

    /// A file, a connection, or what takes bytes otherwise. Lines wait for each other
    /// there; it must not log itself.
    pub fn new(to: impl Write + Send + 'static) -> Self {
        Self::of(To::Other(Mutex::new(Box::new(to))))
    }

    const fn of(to: To) -> Self {
        Output { to, is_torn: AtomicBool::new(false), lost: AtomicU64::new(0) }
    }

    /// Lines that could not be written, or not to their end.
    pub fn lost(&self) -> u64 {
        // Ordering: Relaxed, it is a count.
        self.lost.load(Ordering::Relaxed)
    }

    /// Writes a line, which ends with a line feed. One that was begun before, and could
    /// not be ended, is ended first.
    pub fn write(&self, line: &[u8]) {
        match &self.to {
            To::Stdout => self.write_to(&mut io::stdout().lock(), line),
            To::Stderr => self.write_to(&mut io::stderr().lock(), line),
            To::Other(to) => {
                let mut to = to.lock().unwrap_or_else(PoisonError::into_inner);
                self.write_to(&mut *to, line);
            }
        }
    }

    fn write_to(&self, to: &mut dyn Write, line: &[u8]) {
        // Ordering: Relaxed, it is used behind the lock of the stream.
        if self.is_torn.load(Ordering::Relaxed) {
            if put(to, b"\n") != 1 {
                self.lost.fetch_add(1, Ordering::Relaxed);
                return;
            }
            self.is_torn.store(false, Ordering::Relaxed);
        }
        let written = put(to, line);
        let is_flushed = to.flush().is_ok();
        if written < line.len() {
            self.is_torn.store(written > 0, Ordering::Relaxed);
        }
        if written < line.len() || !is_flushed {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether lines for people are coloured there: it is a terminal, its `TERM` is not
    /// `dumb`, and [`NO_COLOR`](https://no-color.org) is unset or empty.
    pub(crate) fn wants_colour(&self) -> bool {
        let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        self.is_terminal() && !is_set("NO_COLOR") && !is_dumb
    }

    pub(crate) fn is_terminal(&self) -> bool {
        match self.to {
            To::Stdout => io::stdout().is_terminal(),
            To::Stderr => io::stderr().is_terminal(),
            To::Other(_) => false,
        }
    }
}

/// Writes as much as is taken, and returns how much that is.
fn put(to: &mut dyn Write, bytes: &[u8]) -> usize {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match to.write(rest) {
            Ok(0) => break,
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    written
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = match self.to {
            To::Stdout => "stdout",
            To::Stderr => "stderr",
            To::Other(_) => "other",
        };
        f.debug_struct("Output").field("to", &to).field("lost", &self.lost()).finish()
    }
}
