//! The receiver as its clients meet it: the official gRPC client and bare HTTP.

use core::net::SocketAddr;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use throughline_viewer::{Viewer, ViewerConfig};
use tonic::Code;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Channel, Endpoint};

fn viewer(max_body_bytes: usize) -> Viewer {
    let config = ViewerConfig { max_body_bytes, ..ViewerConfig::any_port() };
    Viewer::bind(config).expect("two ports are free")
}

fn request(spans: u8) -> ExportTraceServiceRequest {
    let span = |id: u8| Span {
        trace_id: vec![7; 16],
        span_id: vec![id; 8],
        parent_span_id: if id == 1 { Vec::new() } else { vec![1; 8] },
        name: "work".into(),
        ..Span::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![KeyValue {
                    key: "service.name".into(),
                    value: Some(AnyValue {
                        value: Some(any_value::Value::StringValue("orders".into())),
                    }),
                    ..KeyValue::default()
                }],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                spans: (1..=spans).map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

async fn client(addr: SocketAddr) -> TraceServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{addr}")).expect("an address is a URL");
    TraceServiceClient::new(endpoint.connect().await.expect("the viewer listens"))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("a vector takes it");
    encoder.finish().expect("a vector takes it")
}

/// One request on a connection of its own; answers status and body.
fn send(addr: SocketAddr, head: &str, body: &[u8]) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(addr).expect("the viewer listens");
    let length = body.len();
    let head = format!(
        "{head}\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("the head is read");
    // A body that is refused by its length may not be read to its end.
    let _ = stream.write_all(body);
    read_answer(stream)
}

fn read_answer(mut stream: TcpStream) -> (u16, Vec<u8>) {
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut chunk) {
        answer.extend_from_slice(&chunk[..read]);
    }
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.expect("an answer has a head");
    let status = core::str::from_utf8(&answer[9..12]).expect("a status is digits");
    (status.parse().expect("a status is digits"), answer[end + 4..].to_vec())
}

fn post(addr: SocketAddr, more: &str, body: &[u8]) -> u16 {
    let head = format!("POST /v1/traces HTTP/1.1\r\ncontent-type: application/x-protobuf{more}");
    send(addr, &head, body).0
}

#[tokio::test]
async fn the_official_grpc_client_is_understood() {
    let viewer = viewer(1 << 20);
    let mut client = client(viewer.grpc_addr()).await;
    let answer = client.export(request(3)).await.expect("accepted");
    assert!(answer.into_inner().partial_success.is_none());
    let trace = viewer.store().trace([7; 16]).expect("received");
    assert_eq!(trace.spans().len(), 3);
    assert_eq!(&*trace.spans()[0].service, "orders");
    assert!(viewer.store().integrity().is_whole());
}

#[tokio::test]
async fn grpc_may_be_compressed() {
    let viewer = viewer(1 << 20);
    let client = client(viewer.grpc_addr()).await;
    let mut client = client.send_compressed(CompressionEncoding::Gzip);
    client.export(request(2)).await.expect("accepted");
    assert_eq!(viewer.store().stats().spans_received, 2);
}

#[tokio::test]
async fn spans_without_ids_are_a_partial_success() {
    let viewer = viewer(1 << 20);
    let mut bad = request(3);
    bad.resource_spans[0].scope_spans[0].spans[1].span_id.clear();
    let mut client = client(viewer.grpc_addr()).await;
    let answer = client.export(bad).await.expect("accepted");
    let partial = answer.into_inner().partial_success.expect("partial");
    assert_eq!(partial.rejected_spans, 1);
    assert_eq!(viewer.store().stats().spans_received, 2);
}

#[tokio::test]
async fn grpc_beyond_the_limit_is_refused_also_when_it_unpacks_to_it() {
    let viewer = viewer(2_000);
    let mut plain = client(viewer.grpc_addr()).await;
    let refused = plain.export(request(200)).await.expect_err("too large");
    assert_eq!(refused.code(), Code::OutOfRange);
    let mut packed = plain.send_compressed(CompressionEncoding::Gzip);
    let refused = packed.export(request(200)).await.expect_err("too large");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(viewer.store().stats().spans_received, 0);
}

#[tokio::test]
async fn either_port_understands_either_protocol() {
    let viewer = viewer(1 << 20);
    let mut client = client(viewer.http_addr()).await;
    client.export(request(1)).await.expect("accepted");
    let body = request(1).encode_to_vec();
    assert_eq!(post(viewer.grpc_addr(), "", &body), 200);
    assert_eq!(viewer.store().stats().spans_received, 2);
}

#[test]
fn http_answers_a_protobuf_response() {
    let viewer = viewer(1 << 20);
    let head = "POST /v1/traces HTTP/1.1\r\ncontent-type: application/x-protobuf";
    let (status, body) = send(viewer.http_addr(), head, &request(4).encode_to_vec());
    assert_eq!(status, 200);
    let answer = ExportTraceServiceResponse::decode(body.as_slice()).expect("protobuf");
    assert!(answer.partial_success.is_none());
    assert_eq!(viewer.store().stats().spans_received, 4);
}

#[test]
fn http_may_be_compressed_and_an_empty_request_is_fine() {
    let viewer = viewer(1 << 20);
    let addr = viewer.http_addr();
    let packed = gzip(&request(2).encode_to_vec());
    assert_eq!(post(addr, "\r\ncontent-encoding: gzip", &packed), 200);
    assert_eq!(post(addr, "", b""), 200);
    assert_eq!(viewer.store().stats().spans_received, 2);
}

#[test]
fn what_is_no_request_for_traces_is_refused_by_its_kind() {
    let viewer = viewer(1 << 20);
    let addr = viewer.http_addr();
    let body = request(1).encode_to_vec();
    let kind = "content-type: application/x-protobuf";
    for (head, status) in [
        (format!("POST /v1/metrics HTTP/1.1\r\n{kind}"), 404),
        (format!("GET /v1/traces HTTP/1.1\r\n{kind}"), 405),
        ("POST /v1/traces HTTP/1.1\r\ncontent-type: application/json".into(), 415),
        ("POST /v1/traces HTTP/1.1".into(), 415),
        (format!("POST /v1/traces HTTP/1.1\r\n{kind}\r\ncontent-encoding: br"), 415),
    ] {
        assert_eq!(send(addr, &head, &body).0, status, "{head}");
    }
    assert_eq!(viewer.store().stats().spans_received, 0);
}

#[test]
fn malformed_bodies_are_answered_400_and_the_next_request_is_served() {
    let viewer = viewer(1 << 20);
    let addr = viewer.http_addr();
    let mut cut = request(2).encode_to_vec();
    cut.pop();
    assert_eq!(post(addr, "", &cut), 400);
    assert_eq!(post(addr, "", b"\xff\xff\xff\xff\xff\xff\xff\xff"), 400);
    assert_eq!(post(addr, "\r\ncontent-encoding: gzip", b"not gzip"), 400);
    // Arrays in arrays, far deeper than any stack: a value is field 1 of the
    // array that is field 5 of a value.
    let mut deep = Vec::new();
    for _ in 0..2_000 {
        for tag in [0x0a, 0x2a] {
            let mut outer = vec![tag];
            prost::encode_length_delimiter(deep.len(), &mut outer).expect("a vector takes it");
            outer.append(&mut deep);
            deep = outer;
        }
    }
    for tag in [0x12, 0x4a, 0x12, 0x12, 0x0a] {
        let mut outer = vec![tag];
        prost::encode_length_delimiter(deep.len(), &mut outer).expect("a vector takes it");
        outer.append(&mut deep);
        deep = outer;
    }
    assert_eq!(post(addr, "", &deep), 400);
    assert_eq!(post(addr, "", &request(1).encode_to_vec()), 200);
    assert_eq!(viewer.store().stats().spans_received, 1);
}

#[test]
fn bodies_beyond_the_limit_are_answered_413() {
    let viewer = viewer(1_000);
    let addr = viewer.http_addr();
    let large = request(200).encode_to_vec();
    assert_eq!(post(addr, "", &large), 413);
    // Zeros: a thousand times smaller when packed.
    let bomb = gzip(&vec![0; 500_000]);
    assert!(bomb.len() < 1_000 * 5);
    let bomb_limit = self::viewer(bomb.len());
    let status = post(bomb_limit.http_addr(), "\r\ncontent-encoding: gzip", &bomb);
    assert_eq!(status, 413);
    // A chunked body says nothing of its length beforehand.
    let mut stream = TcpStream::connect(addr).expect("the viewer listens");
    let head = "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                content-type: application/x-protobuf\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("the head is read");
    let chunk = format!("{:x}\r\n{}\r\n0\r\n\r\n", 1_001, "x".repeat(1_001));
    stream.write_all(chunk.as_bytes()).expect("small enough for the socket");
    assert_eq!(read_answer(stream).0, 413);
}

#[test]
fn a_client_that_leaves_in_the_middle_harms_nobody() {
    let viewer = viewer(1 << 20);
    let addr = viewer.http_addr();
    for part in [
        &b""[..],
        b"\0\0\0\0",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nrubbish rubbish rubbish",
        b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
          content-length: 100\r\n\r\nhalf",
    ] {
        let mut stream = TcpStream::connect(addr).expect("the viewer listens");
        let _ = stream.write_all(part);
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert_eq!(post(addr, "", &request(1).encode_to_vec()), 200);
}

#[tokio::test]
async fn a_shutdown_closes_the_ports_and_leaves_the_store() {
    let viewer = viewer(1 << 20);
    let (grpc, http) = (viewer.grpc_addr(), viewer.http_addr());
    let (store, completions) = (viewer.store(), viewer.completions());
    // An idle connection must not hold it up.
    let mut idle = client(grpc).await;
    idle.export(request(2)).await.expect("accepted");
    viewer.shutdown();
    assert!(TcpStream::connect(grpc).is_err());
    assert!(TcpStream::connect(http).is_err());
    assert_eq!(store.stats().spans_held, 2);
    assert_eq!(completions.count(), 1);
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let first = viewer(1 << 20);
    let config = ViewerConfig { http: first.http_addr(), ..ViewerConfig::any_port() };
    let error = Viewer::bind(config).expect_err("in use");
    assert!(error.to_string().contains(&first.http_addr().to_string()));
}
