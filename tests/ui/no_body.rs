use throughline::trace;

trait Service {
    #[trace]
    fn call(&self);
}

struct Orders;

impl Service for Orders {
    fn call(&self) {}
}

fn main() {
    Orders.call();
}
