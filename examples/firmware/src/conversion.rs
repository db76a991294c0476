//! An analog value, converted by an interrupt handler that makes spans of its
//! own while a task is in the middle of one.

use core::cell::Cell;

use critical_section::Mutex;

use crate::SCOPE;
use crate::trace::{Callsite, Context, Span, SpanOptions};

static INTERRUPT: Callsite = Callsite::new("interrupt", &SCOPE);
static CONVERT: Callsite = Callsite::new("convert", &SCOPE);

/// What the task left for the handler, and the handler for the task.
static ASKED: Mutex<Cell<Option<Context>>> = Mutex::new(Cell::new(None));
static RESULT: Mutex<Cell<Option<i32>>> = Mutex::new(Cell::new(None));

/// Asks for a value and spins until the handler has it: the task stays in the
/// middle of whatever span it is in.
pub fn convert() -> i32 {
    let context = Context::current();
    critical_section::with(|cs| ASKED.borrow(cs).set(Some(context)));
    loop {
        if let Some(value) = critical_section::with(|cs| RESULT.borrow(cs).take()) {
            return value;
        }
    }
}

/// The interrupt.
pub fn on_interrupt() {
    let Some(context) = critical_section::with(|cs| ASKED.borrow(cs).take()) else { return };
    // What the interrupted task is doing is not current here: this begins a
    // trace, which knows the task by a link.
    let mut interrupt = Span::start(&INTERRUPT, |_| ());
    interrupt.add_link(&context, &[]);
    // This one was asked for, and belongs to who asked.
    let options = SpanOptions::new().parent(&context);
    Span::start_with(&CONVERT, options, |span| span.set_attribute("raw", 512)).end();
    interrupt.end();
    critical_section::with(|cs| RESULT.borrow(cs).set(Some(21)));
}
