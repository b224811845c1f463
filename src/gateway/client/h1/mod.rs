//! A client's HTTP/1 connection from its first head to its end: keep-alive, shutdown, lingering
//! close (contract: Head, Before the body, Log line).
//!
//! The [`Port`] decides how a request is answered. The file `reading` takes heads and bodies from
//! the connection, `writing` gives answers to it. There is one buffer for input and one for output,
//! and an answer that is short enough is a single write.

mod reading;
mod writing;

use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use tokio::time::Instant;

use super::budget::{Account, Budget};
use super::idle::Idle;
use super::port::{
    BEYOND, ConnectionLimits, LINGER_BYTES, LINGER_IDLE, LINGER_TOTAL, Port, TOO_MANY,
};
use super::shown::Shown;
use super::stream::Stream;
use super::{AnswerHead, Client, Gone, Next, ReadError};
use crate::gateway::timer::LazyTimer;
use crate::verdict::Refusal;
use crate::wire::head::{Framing, Head, Version};
use reading::{LARGE_READ, Stopping, Unread};

/// A client's connection.
pub(crate) struct H1 {
    stream: Stream,
    peer: Option<IpAddr>,
    /// The peer's account in the budget, from the first body on.
    account: Option<Arc<Account>>,
    limits: ConnectionLimits,
    /// Whether the connection waits for its next request, for whoever needs its place.
    idle: Option<Arc<Idle>>,
    /// Whether the gateway takes no further request, if it ever stops doing so.
    stop: Option<watch::Receiver<bool>>,
    inbound: BytesMut,
    outbound: Vec<u8>,
    unread: Unread,
    // The request's version. HTTP/1.0 knows neither chunks nor keep-alive.
    version: Version,
    keep_alive: bool,
    // Whether the answer's body is written in chunks.
    chunked_answer: bool,
    /// The moment at which the last request was done, if somebody has noted it.
    ended: Option<Instant>,
    reading: LazyTimer,
    writing: LazyTimer,
}

impl H1 {
    /// A connection that was just accepted from `peer`. Nothing has been read from it yet.
    pub(crate) fn new(stream: Stream, peer: Option<IpAddr>, limits: ConnectionLimits) -> Self {
        Self {
            stream,
            peer,
            account: None,
            limits,
            idle: None,
            stop: None,
            inbound: BytesMut::new(),
            outbound: Vec::new(),
            unread: Unread::Nothing,
            version: Version::Http11,
            keep_alive: false,
            chunked_answer: false,
            ended: None,
            reading: LazyTimer::default(),
            writing: LazyTimer::default(),
        }
    }

    /// Serves the connection to its end. Once `stopping` resolves, the connection ends as soon as it
    /// waits for a request.
    pub(crate) async fn serve<P: Port>(
        mut self,
        port: &Arc<P>,
        stopping: impl Future<Output = ()> + Send,
    ) {
        let mut stopping = Stopping {
            signal: pin!(stopping),
            is_awaited: false,
        };
        let mut first = true;
        loop {
            let head = match self.read_head(first, &mut stopping).await {
                Ok(Some(head)) => head,
                Ok(None) if self.stream.is_tls() => {
                    // The client is told that the end is no accident (close_notify).
                    self.end().await;
                    return;
                }
                Ok(None) => return,
                Err(refusal) => {
                    self.keep_alive = false;
                    port.refuse(&mut self, refusal).await;
                    return self.linger().await;
                }
            };
            first = false;
            self.begin(&head);
            match port.answer(&mut self, &head).await {
                Next::KeepAlive if self.keep_alive => {}
                // The client tells in turn that it ends. Closed before that was read, the socket
                // would answer with a reset, which may overtake the answer.
                Next::KeepAlive | Next::Close if self.stream.is_tls() => {
                    return self.linger().await;
                }
                Next::KeepAlive | Next::Close => {
                    self.end().await;
                    return;
                }
                Next::Linger => return self.linger().await,
                Next::Abort => return,
            }
        }
    }

    /// Keeps `idle` up to date with the connection. Once the gateway stops, which `stop` says, or
    /// `idle` is over, the next answer ends the connection.
    pub(crate) fn with_place(mut self, idle: Arc<Idle>, stop: watch::Receiver<bool>) -> Self {
        self.idle = Some(idle);
        self.stop = Some(stop);
        self
    }

    /// Whether the next answer ends the connection.
    fn is_ending(&self) -> bool {
        is_ending(self.idle.as_ref(), self.stop.as_ref())
    }

    /// Serves a connection for which there is no place: a single request, which must come within
    /// [`BEYOND`].
    pub(crate) async fn serve_beyond<P: Port>(mut self, port: &Arc<P>) {
        self.limits.head_timeout = BEYOND;
        let mut never = Stopping {
            signal: pin!(std::future::pending()),
            is_awaited: false,
        };
        let next = match self.read_head(true, &mut never).await {
            Ok(Some(head)) => {
                self.begin(&head);
                self.keep_alive = false;
                port.answer_beyond(&mut self, &head).await
            }
            Ok(None) | Err(_) => {
                port.refuse(&mut self, TOO_MANY).await;
                Next::Linger
            }
        };
        if next != Next::Abort {
            self.linger().await;
        }
    }

    /// Refuses whatever the client has to say.
    pub(crate) async fn refuse<P: Port>(mut self, port: &Arc<P>, refusal: Refusal) {
        port.refuse(&mut self, refusal).await;
        self.linger().await;
    }

    /// Takes from a head whether the connection goes on, and what follows the head.
    fn begin(&mut self, head: &Head) {
        self.ended = None;
        self.version = head.version();
        self.keep_alive = head.keep_alive() && self.version == Version::Http11;
        self.unread = match head.framing() {
            Framing::None => {
                // Without framing the body is empty, but the sender may have sent bytes after the
                // head. They must never be read as a request (SM-20), so the connection ends unless
                // the method usually has no body.
                self.keep_alive &= matches!(head.method(), "GET" | "HEAD" | "OPTIONS");
                Unread::Nothing
            }
            Framing::Length(0) => Unread::Nothing,
            Framing::Length(left) => Unread::Length(left),
            Framing::Chunked => Unread::Chunked(Box::default()),
        };
    }

    /// The bytes that are left of the body, if all of them have arrived.
    fn at_hand(&self) -> Option<usize> {
        let left = match self.unread {
            Unread::Nothing => 0,
            Unread::Length(left) => usize::try_from(left).ok()?,
            Unread::Chunked(_) => return None,
        };
        (left <= self.inbound.len()).then_some(left)
    }

    /// Ends the gateway's side of the connection and discards bytes that still arrive, so that the
    /// client can read the answer instead of a reset (RFC 9112 9.6).
    async fn linger(mut self) {
        if !self.end().await {
            return;
        }
        let end = Instant::now() + LINGER_TOTAL;
        let mut discarded = self.inbound.len();
        while discarded < LINGER_BYTES {
            self.inbound.clear();
            self.inbound.reserve(LARGE_READ);
            let deadline = end.min(Instant::now() + LINGER_IDLE);
            match self
                .reading
                .bound(deadline, self.stream.read_buf(&mut self.inbound))
                .await
            {
                Ok(Ok(count @ 1..)) => discarded += count,
                _ => return,
            }
            // A fast sender always has more, and there may be many of them.
            tokio::task::yield_now().await;
        }
    }
}

/// Whether a connection takes no further request, by its own idleness or because the gateway stops.
fn is_ending(idle: Option<&Arc<Idle>>, stop: Option<&watch::Receiver<bool>>) -> bool {
    // The value of `stop` changes once. Whether it has changed is cheaper to ask than what it is,
    // and is unknown once the sender is gone.
    let has_stopped =
        |stop: &watch::Receiver<bool>| stop.has_changed().unwrap_or_else(|_| *stop.borrow());
    idle.is_some_and(|idle| idle.is_over()) || stop.is_some_and(has_stopped)
}

impl Client for H1 {
    fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    fn is_tls(&self) -> bool {
        self.stream.is_tls()
    }

    fn shown(&self) -> Option<&Shown> {
        self.stream.shown().map(Arc::as_ref)
    }

    fn account(&mut self, budget: &Budget) -> Arc<Account> {
        Arc::clone(
            self.account
                .get_or_insert_with(|| budget.account(self.peer)),
        )
    }

    async fn proceed(&mut self) -> Result<(), Gone> {
        // A client that is sending already needs no permission.
        if self.is_body_complete() || !self.inbound.is_empty() {
            return Ok(());
        }
        self.outbound
            .extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        self.flush().await
    }

    async fn read_body(
        &mut self,
        into: &mut BytesMut,
        limit: u64,
        deadline: Instant,
    ) -> Result<usize, ReadError> {
        self.read_piece(into, limit, deadline).await
    }

    fn is_body_at_hand(&self) -> bool {
        self.at_hand().is_some()
    }

    fn drop_body_at_hand(&mut self) {
        if let Some(bytes) = self.at_hand() {
            self.inbound.advance(bytes);
            self.unread = Unread::Nothing;
        }
    }

    fn is_body_complete(&self) -> bool {
        matches!(self.unread, Unread::Nothing)
    }

    async fn start(&mut self, head: &dyn AnswerHead, first: &[u8], last: bool) -> Result<(), Gone> {
        self.put_start(head, first, last);
        self.flush().await
    }

    async fn piece(&mut self, data: &[u8], last: bool) -> Result<(), Gone> {
        self.put_piece(data, last);
        self.flush().await
    }

    fn end(&mut self, now: Instant) {
        self.ended = Some(now);
    }
}
