use futures::stream::BoxStream;
use throughline::trace;

#[trace(ret)]
fn valued() -> BoxStream<'static, u8> {
    Box::pin(futures::stream::empty())
}

#[trace(err(Debug))]
fn failing() -> BoxStream<'static, Result<u8, std::fmt::Error>> {
    Box::pin(futures::stream::empty())
}

fn main() {
    let _ = (valued(), failing());
}
