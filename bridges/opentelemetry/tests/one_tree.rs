//! Libraries of both APIs call each other, across awaits and spawns: the tree is whole.

use futures::StreamExt;
use opentelemetry::Context as Theirs;
use opentelemetry::trace::{TraceContextExt, Tracer};
use throughline::exporters::Memory;
use throughline::{Context, InSpanExt, Runtime, Smol, Telemetry, Tokio, builder, span};
use throughline_bridge_opentelemetry::TracerProvider;
use throughline_tests::conformance::DEADLINE;

/// A library that is instrumented with OpenTelemetry's API, and knows no other.
mod theirs {
    use opentelemetry::Context;
    use opentelemetry::context::FutureExt;
    use opentelemetry::trace::{TraceContextExt, Tracer};

    pub(super) fn tracer() -> opentelemetry::global::BoxedTracer {
        opentelemetry::global::tracer("theirs")
    }

    /// A span around a future, the way that API has it.
    pub(super) async fn spanned<T>(name: &'static str, work: impl Future<Output = T>) -> T {
        let context = Context::current_with_span(tracer().start(name));
        work.with_context(context).await
    }

    /// What a task is given that a runtime starts.
    pub(super) fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
        work.with_current_context()
    }
}

/// What a runtime is here: ways to let others run and to start tasks, one that carries
/// our context and one that carries nothing.
trait Place: Runtime {
    fn turn() -> impl Future<Output = ()> + Send;
    async fn ours(work: impl Future<Output = ()> + Send + 'static);
    async fn plain(work: impl Future<Output = ()> + Send + 'static);
}

impl Place for Tokio {
    async fn turn() {
        tokio::task::yield_now().await;
    }

    async fn ours(work: impl Future<Output = ()> + Send + 'static) {
        throughline::tokio::spawn(work).await.expect("no panic");
    }

    async fn plain(work: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(work).await.expect("no panic");
    }
}

impl Place for Smol {
    async fn turn() {
        smol::future::yield_now().await;
    }

    async fn ours(work: impl Future<Output = ()> + Send + 'static) {
        throughline::smol::spawn(work).await;
    }

    async fn plain(work: impl Future<Output = ()> + Send + 'static) {
        smol::spawn(work).await;
    }
}

/// The ids of the current span are the same in both.
#[track_caller]
fn assert_same_ids() {
    let (ours, theirs) = (Context::current().span_context(), Theirs::current());
    let theirs = theirs.span().span_context().clone();
    assert!(ours.is_valid());
    assert_eq!(ours.trace_id().to_bytes(), theirs.trace_id().to_bytes());
    assert_eq!(ours.span_id().to_bytes(), theirs.span_id().to_bytes());
}

async fn handle<P: Place>() {
    assert_same_ids();
    P::turn().await;
    theirs::spanned("query", async {
        P::turn().await;
        assert_same_ids();
        leaf::<P>("decode").await;
        // Theirs carries its context into a task that a runtime starts ...
        P::plain(theirs::carried(async {
            P::turn().await;
            assert_same_ids();
            leaf::<P>("in their task").await;
        }))
        .await;
        // ... and ours into one that an adapter starts.
        P::ours(async {
            P::turn().await;
            assert_same_ids();
            theirs::spanned("in our task", leaf::<P>("deep")).await;
        })
        .await;
        assert_same_ids();
    })
    .await;
    assert_same_ids();
    // Both interleave at every await, and mix nothing up.
    let (a, b) = (leaf::<P>("left"), theirs::spanned("right", leaf::<P>("below right")));
    futures::future::join(a, b).await;
    let steps = futures::stream::iter(0..2)
        .then(|_| theirs::spanned("step", P::turn()))
        .in_span(span!("stream"));
    futures::pin_mut!(steps);
    while steps.next().await.is_some() {
        assert_same_ids();
    }
}

async fn leaf<P: Place>(name: &'static str) {
    let mut span = span!("leaf");
    span.update_name(name);
    async {
        P::turn().await;
        assert_same_ids();
    }
    .in_span(span)
    .await;
}

fn start<P: Place>(runtime: P) -> (Telemetry, Memory) {
    TracerProvider::default().install();
    let memory = Memory::new();
    (builder().long_poll(None).start(runtime, memory.clone()), memory)
}

fn assert_whole(memory: &Memory) {
    memory.assert_tree(
        "
        request
          query
            decode
            in their task
            in our task
              deep
          left
          right
            below right
          stream
            step
            step
        ",
    );
    let spans = memory.spans();
    assert!(spans.iter().all(|span| span.trace_id == spans[0].trace_id));
}

async fn request<P: Place>(telemetry: &Telemetry) {
    let root = span!(parent: &telemetry.context(), "request");
    handle::<P>().in_span(root).await;
    assert!(telemetry.shutdown(DEADLINE).await.is_complete());
}

#[test]
fn on_tokio_with_one_thread_and_with_several() {
    for workers in [0, 4] {
        let runtime = throughline_tests::places::tokio_runtime(workers);
        let (telemetry, memory) = start(Tokio::new(runtime.handle().clone()));
        runtime.block_on(request::<Tokio>(&telemetry));
        assert_whole(&memory);
    }
}

#[test]
fn on_smol() {
    let (telemetry, memory) = start(Smol::global());
    smol::block_on(request::<Smol>(&telemetry));
    assert_whole(&memory);
}

#[test]
fn a_program_of_theirs_calls_a_library_of_ours_and_the_reverse() {
    let runtime = throughline_tests::places::tokio_runtime(4);
    let (telemetry, memory) = start(Tokio::new(runtime.handle().clone()));
    let theirs_alone = TracerProvider::of(&telemetry);
    runtime.block_on(async {
        // The program has a span of theirs, and nothing of ours is entered around it.
        let tracer = opentelemetry::trace::TracerProvider::tracer(&theirs_alone, "program");
        let root = Theirs::current_with_span(tracer.start("request"));
        opentelemetry::context::FutureExt::with_context(handle::<Tokio>(), root).await;
        assert!(telemetry.shutdown(DEADLINE).await.is_complete());
    });
    assert_whole(&memory);
}
