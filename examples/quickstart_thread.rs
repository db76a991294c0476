//! The shortest program without any async runtime: export runs on a thread.
//!
//! `OTEL_SERVICE_NAME=hello OTEL_TRACES_EXPORTER=console cargo run --example quickstart_thread --features console`

use throughline::span;

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let telemetry = throughline::init()?;
    let sum: u64 = span!("sum", to = 10).in_scope(|| (1..=10).sum());
    println!("{sum}");
    eprintln!("{}", telemetry.shutdown_blocking());
    Ok(())
}
