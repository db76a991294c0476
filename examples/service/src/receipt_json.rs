//! A receipt as JSON: numbers for programs, and the words of a failure.

use serde_json::{Map, Value as Json, json};
use throughline::{ExportError, FailedExport, Ledger, Receipt};

/// What became of the spans of one service.
pub(crate) fn receipt_json(receipt: &Receipt) -> Json {
    json!({
        "complete": receipt.is_complete(),
        "elapsed_ms": u64::try_from(receipt.elapsed().as_millis()).unwrap_or(u64::MAX),
        "failure": receipt.failure().map(failure_json),
        "ledger": ledger_json(receipt.ledger()),
    })
}

/// Why the last transmission failed.
fn failure_json(failed: &FailedExport) -> Json {
    json!({
        "kind": failed.error_type(),
        "retryable": matches!(failed.error(), ExportError::Retry { .. }),
        "endpoint": failed.endpoint(),
        "message": failed.error().to_string(),
        "detail": failed.detail(),
    })
}

/// `started = exported + dropped + in_flight`, in spans.
fn ledger_json(ledger: &Ledger) -> Json {
    json!({
        "started": ledger.started(),
        "exported": ledger.exported(),
        "dropped": dropped_json(ledger),
        "in_flight": ledger.in_flight(),
    })
}

/// The lost spans by reason; reasons without a loss are left out.
pub(crate) fn dropped_json(ledger: &Ledger) -> Json {
    let losses = ledger.losses().map(|(reason, spans)| (reason.as_str().to_owned(), json!(spans)));
    Json::Object(losses.collect::<Map<_, _>>())
}
