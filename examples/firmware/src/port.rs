//! throughline on this board: clock, seed of the ids, context slots, sink.
//!
//! This is the file to write for another board. Nothing else of the firmware
//! knows what the board is made of.

use core::cell::Cell;

use cortex_m::peripheral::SCB;
use cortex_m::peripheral::scb::VectActive;
use cortex_m_semihosting::{hio, syscall};
use critical_section::Mutex;
use throughline_core::{
    Accepted, Batch, ExportError, Failure, IdGenerator, Local, Pipeline, Platform, Seed,
};

use crate::board;

/// The platform. It is never instantiated.
#[derive(Debug)]
pub enum Board {}

/// What is current among the tasks, and what in the handlers of interrupts: a
/// handler that comes in the middle of a task's span is not part of it.
static TASKS: Slot = Slot(Local::new());
static HANDLERS: Slot = Slot(Local::new());

/// Where spans go; none before [`install`].
static PIPELINE: Mutex<Cell<Option<&'static Pipeline>>> = Mutex::new(Cell::new(None));

/// Nanoseconds of the Unix epoch at tick 0.
static EPOCH: Mutex<Cell<u64>> = Mutex::new(Cell::new(0));

/// The seed of the slot that is used first next.
static SEED: Mutex<Cell<u64>> = Mutex::new(Cell::new(0));

impl Platform for Board {
    /// Without an allocator: ids alone, neither trace state nor baggage.
    type Carried = ();

    fn ticks() -> u64 {
        board::ticks()
    }

    /// For samplers that limit rates.
    fn monotonic_nanos() -> u64 {
        board::ticks() * board::NANOS_PER_TICK
    }

    /// Interrupts stay enabled: scopes run inside of this.
    fn with_local<R>(use_it: impl FnOnce(&Local<Self>) -> R) -> R {
        use_it(match SCB::vect_active() {
            VectActive::ThreadMode => &TASKS.0,
            _ => &HANDLERS.0,
        })
    }

    fn seed() -> Seed {
        let seed = critical_section::with(|cs| {
            let seed = SEED.borrow(cs);
            seed.replace(seed.get().wrapping_add(1))
        });
        // Neighbours become far apart, and so do the ids.
        Seed { ids: IdGenerator::new(seed).next(), shard: 0 }
    }

    fn default_pipeline() -> Option<&'static Pipeline> {
        critical_section::with(|cs| PIPELINE.borrow(cs).get())
    }
}

/// A context slot of one level of execution.
struct Slot(Local<Board>);

// SAFETY: each slot is used at one level only, which `with_local` asks the
// processor for. There is one core; tasks take turns on it, and handlers, whose
// priorities are all as after reset, do not interrupt each other. With several
// priorities there is one slot for each.
#[expect(unsafe_code, reason = "levels of execution are unknown to the language")]
unsafe impl Sync for Slot {}

/// Makes this the pipeline of all spans from now on. Once, before interrupts
/// that make spans are enabled.
pub fn install(pipeline: &'static Pipeline) {
    let unix_seconds = host_seconds();
    critical_section::with(|cs| {
        EPOCH.borrow(cs).set(unix_seconds * 1_000_000_000);
        // Two boots with one seed make the same ids: a real board takes its
        // random number generator, or a serial number and a count of boots. This
        // one has neither; the host's clock stands for them.
        SEED.borrow(cs).set(unix_seconds << 8);
        PIPELINE.borrow(cs).set(Some(pipeline));
    });
}

/// A seed for what is not an id.
pub fn seed() -> u64 {
    host_seconds()
}

/// Ticks as nanoseconds since the Unix epoch.
pub fn unix_nanos(ticks: u64) -> u64 {
    critical_section::with(|cs| EPOCH.borrow(cs).get()) + ticks * board::NANOS_PER_TICK
}

/// Sends one `ExportTraceServiceRequest`, behind its length as a varint: what
/// protobuf libraries read as a "length-delimited" message.
pub fn send(batch: &Batch<'_>) -> Result<Accepted, ExportError> {
    const UNWRITABLE: ExportError = ExportError::Permanent(Failure::Write);
    let mut host = hio::hstdout().map_err(|()| UNWRITABLE)?;
    let mut written = Ok(());
    let mut write = |bytes: &[u8]| written = written.and_then(|()| host.write_all(bytes));
    let mut len = batch.encoded_len();
    while len >= 0x80 {
        write(&[len as u8 | 0x80]);
        len >>= 7;
    }
    write(&[len as u8]);
    batch.encode(&mut write);
    written.map(|()| Accepted::default()).map_err(|()| UNWRITABLE)
}

/// Seconds since the Unix epoch, from the host's clock. A real board asks its
/// real-time clock or the network.
#[expect(unsafe_code, reason = "the crate wraps no call for the host's clock")]
fn host_seconds() -> u64 {
    // SAFETY: SYS_TIME takes no argument and touches no memory.
    unsafe { syscall!(TIME) as u64 }
}
