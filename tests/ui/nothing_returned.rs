use throughline::trace;

#[trace(err)]
fn failing() {}

#[trace(ret)]
async fn valued() {}

#[trace(err)]
fn future() -> impl Future<Output = ()> {
    async {}
}

fn main() {
    failing();
    let _ = valued();
    let _ = future();
}
