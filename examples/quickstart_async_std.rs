//! The shortest program on async-std: set up by `OTEL_*`, traced, flushed.
//!
//! `OTEL_SERVICE_NAME=hello OTEL_TRACES_EXPORTER=console cargo run --example quickstart_async_std --features async-std,console,macros`

use throughline::trace;

#[trace]
async fn greet(name: &str) -> String {
    format!("Hello, {name}!")
}

fn main() -> Result<(), Box<dyn core::error::Error>> {
    async_std::task::block_on(async {
        let telemetry = throughline::init()?;
        println!("{}", greet("world").await);
        eprintln!("{}", telemetry.shutdown().await);
        Ok(())
    })
}
