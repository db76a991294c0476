//! Which runtime is taken where the program names none.

use throughline_runtime::{Runtime, Thread};

use crate::guard::Guard;
use crate::init_error::InitError;
use crate::setup::Builder;

/// Installs on the first of these that there is:
///
/// 1. the tokio runtime that the current code runs on;
/// 2. async-std, if the current code runs in a task of it;
/// 3. smol, which cannot be told from outside of it, but which serves from
///    anywhere: a program that has the feature either runs on it or on nothing;
/// 4. async-std, for the same reason;
/// 5. a thread.
#[allow(unreachable_code, reason = "the last ones, if a feature of an earlier one is on")]
pub(crate) fn install(builder: Builder, exporter: impl OnAny) -> Result<Guard, InitError> {
    #[cfg(feature = "tokio")]
    if let Ok(runtime) = throughline_tokio::Tokio::current() {
        return exporter.install(builder, runtime);
    }
    #[cfg(feature = "async-std")]
    if let Some(runtime) = throughline_async_std::AsyncStd::current() {
        return exporter.install(builder, runtime);
    }
    #[cfg(feature = "smol")]
    return exporter.install(builder, throughline_smol::Smol::global());
    #[cfg(feature = "async-std")]
    return exporter.install(builder, throughline_async_std::AsyncStd);
    exporter.install(builder, Thread::start().map_err(InitError::Thread)?)
}

/// Exporters that work on any runtime.
///
/// (`for<R: Runtime> Destinations<R>`, which cannot be written as a bound.)
pub(crate) trait OnAny {
    fn install<R: Runtime>(self, builder: Builder, runtime: R) -> Result<Guard, InitError>;
}

#[cfg(test)]
mod tests {
    use core::any::type_name;
    use std::sync::mpsc;

    use super::*;

    /// Tells on which runtime it would be installed.
    struct Asking(mpsc::Sender<&'static str>);

    impl OnAny for Asking {
        fn install<R: Runtime>(self, builder: Builder, _: R) -> Result<Guard, InitError> {
            let _ = self.0.send(type_name::<R>());
            Ok(Guard::disabled(&builder))
        }
    }

    fn chosen() -> &'static str {
        let (sender, receiver) = mpsc::channel();
        drop(install(crate::builder(), Asking(sender)).expect("a runtime"));
        receiver.recv().expect("one was taken")
    }

    #[cfg(feature = "tokio")]
    #[test]
    fn inside_a_tokio_runtime_it_is_tokio() {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        assert_eq!(runtime.block_on(async { chosen() }), type_name::<crate::Tokio>());
    }

    #[cfg(feature = "async-std")]
    #[test]
    fn inside_a_task_of_async_std_it_is_async_std() {
        let name = async_std::task::block_on(async { chosen() });
        assert_eq!(name, type_name::<crate::AsyncStd>());
    }

    #[cfg(feature = "smol")]
    #[test]
    fn where_nothing_can_be_told_it_is_smol_if_that_is_built_in() {
        assert_eq!(chosen(), type_name::<crate::Smol>());
        assert_eq!(smol::block_on(async { chosen() }), type_name::<crate::Smol>());
    }

    #[cfg(all(feature = "async-std", not(feature = "smol")))]
    #[test]
    fn outside_of_tasks_it_is_async_std_if_that_is_built_in() {
        assert_eq!(chosen(), type_name::<crate::AsyncStd>());
    }

    #[cfg(not(any(feature = "async-std", feature = "smol")))]
    #[test]
    fn where_there_is_none_it_is_a_thread() {
        assert_eq!(chosen(), type_name::<Thread>());
    }
}
