//! The firmware: where it begins, and its interrupt.
#![no_std]
#![no_main]

use cortex_m_rt::{entry, exception};
use firmware::{board, node};

#[entry]
fn main() -> ! {
    let Some(core) = cortex_m::Peripherals::take() else { board::exit(false) };
    board::exit(node::run(core.SYST))
}

#[exception]
fn SysTick() {
    node::on_timer();
}
