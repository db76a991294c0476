use throughline::trace;

#[trace(skip(id, pasword))]
fn login(id: u64, password: &str) {
    let _ = (id, password);
}

#[trace(skip(self))]
fn free() {}

fn main() {
    login(1, "");
    free();
}
