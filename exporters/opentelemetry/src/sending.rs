//! The transmission of one batch by a wrapped exporter.

use core::fmt;
use core::future::Future;
use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::panic::{catch_unwind, resume_unwind};
use std::sync::{Arc, MutexGuard, PoisonError, TryLockError};

use opentelemetry::Context as OtelContext;
use opentelemetry::context::FutureExt;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as Theirs};
use throughline_core::{Accepted, ExportError, Failure};

use crate::home::{Home, Question};
use crate::shared::{Shared, UnderWay};

/// The transmission of one batch.
///
/// The exporter's own future is kept beside the exporter and not in here. A caller that
/// takes the flusher's seat begins the batch again while the former driver, which nobody
/// polls, still has its future: beginning a transmission drops the one before.
pub struct Sending<E> {
    shared: Arc<Shared<E>>,
    home: Home,
    retries: bool,
    /// Asked first, where the exporter's runtime may stand still.
    question: Option<Question>,
    state: State,
}

enum State {
    /// What is to be sent, or why it cannot be.
    New(Result<Vec<SpanData>, ExportError>),
    /// Under way in this turn.
    Begun(u64),
    Done,
}

impl<E> Sending<E> {
    pub(crate) fn new(
        shared: Arc<Shared<E>>,
        home: Home,
        retries: bool,
        spans: Result<Vec<SpanData>, ExportError>,
        question: Option<Question>,
    ) -> Self {
        Sending { shared, home, retries, question, state: State::New(spans) }
    }
}

impl<E: Theirs + 'static> Future for Sending<E> {
    type Output = Result<Accepted, ExportError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(question) = &mut this.question {
            if !ready!(question.as_mut().poll(context)) {
                this.state = State::Done;
                return Poll::Ready(Err(STANDS_STILL));
            }
            this.question = None;
        }
        let turn = match core::mem::replace(&mut this.state, State::Done) {
            State::New(Ok(spans)) => this.begin(spans),
            State::New(Err(error)) => Err(error),
            State::Begun(turn) => Ok(turn),
            State::Done => Err(SUPERSEDED),
        };
        let result = turn.map(|turn| (turn, this.go_on(turn, context)));
        match result {
            Ok((turn, Poll::Pending)) => {
                this.state = State::Begun(turn);
                Poll::Pending
            }
            Ok((_, Poll::Ready(result))) => Poll::Ready(result),
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl<E: Theirs + 'static> Sending<E> {
    fn begin(&self, spans: Vec<SpanData>) -> Result<u64, ExportError> {
        let exporter =
            self.shared.ready(|| opentelemetry_sdk::Resource::builder_empty().build())?;
        // What it uses may be instrumented with the API that it belongs to.
        let suppressed = OtelContext::new().with_telemetry_suppressed();
        let export = async move { exporter.export(spans).await }.with_context(suppressed);
        let mut under_way = self.lock()?;
        let former = under_way.export.replace(Box::pin(export));
        under_way.turn += 1;
        let turn = under_way.turn;
        drop(under_way);
        self.discard(former);
        Ok(turn)
    }

    fn go_on(&self, turn: u64, context: &mut Context<'_>) -> Poll<Result<Accepted, ExportError>> {
        let mut under_way = match self.lock() {
            Ok(under_way) => under_way,
            Err(busy) => return Poll::Ready(Err(busy)),
        };
        if under_way.turn != turn {
            return Poll::Ready(Err(SUPERSEDED));
        }
        let Some(export) = &mut under_way.export else { return Poll::Ready(Err(SUPERSEDED)) };
        let polled =
            self.home.enter(|| catch_unwind(AssertUnwindSafe(|| export.as_mut().poll(context))));
        let result = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(result)) => {
                Ok(self.shared.outcome(result, self.retries).map(|()| Accepted::default()))
            }
            Err(panic) => Err(panic),
        };
        let finished = under_way.export.take();
        drop(under_way);
        self.discard(finished);
        // Whoever polls an exporter catches what it throws, and tells the text.
        Poll::Ready(result.unwrap_or_else(|panic| resume_unwind(panic)))
    }
}

impl<E> Sending<E> {
    /// The transmission under way, unless somebody polls it right now: a thread that
    /// blocks in there, from which the flusher was taken.
    fn lock(&self) -> Result<MutexGuard<'_, UnderWay>, ExportError> {
        match self.shared.under_way.try_lock() {
            Ok(under_way) => Ok(under_way),
            Err(TryLockError::Poisoned(poisoned)) => Ok(PoisonError::into_inner(poisoned)),
            Err(TryLockError::WouldBlock) => Err(BUSY),
        }
    }

    /// Drops a future of the exporter, which is foreign code.
    fn discard(&self, export: impl Sized) {
        let dropped = AssertUnwindSafe(|| self.home.enter(|| drop(export)));
        // A panic in there changes nothing about the batch.
        let _ = catch_unwind(dropped);
    }
}

impl<E> Drop for Sending<E> {
    /// Whoever gives up waiting gives up the transmission.
    fn drop(&mut self) {
        let State::Begun(turn) = self.state else { return };
        let Ok(mut under_way) = self.lock() else { return };
        let export = if under_way.turn == turn { under_way.export.take() } else { None };
        drop(under_way);
        self.discard(export);
    }
}

impl<E> fmt::Debug for Sending<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").field("home", &self.home).finish_non_exhaustive()
    }
}

const BUSY: ExportError = ExportError::Retry { after: None, failure: Failure::Timeout };
const SUPERSEDED: ExportError = ExportError::Retry { after: None, failure: Failure::Disconnected };
const STANDS_STILL: ExportError = ExportError::Retry { after: None, failure: Failure::NoRuntime };
