//! The figures for people.

use std::fmt::Write;

use crate::figures::{FASTRACE, FLOOR, Figures, OPENTELEMETRY, THROUGHLINE};
use crate::scenario::Scenario;
use crate::size;

/// Systems in the order of the columns.
const SYSTEMS: [&str; 3] = [THROUGHLINE, FASTRACE, OPENTELEMETRY];

pub(crate) fn render(figures: &Figures) -> String {
    let mut out = String::new();
    // Writing to a string never fails.
    let _ = write(figures, &mut out);
    out
}

fn write(figures: &Figures, out: &mut String) -> std::fmt::Result {
    writeln!(out, "\nns per operation: minimum (median); allocations per operation\n")?;
    write!(out, "{:30}", "")?;
    for system in SYSTEMS {
        write!(out, "{system:>27}")?;
    }
    writeln!(out, "{:>10}{:>10}", "/fastrace", "/otel_sdk")?;
    for scenario in Scenario::ALL {
        write_row(scenario, figures, out)?;
    }
    writeln!(out)?;
    for (name, size) in size::SIZES {
        writeln!(out, "{name}: {size} B")?;
    }
    for (system, dropped) in &figures.dropped {
        writeln!(out, "{system} dropped {dropped} spans")?;
    }
    Ok(())
}

fn write_row(scenario: Scenario, figures: &Figures, out: &mut String) -> std::fmt::Result {
    if scenario == Scenario::Floor {
        let Some(floor) = figures.minimum(scenario, FLOOR) else { return Ok(()) };
        let median = figures.median(scenario, FLOOR).unwrap_or(f64::NAN);
        return writeln!(out, "{:30}{floor:>10.1} ({median:.1})", scenario.name());
    }
    let Some(own) = figures.minimum(scenario, THROUGHLINE) else { return Ok(()) };
    write!(out, "{:30}", scenario.name())?;
    for system in SYSTEMS {
        let Some(cell) = figures.cell(scenario, system) else { continue };
        let least = figures.minimum(scenario, system).unwrap_or(f64::NAN);
        let median = figures.median(scenario, system).unwrap_or(f64::NAN);
        write!(out, "{least:>10.1} {:>10}{:>6.2}", format!("({median:.1})"), cell.allocations)?;
    }
    for peer in [FASTRACE, OPENTELEMETRY] {
        let ratio = figures.minimum(scenario, peer).map_or(f64::NAN, |least| own / least);
        write!(out, "{ratio:>10.3}")?;
    }
    writeln!(out)
}
