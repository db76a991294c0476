//! Who flushes the processors of a pipeline, and shuts them down.
//!
//! ```text
//!   flush, flush ──▶ a round: force_flush of each in turn, on one thread
//!                      │ more were asked for meanwhile: one more round
//!   shutdown ────────▶ the end: shutdown of each in turn, on another thread, when the round
//!                      is over or has had half of the time
//! ```
//!
//! Processors may block, and for ever: whoever waits goes at the deadline, and a flush that
//! does not return holds one thread, however many are asked for behind it.

use core::cell::Cell;
use core::ptr;
use core::time::Duration;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use throughline_core::{ProcessorError, SpanProcessor};

use super::ProcessorReport;

pub(crate) struct Rounds {
    list: &'static [&'static dyn SpanProcessor],
    calls: Mutex<Calls>,
    changed: Condvar,
}

/// What somebody waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    /// The round for this flush and those before it.
    Flush(u64),
    Shutdown,
}

/// What the processors said so far, in their order.
type Results = Vec<Result<(), ProcessorError>>;

#[derive(Default)]
struct Calls {
    /// The flushes so far: asked for, in the round that began last, and in the one that is done.
    asked: u64,
    begun: u64,
    done: u64,
    /// By when those that wait for the next round want it to be done, at the latest.
    deadline: Option<Instant>,
    /// Whether there is a thread for rounds.
    is_flushing: bool,
    /// Of the round under way, and of the last that is done.
    flushing: Results,
    flushed: Results,
    /// Of the end, once it began.
    ended: Option<Results>,
}

impl Rounds {
    pub(crate) fn new(list: &'static [&'static dyn SpanProcessor]) -> Self {
        Rounds { list, calls: Mutex::default(), changed: Condvar::new() }
    }

    /// Begins a flush; after a shutdown, that is what is waited for.
    pub(crate) fn flush(&'static self, deadline: Instant) -> Call {
        let mut calls = self.lock();
        if calls.ended.is_some() {
            return Call::Shutdown;
        }
        calls.asked += 1;
        calls.deadline = calls.deadline.max(Some(deadline));
        if !calls.is_flushing {
            calls.is_flushing = self.has_thread(Self::run_rounds);
        }
        Call::Flush(calls.asked)
    }

    /// Begins the end, once.
    pub(crate) fn shutdown(&'static self, deadline: Instant) -> Call {
        let mut calls = self.lock();
        // Without a thread it has not begun: the next shutdown tries again.
        if calls.ended.is_none() && self.has_thread(move |rounds| rounds.run_end(deadline)) {
            calls.ended = Some(Vec::new());
        }
        Call::Shutdown
    }

    /// Whether the current thread has one of these processors flush: a flush of the pipeline in
    /// there would wait for itself.
    pub(crate) fn is_here(&self) -> bool {
        HERE.get() == ptr::from_ref(self).addr()
    }

    /// Whether nothing more will be said about this.
    pub(crate) fn is_over(&self, call: Call) -> bool {
        self.lock().is_over(call, self.list.len())
    }

    /// Waits until the processors are done, or the deadline. Those that are not are late.
    pub(crate) fn wait(&self, call: Call, deadline: Instant) -> Vec<ProcessorReport> {
        let mut calls = self.lock();
        while !calls.is_over(call, self.list.len()) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            calls = self.wait_for_change(calls, left);
        }
        let results = calls.results(call);
        let report = |(index, processor): (usize, &&dyn SpanProcessor)| ProcessorReport {
            name: processor.name().to_owned(),
            result: results.get(index).copied().unwrap_or(Err(ProcessorError::Timeout)),
        };
        self.list.iter().enumerate().map(report).collect()
    }

    /// Flushes as long as somebody wants it.
    fn run_rounds(&self) {
        let mut calls = self.lock();
        while calls.ended.is_none() && calls.done < calls.asked {
            calls.begun = calls.asked;
            calls.flushing.clear();
            let deadline = calls.deadline.take().unwrap_or_else(Instant::now);
            for processor in self.list {
                if calls.ended.is_some() {
                    break;
                }
                drop(calls);
                let left = deadline.saturating_duration_since(Instant::now());
                let result = processor.force_flush(left);
                calls = self.lock();
                calls.flushing.push(result);
            }
            if calls.ended.is_none() {
                calls.flushed = core::mem::take(&mut calls.flushing);
                calls.done = calls.begun;
            }
            self.changed.notify_all();
        }
        calls.is_flushing = false;
        self.changed.notify_all();
    }

    /// Shuts all of them down.
    fn run_end(&self, deadline: Instant) {
        let began = Instant::now();
        let patience = deadline.saturating_duration_since(began) / 2;
        let mut calls = self.lock();
        while calls.is_flushing {
            let left = patience.saturating_sub(began.elapsed());
            if left.is_zero() {
                break;
            }
            calls = self.wait_for_change(calls, left);
        }
        drop(calls);
        for processor in self.list {
            let left = deadline.saturating_duration_since(Instant::now());
            let result = processor.shutdown(left);
            self.lock().ended.get_or_insert_default().push(result);
            self.changed.notify_all();
        }
    }

    /// Whether there is a thread for this, which may block.
    fn has_thread(&'static self, work: impl FnOnce(&Self) + Send + 'static) -> bool {
        let thread = std::thread::Builder::new().name("throughline-processor".to_owned());
        let work = move || {
            HERE.set(ptr::from_ref(self).addr());
            work(self);
        };
        thread.spawn(work).is_ok()
    }

    fn wait_for_change<'a>(
        &self,
        calls: MutexGuard<'a, Calls>,
        left: Duration,
    ) -> MutexGuard<'a, Calls> {
        self.changed.wait_timeout(calls, left).unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Calls {
    fn is_over(&self, call: Call, processors: usize) -> bool {
        match (call, &self.ended) {
            (Call::Flush(number), _) if self.done >= number => true,
            // What the end includes, it is waited for.
            (_, Some(ended)) => ended.len() == processors,
            // There was no thread for it.
            (Call::Flush(_), None) => !self.is_flushing,
            (Call::Shutdown, None) => true,
        }
    }

    fn results(&self, call: Call) -> &[Result<(), ProcessorError>] {
        match (call, &self.ended) {
            (Call::Flush(number), _) if self.done >= number => &self.flushed,
            (_, Some(ended)) => ended,
            (Call::Flush(number), None) if self.begun >= number => &self.flushing,
            _ => &[],
        }
    }
}

thread_local! {
    /// Whose thread this is, by its address; 0 is nobody's.
    static HERE: Cell<usize> = const { Cell::new(0) };
}
