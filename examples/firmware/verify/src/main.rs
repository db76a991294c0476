//! Shows that the firmware did what it is there to show.
//!
//! ```text
//! firmware-verify <budget> <sent> <image> <same without spans> <least image>
//! ```
//!
//! The budget is the most bytes of code that an image may have of
//! throughline-core. Exits with 1, and the reason, when anything is not as it must
//! be.

mod image;
mod sent;
mod tree;

use std::process::ExitCode;

use crate::image::Image;
use crate::sent::Sent;

fn main() -> ExitCode {
    match verify() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("firmware-verify: {why}");
            ExitCode::FAILURE
        }
    }
}

fn verify() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [budget, sent, traced, untraced, minimal] = arguments.as_slice() else {
        return Err("a budget and four files are needed: what was sent, three images".into());
    };
    let budget: u64 = budget.parse().map_err(|error| format!("{budget}: {error}"))?;
    let sent = Sent::read(sent)?;
    tree::verify(&sent)?;
    println!("{} batches, {} spans; the tree is as it must be", sent.batches, sent.spans.len());

    let (traced, untraced) = (Image::read(traced)?, Image::read(untraced)?);
    println!("{:<32} {:>8} {:>8}", "bytes", "code", "memory");
    let row = |what, code, memory| println!("{what:<32} {code:>8} {memory:>8}");
    row("the firmware", traced.code, traced.memory);
    row("the same without spans", untraced.code, untraced.memory);
    let memory = traced.memory.saturating_sub(untraced.memory);
    row("throughline and its use add", traced.code.saturating_sub(untraced.code), memory);
    println!("{:<32} {:>8}", "of these, throughline-core", traced.core);
    if traced.core > budget {
        return Err(format!("the budget is {budget} bytes of code"));
    }

    // An image that has a panic handler shows that one would be found.
    if untraced.panicking.is_empty() {
        return Err("the firmware has no panic handler, so none can be looked for".into());
    }
    let minimal = Image::read(minimal)?;
    if !minimal.panicking.is_empty() {
        return Err(format!("a span can panic: the image has {}", minimal.panicking.join(", ")));
    }
    println!("nothing in the least image that uses spans can panic");
    Ok(())
}
