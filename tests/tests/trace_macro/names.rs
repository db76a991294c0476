//! What a span is called, of which kind it is, and what it is below.

use core::future::ready;

use futures::executor::block_on;
use throughline::{Context, InSpanExt, SpanKind, span, trace};

use crate::traced;

#[test]
fn a_span_has_the_name_of_its_function_unless_told_otherwise() {
    #[trace]
    fn plain() {}
    #[trace]
    fn r#loop() {}
    #[trace(name = "GET /orders", kind = Server)]
    async fn handler() {}

    let memory = traced(|| {
        plain();
        r#loop();
        block_on(handler());
    });
    memory.assert_tree("plain\nloop\nGET /orders");
    assert_eq!(memory.span("plain").kind, SpanKind::Internal);
    assert_eq!(memory.span("GET /orders").kind, SpanKind::Server);
    assert_eq!(memory.span("plain").scope, "throughline-tests");
}

#[test]
fn nested_calls_are_a_tree_across_sync_and_async() {
    #[trace]
    fn leaf(depth: u32) {
        if depth > 0 {
            leaf(depth - 1);
        }
    }
    #[trace]
    async fn branch() {
        leaf(1);
        core::future::ready(()).await;
        leaf(0);
    }
    #[trace]
    async fn tree() {
        branch().await;
        futures::join!(branch(), branch());
    }

    traced(|| block_on(tree())).assert_tree(
        "
        tree
          branch
            leaf
              leaf
            leaf
          branch
            leaf
              leaf
            leaf
          branch
            leaf
              leaf
            leaf
    ",
    );
}

#[test]
fn a_root_is_below_nothing_and_a_parent_is_an_expression() {
    #[trace(root)]
    fn detached() {}
    #[trace(parent = context, skip_all)]
    async fn attached(context: &Context) {}

    let memory = traced(|| {
        let elsewhere = span!("elsewhere");
        let context = elsewhere.context();
        span!("here").in_scope(|| {
            detached();
            block_on(attached(&context));
        });
        elsewhere.end();
    });
    memory.assert_tree(
        "
        elsewhere
          attached
        here
        detached
    ",
    );
}

#[test]
fn a_span_can_be_around_a_traced_function() {
    #[trace]
    async fn inner() {
        ready(()).await;
    }

    traced(|| block_on(inner().in_span(span!("outer")))).assert_tree("outer\n  inner");
}
