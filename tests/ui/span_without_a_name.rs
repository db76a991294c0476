use throughline::span;

const NAME: &str = "load";

fn main() {
    let name = String::from("load");
    let _ = span!(NAME);
    let _ = span!(name);
    let _ = span!();
    let _ = span!(root, NAME, id = 7);
    let _ = span!(kind: Server);
}
