//! Contexts of tasks that libraries start with plain `tokio::spawn`, carried by the
//! runtime's task hooks.
#![cfg(tokio_unstable)]

use core::convert::Infallible;
use core::future::{Future, pending};
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context as TaskContext, Poll};
use std::io;
use std::sync::Arc;

use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use throughline::exporters::Memory;
use throughline::tokio::{BuilderExt, contexts_lost};
use throughline::{Context, InSpanExt, SpawnPolicy, Telemetry, Tokio, builder, span};
use throughline_tests::conformance::{DEADLINE, Witness, current};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::runtime::{Builder, Runtime};

/// A runtime that carries contexts, and a pipeline on it.
struct Stage {
    runtime: Runtime,
    telemetry: Telemetry,
    memory: Memory,
}

impl Stage {
    /// All the stages there are: of each flavour.
    fn each(policy: SpawnPolicy) -> impl Iterator<Item = Stage> {
        [Builder::new_current_thread(), Builder::new_multi_thread()].into_iter().map(
            move |mut builder| {
                let runtime = builder.enable_all().carry_context(move |_| policy).build();
                Self::on(runtime.expect("a runtime"))
            },
        )
    }

    fn on(runtime: Runtime) -> Stage {
        let memory = Memory::new();
        let tokio = Tokio::new(runtime.handle().clone());
        let telemetry = builder().long_poll(None).start(tokio, memory.clone());
        Stage { runtime, telemetry, memory }
    }

    fn run<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future.with_context(self.telemetry.context()))
    }

    fn finish(&self) {
        let receipt = self.runtime.block_on(self.telemetry.shutdown(DEADLINE));
        assert!(receipt.is_complete(), "{receipt}");
        assert_eq!(receipt.ledger().in_flight(), 0, "{receipt}");
    }

    #[track_caller]
    fn finish_with_tree(&self, expected: &str) {
        self.finish();
        self.memory.assert_tree(expected);
    }
}

#[test]
fn plain_tasks_are_below_the_span_that_started_them() {
    for stage in Stage::each(SpawnPolicy::Child) {
        stage.run(async {
            let child = async {
                let mine = current();
                let grandchild = tokio::spawn(async {
                    tokio::task::yield_now().await;
                    span!("grandchild").end();
                });
                tokio::task::yield_now().await;
                assert_eq!(current(), mine);
                async {
                    tokio::task::yield_now().await;
                    assert_ne!(current(), mine);
                }
                .in_span(span!("child"))
                .await;
                assert_eq!(current(), mine);
                grandchild.await.expect("no panic");
            };
            async { tokio::spawn(child).await.expect("no panic") }.in_span(span!("root")).await;
        });
        // No thread has kept anything.
        stage.runtime.block_on(async {
            let empty = || assert!(Context::current().is_empty());
            empty();
            tokio::spawn(async move { empty() }).await.expect("no panic");
            tokio::task::spawn_blocking(empty).await.expect("no panic");
        });
        stage.finish();
        let root = stage.memory.span("root").span_id;
        for name in ["child", "grandchild"] {
            assert_eq!(stage.memory.span(name).parent_span_id, root);
        }
    }
}

#[test]
fn a_task_that_panics_or_is_aborted_leaves_no_context_behind() {
    for stage in Stage::each(SpawnPolicy::Child) {
        let witness = Witness::default();
        let root = stage.run(async {
            let work = async {
                assert!(tokio::spawn(async { panic!("as the test wants") }).await.is_err());
                let on_drop = witness.on_drop();
                let task = tokio::spawn(async {
                    let _on_drop = on_drop;
                    pending::<()>().await;
                });
                tokio::task::yield_now().await;
                task.abort();
                assert!(task.await.is_err());
                current()
            };
            let root = work.in_span(span!("root")).await;
            let none = async { tokio::spawn(async { current() }).await.expect("no panic") };
            assert!(!none.with_context(Context::empty()).await.is_valid());
            root
        });
        stage.finish_with_tree("root");
        assert_eq!(witness.seen(), [root], "destructors run in the task's context");
    }
}

#[test]
fn the_policy_is_for_plain_tasks_alone() {
    for stage in Stage::each(SpawnPolicy::Linked) {
        let root = stage.run(async {
            let work = async {
                let plain = async { span!("plain").end() };
                tokio::spawn(plain).await.expect("no panic");
                let own = async { span!("own").end() };
                throughline::tokio::spawn(own).await.expect("no panic");
                Context::current().span_context()
            };
            work.in_span(span!("root")).await
        });
        stage.finish_with_tree(
            "
            root
              own
            plain
            ",
        );
        assert_eq!(stage.memory.span("plain").links, [root]);
    }
}

#[test]
fn contexts_for_which_there_is_no_room_are_counted() {
    const ROOM: u64 = 65_536;
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_all().carry_context(|_| SpawnPolicy::Child).build();
    let stage = Stage::on(runtime.expect("a runtime"));
    let before = contexts_lost();
    stage.run(async {
        let work = async {
            let tasks: Vec<_> =
                (0..ROOM + 100).map(|_| tokio::spawn(async { current().is_valid() })).collect();
            let kept = futures::future::join_all(tasks).await;
            let kept = kept.into_iter().filter(|kept| *kept.as_ref().expect("no panic"));
            assert_eq!(kept.count() as u64 + contexts_lost() - before, ROOM + 100);
        };
        work.in_span(span!("root")).await;
    });
    assert!(contexts_lost() - before >= 100);
    stage.finish();
}

/// One end of a connection that traces what is written to it, once it is told to.
struct Traced {
    stream: DuplexStream,
    is_on: Arc<AtomicBool>,
}

impl AsyncRead for Traced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(task, buffer)
    }
}

impl AsyncWrite for Traced {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_on.load(Ordering::SeqCst) {
            span!("write").in_scope(|| Pin::new(&mut self.stream).poll_write(task, bytes))
        } else {
            Pin::new(&mut self.stream).poll_write(task, bytes)
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(task)
    }
}

/// Answers requests on a connection, in the current context; hyper starts a task
/// for each of them.
async fn serve(stream: DuplexStream) {
    let answer = service_fn(|_| async {
        span!("handler").in_scope(|| Ok::<_, Infallible>(Response::new(String::new())))
    });
    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    // The client hangs up in the end.
    let _ = server.serve_connection(TokioIo::new(stream), answer).await;
}

/// Opens a connection within the first request and uses it for a second one, as a
/// pool does; hyper starts the task that drives it. Returns once it is closed.
async fn two_requests(stream: DuplexStream) {
    let is_on = Arc::new(AtomicBool::new(false));
    let io = TokioIo::new(Traced { stream, is_on: is_on.clone() });
    let get = || Request::new(String::new());
    let mut client = async {
        let opened = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await;
        let (mut client, connection) = opened.expect("a connection");
        tokio::spawn(connection);
        // What is written from now on is written by the connection's own tasks.
        is_on.store(true, Ordering::SeqCst);
        client.send_request(get()).await.expect("an answer");
        client
    }
    .in_span(span!("first"))
    .await;
    async { client.send_request(get()).await.expect("an answer") }.in_span(span!("second")).await;
}

async fn two_requests_on_one_connection() {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let server = tokio::spawn(serve(far).with_context(Context::empty()));
    two_requests(near).await;
    server.await.expect("no panic");
}

#[test]
fn a_pooled_connection_stays_out_of_the_trace_of_the_request_that_opened_it() {
    for stage in Stage::each(SpawnPolicy::Linked) {
        stage.run(two_requests_on_one_connection());
        stage.finish();
        let [first, second] = ["first", "second"].map(|name| stage.memory.span(name));
        let spans = stage.memory.spans();
        let writes: Vec<_> = spans.iter().filter(|span| span.name == "write").collect();
        assert!(writes.len() >= 2, "{}", stage.memory.tree());
        for write in writes {
            assert!(![first.trace_id, second.trace_id].contains(&write.trace_id));
            let links = write.links.iter().map(|link| link.span_id());
            assert_eq!(links.collect::<Vec<_>>(), [first.span_id]);
        }
    }
}

#[test]
fn a_child_policy_would_put_both_requests_into_the_first_trace() {
    for stage in Stage::each(SpawnPolicy::Child) {
        stage.run(two_requests_on_one_connection());
        stage.finish();
        let first = stage.memory.span("first").span_id;
        let spans = stage.memory.spans();
        let writes: Vec<_> = spans.iter().filter(|span| span.name == "write").collect();
        assert!(writes.len() >= 2, "{}", stage.memory.tree());
        assert!(writes.iter().all(|write| write.parent_span_id == first));
    }
}

#[test]
fn tasks_that_hyper_starts_for_requests_are_below_their_connection() {
    for stage in Stage::each(SpawnPolicy::Child) {
        stage.run(async {
            let (near, far) = tokio::io::duplex(64 * 1024);
            let server = tokio::spawn(serve(far).in_span(span!("connection")));
            two_requests(near).with_context(Context::current().suppressed()).await;
            server.await.expect("no panic");
        });
        stage.finish_with_tree(
            "
            connection
              handler
              handler
            ",
        );
    }
}

#[test]
fn what_is_suppressed_stays_so_in_the_tasks_of_libraries() {
    for policy in [SpawnPolicy::Child, SpawnPolicy::Linked, SpawnPolicy::Detached] {
        for stage in Stage::each(policy) {
            let work = async {
                let (near, far) = tokio::io::duplex(64 * 1024);
                let server = tokio::spawn(serve(far));
                two_requests(near).await;
                server.await.expect("no panic");
            };
            stage.run(async { work.with_context(Context::current().suppressed()).await });
            stage.finish_with_tree("");
        }
    }
}
