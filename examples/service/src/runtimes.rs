//! The runtimes that the service can run on, side by side.

use core::future::Future;
use core::net::SocketAddr;
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

    async fn listen(&self) -> io::Result<(Self::Listener, SocketAddr)> {
        let listener = tokio::net::TcpListener::bind(LOOPBACK).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
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

    async fn listen(&self) -> io::Result<(Self::Listener, SocketAddr)> {
        let listener = smol::net::TcpListener::bind(LOOPBACK).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
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

    async fn listen(&self) -> io::Result<(Self::Listener, SocketAddr)> {
        let listener = async_std::net::TcpListener::bind(LOOPBACK).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    }

    async fn accept(listener: &Self::Listener) -> io::Result<Self::Stream> {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// A free port of loopback.
const LOOPBACK: (&str, u16) = ("127.0.0.1", 0);
