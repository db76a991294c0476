//! The front service. A request does what async programs do: it fans out, races,
//! times out, waits, spawns, blocks, streams, fails, panics and floods.

use core::panic::AssertUnwindSafe;
use core::pin::pin;
use core::time::Duration;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use futures::channel::mpsc;
use futures::future::{join_all, select};
use futures::{FutureExt, StreamExt, stream};
use futures_lite::future::yield_now;
use throughline::{CurrentSpan, InSpanExt, span, trace};

use crate::logging::panic_message;
use crate::outliving::outliving;
use crate::wire::HttpClient;
use example_runtimes::ServiceRuntime;

/// What the handlers share.
pub(crate) struct Shop<R> {
    pub(crate) runtime: R,
    pub(crate) client: HttpClient<R>,
    pub(crate) inventory: String,
    /// How many spans one request makes in a loop.
    pub(crate) flood: u64,
    /// Held by work that may outlive its request, so that the program can wait.
    pub(crate) outliving: mpsc::Sender<()>,
}

pub(crate) fn routes<R: ServiceRuntime>(shop: Arc<Shop<R>>) -> Router {
    Router::new()
        .route("/orders/{id}", get(order::<R>))
        .route("/orders/{id}/slow", get(slow_order))
        .with_state(shop)
}

/// So many spans in a loop are no flood.
const FEW: u64 = 200;

/// Which request does what beyond the usual, so that a few hundred show it all.
fn is_one_in(id: u64, every: u64, which: u64) -> bool {
    id % every == which
}

async fn order<R: ServiceRuntime>(
    State(shop): State<Arc<Shop<R>>>,
    Path(id): Path<u64>,
) -> Result<String, StatusCode> {
    CurrentSpan::set_attribute("order.id", id);
    let valid = span!("validate", id).in_scope(|| id < u64::MAX);
    let stock = reserve(&shop, id).await;
    let price = quickest_price(id).await;
    if is_one_in(id, 8, 3) {
        recommend(&shop.runtime, id).await;
    }
    let held = shop.outliving.clone();
    let sign = move || {
        let sum = span!("sign").in_scope(|| checksum(id));
        drop(held);
        sum
    };
    let receipt = shop.runtime.blocking(sign).await;
    let lines = print_lines(id).await;
    audit_later(&shop, id);
    if is_one_in(id, 23, 5) {
        survive_a_panic(&shop, id).await;
    }
    if is_one_in(id, 29, 7) {
        block_the_executor().in_span(span!("block", millis = 4)).await;
    }
    if is_one_in(id, 50, 31) {
        ask_the_supplier(&shop.runtime, id).await;
    }
    if is_one_in(id, 50, 9) {
        let spans = if id == 9 { shop.flood } else { FEW };
        span!("flood", spans).in_scope(|| {
            (0..spans).for_each(|i| span!("step", i).in_scope(|| core::hint::black_box(())));
        });
    }
    if is_one_in(id, 17, 11) {
        let refused = charge(id).await.expect_err("this card is always refused");
        log::error!(order = id, reason:% = refused; "order failed");
        return Err(StatusCode::INTERNAL_SERVER_ERROR);
    }
    let total = price + stock.into_iter().sum::<u64>() + lines + receipt.unwrap_or(0);
    if valid { Ok(total.to_string()) } else { Err(StatusCode::BAD_REQUEST) }
}

/// An order whose caller does not wait for it.
async fn slow_order(Path(id): Path<u64>) -> String {
    async { core::future::pending::<()>().await }.in_span(span!("wait_for_supplier", id)).await;
    String::new()
}

/// Fans out: some calls joined in place, one in a task.
#[trace(skip(shop))]
async fn reserve<R: ServiceRuntime>(shop: &Arc<Shop<R>>, order: u64) -> Vec<u64> {
    let ask = |shop: Arc<Shop<R>>, article: u64| async move {
        let url = format!("{}/stock/{article}", shop.inventory);
        let answer = shop.client.get(url).await;
        answer.ok().and_then(|(_, body)| body.parse().ok()).unwrap_or(0)
    };
    let there = ask(shop.clone(), order).in_span(span!("reserve_in_task", article = order));
    let there = shop.runtime.task(outliving(&shop.outliving, there));
    let here = [order + 1, order + 2]
        .map(|article| ask(shop.clone(), article).in_span(span!("reserve_here", article)));
    let mut stock = join_all(here).await;
    stock.push(there.await);
    stock
}

/// Races two sources; the slower one is dropped, and its span is cancelled.
#[trace]
async fn quickest_price(order: u64) -> u64 {
    let cached = async {
        yield_now().await;
        order % 100
    };
    let computed = async {
        core::future::pending::<()>().await;
        order
    };
    let cached = pin!(cached.in_span(span!("price_from_cache")));
    let computed = pin!(computed.in_span(span!("price_from_supplier")));
    select(cached, computed).await.factor_first().0
}

/// Gives up after a millisecond; the work inside is cancelled.
async fn recommend<R: ServiceRuntime>(runtime: &R, order: u64) {
    let never = core::future::pending::<()>().in_span(span!("recommend", order));
    if runtime.timeout(Duration::from_millis(1), never).await.is_none() {
        CurrentSpan::add_event("no recommendation in time", &[]);
        log::warn!(order; "no recommendation in time");
    }
}

/// Takes its time, for a caller who waits.
async fn ask_the_supplier<R: ServiceRuntime>(runtime: &R, order: u64) {
    let answer = runtime.sleep(Duration::from_millis(300));
    answer.in_span(span!("ask_the_supplier", order)).await;
}

/// A stream, one span for all of it and one per item.
async fn print_lines(order: u64) -> u64 {
    let lines = stream::iter(0..3u64).then(|line| {
        async move {
            yield_now().await;
            line
        }
        .in_span(span!("line", line))
    });
    lines.in_span(span!("print", order)).fold(0, |sum, line| async move { sum + line }).await
}

/// Goes on after the response is sent.
fn audit_later<R: ServiceRuntime>(shop: &Shop<R>, order: u64) {
    let audit = yield_now().in_span(span!("audit", order));
    shop.runtime.start(outliving(&shop.outliving, audit));
}

/// A task panics; the request goes on.
async fn survive_a_panic<R: ServiceRuntime>(shop: &Shop<R>, order: u64) {
    let award = async move {
        yield_now().await;
        assert!(order == u64::MAX, "the loyalty service is broken");
    };
    let award = award.in_span(span!("award_points", order));
    let task = shop.runtime.task(outliving(&shop.outliving, award));
    if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
        CurrentSpan::add_event(
            "exception",
            &[
                ("exception.type", "panic".into()),
                ("exception.message", panic_message(&*panic).into()),
            ],
        );
    }
}

/// Blocks its thread in the middle of a poll, as careless code does.
async fn block_the_executor() {
    std::thread::sleep(Duration::from_millis(4));
    yield_now().await;
}

#[derive(Debug)]
struct CardRefused {
    order: u64,
}

impl core::fmt::Display for CardRefused {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "the card of order {} was refused", self.order)
    }
}

impl core::error::Error for CardRefused {}

#[trace(err)]
async fn charge(order: u64) -> Result<(), CardRefused> {
    yield_now().await;
    Err(CardRefused { order })
}

fn checksum(order: u64) -> u64 {
    (0..64).fold(order, |sum, round| sum.rotate_left(5) ^ round) % 97
}
