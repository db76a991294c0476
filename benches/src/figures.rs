//! What was measured.

use std::collections::{BTreeMap, HashMap};

use crate::flat_out::{Account, FlatOut};
use crate::memory::Memory;
use crate::scenario::Scenario;
use crate::soak::Row;
use crate::socket::Socket;
use crate::tail::Tail;

/// All figures of a run.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    cells: HashMap<(Scenario, &'static str), Cell>,
    /// Spans that each system lost, where it can tell.
    pub(crate) dropped: Vec<(&'static str, u64)>,
    /// By system.
    pub(crate) flat_out: BTreeMap<&'static str, FlatOut>,
    /// By system.
    pub(crate) large_trace: BTreeMap<&'static str, Account>,
    /// By system.
    pub(crate) memory: BTreeMap<&'static str, Memory>,
    pub(crate) tail: Option<Tail>,
    pub(crate) socket: Option<Socket>,
    pub(crate) soak: Vec<Row>,
}

/// One system in one scenario.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    samples: Vec<f64>,
    /// Per operation, of all threads, until everything is exported.
    pub(crate) allocations: f64,
}

impl Figures {
    pub(crate) fn cell_mut(&mut self, scenario: Scenario, system: &'static str) -> &mut Cell {
        self.cells.entry((scenario, system)).or_default()
    }

    pub(crate) fn cell(&self, scenario: Scenario, system: &str) -> Option<&Cell> {
        let mut cells = self.cells.iter();
        cells.find_map(|(key, cell)| (*key == (scenario, system)).then_some(cell))
    }

    /// The least nanoseconds per operation; net of the bare operation where the
    /// scenario says so.
    pub(crate) fn minimum(&self, scenario: Scenario, system: &str) -> Option<f64> {
        Some(self.cell(scenario, system)?.minimum() - self.bare(scenario, system))
    }

    /// The median, as [`minimum`](Self::minimum).
    pub(crate) fn median(&self, scenario: Scenario, system: &str) -> Option<f64> {
        Some(self.cell(scenario, system)?.median() - self.bare(scenario, system))
    }

    /// Allocations per operation; net as [`minimum`](Self::minimum).
    pub(crate) fn allocations(&self, scenario: Scenario, system: &str) -> Option<f64> {
        let bare = if scenario.is_net() && system != FLOOR {
            self.cell(scenario, FLOOR).map_or(0.0, |cell| cell.allocations)
        } else {
            0.0
        };
        Some(self.cell(scenario, system)?.allocations - bare)
    }

    fn bare(&self, scenario: Scenario, system: &str) -> f64 {
        if scenario.is_net() && system != FLOOR {
            self.cell(scenario, FLOOR).map_or(0.0, Cell::minimum)
        } else {
            0.0
        }
    }
}

impl Cell {
    pub(crate) fn add(&mut self, nanos_per_operation: f64) {
        self.samples.push(nanos_per_operation);
    }

    pub(crate) fn samples(&self) -> usize {
        self.samples.len()
    }

    fn minimum(&self) -> f64 {
        self.samples.iter().copied().fold(f64::INFINITY, f64::min)
    }

    fn median(&self) -> f64 {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// The systems by their names, in the order of the table.
pub(crate) const FLOOR: &str = "floor";
pub(crate) const THROUGHLINE: &str = "throughline";
pub(crate) const FASTRACE: &str = "fastrace";
pub(crate) const OPENTELEMETRY: &str = "opentelemetry_sdk";
pub(crate) const TRACING_OPENTELEMETRY: &str = "tracing-opentelemetry";
pub(crate) const TRACING_THROUGHLINE: &str = "tracing, throughline";
pub(crate) const TRACING_REGISTRY: &str = "tracing, registry";
pub(crate) const EMIT: &str = "emit";

/// The systems that are compared with throughline.
pub(crate) const PEERS: [&str; 6] =
    [FASTRACE, OPENTELEMETRY, TRACING_OPENTELEMETRY, TRACING_THROUGHLINE, TRACING_REGISTRY, EMIT];
