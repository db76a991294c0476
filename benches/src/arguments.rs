//! What the command line asks for.

use std::time::Duration;

/// The arguments. Those that are unknown are ignored: cargo passes its own.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    /// Where all figures are written to.
    pub(crate) json: Option<String>,
    /// How long memory, soak and flat out last, instead of their short form.
    seconds: Option<u64>,
    /// Whether a missed budget is a failure.
    pub(crate) check: bool,
    /// Scenarios whose name contains none of these are left out, if there are any.
    pub(crate) only: Vec<String>,
    /// `cargo bench` passes `--bench`; `cargo test --benches` does not, and
    /// then each scenario runs just once.
    is_bench: bool,
    is_test: bool,
}

impl Arguments {
    pub(crate) fn of_process() -> Self {
        Self::parse(std::env::args().skip(1))
    }

    fn parse(mut arguments: impl Iterator<Item = String>) -> Self {
        let mut parsed = Arguments::default();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--bench" => parsed.is_bench = true,
                "--test" => parsed.is_test = true,
                "--check" => parsed.check = true,
                "--json" => parsed.json = arguments.next(),
                "--seconds" => {
                    parsed.seconds = arguments.next().and_then(|text| text.parse().ok());
                }
                flag if flag.starts_with('-') => {}
                _ => parsed.only.push(argument),
            }
        }
        parsed
    }

    /// Whether something of that name is asked for.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part))
    }

    /// How long the systems take turns in one scenario, in each of the passes.
    pub(crate) fn time_per_scenario(&self) -> Duration {
        if self.is_quick() { Duration::ZERO } else { Duration::from_millis(500) }
    }

    /// How often all scenarios are gone through: what disturbs the machine for
    /// seconds then spoils one pass of a scenario, not the scenario.
    pub(crate) fn passes(&self) -> usize {
        if self.is_quick() { 1 } else { 3 }
    }

    /// How long each thing lasts that is not a scenario: a turn of threads flat out,
    /// memory with a stalled collector, a row of the soak.
    pub(crate) fn time_of_each(&self) -> Duration {
        match (self.is_quick(), self.seconds) {
            (true, _) => Duration::from_millis(1),
            (false, Some(seconds)) => Duration::from_secs(seconds),
            (false, None) => Duration::from_millis(1500),
        }
    }

    fn is_quick(&self) -> bool {
        self.is_test || !self.is_bench
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Arguments {
        Arguments::parse(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn flags_of_others_are_tolerated() {
        let arguments = parse("--bench --nocapture --json out.json child --check");
        assert_eq!(arguments.json.as_deref(), Some("out.json"));
        assert_eq!(arguments.only, ["child"]);
        assert!(arguments.check && !arguments.is_quick());
    }

    #[test]
    fn without_cargo_bench_it_is_quick() {
        assert!(parse("").is_quick() && parse("--bench --test").is_quick());
    }
}
