//! tonic: a span per call on both sides, named by its method.
use throughline::tower::{ClientLayer, ServerLayer};
use throughline::{InSpanExt, span};
use tonic::transport::{Channel, Server, server::TcpIncoming};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::Layer;

#[tokio::main]
async fn main() -> Result<(), Box<dyn core::error::Error>> {
    let telemetry = throughline::init()?;
    let (_, health) = tonic_health::server::health_reporter();
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?;
    let url = format!("http://{}", incoming.local_addr()?);
    let server = Server::builder().layer(ServerLayer::new()).add_service(health);
    let server = tokio::spawn(server.serve_with_incoming(incoming));

    let channel = Channel::from_shared(url)?.connect().await?;
    let mut client = HealthClient::new(ClientLayer.layer(channel));
    let check = client.check(HealthCheckRequest::default()).in_span(span!("probe"));
    println!("{:?}", check.await?.into_inner().status());
    server.abort();
    println!("{}", telemetry.shutdown().await);
    Ok(())
}
