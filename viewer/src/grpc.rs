//! OTLP over gRPC
//! ([OTLP/gRPC](https://opentelemetry.io/docs/specs/otlp/#otlpgrpc)).

use std::sync::Arc;
use std::time::Instant;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tonic::codec::CompressionEncoding;
use tonic::{Request, Response, Status, async_trait};

use crate::Store;

/// The gRPC service, ready to be called with a request.
pub(crate) type Grpc = TraceServiceServer<Export>;

/// A service that puts what it gets into a store.
pub(crate) fn service(store: Arc<Store>, max_body_bytes: usize) -> Grpc {
    TraceServiceServer::new(Export { store })
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(max_body_bytes)
}

#[derive(Debug)]
pub(crate) struct Export {
    store: Arc<Store>,
}

#[async_trait]
impl TraceService for Export {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let rejected = self.store.take_in(request.into_inner(), Instant::now());
        Ok(Response::new(answer(rejected)))
    }
}

/// A full or a partial success
/// ([Partial Success](https://opentelemetry.io/docs/specs/otlp/#partial-success)).
pub(crate) fn answer(rejected: u64) -> ExportTraceServiceResponse {
    ExportTraceServiceResponse {
        partial_success: (rejected > 0).then(|| ExportTracePartialSuccess {
            rejected_spans: i64::try_from(rejected).unwrap_or(i64::MAX),
            error_message: "trace or span id missing or of the wrong length".to_owned(),
        }),
    }
}
