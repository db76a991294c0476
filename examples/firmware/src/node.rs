//! The node: its tasks side by side, and the sender.

use core::cell::Cell;
use core::future::Future;
use core::pin::pin;

use cortex_m::peripheral::SYST;

use crate::{board, conversion, executor, overload, tasks};

/// What a gateway sends along with its request.
const TRACEPARENT: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Runs until everything is done and sent. Returns whether it could.
pub fn run(timer: SYST) -> bool {
    #[cfg(feature = "traced")]
    let Some(telemetry) = crate::telemetry::Telemetry::start() else { return false };
    board::start(timer);

    let busy = Cell::new(4);
    let is_over = Cell::new(false);
    executor::run([
        pin!(counted(&busy, tasks::answer(TRACEPARENT))),
        pin!(counted(&busy, tasks::store())),
        pin!(counted(&busy, tasks::upload())),
        pin!(counted(&busy, tasks::blink())),
        pin!(async {
            while busy.get() > 0 {
                executor::next_turn().await;
            }
            // What the tasks left is sent.
            executor::sleep(60).await;
            overload::overload().await;
            is_over.set(true);
        }),
        #[cfg(feature = "traced")]
        pin!(telemetry.run(&is_over)),
    ]);
    true
}

/// The interrupt of the timer.
pub fn on_timer() {
    board::on_timer();
    conversion::on_interrupt();
}

async fn counted(busy: &Cell<usize>, task: impl Future<Output = ()>) {
    task.await;
    busy.set(busy.get() - 1);
}
