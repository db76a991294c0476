//! Every parser of outside input, over the seeds of the fuzz targets and over
//! changed ones: the same inputs in every run. `THROUGHLINE_CHANGES=<number>`
//! gives more of them; libFuzzer looks for new ones (see CONTRIBUTING.md).

use std::path::Path;

use throughline_tests::parsers::{self, TARGETS};

macro_rules! parsers {
    ($($target:ident)*) => {
        $(#[test]
        fn $target() {
            hold(stringify!($target), parsers::$target);
        })*

        #[test]
        fn each_target_is_tested_and_has_a_fuzz_target() {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($target)),*]);
            for name in names {
                let source = Path::new(FUZZ).join("fuzz_targets").join(format!("{name}.rs"));
                assert!(source.exists(), "{}", source.display());
            }
        }
    };
}

parsers! {
    b3
    baggage
    grpc_answer
    http_answer
    jaeger
    percent
    span_round_trip
    span_view
    traceparent
    tracestate
    variables
    viewer_request
}

fn hold(name: &str, run: fn(&[u8])) {
    let folder = Path::new(FUZZ).join("seeds").join(name);
    let mut seeds: Vec<_> = std::fs::read_dir(&folder)
        .expect("a folder of seeds")
        .map(|entry| std::fs::read(entry.expect("a file").path()).expect("it can be read"))
        .collect();
    // The order of a folder is not always the same.
    seeds.sort();
    assert!(!seeds.is_empty(), "{}", folder.display());
    for seed in &seeds {
        check(name, run, seed);
    }
    let changes = std::env::var("THROUGHLINE_CHANGES").ok();
    let changes = changes.map_or(1_000, |number| number.parse().expect("a number"));
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for _ in 0..changes {
        let mut input = seeds[chance.below(seeds.len())].clone();
        for _ in 0..=chance.below(4) {
            chance.change(&mut input, &seeds);
        }
        check(name, run, &input);
    }
}

fn check(name: &str, run: fn(&[u8]), input: &[u8]) {
    if let Err(panic) = std::panic::catch_unwind(|| run(input)) {
        eprintln!("{name} does not hold for \"{}\"", input.escape_ascii());
        std::panic::resume_unwind(panic);
    }
}

/// The generator "xorshift64".
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    fn change(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        match self.below(5) {
            0 => input.truncate(at),
            1 => input.insert(at, self.below(256) as u8),
            2 if at < input.len() => input[at] ^= 1 << self.below(8),
            3 if at < input.len() => {
                let to = at + self.below(input.len() - at);
                drop(input.drain(at..to));
            }
            _ => {
                let other = &seeds[self.below(seeds.len())];
                let from = self.below(other.len() + 1);
                let part = other[from..].iter().take(32).copied();
                input.splice(at..at, part);
            }
        }
    }
}

const FUZZ: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz");
