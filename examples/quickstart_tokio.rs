//! The shortest program on tokio: set up by `OTEL_*`, traced, flushed.
//!
//! `OTEL_SERVICE_NAME=hello OTEL_TRACES_EXPORTER=console cargo run --example quickstart_tokio --features console,macros,tokio`

use throughline::trace;

#[trace]
async fn greet(name: &str) -> String {
    format!("Hello, {name}!")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn core::error::Error>> {
    let telemetry = throughline::init()?;
    println!("{}", greet("world").await);
    eprintln!("{}", telemetry.shutdown().await);
    Ok(())
}
