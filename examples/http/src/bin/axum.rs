//! axum: a span per request, named by its route.
use axum::extract::{MatchedPath, Path};
use axum::{Router, routing::get};
use throughline::{span, tower::ServerLayer};

async fn order(Path(id): Path<u64>) -> String {
    span!("load", id).in_scope(|| format!("order {id}\n"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn core::error::Error>> {
    let telemetry = throughline::init()?;
    let layer =
        ServerLayer::new().route(|request| request.extensions.get().map(MatchedPath::as_str));
    let routes = Router::new().route("/orders/{id}", get(order)).layer(layer);
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    let ctrl_c = async { drop(tokio::signal::ctrl_c().await) };
    axum::serve(listener, routes).with_graceful_shutdown(ctrl_c).await?;
    println!("{}", telemetry.shutdown().await);
    Ok(())
}
