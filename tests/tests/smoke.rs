//! Smoke
use std::time::Duration;
use throughline::{InSpanExt, Tokio, builder, exporters::Memory, span};

#[tokio::test(flavor = "current_thread")]
async fn nested() {
    let memory = Memory::new();
    let telemetry = builder().start(Tokio::current().unwrap(), memory.clone());
    let cx = telemetry.context();
    async {
        async {
            throughline::CurrentSpan::set_attribute("answer", 42);
            span!("sync", a = 1, b.c = "x").in_scope(|| {});
            throughline::tokio::spawn(async { span!("spawned").end() }).await.unwrap();
        }
        .in_span(span!("child", id = 7u64))
        .await;
        let _ = tokio::time::timeout(
            Duration::from_millis(1),
            std::future::pending::<()>().in_span(span!("cancelled")),
        )
        .await;
    }
    .in_span(span!(parent: &cx, kind: Server, "root", http.route = "/x"))
    .await;
    let receipt = telemetry.flush(Duration::from_secs(5)).await;
    println!("{receipt}");
    memory.assert_tree(
        "
        root
          child
            sync
            spawned
          cancelled (cancelled)
    ",
    );
    assert_eq!(memory.span("child").attribute("answer"), Some("42"));
    span!(parent: &cx, "late").end();
    let receipt = telemetry.shutdown_blocking(Duration::from_secs(5));
    println!("{receipt}");
    assert_eq!(memory.spans().len(), 6);
}
