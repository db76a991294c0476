//! One request through a library that knows OpenTelemetry's API alone, one that knows
//! `tracing` alone, and code with ours: one whole tree, and the same ids in the logs.

use std::sync::OnceLock;

use smol::future::yield_now;
use throughline::exporters::Memory;
use throughline::log::{Lines, Logger};
use throughline::tracing::TracingLayer;
use throughline::{InSpanExt, Runtime, Smol, Telemetry, Tokio, builder, span};
use throughline_bridge_opentelemetry::TracerProvider;
use throughline_tests::conformance::DEADLINE;
use throughline_tests::logs::{Caught, assert_in};
use tracing_subscriber::layer::SubscriberExt;

mod opentelemetry_alone {
    use opentelemetry::Context;
    use opentelemetry::context::FutureExt;
    use opentelemetry::trace::{TraceContextExt, Tracer};

    pub(super) async fn spanned<T>(name: &'static str, work: impl Future<Output = T>) -> T {
        let tracer = opentelemetry::global::tracer("theirs");
        work.with_context(Context::current_with_span(tracer.start(name))).await
    }

    /// By a guard, in code that is not async.
    pub(super) fn attached<T>(name: &'static str, work: impl FnOnce() -> T) -> T {
        let tracer = opentelemetry::global::tracer("theirs");
        let _guard = Context::current_with_span(tracer.start(name)).attach();
        work()
    }
}

mod tracing_alone {
    use tracing::Instrument;

    #[tracing::instrument(skip_all)]
    pub(super) async fn store<T>(work: impl Future<Output = T>) -> T {
        work.await
    }

    pub(super) async fn page<T>(work: impl Future<Output = T>) -> T {
        work.instrument(tracing::info_span!("page")).await
    }

    /// By a guard, in code that is not async.
    pub(super) fn row<T>(work: impl FnOnce() -> T) -> T {
        tracing::info_span!("row").in_scope(work)
    }
}

/// Each of the three is entered inside of each other one.
async fn request() {
    log::info!("request");
    opentelemetry_alone::spanned("query", async {
        yield_now().await;
        log::info!("query");
        tracing_alone::store(async {
            yield_now().await;
            log::info!("store");
            async {
                yield_now().await;
                log::info!("encode");
                tracing_alone::page(async {
                    yield_now().await;
                    log::info!("page");
                    opentelemetry_alone::spanned("index", async {
                        yield_now().await;
                        span!("leaf").in_scope(|| log::info!("leaf"));
                        log::info!("index");
                    })
                    .await;
                })
                .await;
            }
            .in_span(span!("encode"))
            .await;
            opentelemetry_alone::attached("attached", || {
                tracing_alone::row(|| {
                    opentelemetry_alone::attached("innermost", || log::info!("innermost"));
                    log::info!("row");
                });
                log::info!("attached");
            });
        })
        .await;
    })
    .await;
}

const TREE: &str = "
    request
      query
        store
          encode
            page
              index
                leaf
          attached
            row
              innermost
";

/// There is one logger and one subscriber in a process: all cases share the lines, and
/// find theirs by the trace.
fn start<R: Runtime>(runtime: R) -> (Telemetry, Memory, &'static Caught) {
    static CAUGHT: OnceLock<Caught> = OnceLock::new();
    let caught = CAUGHT.get_or_init(|| {
        TracerProvider::default().install();
        let subscriber = tracing_subscriber::registry().with(TracingLayer::new().location(false));
        tracing::subscriber::set_global_default(subscriber).expect("it is the only one");
        let caught = Caught::default();
        let logger = Logger::new(Lines::json().to(caught.output()));
        logger.install().expect("it is the only one");
        caught
    });
    let memory = Memory::new();
    (builder().long_poll(None).start(runtime, memory.clone()), memory, caught)
}

fn assert_whole(memory: &Memory, logs: &Caught) {
    memory.assert_tree(TREE);
    for span in memory.spans() {
        assert_in(&logs.line(&span.name, span.trace_id), span.trace_id, span.span_id);
    }
}

#[test]
fn three_apis_make_one_tree_and_one_set_of_ids_on_tokio() {
    for builder in [tokio::runtime::Builder::new_multi_thread, || {
        tokio::runtime::Builder::new_current_thread()
    }] {
        let runtime = builder().enable_all().build().expect("a runtime");
        let (telemetry, memory, logs) = start(Tokio::new(runtime.handle().clone()));
        let work = request().in_span(span!(parent: &telemetry.context(), "request"));
        runtime.block_on(async { throughline::tokio::spawn(work).await.expect("no panic") });
        let receipt = runtime.block_on(telemetry.shutdown(DEADLINE));
        assert!(receipt.is_complete(), "{receipt}");
        assert_whole(&memory, logs);
    }
}

#[test]
fn three_apis_make_one_tree_and_one_set_of_ids_on_smol() {
    let (telemetry, memory, logs) = start(Smol::global());
    let work = request().in_span(span!(parent: &telemetry.context(), "request"));
    smol::block_on(throughline::smol::spawn(work));
    let receipt = smol::block_on(telemetry.shutdown(DEADLINE));
    assert!(receipt.is_complete(), "{receipt}");
    assert_whole(&memory, logs);
}
