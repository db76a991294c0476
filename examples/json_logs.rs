//! JSON logs that carry the ids of the span in which they are written: 32 and 16
//! digits, zeros outside of any span.
//!
//! `cargo run --example json_logs --features log,tokio`

use throughline::log::{Lines, Logger, Output};
use throughline::{InSpanExt, Tokio, builder, exporters, span};

#[tokio::main]
async fn main() -> Result<(), Box<dyn core::error::Error>> {
    let telemetry = builder().install(Tokio::current()?, exporters::Discard)?;
    Logger::new(Lines::json().to(Output::stdout()).zeros_outside_spans()).install()?;

    log::info!("starting");
    async {
        log::info!(order = 7; "looking for the order");
        // The ids are those of the span, on whichever thread the task runs.
        let task = async { log::info!("the task logs below the same span") };
        throughline::tokio::spawn(task).await
    }
    .in_span(span!("find_order", id = 7))
    .await?;
    log::info!("done");

    telemetry.shutdown().await;
    Ok(())
}
