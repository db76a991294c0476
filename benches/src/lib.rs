//! throughline beside its peers, in one run.
//!
//! ```text
//!   cargo bench -p benches                    the table
//!   cargo bench -p benches -- --json FILE     all figures
//!   cargo bench -p benches -- --check         exit 1 when a budget is missed
//!   cargo bench -p benches -- child           scenarios whose name has "child"
//! ```
//!
//! The systems take turns within one scenario, sample by sample, so that what
//! disturbs the machine disturbs all of them; what counts is the minimum. Each
//! system gets its best form and its documented settings, stated in its file:
//!
//! ```text
//!   scenario ──▶ floor, throughline, fastrace, opentelemetry ──▶ table, JSON
//!                        rounds of samples                  └──▶ budgets
//! ```

#![deny(unsafe_code)]
#![allow(clippy::std_instead_of_core, clippy::alloc_instead_of_core)]

mod alloc;
mod arguments;
mod budgets;
mod carrier;
mod emit;
mod fastrace;
mod figures;
mod floor;
mod future;
mod json;
mod opentelemetry;
mod rounds;
mod scenario;
mod sink;
mod size;
mod spawning;
mod stopwatch;
mod system;
mod systems;
mod table;
mod throughline;
mod tracing;
mod tracing_opentelemetry;
mod tracing_registry;

use std::process::ExitCode;

use arguments::Arguments;

/// Runs what the arguments of the process ask for.
pub fn main() -> ExitCode {
    let arguments = Arguments::of_process();
    let mut systems = systems::all();
    let figures = rounds::run(&mut systems, &arguments);
    print!("{}", table::render(&figures));
    if let Some(path) = &arguments.json
        && let Err(error) = std::fs::write(path, json::render(&figures))
    {
        eprintln!("{path}: {error}");
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
