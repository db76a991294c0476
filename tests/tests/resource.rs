//! What describes the program, as it arrives.

use core::future::{Ready, ready};
use core::time::Duration;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use prost::Message;
use throughline::{
    Builder, DetectError, Detector, Diagnostic, Diagnostics, Exporter, Resource, Runtime, Thread,
    builder, detectors, span,
};
use throughline_core::{Accepted, Batch, ExportError, SpanExporter};

/// Keeps the requests as they would be sent.
#[derive(Clone, Default)]
struct Requests(Arc<Mutex<Vec<ResourceSpans>>>);

impl<R: Runtime> Exporter<R> for Requests {
    type Connection = Requests;

    fn connect(&self, _: &R) -> Requests {
        self.clone()
    }
}

impl SpanExporter for Requests {
    type Sending = Ready<Result<Accepted, ExportError>>;

    fn export(&mut self, batch: &Batch<'_>) -> Self::Sending {
        let mut bytes = Vec::new();
        batch.encode(|piece| bytes.extend_from_slice(piece));
        assert_eq!(bytes.len(), batch.encoded_len());
        let request = ExportTraceServiceRequest::decode(&*bytes).expect("well-formed");
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(request.resource_spans);
        ready(Ok(Accepted::default()))
    }
}

/// The header of a request with one span.
fn sent(settings: Builder) -> ResourceSpans {
    let requests = Requests::default();
    let telemetry = settings.start(Thread::start().expect("a thread"), requests.clone());
    telemetry.context().scope(|| span!("work").in_scope(|| ()));
    assert!(telemetry.shutdown_blocking(Duration::from_secs(30)).is_complete());
    requests.0.lock().unwrap_or_else(PoisonError::into_inner).remove(0)
}

fn attribute(sent: &ResourceSpans, key: &str) -> Option<Value> {
    let resource = sent.resource.as_ref()?;
    let mut values = resource.attributes.iter().filter(|attribute| attribute.key == key);
    let value = values.next()?.value.clone()?.value;
    assert!(values.next().is_none(), "{key} is there twice");
    value
}

fn text(text: &str) -> Option<Value> {
    Some(Value::StringValue(text.to_owned()))
}

/// RES-1, RES-2: the default resource is on what is sent, under what the program says
/// ([SDK-provided attributes](https://opentelemetry.io/docs/specs/otel/resource/sdk/#sdk-provided-resource-attributes)).
#[test]
fn every_batch_carries_the_resource_of_its_pipeline() {
    let sent = sent(builder().service_name("shop").attribute("a", "1"));
    assert_eq!(attribute(&sent, "service.name"), text("shop"));
    assert_eq!(attribute(&sent, "telemetry.sdk.name"), text("throughline"));
    assert_eq!(attribute(&sent, "telemetry.sdk.language"), text("rust"));
    assert!(attribute(&sent, "telemetry.sdk.version").is_some());
    assert_eq!(attribute(&sent, "a"), text("1"));
    assert_eq!(sent.schema_url, "");
}

/// RES-7, RES-8, PAY-4: what detectors find, under their schema
/// ([Detecting resource information](https://opentelemetry.io/docs/specs/otel/resource/sdk/#detecting-resource-information-from-the-environment)).
#[test]
fn what_detectors_find_arrives_with_their_schema_and_yields_to_the_code() {
    let sent = sent(builder().attribute("host.arch", "mine").detect(detectors::ALL));
    let pid = Some(Value::IntValue(std::process::id().into()));
    assert_eq!(attribute(&sent, "process.pid"), pid);
    assert_eq!(attribute(&sent, "host.arch"), text("mine"));
    assert!(attribute(&sent, "os.type").is_some());
    assert!(attribute(&sent, "service.instance.id").is_some());
    assert_eq!(sent.schema_url, "https://opentelemetry.io/schemas/1.44.0");
}

struct Broken;

impl Detector for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn detect(&self) -> Result<Resource, DetectError> {
        Err(DetectError::new("/the/file", io::ErrorKind::PermissionDenied.into()))
    }
}

struct Panics;

impl Detector for Panics {
    fn name(&self) -> &'static str {
        "panics"
    }

    fn detect(&self) -> Result<Resource, DetectError> {
        panic!("a detector panics, as the test wants")
    }
}

/// RES-8, ERR-4: a detector that fails is told and takes nothing down
/// ([Detecting resource information](https://opentelemetry.io/docs/specs/otel/resource/sdk/#detecting-resource-information-from-the-environment)).
#[test]
fn a_detector_that_fails_is_told_and_the_others_are_heard() {
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = told.clone();
    let handler = Diagnostics::to(move |diagnostic: &Diagnostic| {
        noted.lock().unwrap_or_else(PoisonError::into_inner).push(diagnostic.to_string());
    });
    let broken: [&'static dyn Detector; 3] = [&Broken, &Panics, detectors::PROCESS];
    let sent = sent(builder().diagnostics(handler).detect(broken));
    assert!(attribute(&sent, "process.pid").is_some());
    let told = told.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("broken failed: /the/file cannot be read"), "{told:?}");
    assert!(told[1].contains("panics failed: it panicked"), "{told:?}");
}
