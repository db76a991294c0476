//! Ending the pipeline when the process is asked to end.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io;
use std::sync::Arc;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
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

const SIGNALS: [i32; 3] = [SIGTERM, SIGINT, SIGHUP];
