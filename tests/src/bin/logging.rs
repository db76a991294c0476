//! Logs through both bridges to its standard error, or output if it is told so, whatever
//! becomes of that; exits 0 when all of it was counted, and nothing panicked.

use std::process::ExitCode;

use throughline::log::{Lines, Logger, Output};
use throughline::tracing::{LogFormat, TracingLayer};
use throughline::{Thread, builder, exporters, span};
use tracing_subscriber::layer::SubscriberExt;

fn main() -> ExitCode {
    let is_stdout = std::env::args().nth(1).is_some_and(|to| to == "stdout");
    let lines = || {
        let output = if is_stdout { Output::stdout() } else { Output::stderr() };
        Lines::json().to(output)
    };
    let logger = Logger::new(lines()).install().expect("it is the only one");
    let format = LogFormat::new(lines());
    let logs = format.clone().layer();
    let subscriber = tracing_subscriber::registry().with(TracingLayer::new()).with(logs);
    tracing::subscriber::set_global_default(subscriber).expect("it is the only one");
    let thread = Thread::start().expect("the system gives a thread");
    let telemetry = builder().start(thread, exporters::Discard);
    for number in 0..LINES {
        telemetry.context().scope(|| {
            span!("work").in_scope(|| {
                log::info!(number; "by log");
                tracing::info!(number, "by tracing");
            });
        });
    }
    telemetry.shutdown_blocking(core::time::Duration::from_secs(60));
    let is_counted = logger.lines().lost() == LINES && format.lines().lost() == LINES;
    if is_counted { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

const LINES: u64 = 10;
