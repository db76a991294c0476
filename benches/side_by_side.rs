//! What does a span cost, beside the peers, and does that keep the budgets?
//!
//! A ratio above its budget would worry us; a nanosecond more, measured on
//! another day, would not. See the crate `benches`.

fn main() -> std::process::ExitCode {
    benches::main()
}
