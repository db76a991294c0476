//! All runtimes in one process, each with a pipeline, and a trace through all.

use futures::future::{FutureExt, LocalBoxFuture};
use throughline::exporters::{Memory, Otlp};
use throughline::{
    AsyncStd, Context, InSpanExt, Runtime, Smol, Telemetry, Thread, Tokio, builder, span,
};
use throughline_tests::conformance::DEADLINE;
use throughline_tests::places::tokio_runtime;
use throughline_viewer::{Viewer, ViewerConfig};

#[test]
fn a_trace_goes_from_runtime_to_runtime() {
    let memory = Memory::new();
    let telemetry = builder().start(AsyncStd, memory.clone());
    let work = async {
        let on_smol = throughline::smol::spawn(
            async {
                let on_async_std = throughline::async_std::spawn(
                    async {
                        let context = Context::current();
                        let thread = move || context.scope(|| span!("on a thread").end());
                        std::thread::spawn(thread).join().expect("no panic");
                    }
                    .in_span(span!("on async-std")),
                );
                on_async_std.await;
            }
            .in_span(span!("on smol")),
        );
        on_smol.await;
    };
    let runtime = tokio_runtime(1);
    runtime.block_on(async {
        let root = span!(parent: &telemetry.context(), "on tokio");
        throughline::tokio::spawn(work.in_span(root)).await.expect("no panic");
    });
    let receipt = smol::block_on(telemetry.shutdown(DEADLINE));
    assert!(receipt.is_complete(), "{receipt}");
    memory.assert_tree(
        "
        on tokio
          on smol
            on async-std
              on a thread
        ",
    );
}

#[test]
fn each_runtime_exports_to_the_same_receiver() {
    fn start(runtime: impl Runtime, url: &str) -> Telemetry {
        builder().start(runtime, Otlp::grpc().base_endpoint(url).expect("a URL"))
    }
    let viewer = Viewer::bind(ViewerConfig::any_port()).expect("a port of loopback");
    let url = format!("http://{}", viewer.grpc_addr());
    let runtime = tokio_runtime(1);
    let pipelines = [
        start(AsyncStd, &url),
        start(Smol::global(), &url),
        start(Thread::start().expect("a thread"), &url),
        start(Tokio::new(runtime.handle().clone()), &url),
    ];
    let waits: [fn(LocalBoxFuture<'static, bool>) -> bool; 3] =
        [async_std::task::block_on, smol::block_on, futures::executor::block_on];
    for wait in waits {
        for pipeline in &pipelines {
            span!(parent: &pipeline.context(), "work").end();
            let pipeline = pipeline.clone();
            let flush = async move { pipeline.flush(DEADLINE).await.is_complete() };
            assert!(wait(flush.boxed_local()));
        }
    }
    let found = viewer.store().integrity();
    assert!(found.is_whole(), "{found:?}");
    assert_eq!(found.spans, pipelines.len() * waits.len());
}
