//! Where to listen and how much to hold.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

/// How a [`Viewer`](crate::Viewer) listens, and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewerConfig {
    /// Where OTLP/gRPC is expected; `127.0.0.1:4317` unless told, port 0 for any.
    pub grpc: SocketAddr,
    /// Where OTLP/HTTP is expected; `127.0.0.1:4318` unless told, port 0 for any.
    pub http: SocketAddr,
    /// How much the store holds.
    pub limits: StoreLimits,
    /// The largest request, compressed or not; 16 MiB unless told. Larger ones
    /// are refused (413, or `OUT_OF_RANGE` and `RESOURCE_EXHAUSTED` of gRPC).
    pub max_body_bytes: usize,
    /// A trace whose root is there is complete when nothing came for it for this
    /// long; 500 ms unless told.
    pub settle: Duration,
    /// A trace without a root is given out when nothing came for it for this
    /// long; 5 s unless told.
    pub give_up: Duration,
    /// How long a shutdown waits for requests that are being received; 1 s
    /// unless told.
    pub grace: Duration,
}

impl ViewerConfig {
    /// The defaults, on two free ports of loopback.
    #[must_use]
    pub fn any_port() -> Self {
        Self { grpc: loopback(0), http: loopback(0), ..Self::default() }
    }
}

impl Default for ViewerConfig {
    /// The ports that
    /// [OTLP assigns](https://opentelemetry.io/docs/specs/otlp/#otlpgrpc-default-port).
    fn default() -> Self {
        Self {
            grpc: loopback(4317),
            http: loopback(4318),
            limits: StoreLimits::default(),
            max_body_bytes: 16 << 20,
            settle: Duration::from_millis(500),
            give_up: Duration::from_secs(5),
            grace: Duration::from_secs(1),
        }
    }
}

/// How much a [`Store`](crate::Store) holds. When a limit is reached the oldest
/// traces are evicted, whole, and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreLimits {
    /// Spans held; 1,000,000 unless told.
    pub max_spans: usize,
    /// Traces held; 100,000 unless told.
    pub max_traces: usize,
    /// Memory held, in bytes, as estimated from what the spans carry; 512 MiB
    /// unless told. A single span larger than this is held alone.
    pub max_bytes: usize,
    /// How many traces are kept with their attributes, events and links; the
    /// traces that come after them keep names, times, parents and status, about
    /// a hundred bytes per span. No bound unless told.
    pub detailed_traces: u64,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            max_spans: 1_000_000,
            max_traces: 100_000,
            max_bytes: 512 << 20,
            detailed_traces: u64::MAX,
        }
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}
