//! Progress on stderr, when it is a terminal.

use core::sync::atomic::Ordering;
use core::time::Duration;
use std::io::{IsTerminal, Write};
use std::sync::Arc;

use throughline::Runtime;

use crate::load::Load;

/// Shows how far the load is, until it is dropped.
pub(crate) async fn show(runtime: impl Runtime, load: Arc<Load>, requests: usize) {
    // A dumb one cannot clear a line.
    let is_dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    if is_dumb || !std::io::stderr().is_terminal() {
        return core::future::pending().await;
    }
    let _clear = ClearLine;
    loop {
        runtime.sleep(Duration::from_millis(100)).await;
        let done = load.done.load(Ordering::Relaxed);
        // Back to the beginning, so that a log line takes its place.
        let _ = write!(std::io::stderr().lock(), "{done} of {requests} requests\r");
    }
}

struct ClearLine;

impl Drop for ClearLine {
    fn drop(&mut self) {
        let _ = write!(std::io::stderr().lock(), "\x1b[K");
    }
}
