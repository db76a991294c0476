//! Panics, with their messages, on the spans in which they happen.

#[cfg(feature = "pipeline")]
use core::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic;
use std::sync::Once;

use throughline_core::Exception;

use crate::CurrentSpan;

/// From now on, a panic is recorded on the span in which it happens: the status
/// Error, and an event `exception` whose type is `panic`, with the panic's message,
/// its place, and a backtrace where `RUST_BACKTRACE` asks for one.
///
/// Spans end as [panicked](throughline_core::Ending::Panicked) without this too, but
/// only a panic hook learns why. The hook that is there runs first, and unwinding is
/// what it was. A panic that is caught inside of a span stays on the span. More
/// calls do nothing.
pub fn record_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let former = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            former(info);
            if CurrentSpan::is_recording() {
                record(info);
            }
        }));
    });
}

/// What something panicked with.
#[cfg(feature = "pipeline")]
pub(crate) fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or(NO_TEXT)
}

fn record(info: &panic::PanicHookInfo<'_>) {
    let backtrace = Backtrace::capture();
    let mut place = info.location().map(|at| format!("at {at}")).unwrap_or_default();
    if backtrace.status() == BacktraceStatus::Captured {
        place = format!("{place}\n{backtrace}");
    }
    CurrentSpan::record_exception(&Exception {
        kind: "panic",
        message: info.payload_as_str().unwrap_or(NO_TEXT),
        stacktrace: &place,
    });
}

const NO_TEXT: &str = "a panic without a text";
