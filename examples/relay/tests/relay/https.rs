//! A target behind TLS.

use core::net::SocketAddr;
use std::io::{BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use futures_rustls::pki_types::PrivatePkcs8KeyDer;
use futures_rustls::rustls::crypto::ring;
use futures_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};
use rcgen::generate_simple_self_signed;

use crate::http::Received;

pub(crate) struct SecureTarget {
    pub(crate) address: SocketAddr,
    /// A file with its certificate.
    pub(crate) certificate: PathBuf,
    received: Receiver<Received>,
}

impl SecureTarget {
    /// The name is that of the file, of which each test has its own.
    pub(crate) fn start(name: &str) -> Self {
        let made = generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let certificate =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-target.pem"));
        std::fs::write(&certificate, made.cert.pem()).expect("a file");
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| {
                let chain = vec![made.cert.der().clone()];
                config.with_no_client_auth().with_single_cert(chain, key.into())
            });
        let config = Arc::new(config.expect("its own certificate"));
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (sender, received) = channel();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let connection = ServerConnection::new(config.clone()).expect("it is valid");
                let mut stream = BufReader::new(StreamOwned::new(connection, stream));
                // Who does not trust the certificate sends no request.
                let Some(request) = Received::read(&mut stream) else { continue };
                let answer = b"HTTP/1.1 201 So\r\nContent-Length: 0\r\n\r\n";
                let _ = stream.get_mut().write_all(answer);
                if sender.send(request).is_err() {
                    return;
                }
            }
        });
        SecureTarget { address, certificate, received }
    }

    /// The next request, which comes.
    pub(crate) fn next(&self) -> Received {
        self.received.recv().expect("the target runs")
    }
}
