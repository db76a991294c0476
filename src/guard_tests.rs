//! What is told when nobody sees the receipt.

use core::future::{Pending, Ready, pending, ready};

use throughline_core::{
    Accepted, Batch, EndedSpan, ExportError, ProcessorError, SpanExporter, SpanProcessor,
};

use throughline_runtime::{Destinations, Exporter, Runtime, Thread};

use super::*;
use crate::{builder, span};

/// Never answers.
#[derive(Clone)]
struct Hangs;

impl<R: Runtime> Exporter<R> for Hangs {
    type Connection = Hangs;

    fn connect(&self, _: &R) -> Hangs {
        Hangs
    }
}

impl SpanExporter for Hangs {
    type Sending = Pending<Result<Accepted, ExportError>>;

    fn export(&mut self, _: &Batch<'_>) -> Self::Sending {
        pending()
    }
}

/// Takes everything.
#[derive(Clone)]
struct Takes;

impl<R: Runtime> Exporter<R> for Takes {
    type Connection = Takes;

    fn connect(&self, _: &R) -> Takes {
        Takes
    }
}

impl SpanExporter for Takes {
    type Sending = Ready<Result<Accepted, ExportError>>;

    fn export(&mut self, _: &Batch<'_>) -> Self::Sending {
        ready(Ok(Accepted::default()))
    }
}

fn told(destinations: Destinations<Thread>) -> Vec<String> {
    let thread = Thread::start().expect("a thread");
    let telemetry = builder().start_to(thread, destinations);
    telemetry.context().scope(|| span!("work").in_scope(|| ()));
    let receipt = telemetry.shutdown_blocking(Duration::from_millis(200));
    let told = abandoned(&receipt);
    told.iter()
        .map(|what| what.to_string().split("/").next().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn what_is_abandoned_is_told_for_everybody_and_for_each_of_several_destinations() {
    let all = "the pipeline ended by its deadline with 1 spans not sent";
    let hanging = core::any::type_name::<Hangs>();
    assert_eq!(told(Destinations::to(Takes)), Vec::<String>::new());
    assert_eq!(told(Destinations::to(Hangs)), [all]);
    // The other one has it.
    assert_eq!(told(Destinations::to(Hangs).and(Takes)), [hanging]);
    assert_eq!(told(Destinations::to(Hangs).and(Hangs)), [all, hanging, hanging]);
}

#[test]
fn a_processor_that_was_late_is_told_where_nobody_sees_the_receipt() {
    struct Late;
    impl SpanProcessor for Late {
        fn on_end(&self, _: &EndedSpan<'_>) {}
        fn force_flush(&self, _: Duration) -> Result<(), ProcessorError> {
            Err(ProcessorError::Timeout)
        }
        fn name(&self) -> &str {
            "late"
        }
    }
    let telemetry = builder().processor(Late).start(Thread::start().expect("a thread"), Takes);
    let receipt = telemetry.shutdown_blocking(Guard::DEADLINE);
    assert_eq!(receipt.outcome(), Outcome::DeadlinePassed);
    let texts: Vec<_> = abandoned(&receipt).iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["the span processor late could not be flushed: it was not done in time"]);
}
