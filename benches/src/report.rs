//! BENCHMARKS.md and its chart, from the JSON.

use std::fmt::Write;
use std::process::ExitCode;

use serde_json::Value;

use crate::chart;
use crate::figures::{FLOOR, PEERS, THROUGHLINE};
use crate::socket;

/// Reads the figures that the first argument names, writes the chart to the second
/// and the tables into the third.
pub fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [figures, chart, page] = arguments.as_slice() else {
        eprintln!("usage: report <figures.json> <chart.svg> <BENCHMARKS.md>");
        return ExitCode::FAILURE;
    };
    match write(figures, chart, page) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn write(figures: &str, chart: &str, page: &str) -> Result<(), Box<dyn std::error::Error>> {
    let figures: Value = serde_json::from_str(&std::fs::read_to_string(figures)?)?;
    std::fs::write(chart, chart::render(&figures))?;
    let mut text = std::fs::read_to_string(page)?;
    for (name, table) in [
        ("machine", machine(&figures)),
        ("scenarios", scenarios(&figures)),
        ("flat out", flat_out(&figures)),
        ("tail sampling", tail(&figures)),
        ("socket", socket::report(&figures)),
        ("memory", memory(&figures)),
        ("soak", soak(&figures)),
        ("budgets", budgets(&figures)),
    ] {
        text = replace(&text, name, &table).ok_or_else(|| format!("{page} has no {name:?}"))?;
    }
    Ok(std::fs::write(page, text)?)
}

/// The text with another part between the two lines of that name.
fn replace(text: &str, name: &str, part: &str) -> Option<String> {
    let (before, rest) = text.split_once(&format!("<!-- begin {name} -->\n"))?;
    let end = format!("<!-- end {name} -->");
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}<!-- begin {name} -->\n{part}{end}{after}"))
}

fn machine(figures: &Value) -> String {
    let machine = &figures["machine"];
    let text = |field: &str| machine[field].as_str().unwrap_or("unknown").to_owned();
    let mut out = format!(
        "{}, {} CPUs, {} {}; {}.",
        text("processor"),
        machine["cpus"],
        text("system"),
        text("architecture"),
        text("rustc")
    );
    for (name, version) in machine["versions"].as_object().into_iter().flatten() {
        let _ = write!(out, "\n{name} {},", version.as_str().unwrap_or_default());
    }
    out.pop();
    out + ".\n"
}

fn scenarios(figures: &Value) -> String {
    let mut out = format!("| ns, allocations | {THROUGHLINE} |");
    for peer in PEERS {
        let _ = write!(out, " {peer} |");
    }
    out += "\n|---|---:|";
    out += &"---:|".repeat(PEERS.len());
    out += "\n";
    for row in figures["scenarios"].as_array().into_iter().flatten() {
        let systems = &row["systems"];
        let name = row["name"].as_str().unwrap_or_default();
        if systems[THROUGHLINE].is_null() {
            let _ = write!(out, "| {name} | {} |", cell(&systems[FLOOR]));
        } else {
            let _ = write!(out, "| {name} | **{}** |", cell(&systems[THROUGHLINE]));
        }
        for peer in PEERS {
            match systems[peer]["throughline_ratio"].as_f64() {
                Some(ratio) if ratio > 0.0 => {
                    let _ = write!(out, " {} ({ratio:.2}) |", cell(&systems[peer]));
                }
                // Of what is less than nothing, there is no part.
                Some(_) => {
                    let _ = write!(out, " {} |", cell(&systems[peer]));
                }
                None => out += " |",
            }
        }
        out += "\n";
    }
    out
}

fn cell(entry: &Value) -> String {
    let (least, median) = (number(&entry["ns_minimum"]), number(&entry["ns_median"]));
    let allocations = number(&entry["allocations"]).max(0.0).round();
    if allocations > 0.0 {
        format!("{} / {}, {allocations}", digits(least), digits(median))
    } else {
        format!("{} / {}", digits(least), digits(median))
    }
}

fn flat_out(figures: &Value) -> String {
    let mut out = "| million spans per second | one thread | two | scaling | by CPU | as OTLP bytes | lost, counted | lost without a word | of 20,000 children |\n|---|---:|---:|---:|---:|---:|---:|---:|---|\n".to_owned();
    for (system, all) in figures["flat_out"].as_object().into_iter().flatten() {
        let million = |field: &str| number(&all[field]) / 1e6;
        let large = &figures["large_trace"][system];
        let _ = writeln!(
            out,
            "| {system} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {} | {} | {} delivered, {} counted, {} not |",
            million("one_thread"),
            million("two_threads"),
            number(&all["scaling"]),
            number(&all["scaling_per_cpu"]),
            million("delivered"),
            all["account"]["dropped"].as_u64().map_or("–".to_owned(), |count| count.to_string()),
            all["account"]["unaccounted"],
            large["delivered"],
            large["dropped"].as_u64().unwrap_or(0),
            large["unaccounted"],
        );
    }
    out
}

fn tail(figures: &Value) -> String {
    let tail = &figures["tail_sampling"];
    let nanos = |way: &str| number(&tail[format!("nanos_per_span_{way}")]);
    let mut out =
        "| ns per span | from the queue to the batch | added | allocations |\n|---|---:|---:|---:|\n"
            .to_owned();
    let without = nanos("without");
    let _ = writeln!(out, "| without | {} | | |", digits(without));
    // The larger number of both ways: where it is 0, both are.
    let allocations = number(&tail["allocations_per_span"]);
    for (name, way) in [("5 % of the traces kept", "few_kept"), ("all kept", "all_kept")] {
        let (all, added) = (digits(nanos(way)), digits(nanos(way) - without));
        let _ = writeln!(out, "| {name} | {all} | {added} | {allocations} |");
    }
    out
}

fn memory(figures: &Value) -> String {
    let mut out =
        "| | peak, MiB | million spans per second offered |\n|---|---:|---:|\n".to_owned();
    for (system, memory) in figures["memory"].as_object().into_iter().flatten() {
        let _ = writeln!(
            out,
            "| {system} | {:.1} | {:.2} |",
            number(&memory["peak_kib"]) / 1024.0,
            number(&memory["spans_per_second"]) / 1e6
        );
    }
    out
}

fn soak(figures: &Value) -> String {
    let mut out = "| CPU ns | | highest / first |\n|---|---|---:|\n".to_owned();
    for row in figures["soak"].as_array().into_iter().flatten() {
        let what = row["what"].as_str().unwrap_or_default();
        let steps: Vec<String> = row["steps"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|step| format!("{}: {:.0}", step[0], number(&step[1])))
            .collect();
        let _ = writeln!(out, "| {what} | {} | {:.2} |", steps.join(", "), number(&row["growth"]));
    }
    out
}

fn budgets(figures: &Value) -> String {
    let missed: Vec<&str> = figures["budgets_missed"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if missed.is_empty() {
        return "All budgets are kept.\n".to_owned();
    }
    missed.iter().fold(String::new(), |out, line| out + "- " + line + "\n")
}

/// Nanoseconds as short as they are worth.
fn digits(nanos: f64) -> String {
    if nanos < 100.0 { format!("{nanos:.1}") } else { format!("{nanos:.0}") }
}

pub(crate) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_sampling_has_a_row_for_each_way() {
        let figures = serde_json::json!({ "tail_sampling": {
            "nanos_per_span_without": 13.4,
            "nanos_per_span_few_kept": 70.7,
            "nanos_per_span_all_kept": 120.4,
            "allocations_per_span": 0.0,
        }});
        let table = tail(&figures);
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| without | 13.4 | | |",
                "| 5 % of the traces kept | 70.7 | 57.3 | 0 |",
                "| all kept | 120 | 107 | 0 |",
            ]
        );
    }

    #[test]
    fn a_part_is_replaced_between_its_lines() {
        let text = "a\n<!-- begin x -->\nold\n<!-- end x -->\nb";
        let new = replace(text, "x", "new\n");
        assert_eq!(new.as_deref(), Some("a\n<!-- begin x -->\nnew\n<!-- end x -->\nb"));
        assert_eq!(replace(text, "y", ""), None);
    }
}
