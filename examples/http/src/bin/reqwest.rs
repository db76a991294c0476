//! reqwest: a span per request, whose context goes along.
use http_body_util::BodyExt;
use throughline::{InSpanExt, span, tower::ClientLayer};
use tower::{Layer, ServiceExt, service_fn};

#[tokio::main]
async fn main() -> Result<(), Box<dyn core::error::Error>> {
    let telemetry = throughline::init()?;
    let client = reqwest::Client::new();
    let client = ClientLayer.layer(service_fn(|request: http::Request<reqwest::Body>| async {
        client.execute(request.try_into()?).await.map(http::Response::from)
    }));
    let url = std::env::args().nth(1).unwrap_or("http://127.0.0.1:3000/orders/7".to_owned());
    let request = http::Request::get(url).body(reqwest::Body::default())?;
    let order = async { client.oneshot(request).await?.into_body().collect().await };
    let order = order.in_span(span!("customer")).await?.to_bytes();
    print!("{}", String::from_utf8_lossy(&order));
    println!("{}", telemetry.shutdown().await);
    Ok(())
}
