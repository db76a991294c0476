//! Where spans go: one destination, or several.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use std::sync::Arc;

use crate::export::drive::drive;
use crate::export::engine::{Engine, Goal, Seat};
use crate::export::fan_out::Place;
use crate::export::worker::work;
use crate::{Completion, Component, Config, Exporter, Runtime, Thread};

/// One exporter or several, of any types, that can work on the runtime `R`.
///
/// Each is a **destination**: it has a queue, requests in flight, repetitions and a
/// [ledger](crate::DestinationReport) of its own, and all share the spans as they are. One
/// that hangs, refuses or is slow holds up no other: what its queue cannot hold is lost
/// for it alone, as [`QueueFull`](throughline_core::DropReason::QueueFull). While no queue
/// has room, spans wait in the pipeline's.
///
/// A span counts as exported when **one** of them took it, and as dropped when none did,
/// for the reason of the one that was last to be done with it; before all of them are
/// done with it, it is in flight. A flush and a shutdown cover all of them.
/// ([Multi-destination exporting](https://opentelemetry.io/docs/specs/otlp/#multi-destination-exporting))
pub struct Destinations<R> {
    list: Vec<Arc<dyn Destination<R>>>,
}

impl<R: Runtime> Destinations<R> {
    /// One destination.
    pub fn to<E>(exporter: E) -> Self
    where
        E: Exporter<R> + Exporter<Thread>,
    {
        Destinations { list: vec![Arc::new(exporter)] }
    }

    /// And one more.
    #[must_use]
    pub fn and<E>(mut self, exporter: E) -> Self
    where
        E: Exporter<R> + Exporter<Thread>,
    {
        self.list.push(Arc::new(exporter));
        self
    }

    /// How many there are; at least one.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// The types of their [components](crate::Exporter::component), with commas.
    pub fn kinds(&self) -> String {
        self.list.iter().map(|each| each.component().kind()).collect::<Vec<_>>().join(",")
    }

    /// Adds what is in force for each to the table that a user can print. Where two of
    /// them have a setting of the same name, that of the second ends in `#2`.
    pub fn describe(&self, config: &mut Config) {
        for (index, destination) in self.list.iter().enumerate() {
            let mut own = Config::default();
            destination.describe(&mut own);
            for setting in own.iter() {
                let mut name = setting.name().to_owned();
                if index > 0 && config.get(&name).is_some() {
                    name = format!("{name}#{}", index + 1);
                }
                config.set(&name, setting.value(), setting.origin().clone());
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &dyn Destination<R>> {
        self.list.iter().map(|destination| &**destination)
    }

    pub(crate) fn get(&self, index: usize) -> Option<&dyn Destination<R>> {
        self.list.get(index).map(|destination| &**destination)
    }
}

impl<R> Clone for Destinations<R> {
    fn clone(&self) -> Self {
        Destinations { list: self.list.clone() }
    }
}

impl<R: Runtime> fmt::Debug for Destinations<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list.iter().map(|each| each.type_name())).finish()
    }
}

/// An exporter whose type is not told.
pub(crate) trait Destination<R: Runtime>: Send + Sync {
    fn type_name(&self) -> &'static str;
    fn describe(&self, config: &mut Config);
    fn component(&self) -> Component;
    fn completion(&self) -> Option<Arc<dyn Completion>>;
    fn max_concurrent_exports(&self) -> usize;
    fn may_block(&self) -> bool;
    fn discards(&self) -> bool;
    /// [`drive`]s with it.
    fn drive(&self, engine: Arc<Engine>, runtime: &R, seat: Seat, goal: Option<Goal>) -> Work;
    /// As [`drive`](Self::drive), on a plain thread.
    fn drive_on(&self, engine: Arc<Engine>, thread: &Thread, seat: Seat, goal: Goal) -> Work;
    /// [`work`]s for it.
    fn work(&self, engine: Arc<Engine>, runtime: &R, place: Place, seat: Option<Seat>) -> Work;
    /// As [`work`](Self::work), on a plain thread.
    fn work_on(
        &self,
        engine: Arc<Engine>,
        thread: &Thread,
        place: Place,
        seat: Option<Seat>,
    ) -> Work;
}

pub(crate) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

impl<R, E> Destination<R> for E
where
    R: Runtime,
    E: Exporter<R> + Exporter<Thread>,
{
    fn type_name(&self) -> &'static str {
        core::any::type_name::<E>()
    }

    fn describe(&self, config: &mut Config) {
        <E as Exporter<R>>::describe(self, config);
    }

    fn component(&self) -> Component {
        <E as Exporter<R>>::component(self)
    }

    fn completion(&self) -> Option<Arc<dyn Completion>> {
        <E as Exporter<R>>::completion(self)
    }

    fn max_concurrent_exports(&self) -> usize {
        <E as Exporter<R>>::max_concurrent_exports(self)
    }

    fn may_block(&self) -> bool {
        <E as Exporter<R>>::may_block(self)
    }

    fn discards(&self) -> bool {
        <E as Exporter<R>>::discards(self)
    }

    fn drive(&self, engine: Arc<Engine>, runtime: &R, seat: Seat, goal: Option<Goal>) -> Work {
        let connection = <E as Exporter<R>>::connect(self, runtime);
        Box::pin(drive(engine, runtime.clone(), connection, seat, goal))
    }

    fn drive_on(&self, engine: Arc<Engine>, thread: &Thread, seat: Seat, goal: Goal) -> Work {
        let connection = <E as Exporter<Thread>>::connect(self, thread);
        Box::pin(drive(engine, thread.clone(), connection, seat, Some(goal)))
    }

    fn work(&self, engine: Arc<Engine>, runtime: &R, place: Place, seat: Option<Seat>) -> Work {
        let connection = <E as Exporter<R>>::connect(self, runtime);
        Box::pin(work(engine, runtime.clone(), connection, place, seat))
    }

    fn work_on(
        &self,
        engine: Arc<Engine>,
        thread: &Thread,
        place: Place,
        seat: Option<Seat>,
    ) -> Work {
        let connection = <E as Exporter<Thread>>::connect(self, thread);
        Box::pin(work(engine, thread.clone(), connection, place, seat))
    }
}
