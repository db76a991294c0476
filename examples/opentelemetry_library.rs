//! A library that is instrumented with the OpenTelemetry API is called in spans of
//! throughline, and calls back into them, across an await and a task: one tree.
//!
//! `cargo run --example opentelemetry_library --features console,opentelemetry,tokio`

use throughline::exporters::Console;
use throughline::opentelemetry::TracerProvider;
use throughline::{InSpanExt, Tokio, span};

/// It knows nothing of throughline.
mod library {
    use opentelemetry::trace::{FutureExt, TraceContextExt, Tracer};
    use opentelemetry::{Context, KeyValue, global};

    pub(super) async fn fetch<T: Send + 'static>(
        decode: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let span = global::tracer("library").start("fetch");
        let context = Context::current_with_span(span);
        context.span().set_attribute(KeyValue::new("bytes", 4_096));
        // Its own way of handing a context to a task.
        let task = tokio::spawn(decode.with_context(context.clone()));
        task.with_context(context).await.expect("it does not panic")
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn core::error::Error>> {
    let telemetry = throughline::builder()
        .service_name("opentelemetry-library")
        .install(Tokio::current()?, Console::stdout())?;
    TracerProvider::default().install();

    let decode = async { async { 42 }.in_span(span!("decode")).await };
    let answer = library::fetch(decode).in_span(span!("request")).await;
    println!("{answer}\n{}", telemetry.shutdown().await);
    Ok(())
}
