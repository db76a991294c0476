//! Writes the chart and the tables of BENCHMARKS.md from the figures.
//!
//! `report <figures.json> <chart.svg> <BENCHMARKS.md>`: the tables go between the
//! lines `<!-- begin NAME -->` and `<!-- end NAME -->`.

fn main() -> std::process::ExitCode {
    benches::report()
}
