//! Receives traces over OTLP and prints each when it is complete.

#![forbid(unsafe_code)]

mod cli;
mod print;
mod signals;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use clap::Parser;
use throughline_viewer::Viewer;

use crate::cli::Arguments;
use crate::print::Printer;
use crate::signals::Interrupts;

/// 0 after Ctrl-C or when nobody reads any more, 1 when a port or the output
/// fails; 2 is clap's, for arguments.
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        // `throughline-viewer | head` is a way to look at the first traces.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "throughline-viewer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> io::Result<()> {
    let viewer = Viewer::bind(arguments.config())?;
    let mut interrupts = Interrupts::new()?;
    let mut completions = viewer.completions();
    // Who listens for the addresses may have gone; the traces still go to stdout.
    let _ = writeln!(
        io::stderr(),
        "listening on grpc://{} http://{}",
        viewer.grpc_addr(),
        viewer.http_addr()
    );
    // Whoever ends first, the interrupt or the output, shuts it down.
    let viewer = Arc::new(Mutex::new(Some(viewer)));
    let interrupted = Arc::clone(&viewer);
    thread::Builder::new().name("interrupts".to_owned()).spawn(move || {
        interrupts.wait();
        shut_down(&interrupted);
        // The rest is being printed; whoever asks again will not wait for it.
        interrupts.wait();
        std::process::exit(130);
    })?;
    let mut printer = Printer::new(io::stdout(), arguments);
    let printed = completions.try_for_each(|completed| printer.print(&completed));
    // Who is sending gets an answer, also when nobody reads the traces any more.
    shut_down(&viewer);
    printed
}

fn shut_down(viewer: &Mutex<Option<Viewer>>) {
    let mut held = viewer.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(viewer) = held.take() {
        viewer.shutdown();
    }
}
