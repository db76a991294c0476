use throughline::trace;

#[trace]
const fn double(n: u64) -> u64 {
    2 * n
}

fn main() {
    double(1);
}
