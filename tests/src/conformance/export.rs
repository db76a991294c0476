//! Export in the background, over the runtime's own sockets and timers.

use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::net::TcpListener;

use throughline::exporters::Otlp;
use throughline::{DropReason, InSpanExt, Retry, builder, span};
use throughline_core::{ExportError, Failure};
use throughline_viewer::{Viewer, ViewerConfig};
use tokio::net::TcpSocket;

use super::{DEADLINE, Stage, TestRuntime};

/// To the official messages, one request per connection and answer.
pub fn spans_arrive_over_http<R: TestRuntime>(runtime: R) {
    let viewer = viewer();
    let url = format!("http://{}", viewer.http_addr());
    arrive(runtime, &viewer, Otlp::http().base_endpoint(&url).expect("a URL"));
}

/// To the official service, whose connection runs in tasks of the runtime.
pub fn spans_arrive_over_grpc<R: TestRuntime>(runtime: R) {
    let viewer = viewer();
    let url = format!("http://{}", viewer.grpc_addr());
    arrive(runtime, &viewer, Otlp::grpc().base_endpoint(&url).expect("a URL"));
}

fn viewer() -> Viewer {
    Viewer::bind(ViewerConfig::any_port()).expect("a port of loopback")
}

fn arrive<R: TestRuntime>(runtime: R, viewer: &Viewer, otlp: Otlp) {
    const CHILDREN: usize = 1_000;
    // More than the windows of HTTP/2 and the buffers of the sockets, in batches.
    let note = "n".repeat(500);
    let telemetry = builder().start(runtime.runtime(), otlp);
    let receipt = runtime.block_on(
        async {
            let root = span!("root");
            async {
                for i in 0..CHILDREN {
                    span!("child", i, note).end();
                }
                R::spawn(async {}.in_span(span!("task"))).await.expect("no panic");
            }
            .in_span(root)
            .await;
            telemetry.flush(DEADLINE).await
        }
        .with_context(telemetry.context()),
    );
    assert!(receipt.is_complete(), "{receipt}");
    assert_eq!(receipt.ledger().exported(), CHILDREN as u64 + 2, "{receipt}");
    let found = viewer.store().integrity();
    let counts = (found.traces, found.spans, found.duplicate_spans);
    assert_eq!(counts, (1, CHILDREN + 2, 0), "each once");
    assert!(found.is_whole(), "{found:?}");
    // On a connection that was kept.
    let again = runtime.block_on(async {
        span!(parent: &telemetry.context(), "later").end();
        telemetry.shutdown(DEADLINE).await
    });
    assert!(again.is_complete(), "{again}");
    assert_eq!(viewer.store().integrity().traces, 2);
}

/// After the delay, though nobody flushes.
pub fn spans_leave_by_themselves<R: TestRuntime>(runtime: R) {
    let stage = Stage::with(builder().schedule_delay(Duration::from_millis(1)), runtime);
    stage.run(async {
        for spans in 1..=3 {
            span!("work").end();
            while stage.memory.spans().len() < spans {
                R::yield_now().await;
            }
        }
    });
    stage.finish();
}

/// Who blocks the only thread of a runtime sends the spans on it.
pub fn a_flush_may_block_the_runtime<R: TestRuntime>(runtime: R) {
    let viewer = viewer();
    let url = format!("http://{}", viewer.grpc_addr());
    let otlp = Otlp::grpc().base_endpoint(&url).expect("a URL");
    let telemetry = builder().start(runtime.runtime(), otlp);
    runtime.block_on(async {
        let context = telemetry.context();
        for spans in 1..=2 {
            span!(parent: &context, "work").end();
            let receipt = telemetry.flush_blocking(DEADLINE);
            assert!(receipt.is_complete(), "{receipt}");
            assert_eq!(viewer.store().integrity().traces, spans);
        }
    });
}

/// Connected, and nothing more: the timer of the runtime ends it.
pub fn a_receiver_that_never_answers_costs_the_timeout<R: TestRuntime>(runtime: R) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port of loopback");
    lose(runtime, &listener.local_addr(), Duration::from_millis(20), Failure::Timeout);
}

/// Refused, as often as it may be repeated.
pub fn a_receiver_that_is_not_there_costs_the_repetitions<R: TestRuntime>(runtime: R) {
    // A port that is bound stays one on which nobody listens, and from which nobody
    // connects, not even to itself.
    let bound = TcpSocket::new_v4().expect("a socket");
    bound.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port of loopback");
    lose(runtime, &bound.local_addr(), DEADLINE, Failure::Connect);
}

fn lose<R: TestRuntime>(
    runtime: R,
    address: &io::Result<SocketAddr>,
    timeout: Duration,
    failure: Failure,
) {
    let mut retry = Retry::new();
    retry.initial_delay = Duration::from_millis(1);
    retry.max_repetitions = 2;
    for otlp in [Otlp::http(), Otlp::grpc()] {
        let url = format!("http://{}", address.as_ref().expect("it is bound"));
        let otlp = otlp.base_endpoint(&url).expect("a URL").timeout(timeout);
        let telemetry = builder().retry(retry).start(runtime.runtime(), otlp);
        let receipt = runtime.block_on(async {
            span!(parent: &telemetry.context(), "lost").end();
            telemetry.flush(DEADLINE).await
        });
        assert!(receipt.is_complete(), "{receipt}");
        assert_eq!(receipt.ledger().dropped(DropReason::RetriesExhausted), 1, "{receipt}");
        let expected = ExportError::Retry { after: None, failure };
        assert_eq!(receipt.failure().map(|failed| failed.error()), Some(expected), "{receipt}");
    }
}
