use throughline::trace;

#[trace(level = "info")]
fn option() {}

#[trace(kind = Sender)]
fn kind() {}

#[trace("load")]
fn name() {}

#[trace(err(Pretty))]
fn format() -> Result<(), String> {
    Ok(())
}

fn main() {
    option();
    kind();
    name();
    let _ = format();
}
