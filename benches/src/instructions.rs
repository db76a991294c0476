//! Hot paths, to be counted instead of timed.
//!
//! `scripts/instructions` runs this below callgrind, which counts what is inside of
//! [`Stopwatch::time`] only. Nothing but this thread takes part: the runtime below
//! runs nothing, and queues are drained by hand.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use throughline::{Runtime, Thread};

use crate::scenario::Scenario;
use crate::stopwatch::Stopwatch;
use crate::system::System;
use crate::tail::{self, Way};
use crate::throughline::Throughline;

/// Does the path that the first argument names as often as the second says.
/// Without arguments it lists the paths.
pub fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else {
        PATHS.iter().for_each(|(name, _)| println!("{name}"));
        return ExitCode::SUCCESS;
    };
    let path = PATHS.iter().find(|(known, _)| *known == name);
    let times = arguments.next().and_then(|text| text.parse().ok());
    let (Some((_, path)), Some(times)) = (path, times) else {
        eprintln!("usage: instructions [<path> <times>]");
        return ExitCode::FAILURE;
    };
    count(*path, times);
    ExitCode::SUCCESS
}

#[derive(Clone, Copy)]
enum Path {
    Of(Scenario),
    /// From the queue to the batch, or further.
    Drain(Way),
}

fn count(path: Path, times: u32) {
    let mut watch = Stopwatch::default();
    let system = || Throughline::on(|| Nowhere);
    match path {
        Path::Of(scenario) => drop(system().run(scenario, times, &mut watch)),
        Path::Drain(way) => tail::drain(way, times, &mut watch),
    }
}

/// Runs nothing.
#[derive(Clone)]
struct Nowhere;

impl Runtime for Nowhere {
    type Stream = <Thread as Runtime>::Stream;

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // Kept, as a runtime keeps it that is blocked.
        std::mem::forget(task);
    }

    fn sleep(&self, _: Duration) -> impl Future<Output = ()> + Send + 'static {
        std::future::pending()
    }

    fn connect(
        &self,
        _: &str,
        _: u16,
    ) -> impl Future<Output = io::Result<Self::Stream>> + Send + 'static {
        std::future::pending()
    }
}

const PATHS: [(&str, Path); 15] = [
    ("child", Path::Of(Scenario::Child)),
    ("child with 4 attributes and 1 event", Path::Of(Scenario::Attributes)),
    ("unsampled root", Path::Of(Scenario::UnsampledRoot)),
    ("unsampled child", Path::Of(Scenario::Unsampled)),
    ("disabled", Path::Of(Scenario::Disabled)),
    ("poll in a span", Path::Of(Scenario::Poll)),
    ("attach", Path::Of(Scenario::Attach)),
    ("capture", Path::Of(Scenario::Capture)),
    ("traceparent", Path::Of(Scenario::Traceparent)),
    ("ids as hex", Path::Of(Scenario::Hex)),
    ("log fields", Path::Of(Scenario::LogFields)),
    ("drain to OTLP bytes", Path::Drain(Way::Encoded)),
    ("drain to a batch", Path::Drain(Way::Without)),
    ("drain, 5 % kept by tail sampling", Path::Drain(Way::FewKept)),
    ("drain, all kept by tail sampling", Path::Drain(Way::AllKept)),
];
