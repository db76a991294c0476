//! Log lines: JSON on stderr, with the ids of the span they are written in.

use core::any::Any;

use log::{Level, SetLoggerError};
use throughline::log::{Lines, Logger};
use throughline::{Diagnostics, Severity};

/// Makes records log lines, and panics too. A closed stderr takes nothing down.
pub(crate) fn start() -> Result<(), SetLoggerError> {
    Logger::new(Lines::json().zeros_outside_spans()).install()?;
    std::panic::set_hook(Box::new(|panic| {
        let message = panic_message(panic.payload());
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        log::error!(panic = true, location:%; "{message}");
    }));
    Ok(())
}

/// Makes log lines of what the pipelines say about themselves.
pub(crate) fn diagnostics() -> Diagnostics {
    Diagnostics::to(|diagnostic| {
        let level = match diagnostic.severity() {
            Severity::Error => Level::Error,
            Severity::Warn => Level::Warn,
            _ => Level::Info,
        };
        log::log!(target: "throughline", level, "{diagnostic}");
    })
}

/// What a panic says.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}
