//! A small HTTP service that shows propagation end to end: it hands requests on,
//! and their context with them.
//!
//! ```text
//!   POST /relay  [{"url": …, "arguments": …}, …]
//!     traceparent ──▶ span `POST /relay` ──▶ span `POST` ──▶ traceparent, per element
//! ```
//!
//! All tracing is in two layers: one around the [handler](relay), one around the
//! [client](forward).

mod forward;
mod relay;
mod signals;
mod telemetry;
mod tls;

use core::error::Error;
use core::net::SocketAddr;
use core::pin::pin;
use core::time::Duration;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;
use example_runtimes::{On, Program, ServiceRuntime, serve};
use hyper_util::service::TowerToHyperService;
use throughline::tower::ServerLayer;
use tower::{Layer, service_fn};

/// Takes requests at `POST /relay` and forwards each element of their JSON array
/// `[{"url": …, "arguments": …}]`, of 16 MiB at most. URLs are http or https; of https,
/// the authorities in the file that SSL_CERT_FILE names are trusted, or else Mozilla's.
/// Exports as the `OTEL_*` variables say, and not at all without an endpoint.
#[derive(Clone, Debug, Parser)]
#[command(name = "relay", version)]
struct Args {
    /// Where to listen; port 0 is any free one.
    #[arg(long, default_value = "127.0.0.1:5000", value_name = "ADDR")]
    listen: SocketAddr,
    /// The runtime of the service and of the export.
    #[arg(long, value_enum, default_value_t = On::Tokio)]
    runtime: On,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match args.runtime.block_on(Relay(&args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("relay: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Relay<'a>(&'a Args);

impl Program for Relay<'_> {
    type Output = ();

    async fn run<R: ServiceRuntime>(self, runtime: R) -> Result<(), Box<dyn Error>> {
        run(self.0, runtime).await
    }
}

async fn run<R: ServiceRuntime>(args: &Args, runtime: R) -> Result<(), Box<dyn Error>> {
    let telemetry = telemetry::init()?;
    let asked_to_end = signals::asked_to_end()?;
    let (listener, address) = runtime
        .listen(args.listen)
        .map_err(|error| format!("cannot listen on {}: {error}", args.listen))?;

    let is_relay = |request: &_| relay::route(request);
    let layer = ServerLayer::new().route(is_relay);
    let handler = {
        let runtime = runtime.clone();
        service_fn(move |request| relay::handle(runtime.clone(), request))
    };
    let service = TowerToHyperService::new(layer.layer(handler));
    let (stop, stopped) = futures::channel::oneshot::channel();
    let server = runtime.task(serve(runtime.clone(), listener, service, stopped));

    let mut out = std::io::stdout();
    match writeln!(out, "listening on {address}").and_then(|()| out.flush()) {
        // Nobody wants to know; a request may come all the same.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        said => said?,
    }

    // Either way: asked, or the thread that waits for signals is gone.
    let _ = asked_to_end.await;
    let _ = stop.send(());
    // Requests end by themselves; connections that send half of one do not.
    let _ = runtime.timeout(DEADLINE, pin!(server)).await;
    telemetry.shutdown().await;
    Ok(())
}

/// How long requests have that are under way at the end.
const DEADLINE: Duration = Duration::from_secs(5);
