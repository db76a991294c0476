//! Isolated tasks: the current context is captured once and handed explicitly to
//! several concurrent tasks; what they do is one trace with a span for each.
//!
//! `cargo run --example isolated_tasks --features console,tokio`

use futures::future::join_all;
use throughline::exporters::Console;
use throughline::{Context, InSpanExt, Tokio, span};

#[tokio::main]
async fn main() -> Result<(), Box<dyn core::error::Error>> {
    let telemetry = throughline::builder()
        .service_name("isolated-tasks")
        .install(Tokio::current()?, Console::stdout())?;

    let total = gather().in_span(span!("gather")).await;
    println!("{total} bytes\n{}", telemetry.shutdown().await);
    Ok(())
}

async fn gather() -> usize {
    let context = Context::current();
    let tasks = ["shelf", "price", "tax"].map(|part| {
        let context = context.clone();
        // Plain `tokio::spawn` knows nothing of contexts: it is handed over.
        tokio::spawn(
            async move { load(part).in_span(span!("load", part)).await }.with_context(context),
        )
    });
    join_all(tasks).await.into_iter().filter_map(Result::ok).sum()
}

async fn load(part: &str) -> usize {
    tokio::task::yield_now().await;
    part.len()
}
