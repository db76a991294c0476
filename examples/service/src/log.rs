//! JSON log lines on stderr, with the ids of the span they are written in.

use core::any::Any;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use throughline::Context;

/// Writes one line. A closed stderr takes nothing down.
pub(crate) fn log(level: &str, message: &str, fields: Value) {
    let span = Context::current().span_context();
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let mut line = json!({
        "unix_millis": u64::try_from(millis).unwrap_or(u64::MAX),
        "level": level,
        "message": message,
        "trace_id": span.trace_id().to_string(),
        "span_id": span.span_id().to_string(),
        "trace_flags": span.trace_flags().to_string(),
    });
    if let (Some(line), Value::Object(fields)) = (line.as_object_mut(), fields) {
        line.extend(fields);
    }
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Makes panics log lines, too.
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic_message(panic.payload());
        let location = panic.location().map(ToString::to_string);
        log("error", message, json!({ "panic": true, "location": location }));
    }));
}

/// What a panic says.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}
