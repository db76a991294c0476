//! Signals: ending the pipeline when the process is asked to end, and showing what
//! is under way when somebody asks.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io;
use std::sync::Arc;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::flag::register_conditional_default;
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use throughline_runtime::Telemetry;

/// Has a thread wait for the signals that ask a process to end. It shuts down and
/// then lets the signal do what it does by default, so that whoever waits for the
/// process sees which signal it was. A second signal does that at once.
pub(crate) fn shutdown_on_signals(telemetry: Telemetry, within: Duration) -> io::Result<()> {
    let ending = Arc::new(AtomicBool::new(false));
    for signal in SIGNALS {
        register_conditional_default(signal, ending.clone())?;
    }
    let mut signals = Signals::new(SIGNALS)?;
    thread::Builder::new().name("throughline-signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            // Ordering: Relaxed, no value is read through it.
            ending.store(true, Ordering::Relaxed);
            telemetry.shutdown_blocking(within);
            // It fails only for signals that cannot be handled.
            let _ = emulate_default_handler(signal);
        }
    })?;
    Ok(())
}

/// A signal on which the live spans are printed: see
/// [`Guard::dump_on_signal`](crate::Guard::dump_on_signal).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DumpSignal {
    /// SIGUSR1.
    Usr1,
    /// SIGUSR2.
    Usr2,
    /// SIGQUIT, which Ctrl-\\ sends from a terminal. It ends the process no more.
    Quit,
}

/// Has a thread wait for the signal and print each time.
pub(crate) fn dump_on_signal(telemetry: Telemetry, signal: DumpSignal) -> io::Result<()> {
    let mut signals = Signals::new([match signal {
        DumpSignal::Usr1 => SIGUSR1,
        DumpSignal::Usr2 => SIGUSR2,
        DumpSignal::Quit => SIGQUIT,
    }])?;
    thread::Builder::new().name("throughline-dump".to_owned()).spawn(move || {
        for _ in signals.forever() {
            telemetry.dump_live_spans();
        }
    })?;
    Ok(())
}

const SIGNALS: [i32; 3] = [SIGTERM, SIGINT, SIGHUP];
