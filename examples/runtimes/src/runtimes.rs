//! The runtimes that the service can run on, side by side.

use core::future::Future;
use std::io;

use throughline::tokio::TokioStream;
use throughline::{AsyncStd, Smol, Tokio};

use crate::runtime::ServiceRuntime;

impl ServiceRuntime for Tokio {
    type Listener = tokio::net::TcpListener;

    fn start(&self, task: impl Future<Output = ()> + Send + 'static) {
        throughline::tokio::spawn(task);
    }

    fn start_blocking(&self, work: impl FnOnce() + Send + 'static) {
        throughline::tokio::spawn_blocking(work);
    }

    fn listener(listener: std::net::TcpListener) -> io::Result<Self::Listener> {
        tokio::net::TcpListener::from_std(listener)
    }

    async fn accept(listener: &Self::Listener) -> io::Result<Self::Stream> {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok(TokioStream::from(stream))
    }
}

impl ServiceRuntime for Smol {
    type Listener = smol::net::TcpListener;

    fn start(&self, task: impl Future<Output = ()> + Send + 'static) {
        throughline::smol::spawn(task).detach();
    }

    fn start_blocking(&self, work: impl FnOnce() + Send + 'static) {
        throughline::smol::unblock(work).detach();
    }

    fn listener(listener: std::net::TcpListener) -> io::Result<Self::Listener> {
        listener.try_into()
    }

    async fn accept(listener: &Self::Listener) -> io::Result<Self::Stream> {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl ServiceRuntime for AsyncStd {
    type Listener = async_std::net::TcpListener;

    fn start(&self, task: impl Future<Output = ()> + Send + 'static) {
        throughline::async_std::spawn(task);
    }

    fn start_blocking(&self, work: impl FnOnce() + Send + 'static) {
        throughline::async_std::spawn_blocking(work);
    }

    fn listener(listener: std::net::TcpListener) -> io::Result<Self::Listener> {
        Ok(listener.into())
    }

    async fn accept(listener: &Self::Listener) -> io::Result<Self::Stream> {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}
