use throughline::trace;

#[trace(future)]
async fn already() {}

#[trace(future)]
fn nothing() {}

#[trace(stream)]
async fn stream_later() -> u8 {
    0
}

#[trace(stream)]
fn other() -> impl Iterator<Item = u8> {
    [0].into_iter()
}

fn main() {
    let _ = already();
    nothing();
    let _ = stream_later();
    let _ = other();
}
