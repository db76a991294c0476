//! A library that knows `tracing` alone, in a program with our spans: one tree on the
//! terminal, and its ids in the log lines of both.
//!
//! `cargo run --example tracing_library --features console,tokio,tracing`

use throughline::log::Lines;
use throughline::tracing::{LogFormat, TracingLayer};
use throughline::{InSpanExt, Tokio, builder, exporters, span};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Layer, SubscriberExt};

mod library {
    #[tracing::instrument(err)]
    pub(crate) async fn load(id: u64) -> Result<u64, core::num::ParseIntError> {
        tracing::info!(id, "looking it up");
        super::price("12").await?;
        super::price("a dozen").await
    }
}

async fn price(text: &str) -> Result<u64, core::num::ParseIntError> {
    async { text.parse() }.in_span(span!("price", text)).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn core::error::Error>> {
    let guard = builder()
        .service_name("tracing-library")
        .install(Tokio::current()?, exporters::Console::stdout())?;
    let layer = TracingLayer::new();
    let logs = LogFormat::new(Lines::auto()).of(&layer).layer();
    // Filters are `tracing`'s own: what they refuse costs nothing.
    let layer = layer.with_filter(LevelFilter::INFO);
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer).with(logs))?;

    let loaded = library::load(7).in_span(span!("order", id = 7)).await;
    tracing::info!(failed = loaded.is_err(), "done");
    guard.shutdown().await;
    Ok(())
}
