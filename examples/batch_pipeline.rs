//! A pipeline tuned for production: OTLP over gRPC in plain text to port 4317,
//! batches of 512, a delay of 2,000 ms, a queue of 2,048.
//!
//! `cargo run --example batch_pipeline --features otlp,tokio`; without a
//! collector the receipt says what was lost, and why.

use core::time::Duration;

use throughline::exporters::Otlp;
use throughline::{ParentBased, Tokio, TraceIdRatioBased, span};

#[tokio::main]
async fn main() -> Result<(), Box<dyn core::error::Error>> {
    let telemetry = throughline::builder()
        .service_name("checkout")
        .sampler(ParentBased::new(TraceIdRatioBased::new(0.25)))
        .max_export_batch_size(512)
        .schedule_delay(Duration::from_millis(2_000))
        .max_queue_size(2_048)
        .export_timeout(Some(Duration::from_secs(10)))
        .install(Tokio::current()?, Otlp::grpc().endpoint("http://localhost:4317")?)?;

    for order in 0..1_000u64 {
        span!("checkout", order).in_scope(|| core::hint::black_box(order));
    }

    let ledger = telemetry.ledger();
    println!("{} recorded, {} sampled out", ledger.started(), ledger.unsampled());
    println!("{}", telemetry.shutdown().await);
    Ok(())
}
