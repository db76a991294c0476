//! The way out: who drives the flusher, what sends, and who waits for it.

pub(crate) mod completion;
pub(crate) mod destination_report;
pub(crate) mod destinations;
pub(crate) mod dispatch;
pub(crate) mod drive;
pub(crate) mod engine;
pub(crate) mod exporter;
pub(crate) mod failed_export;
pub(crate) mod fan_out;
pub(crate) mod flights;
pub(crate) mod launch;
pub(crate) mod operation;
pub(crate) mod race;
pub(crate) mod receipt;
pub(crate) mod remark;
pub(crate) mod settle;
pub(crate) mod transmission;
pub(crate) mod worker;
