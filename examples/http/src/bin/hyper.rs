//! hyper: a span per request, on a server without a framework.
use core::convert::Infallible;
use hyper::{Request, Response, body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use throughline::{span, tower::ServerLayer};
use tower::{Layer, service_fn};

async fn answer(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    span!("greet").in_scope(|| Ok(Response::new(format!("hello {}\n", request.uri().path()))))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn core::error::Error>> {
    let telemetry = throughline::init()?;
    let service = TowerToHyperService::new(ServerLayer::new().layer(service_fn(answer)));
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    // One connection; a server accepts them in a loop, each in a task of its own.
    let (stream, _) = listener.accept().await?;
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await?;
    println!("{}", telemetry.shutdown().await);
    Ok(())
}
