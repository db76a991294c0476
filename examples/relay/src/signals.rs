//! TERM and INT.

use std::io;

use futures::channel::oneshot;

/// Completes when the process is asked to end.
#[cfg(unix)]
pub(crate) fn asked_to_end() -> io::Result<oneshot::Receiver<()>> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let (sender, asked) = oneshot::channel();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        if signals.forever().next().is_some() {
            let _ = sender.send(());
        }
    })?;
    Ok(asked)
}

/// Elsewhere nobody asks: the process is ended from outside.
#[cfg(not(unix))]
pub(crate) fn asked_to_end() -> io::Result<impl Future<Output = Result<(), oneshot::Canceled>>> {
    Ok(futures::future::pending())
}
