//! The chart: a group of bars for some scenarios, on a logarithmic scale.

use std::fmt::Write;

use serde_json::Value;

use crate::figures::{
    EMIT, FASTRACE, OPENTELEMETRY, THROUGHLINE, TRACING_OPENTELEMETRY, TRACING_REGISTRY,
    TRACING_THROUGHLINE,
};
use crate::report::number;
use crate::scenario::Scenario;

/// An SVG of what is in the figures.
pub(crate) fn render(figures: &Value) -> String {
    let mut out = String::new();
    // Writing to a string never fails.
    let _ = write(figures, &mut out);
    out
}

fn write(figures: &Value, out: &mut String) -> std::fmt::Result {
    let height = TOP + SCENARIOS.len() as f64 * GROUP + BOTTOM;
    writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">"#
    )?;
    writeln!(out, r#"<rect width="{WIDTH}" height="{height}" fill="white"/>"#)?;
    writeln!(
        out,
        r#"<text x="12" y="22" font-size="15">nanoseconds per operation, logarithmic: shorter is better</text>"#
    )?;
    for (i, (system, colour)) in SYSTEMS.iter().enumerate() {
        let x = 12.0 + i as f64 * 145.0;
        writeln!(out, r#"<rect x="{x}" y="34" width="11" height="11" fill="{colour}"/>"#)?;
        writeln!(out, r#"<text x="{}" y="44">{system}</text>"#, x + 16.0)?;
    }
    let foot = height - BOTTOM;
    for decade in 0..=DECADES {
        let x = LEFT + f64::from(decade) * PER_DECADE;
        writeln!(out, r##"<line x1="{x}" y1="{TOP}" x2="{x}" y2="{foot}" stroke="#ddd"/>"##)?;
        writeln!(
            out,
            r#"<text x="{x}" y="{}" text-anchor="middle">{}</text>"#,
            foot + 16.0,
            10_u32.pow(decade)
        )?;
    }
    let rows = figures["scenarios"].as_array().map_or(&[][..], Vec::as_slice);
    for (i, scenario) in SCENARIOS.into_iter().enumerate() {
        let name = scenario.name();
        if let Some(row) = rows.iter().find(|row| row["name"] == name) {
            group(TOP + i as f64 * GROUP, name, &row["systems"], out)?;
        }
    }
    writeln!(out, "</svg>")
}

fn group(top: f64, name: &str, systems: &Value, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        r#"<text x="{}" y="{}" text-anchor="end">{name}</text>"#,
        LEFT - 8.0,
        top + GROUP / 2.0
    )?;
    for (i, (system, colour)) in SYSTEMS.iter().enumerate() {
        let nanos = number(&systems[*system]["ns_minimum"]);
        if nanos.is_nan() {
            continue;
        }
        let y = top + i as f64 * BAR;
        // What is below a nanosecond has no length on this scale.
        let width = (nanos.log10() * PER_DECADE).max(1.0);
        writeln!(
            out,
            r#"<rect x="{LEFT}" y="{y}" width="{width:.1}" height="{}" fill="{colour}"/>"#,
            BAR - 1.0
        )?;
        writeln!(
            out,
            r#"<text x="{:.1}" y="{}" font-size="9">{nanos:.0}</text>"#,
            LEFT + width + 3.0,
            y + BAR - 2.0
        )?;
    }
    Ok(())
}

const SCENARIOS: [Scenario; 8] = [
    Scenario::Child,
    Scenario::Attributes,
    Scenario::TotalCpu,
    Scenario::Unsampled,
    Scenario::Disabled,
    Scenario::AwaitsChildren,
    Scenario::Poll,
    Scenario::SpawnTokio,
];

/// Colours that people with colour blindness can tell apart.
const SYSTEMS: [(&str, &str); 7] = [
    (THROUGHLINE, "#0072b2"),
    (FASTRACE, "#e69f00"),
    (OPENTELEMETRY, "#009e73"),
    (TRACING_OPENTELEMETRY, "#cc79a7"),
    (TRACING_THROUGHLINE, "#d55e00"),
    (TRACING_REGISTRY, "#56b4e9"),
    (EMIT, "#999999"),
];

// All in the units of the view box.
const WIDTH: f64 = 900.0;
const LEFT: f64 = 210.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 30.0;
const BAR: f64 = 10.0;
const GROUP: f64 = 80.0;
const PER_DECADE: f64 = 125.0;
const DECADES: u32 = 5;
