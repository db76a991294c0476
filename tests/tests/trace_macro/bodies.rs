//! How bodies end: early, by panic, by cancellation.

use core::future::{Future, pending, ready};
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use futures::FutureExt;
use futures::executor::block_on;
use throughline::{CurrentSpan, trace};

use crate::{Failure, traced};

#[test]
fn an_early_return_leaves_the_function_and_not_more() {
    #[trace(ret)]
    fn sync(n: u32) -> u32 {
        for i in 0..10 {
            if i == n {
                return i;
            }
        }
        0
    }
    #[trace]
    async fn later(n: Option<u32>) -> Option<u32> {
        if n? == 3 {
            return None;
        }
        n
    }

    let memory = traced(|| {
        assert_eq!(sync(4), 4);
        assert_eq!(block_on(later(None)), None);
        assert_eq!(block_on(later(Some(3))), None);
        assert_eq!(block_on(later(Some(4))), Some(4));
    });
    memory.assert_tree("sync\nlater\nlater\nlater");
    assert_eq!(memory.span("sync").attribute("return"), Some("4"));
}

#[test]
fn a_panic_ends_the_span_as_panicked() {
    #[trace(err)]
    fn sync() -> Result<(), Failure> {
        panic!("sync")
    }
    #[trace]
    fn never() -> ! {
        panic!("never")
    }
    #[trace]
    async fn later() {
        panic!("later")
    }
    #[trace]
    fn before_the_future() -> impl Future<Output = ()> {
        assert!(core::hint::black_box(false));
        ready(())
    }

    let memory = traced(|| {
        assert!(catch_unwind(sync).is_err());
        assert!(catch_unwind(|| never()).is_err());
        assert!(catch_unwind(|| block_on(later())).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| block_on(before_the_future()))).is_err());
    });
    memory.assert_tree(
        "
        sync (panicked)
        never (panicked)
        later (panicked)
        before_the_future (panicked)
    ",
    );
}

#[test]
fn a_dropped_async_fn_is_cancelled_and_one_that_never_ran_is_nothing() {
    #[trace]
    async fn forever() {
        #[trace]
        async fn inner() {
            pending().await
        }
        inner().await
    }

    let memory = traced(|| {
        assert!(forever().now_or_never().is_none());
        drop(forever());
    });
    memory.assert_tree("forever (cancelled)\n  inner (cancelled)");
}

#[test]
fn the_body_is_inside_of_the_span() {
    #[trace]
    fn sync() {
        CurrentSpan::set_attribute("inside", true);
    }
    #[trace(err)]
    async fn later() -> Result<(), Failure> {
        ready(()).await;
        CurrentSpan::set_attribute("inside", true);
        Ok(())
    }

    let memory = traced(|| {
        sync();
        block_on(later()).unwrap();
    });
    assert!(memory.spans().iter().all(|span| span.attribute("inside") == Some("true")));
}
