//! TLS, for `https` endpoints.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io::{self, IoSlice};
use std::sync::Arc;

use futures_io::{AsyncRead, AsyncWrite};
use futures_rustls::TlsConnector;
use futures_rustls::client::TlsStream;
use futures_rustls::pki_types::pem::PemObject;
use futures_rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use futures_rustls::rustls::crypto::ring;
use futures_rustls::rustls::{self, ClientConfig, RootCertStore};
use throughline_core::{ExportError, Failure};
use throughline_runtime::{Origin, remark};

use crate::config::{self, Otlp};
use crate::endpoint::Endpoint;
use crate::error::ConfigError;

/// Whom to trust, and as whom to appear.
#[derive(Clone, Default)]
pub(crate) struct Tls {
    /// Mozilla's roots, if there are none.
    roots: Option<Arc<RootCertStore>>,
    identity: Option<Arc<Identity>>,
}

struct Identity {
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Otlp {
    /// Trusts these certificates, in PEM, and no others when the receiver shows
    /// its own. Without them Mozilla's list of authorities is trusted.
    /// ([Configuration Options](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#configuration-options))
    ///
    /// # Errors
    ///
    /// [`ConfigError::Certificate`] if there is no certificate among them or one
    /// that cannot be read.
    pub fn certificate(mut self, pem: &[u8]) -> Result<Self, ConfigError> {
        self.tls.trust("certificate", pem)?;
        self.origins.note(config::CERTIFICATE, Origin::Code);
        Ok(self)
    }

    /// Shows this certificate, the chain behind it included, to a receiver that
    /// asks for one. Both are in PEM.
    /// ([Configuration Options](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#configuration-options))
    ///
    /// # Errors
    ///
    /// [`ConfigError::Certificate`] if one of them cannot be read or the key is
    /// not that of the certificate.
    pub fn client_certificate(
        mut self,
        certificate: &[u8],
        key: &[u8],
    ) -> Result<Self, ConfigError> {
        self.tls.identify("client_certificate", certificate, key)?;
        self.origins.note(config::CLIENT_CERTIFICATE, Origin::Code);
        Ok(self)
    }
}

impl Tls {
    /// Whom it trusts, in words.
    pub(crate) fn trusted(&self) -> String {
        match &self.roots {
            Some(roots) => format!("{} of its own", roots.len()),
            None => "Mozilla's authorities".to_owned(),
        }
    }

    /// As whom it appears, in words: never the key.
    pub(crate) fn identity(&self) -> String {
        match &self.identity {
            Some(identity) => format!("chain of {}", identity.certificates.len()),
            None => "none".to_owned(),
        }
    }

    pub(crate) fn trust(&mut self, setting: &str, pem: &[u8]) -> Result<(), ConfigError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(setting, pem)? {
            roots.add(certificate).map_err(|error| problem(setting, &error))?;
        }
        self.roots = Some(Arc::new(roots));
        Ok(())
    }

    pub(crate) fn identify(
        &mut self,
        setting: &str,
        certificate: &[u8],
        key: &[u8],
    ) -> Result<(), ConfigError> {
        let identity = Identity {
            certificates: certificates(setting, certificate)?,
            key: PrivateKeyDer::from_pem_slice(key).map_err(|error| problem(setting, &error))?,
        };
        self.identity = Some(Arc::new(identity));
        // Tried here, where there is somebody to be told.
        match self.connector(false) {
            Ok(_) => Ok(()),
            Err(error) => Err(problem(setting, &error)),
        }
    }

    /// A connector that asks for HTTP/2, or for HTTP/1.1.
    pub(crate) fn connector(
        &self,
        http2: bool,
    ) -> Result<TlsConnector, futures_rustls::rustls::Error> {
        let roots = self.roots.clone().unwrap_or_else(|| {
            let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
            Arc::new(roots)
        });
        // Named, as a program in which two providers are built in has no default.
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            Some(identity) => config
                .with_client_auth_cert(identity.certificates.clone(), identity.key.clone_key())?,
            None => config.with_no_client_auth(),
        };
        let protocol: &[u8] = if http2 { b"h2" } else { b"http/1.1" };
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(Arc::new(config).into())
    }
}

/// What a failed handshake means: a certificate that is not trusted now is not
/// trusted a second later, while a connection that broke may hold the next time.
fn refusal(error: &io::Error) -> ExportError {
    remark(&error.to_string());
    let source = error.get_ref().and_then(|source| source.downcast_ref());
    match source {
        Some(rustls::Error::InvalidCertificate(_)) => ExportError::Permanent(Failure::Certificate),
        _ => ExportError::Retry { after: None, failure: Failure::Connect },
    }
}

/// Whether a certificate can name this host.
pub(crate) fn is_server_name(host: &str) -> bool {
    ServerName::try_from(host).is_ok()
}

/// A runtime's stream, with or without encryption.
pub(crate) enum Wire<S> {
    Plain(S),
    Tls(Box<TlsStream<S>>),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Shakes hands, if the endpoint is `https`.
    pub(crate) async fn open(
        stream: S,
        endpoint: &Endpoint,
        connector: Option<&TlsConnector>,
    ) -> Result<Self, ExportError> {
        if !endpoint.secure {
            return Ok(Wire::Plain(stream));
        }
        // Both were tried when they were set.
        let unusable = ExportError::Permanent(Failure::Connect);
        let name = ServerName::try_from(endpoint.host.clone()).map_err(|_| unusable)?;
        let connector = connector.ok_or(unusable)?;
        let stream = connector.connect(name, stream).await.map_err(|error| refusal(&error))?;
        Ok(Wire::Tls(Box::new(stream)))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        target: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_read(cx, target),
            Wire::Tls(stream) => Pin::new(stream).poll_read(cx, target),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Wire::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Wire::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Wire::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_close(cx),
            Wire::Tls(stream) => Pin::new(stream).poll_close(cx),
        }
    }
}

fn certificates(setting: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|error| problem(setting, &error))?;
    if certificates.is_empty() {
        return Err(problem(setting, &"holds no certificate in PEM"));
    }
    Ok(certificates)
}

fn problem(setting: &str, problem: &dyn core::fmt::Display) -> ConfigError {
    ConfigError::Certificate { setting: setting.to_owned(), problem: problem.to_string() }
}

#[cfg(all(test, feature = "http"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_an_error_that_names_the_setting() {
        let error = Otlp::http().certificate(b"").unwrap_err();
        assert_eq!(error.to_string(), "certificate: holds no certificate in PEM");
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let error = Otlp::http().certificate(broken).unwrap_err();
        assert!(error.to_string().starts_with("certificate: "), "{error}");
        let error = Otlp::http().client_certificate(broken, b"").unwrap_err();
        assert!(error.to_string().starts_with("client_certificate: "), "{error}");
    }

    #[test]
    fn https_is_an_endpoint() {
        let otlp = Otlp::http().endpoint("https://h/v1/traces").unwrap();
        assert_eq!(otlp.endpoint.port, 443);
        assert!(otlp.tls.connector(true).is_ok());
        assert!(Otlp::http().endpoint("https://[::1]/").is_ok());
        assert!(Otlp::http().endpoint("https://a!b/").is_err());
    }
}
