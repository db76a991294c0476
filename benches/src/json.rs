//! The figures for programs.

use serde_json::{Map, Value, json};

use crate::budgets;
use crate::figures::{FASTRACE, FLOOR, Figures, OPENTELEMETRY, THROUGHLINE};
use crate::scenario::Scenario;
use crate::size;

pub(crate) fn render(figures: &Figures) -> String {
    let scenarios: Map<String, Value> =
        Scenario::ALL.into_iter().filter_map(|scenario| row(scenario, figures)).collect();
    let sizes: Map<String, Value> =
        size::SIZES.iter().map(|(name, size)| ((*name).to_owned(), json!(size))).collect();
    let dropped: Map<String, Value> =
        figures.dropped.iter().map(|(name, count)| ((*name).to_owned(), json!(count))).collect();
    let all = json!({
        "scenarios": scenarios,
        "sizes_bytes": sizes,
        "dropped_spans": dropped,
        "budgets_missed": budgets::missed(figures),
    });
    format!("{all:#}\n")
}

fn row(scenario: Scenario, figures: &Figures) -> Option<(String, Value)> {
    let mut row = Map::new();
    for system in [FLOOR, THROUGHLINE, FASTRACE, OPENTELEMETRY] {
        let Some(cell) = figures.cell(scenario, system) else { continue };
        let mut entry = json!({
            "ns_minimum": figures.minimum(scenario, system),
            "ns_median": figures.median(scenario, system),
            "allocations": cell.allocations,
            "samples": cell.samples(),
        });
        if system != THROUGHLINE
            && let (Some(own), Some(other)) =
                (figures.minimum(scenario, THROUGHLINE), figures.minimum(scenario, system))
        {
            entry["throughline_ratio"] = json!(own / other);
        }
        row.insert(system.to_owned(), entry);
    }
    (!row.is_empty()).then(|| (scenario.name().to_owned(), Value::Object(row)))
}
