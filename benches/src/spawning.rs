//! Tasks on each runtime, one after the other on this thread: what is left is the
//! task, without the noise of threads that wake each other.

use crate::scenario::Scenario;
use crate::stopwatch::Stopwatch;

/// Runs a future on tokio, under the watch.
pub(crate) fn on_tokio<F: Future>(watch: &mut Stopwatch, future: F) -> F::Output {
    TOKIO.with(|runtime| watch.time(|| runtime.block_on(future)))
}

/// Spawns so many tasks on the scenario's runtime and waits for each, under the
/// watch. `wrap` makes the task that carries the context.
pub(crate) fn spawn<F>(
    scenario: Scenario,
    tasks: u32,
    watch: &mut Stopwatch,
    wrap: impl Fn(std::future::Ready<()>) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let task = || wrap(std::future::ready(()));
    match scenario {
        Scenario::SpawnTokio => on_tokio(watch, async {
            for _ in 0..tasks {
                let _ = tokio::spawn(task()).await;
            }
        }),
        Scenario::SpawnSmol => {
            let executor = smol::LocalExecutor::new();
            let all = executor.run(async {
                for _ in 0..tasks {
                    executor.spawn(task()).await;
                }
            });
            watch.time(|| smol::block_on(all));
        }
        _ => watch.time(|| {
            async_std::task::block_on(async {
                for _ in 0..tasks {
                    async_std::task::spawn_local(task()).await;
                }
            });
        }),
    }
}

thread_local! {
    static TOKIO: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("the system gives a runtime");
}
