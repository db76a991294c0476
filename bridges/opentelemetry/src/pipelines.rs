//! Which pipeline a span belongs to, where a context of theirs cannot tell.
//!
//! A context of ours names its pipeline. Theirs has room for ids only, and is handed to
//! other threads and tasks by code that knows of nothing else. Spans of the default
//! pipeline need no more; those of an isolated one are listed here while they are held by
//! a context of theirs, so that what is below them goes the same way.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use throughline_core::{Pipeline, SpanId};
use throughline_runtime::default_pipeline;

/// Keeps a span in the list.
#[derive(Debug)]
pub(crate) struct Listed(SpanId);

/// Lists the span, unless its pipeline is the default one.
pub(crate) fn list(span: SpanId, pipeline: Option<&'static Pipeline>) -> Option<Listed> {
    let pipeline = pipeline.filter(|pipeline| {
        !default_pipeline().is_some_and(|default| core::ptr::eq(default, *pipeline))
    })?;
    if !span.is_valid() {
        return None;
    }
    lock().entry(span.to_bytes()).or_insert((pipeline, 0)).1 += 1;
    // Ordering: Relaxed here and below: whoever is to find the span got its context from
    // the thread that listed it, in a way that orders both.
    COUNT.fetch_add(1, Ordering::Relaxed);
    Some(Listed(span))
}

/// The pipeline of a span that is listed.
pub(crate) fn of(span: SpanId) -> Option<&'static Pipeline> {
    if COUNT.load(Ordering::Relaxed) == 0 {
        return None;
    }
    lock().get(&span.to_bytes()).map(|(pipeline, _)| *pipeline)
}

impl Drop for Listed {
    fn drop(&mut self) {
        let (mut listed, key) = (lock(), self.0.to_bytes());
        if let Some((_, times)) = listed.get_mut(&key) {
            *times -= 1;
            if *times == 0 {
                listed.remove(&key);
            }
        }
        COUNT.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How often spans are listed. No value is read through it.
static COUNT: AtomicUsize = AtomicUsize::new(0);

type List = HashMap<[u8; 8], (&'static Pipeline, usize)>;

fn lock() -> MutexGuard<'static, List> {
    static LIST: OnceLock<Mutex<List>> = OnceLock::new();
    LIST.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}
