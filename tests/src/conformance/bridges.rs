//! Libraries that are instrumented with `tracing` and `log`, in programs with ours.

use std::sync::{Arc, OnceLock};

use futures::future::join_all;
use throughline::log::{Lines, Logger};
use throughline::tracing::{LogFormat, TracingLayer};
use throughline::{Context, InSpanExt, SpanContext, SpanId, span};
use tracing::Instrument;
use tracing_subscriber::layer::SubscriberExt;

use super::{Stage, TestRuntime};
use crate::logs::{Caught, assert_in};

/// `tracing` and `log` have one subscriber and one logger in a process: all cases share
/// the lines, and find theirs by the trace.
fn logs() -> &'static Caught {
    static CAUGHT: OnceLock<Caught> = OnceLock::new();
    CAUGHT.get_or_init(|| {
        let caught = Caught::default();
        let layer = TracingLayer::new().location(false);
        let logs = LogFormat::new(Lines::json().to(caught.output())).of(&layer).layer();
        let subscriber = tracing_subscriber::registry().with(layer).with(logs);
        tracing::subscriber::set_global_default(subscriber).expect("it is the only one");
        let logger = Logger::new(Lines::json().to(caught.output()));
        logger.install().expect("it is the only one");
        caught
    })
}

/// A library that knows `tracing` alone, and calls back.
#[tracing::instrument(skip_all, fields(id = id))]
async fn library<R: TestRuntime, F: Future>(id: usize, callback: impl FnOnce() -> F) -> F::Output {
    R::yield_now().await;
    tracing::info!(id, "in the library");
    let output = callback().instrument(tracing::info_span!("inner")).await;
    R::yield_now().await;
    output
}

/// A span of ours around a callback, with log lines of all three.
async fn application<R: TestRuntime>(id: usize) -> SpanContext {
    let work = async {
        log::info!(id; "before the library");
        let inside = || async {
            R::yield_now().await;
            let ours = async {
                R::yield_now().await;
                log::info!(id; "in the callback");
                tracing::info!("an event of tracing in a span of ours");
                tracing::info_span!("innermost").in_scope(|| span!("leaf").end());
            };
            ours.in_span(span!("callback", id)).await;
        };
        let here = Context::current().span_context();
        library::<R, _>(id, inside).await;
        assert_eq!(Context::current().span_context(), here);
        here
    };
    work.in_span(span!("application", id)).await
}

/// Below the application: the library, its inner span, the callback, the innermost, the
/// leaf; and what was logged in each has its ids.
fn assert_whole<R: TestRuntime>(stage: &Stage<R>, root: SpanContext, logs: &Caught) {
    let spans = stage.memory.spans();
    let child = |parent: SpanId, name: &str| {
        let is_it = |s: &&_| {
            let s: &throughline::exporters::CapturedSpan = s;
            s.trace_id == root.trace_id() && s.parent_span_id == parent
        };
        let children: Vec<_> = spans.iter().filter(is_it).collect();
        assert_eq!(children.len(), 1, "below {parent}: {children:?}");
        assert_eq!(children[0].name, name);
        children[0].clone()
    };
    let library = child(root.span_id(), "library");
    let inner = child(library.span_id, "inner");
    let callback = child(inner.span_id, "callback");
    let innermost = child(callback.span_id, "innermost");
    child(innermost.span_id, "leaf");
    let trace = root.trace_id();
    let in_span = |message, span| assert_in(&logs.line(message, trace), trace, span);
    in_span("before the library", root.span_id());
    in_span("in the library", library.span_id);
    in_span("in the callback", callback.span_id);
    in_span("an event of tracing in a span of ours", callback.span_id);
    let events = |events: &[(String, Vec<(String, String)>)]| -> Vec<String> {
        events.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(events(&library.events), ["in the library"]);
    assert_eq!(events(&callback.events), ["an event of tracing in a span of ours"]);
}

/// One whole tree, and equal ids in the logs (LOG-1, LOG-2, LOG-5).
pub fn libraries_of_tracing_and_log_are_in_one_tree_with_ours<R: TestRuntime>(runtime: R) {
    let (stage, logs) = (Stage::new(runtime), logs());
    let root = stage.run(async { R::spawn(application::<R>(1)).await.expect("no panic") });
    stage.finish_with_tree(
        "
        application
          library
            inner
              callback
                innermost
                  leaf
        ",
    );
    assert_whole(&stage, root, logs);
}

/// Tasks that take turns on the same threads, each of which goes through both worlds.
pub fn trees_of_both_worlds_do_not_mix<R: TestRuntime>(runtime: R) {
    let (stage, logs) = (Stage::new(runtime), logs());
    let roots = stage.run(async {
        let tasks = (0..24).map(|id| R::spawn(application::<R>(id)));
        // Some run in the task of the test, in turns with those.
        let joined = join_all((24..32).map(application::<R>));
        let (tasks, joined) = futures::future::join(join_all(tasks), joined).await;
        let tasks = tasks.into_iter().map(|root| root.expect("no panic"));
        let outside = Context::current().span_context();
        assert!(!outside.is_valid());
        tasks.chain(joined).collect::<Arc<[_]>>()
    });
    assert_eq!(stage.finish().exported(), 32 * 6);
    for root in roots.iter() {
        assert_whole(&stage, *root, logs);
    }
}
