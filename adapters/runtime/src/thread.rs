//! The runtime that is a plain thread.
//!
//! It carries the flusher where there is no executor, and it drives the flusher
//! on a thread of its own when a caller blocks the only thread of a runtime: its sockets need no reactor but the loop below.
//!
//! ```text
//!   loop: poll every task ──▶ sleep until a socket, a timer or a wake ──▶ again
//! ```
//!
//! There are two or three tasks (the flusher, a connection), so all of them are
//! polled after any event; nothing maps events to tasks.

use core::future::Future;
use core::net::{IpAddr, SocketAddr};
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker, ready};
use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::ToSocketAddrs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Wake;
use std::time::Instant;

use futures_io::{AsyncRead, AsyncWrite};
use mio::net::TcpStream;
use mio::{Events, Interest, Registry, Token};

use crate::{Runtime, suppressed};

/// A thread with sockets and timers of its own, and no executor.
#[derive(Clone, Debug)]
pub struct Thread {
    shared: Arc<Shared>,
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Shared {
    registry: Registry,
    wakeup: Arc<ThreadWaker>,
    next_token: AtomicUsize,
    spawned: Mutex<Vec<Task>>,
    /// When the tasks that are pending want to be polled again.
    timers: Mutex<Vec<Instant>>,
}

/// The loop, on whichever thread runs it.
struct Loop {
    poll: mio::Poll,
    events: Events,
    tasks: Vec<Task>,
    shared: Arc<Shared>,
}

impl Thread {
    /// Starts a thread in the background. It ends when nothing uses it.
    ///
    /// # Errors
    ///
    /// The operating system has no thread or no event queue left.
    pub fn start() -> io::Result<Self> {
        let (thread, mut running) = Self::new()?;
        std::thread::Builder::new().name("throughline".to_owned()).spawn(move || {
            while Arc::strong_count(&running.shared) > 1 || !running.is_idle() {
                running.turn(None);
            }
        })?;
        Ok(thread)
    }

    /// Runs a future on the current thread, until the deadline at most.
    ///
    /// # Errors
    ///
    /// The operating system has no event queue left.
    pub(crate) fn block_on<F: Future>(
        make: impl FnOnce(Thread) -> F,
        deadline: Instant,
    ) -> io::Result<Option<F::Output>> {
        let (thread, mut running) = Self::new()?;
        let mut future = pin!(make(thread));
        let waker = Waker::from(running.shared.wakeup.clone());
        loop {
            running.shared.clear_timers();
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Ok(Some(output));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            running.turn(Some(deadline));
        }
    }

    fn new() -> io::Result<(Self, Loop)> {
        let poll = mio::Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), WAKE)?;
        let shared = Arc::new(Shared {
            registry: poll.registry().try_clone()?,
            wakeup: Arc::new(ThreadWaker { waker, woken: AtomicBool::new(false) }),
            next_token: AtomicUsize::new(WAKE.0 + 1),
            spawned: Mutex::default(),
            timers: Mutex::default(),
        });
        let events = Events::with_capacity(64);
        let running = Loop { poll, events, tasks: Vec::new(), shared: shared.clone() };
        Ok((Thread { shared }, running))
    }
}

impl Loop {
    /// Polls every task once, then sleeps until something happens.
    fn turn(&mut self, deadline: Option<Instant>) {
        // A deadline means that the caller's own future set timers before.
        if deadline.is_none() {
            self.shared.clear_timers();
        }
        let waker = Waker::from(self.shared.wakeup.clone());
        let mut context = Context::from_waker(&waker);
        self.tasks.append(&mut lock(&self.shared.spawned));
        self.tasks.retain_mut(|task| task.as_mut().poll(&mut context).is_pending());
        let timer = lock(&self.shared.timers).iter().min().copied();
        let until = [timer, deadline].into_iter().flatten().min();
        let idle = self.tasks.is_empty() && deadline.is_none();
        let timeout = if !lock(&self.shared.spawned).is_empty() {
            Some(Duration::ZERO)
        } else if idle {
            // Nobody wakes the loop when the last handle is dropped.
            Some(IDLE)
        } else {
            until.map(|until| until.saturating_duration_since(Instant::now()))
        };
        // Ordering: Acquire synchronizes with the wake before it.
        if self.shared.wakeup.woken.swap(false, Ordering::Acquire) {
            return;
        }
        // An interrupted or failed wait is a turn without events.
        let _ = self.poll.poll(&mut self.events, timeout);
        // Ordering: Acquire, as above: a wake that is taken back here is seen.
        self.shared.wakeup.woken.swap(false, Ordering::Acquire);
    }

    fn is_idle(&self) -> bool {
        self.tasks.is_empty() && lock(&self.shared.spawned).is_empty()
    }
}

impl Runtime for Thread {
    type Stream = ThreadStream;

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        lock(&self.shared.spawned).push(Box::pin(suppressed(task)));
        self.shared.wakeup.wake_by_ref();
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        let (shared, until) = (self.shared.clone(), Instant::now() + duration);
        core::future::poll_fn(move |_| {
            if Instant::now() >= until {
                return Poll::Ready(());
            }
            lock(&shared.timers).push(until);
            Poll::Pending
        })
    }

    fn connect(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<ThreadStream>> + Send + 'static {
        let (shared, host) = (self.shared.clone(), host.to_owned());
        async move {
            let addresses = match host.parse::<IpAddr>() {
                Ok(address) => vec![SocketAddr::new(address, port)],
                Err(_) => resolve(&shared, host, port).await?,
            };
            let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
            for address in addresses {
                match ThreadStream::connect(&shared, address).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => last = error,
                }
            }
            Err(last)
        }
    }
}

/// Asks the operating system for a name's addresses, which may take long, on a
/// thread of its own, so that no deadline is missed.
async fn resolve(shared: &Arc<Shared>, host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    let answer = Arc::new(Mutex::new(None));
    let (slot, wakeup) = (answer.clone(), shared.wakeup.clone());
    std::thread::Builder::new().name("throughline-dns".to_owned()).spawn(move || {
        let addresses = (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
        *lock(&slot) = Some(addresses);
        wakeup.wake_by_ref();
    })?;
    core::future::poll_fn(|_| lock(&answer).take().map_or(Poll::Pending, Poll::Ready)).await
}

/// A TCP stream of a [`Thread`].
#[derive(Debug)]
pub struct ThreadStream {
    stream: TcpStream,
    shared: Arc<Shared>,
}

impl ThreadStream {
    async fn connect(shared: &Arc<Shared>, address: SocketAddr) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        // Ordering: Relaxed, no value is read through it.
        let token = Token(shared.next_token.fetch_add(1, Ordering::Relaxed));
        shared.registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let stream = ThreadStream { stream, shared: shared.clone() };
        core::future::poll_fn(|_| {
            if let Some(error) = stream.stream.take_error()? {
                return Poll::Ready(Err(error));
            }
            pending_while(stream.stream.peer_addr(), |kind| {
                matches!(kind, io::ErrorKind::NotConnected | io::ErrorKind::WouldBlock)
            })
        })
        .await?;
        let _ = stream.stream.set_nodelay(true);
        Ok(stream)
    }
}

impl AsyncRead for ThreadStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        would_block(|| self.stream.read(buffer))
    }
}

impl AsyncWrite for ThreadStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        would_block(|| self.stream.write(bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        would_block(|| self.stream.flush())
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut *this).poll_flush(context))?;
        Poll::Ready(this.stream.shutdown(std::net::Shutdown::Write))
    }
}

impl Drop for ThreadStream {
    fn drop(&mut self) {
        let _ = self.shared.registry.deregister(&mut self.stream);
    }
}

fn would_block<T>(mut attempt: impl FnMut() -> io::Result<T>) -> Poll<io::Result<T>> {
    loop {
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return pending_while(result, |kind| kind == io::ErrorKind::WouldBlock),
        }
    }
}

fn pending_while<T>(
    result: io::Result<T>,
    is_pending: impl Fn(io::ErrorKind) -> bool,
) -> Poll<io::Result<T>> {
    match result {
        Err(error) if is_pending(error.kind()) => Poll::Pending,
        result => Poll::Ready(result),
    }
}

impl Shared {
    fn clear_timers(&self) {
        lock(&self.timers).clear();
    }
}

impl core::fmt::Debug for Shared {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

struct ThreadWaker {
    waker: mio::Waker,
    woken: AtomicBool,
}

impl Wake for ThreadWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Ordering: AcqRel: the loop sees what was written before the wake.
        if !self.woken.swap(true, Ordering::AcqRel) {
            let _ = self.waker.wake();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const WAKE: Token = Token(0);

/// How long an idle loop sleeps before it looks whether anyone still holds it.
const IDLE: Duration = Duration::from_millis(200);
