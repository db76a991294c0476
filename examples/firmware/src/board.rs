//! The board: a system timer that interrupts each millisecond, and an exit.

use core::cell::Cell;
use core::panic::PanicInfo;
use core::time::Duration;

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{SCB, SYST};
use cortex_m_semihosting::debug;
use critical_section::Mutex;

/// Nanoseconds per tick: the core runs at 12.5 MHz after reset.
pub const NANOS_PER_TICK: u64 = 80;

/// Ticks from one interrupt of the timer to the next: 1 ms.
const PERIOD: u32 = 12_500;

static PERIODS: Mutex<Cell<u64>> = Mutex::new(Cell::new(0));

/// Starts the timer.
pub fn start(mut timer: SYST) {
    timer.set_reload(PERIOD - 1);
    timer.clear_current();
    timer.set_clock_source(SystClkSource::Core);
    timer.enable_counter();
    timer.enable_interrupt();
}

/// The timer's interrupt: a period is over.
pub fn on_timer() {
    critical_section::with(|cs| {
        let periods = PERIODS.borrow(cs);
        periods.set(periods.get() + 1);
    });
}

/// Ticks since the start, monotonic.
pub fn ticks() -> u64 {
    critical_section::with(|cs| {
        let mut periods = PERIODS.borrow(cs).get();
        let mut left = SYST::get_current();
        if SCB::is_pendst_pending() {
            // A period ended since interrupts were masked, perhaps after the
            // counter was read.
            periods += 1;
            left = SYST::get_current();
        }
        periods * u64::from(PERIOD) + u64::from(PERIOD - 1 - left.min(PERIOD - 1))
    })
}

/// The time since the start.
pub fn now() -> Duration {
    Duration::from_nanos(ticks() * NANOS_PER_TICK)
}

/// The end, as the host's exit code.
pub fn exit(is_success: bool) -> ! {
    debug::exit(if is_success { debug::EXIT_SUCCESS } else { debug::EXIT_FAILURE });
    loop {
        cortex_m::asm::wfi();
    }
}

/// The message is left out: formatting it would be the largest part of the image.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    exit(false)
}
