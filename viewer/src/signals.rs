//! Ctrl-C and its relatives, waited for on a thread.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// The signals that ask the program to end. From its creation on they no longer
/// kill it.
pub(crate) struct Interrupts {
    runtime: Runtime,
    signals: platform::Signals,
}

impl Interrupts {
    pub(crate) fn new() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let signals = {
            let _inside = runtime.enter();
            platform::Signals::new()?
        };
        Ok(Self { runtime, signals })
    }

    /// Blocks until the next one.
    pub(crate) fn wait(&mut self) {
        self.runtime.block_on(self.signals.next());
    }
}

#[cfg(unix)]
mod platform {
    use std::io;

    use tokio::signal::unix::{Signal, SignalKind, signal};

    pub(crate) struct Signals {
        interrupt: Signal,
        terminate: Signal,
    }

    impl Signals {
        pub(crate) fn new() -> io::Result<Self> {
            Ok(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
            })
        }

        pub(crate) async fn next(&mut self) {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
            }
        }
    }
}

#[cfg(windows)]
mod platform {
    use std::io;

    use tokio::signal::windows::{CtrlC, ctrl_c};

    pub(crate) struct Signals {
        interrupt: CtrlC,
    }

    impl Signals {
        pub(crate) fn new() -> io::Result<Self> {
            Ok(Self { interrupt: ctrl_c()? })
        }

        pub(crate) async fn next(&mut self) {
            let _ = self.interrupt.recv().await;
        }
    }
}
