//! The record of a slot: what the span holds, and where.

use super::Slot;
use crate::body::Body;

#[derive(Debug)]
#[repr(C)]
pub(super) struct Record {
    pub(super) body: Body,
    /// The spill block that holds the bytes, when they outgrew the slot; else `NO_BLOCK`.
    pub(super) spill: u32,
    bytes: [u8; INLINE],
}

impl Record {
    pub(super) const fn new() -> Self {
        Record {
            body: Body::new(),
            // Zero like all the rest, so that a table of slots is no part of an image; it
            // is set when a span begins.
            spill: 0,
            bytes: [0; INLINE],
        }
    }
}

/// What the owner of a slot does with its record, and nobody else.
impl Slot {
    /// The record's counts and bytes, to read.
    ///
    /// # Safety
    ///
    /// A span lives in the slot, and nobody writes the record before the returned borrow
    /// ends.
    #[inline(always)]
    pub(crate) unsafe fn record(&self) -> (&Body, &[u8]) {
        self.record.with(|record| {
            // SAFETY: the caller's promise.
            let record = unsafe { &*record };
            let bytes = match record.spill {
                NO_BLOCK => &record.bytes[..],
                // SAFETY: the block belongs to this span from the claim in
                // `spill` to the release in `free`.
                block => unsafe {
                    let table = self.table();
                    table.spill.read(block as usize * table.spill_len, table.spill_len)
                },
            };
            (&record.body, bytes)
        })
    }

    /// As [`record`](Self::record), if the bytes are those of the slot, as they mostly are:
    /// their place and their number are constants.
    ///
    /// # Safety
    ///
    /// As for [`record`](Self::record).
    #[inline(always)]
    pub(crate) unsafe fn inline_record(&self) -> Option<(&Body, &[u8; INLINE])> {
        self.record.with(|record| {
            // SAFETY: the caller's promise.
            let record = unsafe { &*record };
            (record.spill == NO_BLOCK).then_some((&record.body, &record.bytes))
        })
    }

    /// The record's counts and bytes, to write.
    ///
    /// # Safety
    ///
    /// A span lives in the slot, and the caller has it to itself until the returned
    /// borrow ends: it borrows the span's handle mutably, or it runs no foreign code on
    /// the thread on which the span is current.
    #[cfg_attr(not(target_os = "none"), inline)]
    #[cfg_attr(target_os = "none", inline(never))]
    #[expect(clippy::mut_from_ref, reason = "what is current is borrowed shared, and alone used")]
    pub(crate) unsafe fn record_mut(&self) -> (&mut Body, &mut [u8]) {
        self.record.with_mut(|record| {
            // SAFETY: the caller's promise.
            let record = unsafe { &mut *record };
            let bytes = match record.spill {
                NO_BLOCK => &mut record.bytes[..],
                // SAFETY: as in `record`, and the caller's promise.
                block => unsafe {
                    let table = self.table();
                    table.spill.write(block as usize * table.spill_len, table.spill_len)
                },
            };
            (&mut record.body, bytes)
        })
    }

    /// As [`record_mut`](Self::record_mut), if the bytes are those of the slot.
    ///
    /// # Safety
    ///
    /// As for [`record_mut`](Self::record_mut).
    #[cfg(not(target_os = "none"))]
    #[inline(always)]
    #[expect(clippy::mut_from_ref, reason = "as for `record_mut`")]
    pub(crate) unsafe fn inline_record_mut(&self) -> Option<(&mut Body, &mut [u8; INLINE])> {
        self.record.with_mut(|record| {
            // SAFETY: the caller's promise.
            let record = unsafe { &mut *record };
            (record.spill == NO_BLOCK).then_some((&mut record.body, &mut record.bytes))
        })
    }

    /// Moves the record to a spill block. Returns whether it has more room now.
    ///
    /// # Safety
    ///
    /// As for [`record_mut`](Self::record_mut), for the length of the call.
    #[cold]
    pub(crate) unsafe fn spill(&self) -> bool {
        let table = self.table();
        let index = self.index();
        self.record.with_mut(|record| {
            // SAFETY: the caller's promise.
            let record = unsafe { &mut *record };
            if record.spill != NO_BLOCK || table.spill_len <= INLINE {
                return false;
            }
            let Some(block) = table.blocks.claim(index) else {
                return false;
            };
            // SAFETY: the claim gave the block to this span.
            let bytes = unsafe { table.spill.write(block * table.spill_len, table.spill_len) };
            let Some(beginning) = bytes.first_chunk_mut() else { return false };
            *beginning = record.bytes;
            record.spill = block as u32;
            true
        })
    }
}

/// The bytes of a record that need no spill block: a slot is 512 bytes.
pub(crate) const INLINE: usize = if cfg!(target_os = "none") { 384 } else { 376 };

/// No bitmap has so many places.
pub(super) const NO_BLOCK: u32 = u32::MAX;
