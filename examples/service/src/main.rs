//! Two HTTP services on tokio and a load against them, traced whole.
//!
//! ```text
//!   load ──HTTP──▶ orders ──HTTP──▶ inventory
//!    │  traceparent  │  traceparent    │
//!    └───────OTLP────┴──────OTLP───────┴──▶ embedded receiver, or --endpoint
//! ```
//!
//! Each service has a pipeline of its own, as two processes would.

mod args;
mod inventory;
mod load;
mod log;
mod orders;
mod progress;
mod report;
mod server;
mod wire;

use core::error::Error;
use core::sync::atomic::Ordering;
use core::time::Duration;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use serde_json::json;
use throughline::exporters::Otlp;
use throughline::{Builder, Env, Tokio};
use throughline_viewer::{StoreLimits, Viewer, ViewerConfig};
use tokio::sync::mpsc;

use args::{Args, Protocol};
use load::Load;
use log::log;
use orders::Shop;
use report::Report;
use server::Server;
use wire::HttpClient;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    log::log_panics();
    match run(&args).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            log("error", &error.to_string(), json!({}));
            ExitCode::from(2)
        }
    }
}

/// Returns whether every trace is whole and every span is accounted for.
async fn run(args: &Args) -> Result<bool, Box<dyn Error>> {
    let began = Instant::now();
    let mut env = Env::process();
    let (otlp, viewer) = exporter(args, &mut env)?;
    for warning in env.warnings() {
        log("warn", &warning.to_string(), json!({}));
    }

    let orders_telemetry = settings("orders").install(Tokio::current()?, otlp.clone())?;
    let inventory_telemetry = settings("inventory").start(Tokio::current()?, otlp);
    let orders = orders_telemetry.telemetry().cloned().ok_or("just installed")?;

    let back = Server::start(inventory::routes(), inventory_telemetry.clone()).await?;
    let (outliving, mut all_done) = mpsc::channel(1);
    let shop = Shop { client: HttpClient::new(), inventory: back.url.clone(), outliving };
    let front = Server::start(orders::routes(Arc::new(shop)), orders.clone()).await?;
    log("info", "listening", json!({ "orders": front.url, "inventory": back.url }));

    let load = Arc::new(Load::default());
    let work = load.clone().run(front.url.clone(), args.requests, args.concurrency);
    let interrupted = tokio::select! {
        () = work => false,
        () = progress::show(load.clone(), args.requests) => false,
        _ = tokio::signal::ctrl_c() => true,
    };

    // Every span ends before the pipelines do.
    front.stop().await;
    let _ = all_done.recv().await;
    back.stop().await;
    let (front_receipt, back_receipt) =
        tokio::join!(orders.shutdown(DEADLINE), inventory_telemetry.shutdown(DEADLINE));
    let receipts = [("orders", front_receipt), ("inventory", back_receipt)];
    drop(orders_telemetry);

    let store = viewer.as_ref().map(Viewer::store);
    let report = Report {
        requests: load.done.load(Ordering::Relaxed),
        errors: load.errors.load(Ordering::Relaxed),
        abandoned: load.abandoned.load(Ordering::Relaxed),
        interrupted,
        elapsed: began.elapsed(),
        receipts,
        store: store.as_deref(),
    };
    match report.print(args.json) {
        // Who reads the report may have seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        result => result?,
    }
    Ok(report.is_good())
}

/// Where spans go: to `--endpoint`, else where the environment says, else to an
/// embedded receiver.
fn exporter(args: &Args, env: &mut Env) -> Result<(Otlp, Option<Viewer>), Box<dyn Error>> {
    let named = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
    if args.endpoint.is_none() && named.iter().any(|name| env.text(name).is_some()) {
        return Ok((Otlp::from_env(env)?, None));
    }
    let (otlp, is_grpc) = match args.protocol {
        Some(Protocol::Grpc) => (Otlp::grpc(), true),
        Some(Protocol::HttpProtobuf) | None => (Otlp::http(), false),
    };
    if let Some(endpoint) = &args.endpoint {
        return Ok((otlp.base_endpoint(endpoint)?, None));
    }
    // The first traces are kept in full, of the others what tells them whole.
    let limits = StoreLimits { detailed_traces: 1_000, ..StoreLimits::default() };
    let viewer = Viewer::bind(ViewerConfig { limits, ..ViewerConfig::any_port() })?;
    let address = if is_grpc { viewer.grpc_addr() } else { viewer.http_addr() };
    let otlp = otlp.base_endpoint(&format!("http://{address}"))?;
    Ok((otlp, Some(viewer)))
}

/// A service under load: room for what a busy executor leaves waiting.
fn settings(service: &str) -> Builder {
    throughline::builder()
        .service_name(service)
        .schedule_delay(Duration::from_millis(200))
        .max_export_batch_size(4_096)
        .max_queue_size(131_072)
        .max_live_spans(65_536)
}

/// How long each pipeline has in the end.
const DEADLINE: Duration = Duration::from_secs(10);
