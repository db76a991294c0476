//! A bounded load: so many requests, so many at once.

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::Arc;

use futures::channel::mpsc;
use futures::future::join_all;
use throughline::{InSpanExt, span};

use crate::wire::HttpClient;
use example_runtimes::ServiceRuntime;

/// What came of the requests.
#[derive(Debug, Default)]
pub(crate) struct Load {
    next: AtomicUsize,
    pub(crate) done: AtomicUsize,
    pub(crate) errors: AtomicUsize,
    pub(crate) abandoned: AtomicUsize,
}

impl Load {
    /// Of so many requests, those that were begun and not done.
    pub(crate) fn under_way(&self, requests: usize) -> usize {
        let begun = self.next.load(Ordering::Relaxed).min(requests);
        begun.saturating_sub(self.done.load(Ordering::Relaxed))
    }

    /// Makes the requests. Dropping the future stops it, a little later: callers
    /// hold `outliving` until they are gone.
    pub(crate) async fn run<R: ServiceRuntime>(
        self: Arc<Self>,
        runtime: R,
        orders: String,
        requests: usize,
        concurrency: usize,
        outliving: mpsc::Sender<()>,
    ) {
        let callers = (0..concurrency.min(requests)).map(|_| {
            let (load, orders, caller) = (self.clone(), orders.clone(), runtime.clone());
            let (client, outliving) = (HttpClient::new(runtime.clone()), outliving.clone());
            runtime.task(async move {
                let _held = outliving;
                loop {
                    let id = load.next.fetch_add(1, Ordering::Relaxed);
                    if id >= requests {
                        return;
                    }
                    load.request(&caller, &client, &orders, id).await;
                }
            })
        });
        join_all(callers).await;
    }

    /// One request, the root of one trace.
    async fn request<R: ServiceRuntime>(
        &self,
        runtime: &R,
        client: &HttpClient<R>,
        orders: &str,
        id: usize,
    ) {
        // One in forty loses patience: its order is cancelled on the way.
        if id % 40 == 13 {
            let slow = client.get(format!("{orders}/orders/{id}/slow"));
            let slow = slow.in_span(span!(root, "impatient_customer", order = id));
            let _ = runtime.timeout(Duration::from_millis(20), slow).await;
            self.abandoned.fetch_add(1, Ordering::Relaxed);
        } else {
            let order = client.get(format!("{orders}/orders/{id}"));
            let answer = order.in_span(span!(root, "customer", order = id)).await;
            if !answer.is_ok_and(|(status, _)| status.is_success()) {
                self.errors.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.done.fetch_add(1, Ordering::Relaxed);
    }
}
