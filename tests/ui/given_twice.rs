use throughline::trace;

#[trace(name = "a", name = "b")]
fn option() {}

#[trace(root, parent = &throughline::Context::current())]
fn both() {}

#[trace(fields(a.b = 1, "a.b" = 2))]
fn key() {}

fn main() {
    option();
    both();
    key();
}
