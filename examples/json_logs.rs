//! JSON logs that carry the ids of the span in which they are written: 32 and 16
//! digits, zeros outside of any span.
//!
//! `cargo run --example json_logs --features tokio`

use serde_json::json;
use throughline::{Context, InSpanExt, Tokio, builder, exporters, span};

#[tokio::main]
async fn main() -> Result<(), Box<dyn core::error::Error>> {
    let telemetry = builder().install(Tokio::current()?, exporters::Discard)?;

    log("starting");
    async {
        log("looking for the order");
        // The ids are those of the span, on whichever thread the task runs.
        throughline::tokio::spawn(async { log("the task logs below the same span") }).await
    }
    .in_span(span!("find_order", id = 7))
    .await?;
    log("done");

    telemetry.shutdown().await;
    Ok(())
}

fn log(message: &str) {
    let span = Context::current().span_context();
    println!(
        "{}",
        json!({
            "message": message,
            "trace_id": span.trace_id().to_string(),
            "span_id": span.span_id().to_string(),
            "trace_flags": span.trace_flags().to_string(),
        })
    );
}
