//! What tests of this crate's inside stand on: a pipeline of a few slots, and a span in one.

use std::vec;
use std::vec::Vec;

use crate::live::{Opening, Slot};
use crate::{
    AlwaysOn, Callsite, Parts, Scope, Shard, SpanId, SpanKind, SpanLimits, TakenWord, Tally,
    TraceFlags, TraceId, UNIT, Unit, Wakeup,
};

pub(crate) static WORK: Callsite = Callsite::new("work", &Scope::new("tests", ""));

struct Nobody;

impl Wakeup for Nobody {
    fn wake(&self) {}
}

/// Of a pipeline with so many slots and tallies, and a ring that holds next to nothing.
pub(crate) fn parts(slots: usize, tallies: usize) -> Parts {
    let words = slots.div_ceil(usize::BITS as usize);
    let shard = Shard::new(vec![Unit::new()].leak(), vec![0; UNIT].leak(), 1);
    Parts {
        shards: vec![shard].leak(),
        tallies: (0..tallies).map(|_| Tally::new()).collect::<Vec<_>>().leak(),
        slots: (0..slots).map(|_| Slot::new()).collect::<Vec<_>>().leak(),
        slot_words: (0..words).map(|_| TakenWord::new(0)).collect::<Vec<_>>().leak(),
        spill: &mut [],
        spill_words: &[],
        spill_block: 0,
        sampler: &AlwaysOn,
        limits: SpanLimits::new(),
        resource: &[],
        wakeup: &Nobody,
    }
}

/// A sampled root.
pub(crate) fn opening() -> Opening {
    Opening {
        trace: TraceId::from_bytes([1; 16]),
        span: SpanId::from_bytes([1; 8]),
        flags: TraceFlags::SAMPLED,
        parent: SpanId::INVALID,
        remote_parent: false,
        kind: SpanKind::Internal,
        start: 0,
        callsite: &WORK,
    }
}
