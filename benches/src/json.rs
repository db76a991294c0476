//! The figures for programs.

use serde_json::{Map, Value, json};

use crate::budgets;
use crate::figures::{FLOOR, Figures, PEERS, THROUGHLINE};
use crate::flat_out::Account;
use crate::machine;
use crate::scenario::Scenario;
use crate::size;
use crate::socket;

pub(crate) fn render(figures: &Figures) -> String {
    // An array keeps the order of the table.
    let scenarios: Vec<Value> =
        Scenario::ALL.into_iter().filter_map(|scenario| row(scenario, figures)).collect();
    let sizes: Map<String, Value> =
        size::SIZES.iter().map(|(name, size)| ((*name).to_owned(), json!(size))).collect();
    let dropped: Map<String, Value> =
        figures.dropped.iter().map(|(name, count)| ((*name).to_owned(), json!(count))).collect();
    let soak: Vec<Value> = figures
        .soak
        .iter()
        .map(|row| json!({ "what": row.what, "steps": row.steps, "growth": row.growth() }))
        .collect();
    let all = json!({
        "machine": machine::describe(),
        "scenarios": scenarios,
        "sizes_bytes": sizes,
        "dropped_spans": dropped,
        "flat_out": flat_out(figures),
        "tail_sampling": figures.tail.map(|tail| json!({
            "nanos_per_span_without": tail.without,
            "nanos_per_span_few_kept": tail.few_kept,
            "nanos_per_span_all_kept": tail.all_kept,
            "allocations_per_span": tail.allocations,
        })),
        "large_trace": by_system(&figures.large_trace, account),
        "memory": by_system(&figures.memory, |memory| {
            json!({ "peak_kib": memory.peak_kib, "spans_per_second": memory.offered })
        }),
        "socket": socket::json(figures),
        "soak": soak,
        "budgets_missed": budgets::missed(figures),
    });
    format!("{all:#}\n")
}

fn row(scenario: Scenario, figures: &Figures) -> Option<Value> {
    let mut row = Map::new();
    for system in [FLOOR, THROUGHLINE].into_iter().chain(PEERS) {
        let Some(cell) = figures.cell(scenario, system) else { continue };
        let mut entry = json!({
            "ns_minimum": figures.minimum(scenario, system),
            "ns_median": figures.median(scenario, system),
            "allocations": figures.allocations(scenario, system),
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
    (!row.is_empty()).then(|| json!({ "name": scenario.name(), "systems": row }))
}

fn flat_out(figures: &Figures) -> Value {
    by_system(&figures.flat_out, |all| {
        json!({
            "one_thread": all.one,
            "two_threads": all.two,
            "scaling": all.scaling(),
            "scaling_per_cpu": all.scaling_per_cpu(),
            "delivered": all.delivered,
            "account": account(&all.account),
        })
    })
}

fn account(account: &Account) -> Value {
    json!({
        "made": account.made,
        "delivered": account.delivered,
        "dropped": account.dropped,
        "unaccounted": account.unaccounted(),
    })
}

fn by_system<T>(
    all: &std::collections::BTreeMap<&'static str, T>,
    one: impl Fn(&T) -> Value,
) -> Value {
    all.iter().map(|(name, value)| ((*name).to_owned(), one(value))).collect::<Map<_, _>>().into()
}
