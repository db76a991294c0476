//! The systems take turns.

use std::time::Instant;

use cpu_time::ProcessTime;

use crate::alloc;
use crate::arguments::Arguments;
use crate::figures::Figures;
use crate::scenario::{CHILDREN_PER_TRACE, Scenario};
use crate::stopwatch::Stopwatch;
use crate::system::{End, System};

/// Measures the scenarios that the arguments name, A B C A B C ….
pub(crate) fn run(systems: &mut [Box<dyn System>], arguments: &Arguments) -> Figures {
    let mut figures = Figures::default();
    let wanted = |scenario: &Scenario| arguments.wants(scenario.name());
    let scenarios: Vec<Scenario> = Scenario::ALL.into_iter().filter(wanted).collect();
    for _ in 0..arguments.passes() {
        for &scenario in &scenarios {
            // The first round grows buffers and starts threads.
            round(systems, scenario, &mut Figures::default());
            let began = Instant::now();
            loop {
                round(systems, scenario, &mut figures);
                if began.elapsed() >= arguments.time_per_scenario() {
                    break;
                }
            }
        }
    }
    for &scenario in &scenarios {
        count_allocations(systems, scenario, &mut figures);
    }
    figures.dropped = systems
        .iter()
        .filter_map(|system| system.dropped().map(|count| (system.name(), count)))
        .collect();
    figures
}

/// One sample of each system.
fn round(systems: &mut [Box<dyn System>], scenario: Scenario, figures: &mut Figures) {
    let operations = scenario.operations();
    for system in systems {
        let mut watch = Stopwatch::default();
        let began = ProcessTime::now();
        if !sample(&mut **system, scenario, &mut watch) {
            continue;
        }
        system.settle(scenario);
        let time = if scenario.is_process_time() { began.elapsed() } else { watch.elapsed() };
        figures
            .cell_mut(scenario, system.name())
            .add(time.as_nanos() as f64 / f64::from(operations));
    }
}

/// Does the scenario's operations, under the watch; false when there are none.
fn sample(system: &mut dyn System, scenario: Scenario, watch: &mut Stopwatch) -> bool {
    let operations = scenario.operations();
    let Some(load) = scenario.load() else {
        return system.run(scenario, operations, watch);
    };
    let Some(traces) = system.traces(load, End::Discarded) else { return false };
    watch.time(|| {
        for _ in 0..operations / CHILDREN_PER_TRACE {
            traces(CHILDREN_PER_TRACE);
        }
    });
    true
}

/// Allocations per operation, as the mean of some samples that are not timed. What a flush
/// allocates that has nothing to send is no operation's.
fn count_allocations(systems: &mut [Box<dyn System>], scenario: Scenario, figures: &mut Figures) {
    for system in systems {
        let mut is_there = true;
        let counted = alloc::count(|| {
            for _ in 0..COUNTED_SAMPLES {
                is_there &= sample(&mut **system, scenario, &mut Stopwatch::default());
                system.settle(scenario);
            }
        });
        if is_there {
            let idle = alloc::count(|| (0..COUNTED_SAMPLES).for_each(|_| system.settle(scenario)));
            let operations = COUNTED_SAMPLES * scenario.operations();
            figures.cell_mut(scenario, system.name()).allocations =
                counted.saturating_sub(idle) as f64 / f64::from(operations);
        }
    }
}

const COUNTED_SAMPLES: u32 = 5;
