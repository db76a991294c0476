//! throughline beside its peers, in one run.
//!
//! ```text
//!   cargo bench -p benches                    the table
//!   cargo bench -p benches -- --json FILE     all figures; FILE as seen from the workspace
//!   cargo bench -p benches -- --check         exit 1 when a budget is missed
//!   cargo bench -p benches -- child           scenarios whose name has "child"
//!   cargo bench -p benches -- soak --seconds 600
//!                                             "flat out", "large trace", "memory" and "soak"
//!                                             for longer than their short form
//!   cargo bench -p benches -- socket          allocations up to the socket
//! ```
//!
//! The systems take turns within one scenario, sample by sample, so that what
//! disturbs the machine disturbs all of them; what counts is the minimum. Each
//! system gets its best form and its documented settings, stated in its file:
//!
//! ```text
//!   scenario ──▶ floor, throughline, fastrace, opentelemetry,  ──▶ table, JSON
//!                tracing thrice, emit: rounds of samples        └──▶ budgets
//! ```

#![expect(
    clippy::redundant_closure,
    reason = "a closure of its own is inlined into the loop that repeats it; a function is not"
)]
#![deny(unsafe_code)]
#![allow(clippy::std_instead_of_core, clippy::alloc_instead_of_core)]

mod alloc;
mod arguments;
mod budgets;
mod carrier;
mod chart;
mod emit;
mod fastrace;
mod figures;
mod flat_out;
mod floor;
mod future;
mod instructions;
mod json;
mod machine;
mod memory;
mod opentelemetry;
mod report;
mod rounds;
mod scenario;
mod sink;
mod size;
mod soak;
mod socket;
mod spawning;
mod stopwatch;
mod system;
mod systems;
mod table;
mod tail;
mod throughline;
mod tracing;
mod tracing_opentelemetry;
mod tracing_registry;
mod tracing_throughline;

pub use instructions::main as instructions;
pub use report::main as report;

use std::path::Path;
use std::process::ExitCode;

use arguments::Arguments;
use figures::Figures;

/// Runs what the arguments of the process ask for.
pub fn main() -> ExitCode {
    if let Some(answer) = memory::answer(std::env::args()) {
        print!("{answer}");
        return ExitCode::SUCCESS;
    }
    if let Some(code) = socket::answer(std::env::args()) {
        return code;
    }
    let arguments = Arguments::of_process();
    let figures = measure(&arguments);
    print!("{}", table::render(&figures));
    if let Some(path) = &arguments.json
        // Cargo runs a bench in its package's folder, whoever asked where.
        && let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
        && let Err(error) = std::fs::write(&path, json::render(&figures))
    {
        eprintln!("{}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    let missed = budgets::missed(&figures);
    if arguments.check && !missed.is_empty() {
        eprintln!("\nbudgets missed:");
        missed.iter().for_each(|line| eprintln!("  {line}"));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn measure(arguments: &Arguments) -> Figures {
    let mut systems = systems::all();
    let mut figures = rounds::run(&mut systems, arguments);
    let each = arguments.time_of_each();
    if arguments.wants("flat out") {
        flat_out::run(&mut systems, ROUNDS, each / ROUNDS, &mut figures);
    }
    if arguments.wants("large trace") {
        flat_out::large_trace(&mut systems, &mut figures);
    }
    if arguments.wants("memory") {
        memory::run(each, &mut figures);
    }
    if arguments.wants("tail sampling") {
        figures.tail = Some(tail::run(each));
    }
    if arguments.wants("socket") {
        socket::run(&mut figures);
    }
    if arguments.wants("soak") {
        figures.soak = soak::run(each);
    }
    figures
}

/// Turns of each system flat out.
const ROUNDS: u32 = 5;
