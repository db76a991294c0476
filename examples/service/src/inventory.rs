//! The back service: stock per article.

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use futures_lite::future::yield_now;
use throughline::{InSpanExt, span, trace};

pub(crate) fn routes() -> Router {
    Router::new().route("/stock/{article}", get(stock))
}

async fn stock(Path(article): Path<u64>) -> Result<String, StatusCode> {
    let count = read_shelf(article).await;
    span!("format", count).in_scope(|| match count {
        0 => Err(StatusCode::NOT_FOUND),
        count => Ok(count.to_string()),
    })
}

#[trace]
async fn read_shelf(article: u64) -> u64 {
    let row = async {
        yield_now().await;
        article % 7 + 1
    };
    row.in_span(span!("query", db.system.name = "memory", article)).await
}
