//! Both protocols behind TLS.

use std::sync::Arc;

use futures_rustls::TlsAcceptor;
use futures_rustls::pki_types::PrivatePkcs8KeyDer;
use futures_rustls::rustls::crypto::ring;
use futures_rustls::rustls::server::WebPkiClientVerifier;
use futures_rustls::rustls::{RootCertStore, ServerConfig};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use throughline_core::{Accepted, ExportError, Failure};
use throughline_otlp::Otlp;
use throughline_runtime::{Env, Exporter};
use tokio::net::TcpStream;
use tokio_util::compat::{FuturesAsyncReadCompatExt, TokioAsyncReadCompatExt};

use crate::bytes;
use crate::grpc::{data, done, listen, plain, serve};
use crate::raw::{Accept, Receiver, Step, Stream, answer};
use crate::runtime::Tokio;

fn certificate() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap()
}

fn acceptor(
    server: &CertifiedKey<KeyPair>,
    client: Option<&CertifiedKey<KeyPair>>,
    protocol: &str,
) -> TlsAcceptor {
    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = match client {
        Some(client) => {
            let mut roots = RootCertStore::empty();
            roots.add(client.cert.der().clone()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            config.with_client_cert_verifier(verifier.unwrap())
        }
        None => config.with_no_client_auth(),
    };
    let key = PrivatePkcs8KeyDer::from(server.signing_key.serialize_der());
    let mut config = config.with_single_cert(vec![server.cert.der().clone()], key.into()).unwrap();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    Arc::new(config).into()
}

async fn encrypted(acceptor: TlsAcceptor, stream: TcpStream) -> Option<Box<dyn Stream>> {
    let stream = acceptor.accept(stream.compat()).await.ok()?;
    Some(Box::new(stream.compat()))
}

async fn receiver(acceptor: TlsAcceptor) -> (Receiver, String) {
    let accept: Accept = Box::new(move |stream| Box::pin(encrypted(acceptor.clone(), stream)));
    let ok = || Step::Answer(answer("200 OK", "", b""));
    let receiver = Receiver::start_behind([ok(), ok()], accept).await;
    let url = format!("https://{}/v1/traces", receiver.address);
    (receiver, url)
}

#[tokio::test]
async fn a_receiver_is_trusted_by_its_certificate() {
    let server = certificate();
    let (mut receiver, url) = receiver(acceptor(&server, None, "http/1.1")).await;
    let otlp =
        Otlp::http().endpoint(&url).unwrap().certificate(server.cert.pem().as_bytes()).unwrap();
    let mut connection = otlp.connect(&Tokio::new());
    for length in [1, 1_000_000] {
        let sent = connection.send(&bytes(length)).await;
        assert_eq!(sent, Ok(Accepted { rejected: 0 }));
        let request = receiver.request().await;
        assert_eq!(request.connection, 1);
        assert!(request.body == bytes(length));
    }
}

#[tokio::test]
async fn a_receiver_that_is_not_trusted_gets_nothing() {
    let (mut receiver, url) = receiver(acceptor(&certificate(), None, "http/1.1")).await;
    let mozilla = Otlp::http().endpoint(&url).unwrap();
    let another = mozilla.clone().certificate(certificate().cert.pem().as_bytes()).unwrap();
    for otlp in [mozilla, another] {
        let sent = otlp.connect(&Tokio::new()).send(&bytes(1)).await;
        assert_eq!(sent, Err(ExportError::Permanent(Failure::Certificate)));
    }
    assert!(!receiver.has_request());
}

#[tokio::test]
async fn grpc_is_spoken_behind_tls() {
    let server = certificate();
    let acceptor = acceptor(&server, None, "h2");
    let (listener, otlp) = listen().await;
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = encrypted(acceptor, stream).await.unwrap();
        serve(stream, plain, vec![data(&[0; 5]), done()]).await;
    });
    let url = otlp.url().replace("http://", "https://");
    let otlp = otlp.endpoint(&url).unwrap().certificate(server.cert.pem().as_bytes()).unwrap();
    let sent = otlp.connect(&Tokio::new()).send(&bytes(1_000_000)).await;
    assert_eq!(sent, Ok(Accepted { rejected: 0 }));
}

/// OTLP-1 ([Configuration options](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#configuration-options)).
#[tokio::test]
async fn certificates_come_from_files_named_by_variables() {
    let (server, client) = (certificate(), certificate());
    let (mut receiver, url) = receiver(acceptor(&server, Some(&client), "http/1.1")).await;
    let folder = std::env::temp_dir().join(format!("throughline-otlp-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let prefix = "OTEL_EXPORTER_OTLP";
    let variables = [
        (format!("{prefix}_TRACES_ENDPOINT"), url),
        (format!("{prefix}_CERTIFICATE"), file("server.pem", server.cert.pem())),
        (format!("{prefix}_CLIENT_CERTIFICATE"), file("client.pem", client.cert.pem())),
        (format!("{prefix}_CLIENT_KEY"), file("key.pem", client.signing_key.serialize_pem())),
    ];
    let otlp = Otlp::from_env(&mut Env::from_pairs(variables.clone())).unwrap();
    let without_key = Otlp::from_env(&mut Env::from_pairs(variables[..3].to_vec()));
    std::fs::remove_dir_all(&folder).unwrap();
    let without_file = Otlp::from_env(&mut Env::from_pairs(variables));

    let sent = otlp.connect(&Tokio::new()).send(&bytes(1)).await;
    assert_eq!(sent, Ok(Accepted { rejected: 0 }));
    assert_eq!(receiver.request().await.body, bytes(1));

    let error = without_key.unwrap_err().to_string();
    assert_eq!(error, "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: is set without CLIENT_KEY");
    let error = without_file.unwrap_err().to_string();
    assert!(
        error.starts_with("OTEL_EXPORTER_OTLP_CERTIFICATE: ") && error.contains("server.pem"),
        "{error}"
    );
}
