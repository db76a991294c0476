//! The figures for people.

use std::fmt::Write;

use crate::figures::{FLOOR, Figures, PEERS, THROUGHLINE};
use crate::scenario::Scenario;
use crate::size;
use crate::socket;

pub(crate) fn render(figures: &Figures) -> String {
    let mut out = String::new();
    // Writing to a string never fails.
    let _ = write(figures, &mut out);
    out
}

fn write(figures: &Figures, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "\nns per operation: minimum (median); allocations per operation; throughline /\n"
    )?;
    write!(out, "{:30}{FLOOR:>16}{THROUGHLINE:>24}", "")?;
    for peer in PEERS {
        write!(out, "{peer:>31}")?;
    }
    writeln!(out)?;
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
    write_flat_out(figures, out)?;
    write_large_trace(figures, out)?;
    write_tail(figures, out)?;
    out.write_str(&socket::render(figures))?;
    write_memory(figures, out)?;
    write_soak(figures, out)
}

fn write_row(scenario: Scenario, figures: &Figures, out: &mut String) -> std::fmt::Result {
    let floor = figures.minimum(scenario, FLOOR);
    let own = figures.minimum(scenario, THROUGHLINE);
    if floor.is_none() && own.is_none() {
        return Ok(());
    }
    write!(out, "{:30}", scenario.name())?;
    match (floor, figures.median(scenario, FLOOR)) {
        (Some(least), Some(median)) => {
            write!(out, "{least:>8.1}{:>8}", format!("({median:.0})"))?;
        }
        _ => write!(out, "{:>16}", "")?,
    }
    for system in [THROUGHLINE].into_iter().chain(PEERS) {
        let width = if system == THROUGHLINE { 24 } else { 31 };
        let (Some(least), Some(median), Some(allocations)) = (
            figures.minimum(scenario, system),
            figures.median(scenario, system),
            figures.allocations(scenario, system),
        ) else {
            write!(out, "{:>width$}", "")?;
            continue;
        };
        // No negative zero.
        let allocations = allocations.max(0.0);
        write!(out, "{least:>10.1}{:>8}{allocations:>6.2}", format!("({median:.0})"))?;
        match own {
            Some(own) if system != THROUGHLINE => write!(out, "{:>7.3}", own / least)?,
            _ => {}
        }
    }
    writeln!(out)
}

fn write_flat_out(figures: &Figures, out: &mut String) -> std::fmt::Result {
    if figures.flat_out.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\nflat out, million spans/s: one thread, two, scaling, by CPU, as OTLP bytes; spans lost"
    )?;
    for (system, all) in &figures.flat_out {
        writeln!(
            out,
            "{system:24}{:>8.2}{:>8.2}{:>8.2}{:>8.2}{:>8.2}   {}",
            all.one / 1e6,
            all.two / 1e6,
            all.scaling(),
            all.scaling_per_cpu(),
            all.delivered / 1e6,
            lost(all.account.dropped, all.account.unaccounted()),
        )?;
    }
    Ok(())
}

fn write_tail(figures: &Figures, out: &mut String) -> std::fmt::Result {
    let Some(tail) = figures.tail else { return Ok(()) };
    writeln!(out, "\ntail sampling, from the ring to the batch, per span")?;
    for (name, nanos) in [
        ("without", tail.without),
        ("5 % of the traces kept", tail.few_kept),
        ("all kept", tail.all_kept),
    ] {
        writeln!(out, "  {name:<26}{nanos:>8.1} ns  {:>+7.1} ns", nanos - tail.without)?;
    }
    writeln!(out, "  {:<26}{:>11.3}", "allocations", tail.allocations)
}

fn write_large_trace(figures: &Figures, out: &mut String) -> std::fmt::Result {
    if figures.large_trace.is_empty() {
        return Ok(());
    }
    writeln!(out, "\none root of 20,000 children: delivered; lost")?;
    for (system, account) in &figures.large_trace {
        let lost = lost(account.dropped, account.unaccounted());
        writeln!(out, "{system:24}{:>8}   {lost}", account.delivered)?;
    }
    Ok(())
}

fn lost(dropped: Option<u64>, unaccounted: u64) -> String {
    match dropped {
        Some(counted) => format!("{counted} counted, {unaccounted} not"),
        None => format!("{unaccounted} uncounted"),
    }
}

fn write_memory(figures: &Figures, out: &mut String) -> std::fmt::Result {
    if figures.memory.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nstalled collector: peak memory added, million spans/s offered")?;
    for (system, memory) in &figures.memory {
        let mib = memory.peak_kib as f64 / 1024.0;
        writeln!(out, "{system:24}{mib:>8.1} MiB{:>8.2}", memory.offered / 1e6)?;
    }
    Ok(())
}

fn write_soak(figures: &Figures, out: &mut String) -> std::fmt::Result {
    if figures.soak.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nsoak, CPU ns: each step, and the highest over the first")?;
    for row in &figures.soak {
        write!(out, "{:24}", row.what)?;
        for (many, nanos) in &row.steps {
            write!(out, "{many}: {nanos:.1}  ")?;
        }
        writeln!(out, "{:.2} ×", row.growth())?;
    }
    Ok(())
}
