//! What a system takes while its collector takes nothing.
//!
//! Each system has a process of its own, which is this program again: it offers a
//! million spans with attributes per second to a stalled exporter and tells by how
//! much its peak of resident memory (`VmHWM` of Linux) exceeds what it had before
//! the system was set up.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::figures::{FLOOR, Figures, PEERS, THROUGHLINE};
use crate::system::{End, Load};
use crate::{sink, systems};

/// What a system took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Memory {
    /// KiB more than before.
    pub(crate) peak_kib: u64,
    /// Spans per second that were made; less than a million where that is too many.
    pub(crate) offered: f64,
}

/// Has each system measured in a process of its own, for so long.
pub(crate) fn run(time: Duration, figures: &mut Figures) {
    let Ok(program) = std::env::current_exe() else { return };
    for name in [THROUGHLINE].into_iter().chain(PEERS) {
        let millis = time.as_millis().to_string();
        let output = Command::new(&program).args([FLAG, name, &millis]).output();
        let Ok(output) = output else { continue };
        match parse(&String::from_utf8_lossy(&output.stdout)) {
            Some(memory) => drop(figures.memory.insert(name, memory)),
            None => eprintln!("{name}: {}", String::from_utf8_lossy(&output.stderr)),
        }
    }
}

/// What the process that is asked to measure one system does and prints; `None`
/// when this is not such a process.
pub(crate) fn answer(mut arguments: impl Iterator<Item = String>) -> Option<String> {
    arguments.find(|argument| argument == FLAG)?;
    let name = arguments.next().filter(|name| name != FLOOR)?;
    let time = Duration::from_millis(arguments.next()?.parse().ok()?);
    let before = resident("VmRSS:")?;
    let system = systems::one(&name)?;
    let traces = system.traces(Load::Attributes, End::Discarded)?;
    sink::stall();
    let began = Instant::now();
    let mut made = 0;
    while began.elapsed() < time {
        if (made as f64) < began.elapsed().as_secs_f64() * OFFERED {
            traces(TRACE - 1);
            made += u64::from(TRACE);
        } else {
            std::thread::yield_now();
        }
    }
    let peak = resident("VmHWM:")?.saturating_sub(before);
    // The exporter's thread hangs, so the system cannot be dropped.
    std::mem::forget(system);
    Some(format!("{peak} {}\n", made as f64 / began.elapsed().as_secs_f64()))
}

fn parse(answer: &str) -> Option<Memory> {
    let (peak, offered) = answer.trim().split_once(' ')?;
    Some(Memory { peak_kib: peak.parse().ok()?, offered: offered.parse().ok()? })
}

/// KiB, from `/proc/self/status`.
fn resident(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The argument before a system's name and the milliseconds.
const FLAG: &str = "--memory-of";
/// Spans per second.
const OFFERED: f64 = 1e6;
/// Spans in each trace.
const TRACE: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let memory = Memory { peak_kib: 512, offered: 1e6 };
        assert_eq!(parse("512 1000000\n"), Some(memory));
        assert_eq!(answer(["child".to_owned()].into_iter()), None);
    }
}
