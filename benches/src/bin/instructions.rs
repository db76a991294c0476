//! How many instructions does a hot path take? See `scripts/instructions`: a count
//! that grows by more than a few percent would worry us.

fn main() -> std::process::ExitCode {
    benches::instructions()
}
