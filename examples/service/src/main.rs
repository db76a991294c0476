//! Two HTTP services and a load against them, traced whole, on any runtime.
//!
//! ```text
//!   load ──HTTP──▶ orders ──HTTP──▶ inventory
//!    │  traceparent  │  traceparent    │
//!    └───────OTLP────┴──────OTLP───────┴──▶ embedded receiver, or --endpoint
//! ```
//!
//! Each service has a pipeline of its own, as two processes would. With `--tail`
//! both are given one tail sampler, so that a trace is kept or dropped in both: in
//! two processes that would be the work of a collector (`docs/tail-sampling.md`).

mod args;
mod connections;
mod inventory;
mod load;
mod logging;
mod orders;
mod outliving;
mod progress;
mod receipt_json;
mod report;
mod sampling;
mod server;
mod wire;

use core::error::Error;
use core::pin::pin;
use core::sync::atomic::Ordering;
use core::time::Duration;
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use example_runtimes::{Program, ServiceRuntime};
use futures::StreamExt;
use futures::channel::{mpsc, oneshot};
use futures::future::{Either, join, select};
use throughline::exporters::Otlp;
use throughline::{Builder, Env, TailSampler};
use throughline_viewer::{StoreLimits, Viewer, ViewerConfig};

use args::{Args, Protocol};
use load::Load;
use orders::Shop;
use report::Report;
use sampling::{HeadSampler, TailRules};
use server::Server;
use wire::HttpClient;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return refuse(&error),
    };
    let started = logging::start().map_err(Box::from);
    let started = started.and_then(|()| args.runtime.block_on(Service(&args)));
    match started {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            log::error!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Says what is wrong with the arguments, or what was asked about them: to people as it is,
/// and to a program that reads stderr as a line of the log.
fn refuse(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() || io::stderr().is_terminal() || logging::start().is_err() {
        error.exit();
    }
    log::error!("{}", error.to_string().trim_end());
    ExitCode::from(2)
}

struct Service<'a>(&'a Args);

impl Program for Service<'_> {
    type Output = bool;

    async fn run<R: ServiceRuntime>(self, runtime: R) -> Result<bool, Box<dyn Error>> {
        run(self.0, runtime).await
    }
}

/// Returns whether every trace is whole and every span is accounted for.
async fn run<R: ServiceRuntime>(args: &Args, runtime: R) -> Result<bool, Box<dyn Error>> {
    let began = Instant::now();
    let mut env = Env::process();
    let (otlp, viewer) = exporter(args, &mut env)?;
    let tail = args.tail.as_ref().map(TailRules::sampler).transpose()?;
    let [orders, inventory] =
        ["orders", "inventory"].map(|service| settings(service, args, &mut env, tail.as_ref()));
    for warning in env.warnings() {
        log::warn!("{warning}");
    }

    let orders_telemetry = orders.install(runtime.clone(), otlp.clone())?;
    if args.config {
        eprint!("{}", orders_telemetry.config());
    }
    let inventory_telemetry = inventory.start(runtime.clone(), otlp);
    let orders = orders_telemetry
        .telemetry()
        .cloned()
        .ok_or("OTEL_SDK_DISABLED: there is nothing to show")?;

    let routes = inventory::routes();
    let back = Server::start(&runtime, routes, &inventory_telemetry)?;
    let (outliving, mut all_done) = mpsc::channel(1);
    let client = HttpClient::new(runtime.clone());
    let inventory = back.url.clone();
    let (shop, flood) = (runtime.clone(), args.flood);
    let shop = Shop { runtime: shop, client, inventory, flood, outliving: outliving.clone() };
    let routes = orders::routes(Arc::new(shop));
    let front = Server::start(&runtime, routes, &orders)?;
    let asked_to_end = ctrl_c()?;
    log::info!(orders = front.url, inventory = back.url; "listening");

    let load = Arc::new(Load::default());
    let url = front.url.clone();
    let work = load.clone().run(runtime.clone(), url, args.requests, args.concurrency, outliving);
    let shown = progress::show(runtime, load.clone(), args.requests);
    // What is left of the work is dropped with the block, and cancelled.
    let interrupted = {
        let (work, shown) = (pin!(work), pin!(shown));
        matches!(select(select(work, shown), asked_to_end).await, Either::Right(_))
    };
    if interrupted {
        log::info!("asked to end; once more ends without a report");
    }

    // Every span ends before the pipelines do.
    front.stop().await;
    while all_done.next().await.is_some() {}
    back.stop().await;
    let (front_receipt, back_receipt) =
        join(orders.shutdown(DEADLINE), inventory_telemetry.shutdown(DEADLINE)).await;
    let receipts = [("orders", front_receipt), ("inventory", back_receipt)];
    drop(orders_telemetry);

    let store = viewer.as_ref().map(Viewer::store);
    let report = Report {
        requests: load.done.load(Ordering::Relaxed),
        errors: load.errors.load(Ordering::Relaxed),
        abandoned: load.abandoned.load(Ordering::Relaxed),
        interrupted: interrupted.then(|| load.under_way(args.requests)),
        elapsed: began.elapsed(),
        receipts,
        tail: args
            .tail
            .as_ref()
            .zip(tail.as_ref())
            .map(|(rules, tail)| (rules.names(), tail.stats())),
        flood: args.flood,
        store: store.as_deref(),
    };
    match report.print(args.json) {
        // Who reads the report may have seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        result => result?,
    }
    Ok(report.is_good())
}

/// Completes when the program is asked to end. Who asks again does not want to wait for
/// what is under way.
fn ctrl_c() -> Result<oneshot::Receiver<()>, ctrlc::Error> {
    let (sender, asked) = oneshot::channel();
    let mut sender = Some(sender);
    ctrlc::set_handler(move || match sender.take() {
        Some(sender) => {
            let _ = sender.send(());
        }
        None => std::process::exit(INTERRUPTED),
    })?;
    Ok(asked)
}

/// Where spans go: to `--endpoint`, else where the environment says, else to an
/// embedded receiver. The environment says the rest, headers for example.
fn exporter(args: &Args, env: &mut Env) -> Result<(Otlp, Option<Viewer>), Box<dyn Error>> {
    let endpoint = args.endpoint.as_deref();
    let otlp = Otlp::from_env_with(env, args.protocol.map(Protocol::of_otlp), endpoint);
    // What is wrong is said of the flag, and not of the method that is given its value.
    let otlp = otlp.map_err(|error| match error.to_string().strip_prefix("base_endpoint=") {
        Some(rest) if endpoint.is_some() => format!("--endpoint={rest}"),
        _ => error.to_string(),
    })?;
    let named = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
    if endpoint.is_some() || named.iter().any(|name| env.text(name).is_some()) {
        return Ok((otlp, None));
    }
    // The first traces are kept in full, of the others what tells them whole.
    let limits = StoreLimits { detailed_traces: 1_000, ..StoreLimits::default() };
    let viewer = Viewer::bind(ViewerConfig { limits, ..ViewerConfig::any_port() })?;
    let address = match otlp.protocol() {
        throughline::exporters::Protocol::Grpc => viewer.grpc_addr(),
        _ => viewer.http_addr(),
    };
    let otlp = otlp.base_endpoint(&format!("http://{address}"))?;
    Ok((otlp, Some(viewer)))
}

/// A service under load: room for what a busy executor leaves waiting, unless the
/// environment says otherwise. The flags win over both.
fn settings(service: &str, args: &Args, env: &mut Env, tail: Option<&TailSampler>) -> Builder {
    let mut settings = throughline::builder()
        .diagnostics(logging::diagnostics())
        .schedule_delay(Duration::from_millis(200))
        .max_export_batch_size(4_096)
        .max_queue_size(131_072)
        .max_live_spans(65_536)
        .with_env(env);
    if let Some(HeadSampler(sampler)) = &args.sampler {
        settings = settings.sampler(sampler.clone());
    }
    if let Some(tail) = tail {
        settings = settings.tail(tail);
    }
    // Two services in one process cannot both have the name that a variable gives.
    settings.service_name(service)
}

/// How long each pipeline has in the end.
const DEADLINE: Duration = Duration::from_secs(10);
/// What shells say of a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;
