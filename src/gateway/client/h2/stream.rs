//! A stream of an HTTP/2 connection: one request and its answer.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use std::{future::poll_fn, mem};

use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue, SET_COOKIE};
use http::{HeaderMap, Response, StatusCode};
use tokio::time::Instant;

use crate::gateway::client::budget::{Account, Budget};
use crate::gateway::client::port::{LINGER_BYTES, LINGER_IDLE, LINGER_TOTAL};
use crate::gateway::client::shown::Shown;
use crate::gateway::client::turns::spend;
use crate::gateway::client::{AnswerHead, Client, Gone, Length, Next, ReadError, stock};
use crate::gateway::timer::{Elapsed, LazyTimer};

/// The work of reading a DATA frame, counted in bytes that are hashed.
const FRAMING: u64 = 64;
/// The most bytes of an answer that wait for the client's window.
pub(super) const SENT_AT_ONCE: usize = 32 * 1024;

/// What the streams of a connection have in common.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) peer: Option<IpAddr>,
    pub(super) is_tls: bool,
    pub(super) shown: Option<Arc<Shown>>,
    pub(super) write_timeout: Duration,
    /// The peer's account in the budget, from the first body on.
    pub(super) account: OnceLock<Arc<Account>>,
}

/// How far an answer has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answered {
    Nothing,
    Begun,
    Whole,
}

/// A request of a client, and the way back to it.
pub(super) struct H2 {
    common: Arc<Common>,
    /// The length of the request's head.
    head: u64,
    /// The client's body; `None` once its end was read, or nobody wants it any more.
    body: Option<RecvStream>,
    /// The bytes of the body that have come and were not asked for.
    inbound: BytesMut,
    /// The declared length of the body that was not yet handed out.
    left: Option<u64>,
    /// Whether all of the body has come.
    has_come: bool,
    /// The bytes of the body that were discarded, because an answer has begun.
    discarded: usize,
    respond: SendResponse<Bytes>,
    answer: Option<SendStream<Bytes>>,
    answered: Answered,
    reading: LazyTimer,
    writing: LazyTimer,
}

impl H2 {
    /// The stream of a request whose head has `head` bytes and declares `length` for its body.
    pub(super) fn new(
        common: Arc<Common>,
        (head, length): (usize, Option<u64>),
        body: RecvStream,
        respond: SendResponse<Bytes>,
    ) -> Self {
        Self {
            common,
            head: head as u64,
            has_come: body.is_end_stream(),
            body: Some(body),
            inbound: BytesMut::new(),
            left: length,
            discarded: 0,
            respond,
            answer: None,
            answered: Answered::Nothing,
            reading: LazyTimer::default(),
            writing: LazyTimer::default(),
        }
    }

    /// Takes the bytes of the body that have come already, at most a window of them.
    pub(super) async fn gather(&mut self) {
        poll_fn(|cx| {
            self.poll_gather(cx);
            Poll::Ready(())
        })
        .await;
    }

    fn poll_gather(&mut self, cx: &mut Context<'_>) {
        while !self.has_come
            && let Some(body) = &mut self.body
        {
            match body.poll_data(cx) {
                Poll::Ready(Some(Ok(data))) => self.put(&data),
                Poll::Ready(None) => self.has_come = true,
                // The next read will say what is wrong.
                Poll::Ready(Some(Err(_))) | Poll::Pending => return,
            }
        }
    }

    /// Keeps a piece of the body until it is asked for.
    fn put(&mut self, data: &[u8]) {
        spend(FRAMING);
        self.inbound.extend_from_slice(data);
        self.has_come = self.body.as_ref().is_none_or(RecvStream::is_end_stream);
    }

    /// Takes what has come of the body, and makes as much room again in the windows of the stream and
    /// of its connection. Otherwise `h2` makes it only when the stream has ended: it knows no other
    /// sign that somebody counts these bytes from here on.
    fn take(&mut self) -> BytesMut {
        let data = mem::take(&mut self.inbound);
        if let Some(body) = &mut self.body {
            // An error would say that more was given back than had come.
            let _ = body.flow_control().release_capacity(data.len());
        }
        data
    }

    /// Ends the stream as `next` says.
    pub(super) async fn finish(mut self, next: Next) {
        let reason = match (self.answered, next) {
            (Answered::Whole, _) => return self.linger().await,
            (_, Next::Abort) => Reason::INTERNAL_ERROR,
            _ => Reason::CANCEL,
        };
        self.respond.send_reset(reason);
    }

    /// Discards what still comes of a body that nobody wants, so that the client reads the answer
    /// before the stream ends. What comes later is not wanted at all: `h2` resets the stream with
    /// `NO_ERROR` then.
    async fn linger(mut self) {
        let end = Instant::now() + LINGER_TOTAL;
        while self.body.is_some() {
            let before = self.discarded;
            let deadline = end.min(Instant::now() + LINGER_IDLE);
            let mut timer = mem::take(&mut self.reading);
            let piece = poll_fn(|cx| {
                let is_over = self.poll_discard(cx).is_ready();
                let has_come = is_over || self.discarded > before;
                if has_come {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            });
            if timer.bound(deadline, piece).await.is_err() {
                return;
            }
            self.reading = timer;
        }
    }

    /// Discards what has come of the body. Ready when nothing more of it is read.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(body) = &mut self.body {
            match ready!(body.poll_data(cx)) {
                Some(Ok(data)) if self.discarded < LINGER_BYTES => {
                    self.discarded += data.len();
                    let _ = body.flow_control().release_capacity(data.len());
                }
                _ => self.body = None,
            }
        }
        Poll::Ready(())
    }

    /// Writes bytes of the answer as far as the client's window lets them go.
    async fn send(&mut self, data: &[u8], last: bool) -> Result<(), Gone> {
        // Taken out, so that the rest of the body can be read meanwhile.
        let Some(mut answer) = self.answer.take() else {
            return Err(Gone);
        };
        let mut timer = mem::take(&mut self.writing);
        let mut rest = data;
        while !rest.is_empty() {
            answer.reserve_capacity(rest.len().min(SENT_AT_ONCE));
            let limit = self.common.write_timeout;
            let capacity = poll_fn(|cx| {
                // It shall take no memory while the answer waits.
                let _ = self.poll_discard(cx);
                match answer.capacity() {
                    0 => answer.poll_capacity(cx),
                    some => Poll::Ready(Some(Ok(some))),
                }
            });
            let Ok(Some(Ok(capacity @ 1..))) = timer.within(limit, capacity).await else {
                return Err(Gone);
            };
            let (now, later) = rest.split_at(rest.len().min(capacity));
            rest = later;
            let is_end = last && rest.is_empty();
            let sent = answer.send_data(Bytes::copy_from_slice(now), is_end);
            sent.map_err(|_| Gone)?;
        }
        if last {
            if data.is_empty() {
                answer.send_data(Bytes::new(), true).map_err(|_| Gone)?;
            }
            self.answered = Answered::Whole;
        }
        (self.answer, self.writing) = (Some(answer), timer);
        Ok(())
    }
}

impl Client for H2 {
    fn peer(&self) -> Option<IpAddr> {
        self.common.peer
    }

    fn is_tls(&self) -> bool {
        self.common.is_tls
    }

    fn shown(&self) -> Option<&Shown> {
        self.common.shown.as_deref()
    }

    fn account(&mut self, budget: &Budget) -> Arc<Account> {
        let account = || budget.account(self.common.peer);
        Arc::clone(self.common.account.get_or_init(account))
    }

    fn charged_head(&self) -> u64 {
        self.head
    }

    async fn proceed(&mut self) -> Result<(), Gone> {
        // A client that is sending already needs no permission.
        if self.is_body_complete() || !self.inbound.is_empty() {
            return Ok(());
        }
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::CONTINUE;
        self.respond.send_informational(response).map_err(|_| Gone)
    }

    async fn read_body(
        &mut self,
        into: &mut BytesMut,
        _: u64,
        deadline: Instant,
    ) -> Result<usize, ReadError> {
        while self.inbound.is_empty() && !self.has_come {
            let Some(body) = &mut self.body else {
                return Err(ReadError::Gone);
            };
            let piece = poll_fn(|cx| body.poll_data(cx));
            match self.reading.bound(deadline, piece).await {
                Ok(Some(Ok(data))) => self.put(&data),
                Ok(None) => self.has_come = true,
                Ok(Some(Err(_))) => return Err(ReadError::Gone),
                Err(Elapsed) => return Err(ReadError::Late),
            }
        }
        let data = self.take();
        let count = data.len();
        if self.has_come {
            self.body = None;
        }
        if into.is_empty() && self.has_come {
            // Most bodies come together with their heads, and need no other memory.
            *into = data;
            return Ok(count);
        }
        if let Some(left) = &mut self.left {
            stock::make_room(into, *left, count);
            *left = left.saturating_sub(count as u64);
        }
        into.extend_from_slice(&data);
        Ok(count)
    }

    fn is_body_at_hand(&self) -> bool {
        self.has_come
    }

    fn drop_body_at_hand(&mut self) {
        self.poll_gather(&mut Context::from_waker(Waker::noop()));
        if self.has_come {
            drop(self.take());
            self.body = None;
        }
    }

    fn is_body_complete(&self) -> bool {
        self.has_come && self.inbound.is_empty()
    }

    async fn start(&mut self, head: &dyn AnswerHead, first: &[u8], last: bool) -> Result<(), Gone> {
        // Nobody wants the rest of the body any more.
        drop(self.take());
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(head.status()).map_err(|_| Gone)?;
        put_lines(response.headers_mut(), head);
        let is_end = head.length() == Length::NoBody || last && first.is_empty();
        let answer = self.respond.send_response(response, is_end);
        self.answer = Some(answer.map_err(|_| Gone)?);
        if is_end {
            self.answered = Answered::Whole;
            return Ok(());
        }
        self.answered = Answered::Begun;
        self.send(first, last).await
    }

    async fn piece(&mut self, data: &[u8], last: bool) -> Result<(), Gone> {
        match self.answered {
            // The answer has no body, whatever the upstream sends.
            Answered::Whole => Ok(()),
            _ => self.send(data, last).await,
        }
    }

    fn end(&mut self, _: Instant) {}
}

/// Puts the lines of an answer's head into `headers`. The framing of HTTP/2 needs no line, but a
/// length that is known is told.
fn put_lines(headers: &mut HeaderMap, head: &dyn AnswerHead) {
    if let Length::Known(bytes) = head.length() {
        headers.insert(CONTENT_LENGTH, bytes.into());
    }
    head.lines(&mut |name, value| {
        // Both were judged before, more strictly, so that no line is lost here.
        if let (Ok(name), Ok(mut value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            // Not put into a table that both sides keep.
            value.set_sensitive(name == SET_COOKIE || name == "x-hook-secret");
            let _ = headers.try_append(name, value);
        }
    });
}
