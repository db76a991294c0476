//! A server of HTTP/1.1 on any runtime.

use core::error::Error;
use core::pin::pin;
use core::time::Duration;

use futures::channel::oneshot;
use futures::future::{Either, select};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::HttpService;
use hyper_util::server::graceful::GracefulShutdown;
use smol_hyper::rt::FuturesIo;

use crate::runtime::ServiceRuntime;

/// Serves each connection in a task of its own until it is told to stop; then it
/// takes no more requests, and waits for those under way.
pub async fn serve<R, S, B>(
    runtime: R,
    listener: R::Listener,
    service: S,
    mut stopped: oneshot::Receiver<()>,
) where
    R: ServiceRuntime,
    S: HttpService<Incoming, ResBody = B> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let under_way = GracefulShutdown::new();
    loop {
        let stream = match select(&mut stopped, pin!(R::accept(&listener))).await {
            Either::Left(_) => break,
            Either::Right((Ok(stream), _)) => stream,
            Either::Right((Err(_), _)) => {
                // Too many open files, mostly, which passes.
                runtime.sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let mut http = http1::Builder::new();
        // A context may come in many lines, and in long ones.
        http.max_headers(1_000).max_buf_size(4 * 1024 * 1024);
        let connection = http.serve_connection(FuturesIo::new(stream), service.clone());
        let connection = under_way.watch(connection);
        runtime.start(async move {
            // A caller that goes away is no error of the server.
            let _ = connection.await;
        });
    }
    under_way.shutdown().await;
}
