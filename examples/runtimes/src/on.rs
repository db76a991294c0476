//! A runtime that is chosen when the program starts.

use core::error::Error;
use core::future::Future;

use clap::ValueEnum;
use throughline::{AsyncStd, Smol, Tokio};

use crate::runtime::ServiceRuntime;

/// The runtimes by their names on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum On {
    /// tokio, of several threads.
    Tokio,
    /// smol's global executor.
    Smol,
    /// async-std.
    AsyncStd,
}

/// What a program does, on whichever runtime.
pub trait Program {
    /// What comes of it.
    type Output;

    /// Does it.
    ///
    /// # Errors
    ///
    /// The program's own.
    fn run<R: ServiceRuntime>(
        self,
        runtime: R,
    ) -> impl Future<Output = Result<Self::Output, Box<dyn Error>>>;
}

impl On {
    /// Runs the program to its end.
    ///
    /// # Errors
    ///
    /// Those of the program, and those of the system where it gives no threads.
    pub fn block_on<P: Program>(self, program: P) -> Result<P::Output, Box<dyn Error>> {
        match self {
            On::Tokio => {
                let runtime = tokio::runtime::Runtime::new()?;
                runtime.block_on(program.run(Tokio::new(runtime.handle().clone())))
            }
            On::Smol => smol::block_on(program.run(Smol::global())),
            On::AsyncStd => async_std::task::block_on(program.run(AsyncStd)),
        }
    }
}
