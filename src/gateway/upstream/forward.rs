//! The way of a request to an upstream, and of the answer back (contract: Forwarding, Settling,
//! Relaying).
//!
//! A request is owned and verified, and this file knows nothing of the client's connection: a
//! durable queue will call the same function. A request is sent a second time only when not a byte
//! of it was sent the first time.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use super::sending::Sending;
use super::{Connection, Upstream};
use crate::gateway::timer::Elapsed;
use crate::scheme::handshake::Passage;
use crate::verdict::Code;
use crate::verify::verifier::Proof;
use crate::wire::chunked::{ChunkedDecoder, Piece};
use crate::wire::response::{BodyEnd, ResponseHead, ResponseScanner};

/// The most interim answers that are read and dropped before the final answer; with more the
/// upstream has failed (RX-11).
const INTERIM_ANSWERS: usize = 16;
/// The most bytes of an early answer, in memory, while its request is still being sent. An upstream
/// that answers more without reading is given up.
const EARLY_ANSWER: usize = 1024 * 1024;
/// The room for a read from an upstream, in bytes.
const READ: usize = 16 * 1024;

/// The longest body that is copied behind its head. The system takes a single buffer faster than
/// two, by 0.2 µs, and copying a short body costs less.
pub(crate) const COPIED: usize = 4 * 1024;

/// The largest buffer of a head that is kept for the next head, in bytes.
const KEPT: usize = 16 * 1024;

thread_local! {
    /// The buffer of the last head that was sent by this thread, kept for the next: a head and a
    /// short body behind it are more than the allocator hands out quickly.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// An empty buffer with room for a head of `bytes` bytes.
pub(crate) fn head_buffer(bytes: usize) -> Vec<u8> {
    let mut buffer = SPARE.take();
    buffer.clear();
    buffer.reserve(bytes);
    buffer
}

/// A request that may be forwarded.
pub(crate) struct VerifiedRequest {
    /// The head in the form in which it is sent, and behind it a short body.
    head: Vec<u8>,
    /// The whole body, unless it is behind the head.
    body: Bytes,
    is_head: bool,
}

impl VerifiedRequest {
    /// A proved delivery. `_proof` is the evidence: only a verifier makes such a value.
    pub(crate) fn proved(_proof: &Proof, head: Vec<u8>, body: &Bytes, is_head: bool) -> Self {
        Self::of(head, body, is_head)
    }

    /// A handshake for the app to answer. `_passage` is the evidence: only a request in the form of
    /// a handshake gives such a value.
    pub(crate) fn handshake(
        _passage: &Passage,
        head: Vec<u8>,
        body: &Bytes,
        is_head: bool,
    ) -> Self {
        Self::of(head, body, is_head)
    }

    /// A delivery that is not proved, let through because its route is in shadow mode. Nothing else
    /// may call this.
    pub(crate) fn unproved_in_shadow_mode(head: Vec<u8>, body: &Bytes, is_head: bool) -> Self {
        Self::of(head, body, is_head)
    }

    fn of(mut head: Vec<u8>, body: &Bytes, is_head: bool) -> Self {
        let mut own = Bytes::new();
        if body.len() <= COPIED {
            head.extend_from_slice(body);
        } else {
            own.clone_from(body);
        }
        Self {
            head,
            body: own,
            is_head,
        }
    }
}

impl Drop for VerifiedRequest {
    fn drop(&mut self) {
        if self.head.capacity() <= KEPT {
            SPARE.set(std::mem::take(&mut self.head));
        }
    }
}

/// The reason why no answer, or not the whole answer, came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ForwardError {
    /// No connection was made, or it broke at once: nothing was sent.
    #[error("{0}")]
    Unreachable(String),
    /// The deadline passed.
    #[error("it did not answer within `upstream_timeout`")]
    Late,
    /// The upstream broke off, or its answer is not HTTP.
    #[error("{0}")]
    Failed(&'static str),
}

impl ForwardError {
    /// The code of the answer that the client gets.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Unreachable(_) => Code::UpstreamUnreachable,
            Self::Late => Code::UpstreamTimeout,
            Self::Failed(_) => Code::UpstreamFailed,
        }
    }
}

/// An upstream's answer: its final head, and its body as it comes.
pub(crate) struct Response {
    /// The head of the final answer. Interim heads before it were dropped.
    pub(crate) head: ResponseHead,
    /// The address that answered.
    pub(crate) address: SocketAddr,
    rest: Rest,
    connection: Option<Connection>,
    upstream: Arc<Upstream>,
    deadline: Instant,
    /// The latest moment that is known of this answer: that of its head, or of the last bytes that
    /// were waited for. The connection counts as idle since then, which spares a look at the clock.
    pub(crate) seen: Instant,
    reusable: bool,
}

/// The part of an answer's body that was not yet read.
enum Rest {
    Nothing,
    Length(u64),
    Chunked(Box<ChunkedDecoder>),
    Close,
}

/// The reason why an attempt over a connection failed.
enum Broken {
    /// No byte was sent, so the request may be tried again.
    BeforeTheFirstByte,
    /// Bytes were sent, and nobody knows how many of them the upstream has read.
    Afterwards(&'static str),
}

/// Sends `request` and waits for the final head of the answer, all before `deadline`. It is `now`.
pub(crate) async fn send(
    request: VerifiedRequest,
    upstream: &Arc<Upstream>,
    now: Instant,
    deadline: Instant,
) -> Result<Response, ForwardError> {
    if let Some(connection) = upstream.reuse(now) {
        match converse(connection, &request, upstream, (now, deadline)).await? {
            Ok(response) => return Ok(response),
            Err(Broken::BeforeTheFirstByte) => {}
            Err(Broken::Afterwards(why)) => return Err(ForwardError::Failed(why)),
        }
    }
    let connection = match tokio::time::timeout_at(deadline, upstream.connect(deadline)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Err(ForwardError::Unreachable(error.to_string())),
        Err(_) => return Err(ForwardError::Late),
    };
    match converse(connection, &request, upstream, (now, deadline)).await? {
        Ok(response) => Ok(response),
        Err(Broken::BeforeTheFirstByte) => Err(ForwardError::Unreachable(
            "the connection broke before the request".into(),
        )),
        Err(Broken::Afterwards(why)) => Err(ForwardError::Failed(why)),
    }
}

/// Sends a request over a connection and reads the head of its answer.
async fn converse(
    mut connection: Connection,
    request: &VerifiedRequest,
    upstream: &Arc<Upstream>,
    (now, deadline): (Instant, Instant),
) -> Result<Result<Response, Broken>, ForwardError> {
    let mut sending = Sending::of(&request.head, &request.body);
    let mut timer = std::mem::take(&mut connection.timer);
    let mut interim = 0;
    let mut scanner = ResponseScanner::new();
    let mut early = None;
    let answer = poll_fn(|cx| {
        // An upstream may answer before it has read everything, so each poll looks at both
        // directions.
        sending.poll(cx, Pin::new(&mut connection.stream));
        loop {
            if let Some(head) = early.take() {
                // The upstream answered 2xx before it read the whole request. The rest is sent all
                // the same: the claim will be committed, so the app must have got everything.
                if sending.is_done() || sending.is_broken() {
                    return Poll::Ready(Ok(head));
                }
                if connection.inbound.len() >= EARLY_ANSWER {
                    return Poll::Ready(Err(Broken::Afterwards(
                        "it answers without reading the request",
                    )));
                }
                let read = poll_read(cx, &mut connection);
                if matches!(read, Poll::Ready(Ok(0) | Err(_))) {
                    // The upstream closes the connection. Its answer counts, and it needs no more
                    // of the request.
                    return Poll::Ready(Ok(head));
                }
                early = Some(head);
                if read.is_pending() {
                    return Poll::Pending;
                }
                continue;
            }
            match scanner.take(&mut connection.inbound) {
                Ok(Some(head)) => {
                    scanner = ResponseScanner::new();
                    match head.status() {
                        101 => {
                            return Poll::Ready(Err(Broken::Afterwards(
                                "it switched protocols unasked",
                            )));
                        }
                        100..=199 if interim >= INTERIM_ANSWERS => {
                            return Poll::Ready(Err(Broken::Afterwards(
                                "it sent too many interim answers",
                            )));
                        }
                        100..=199 => {
                            interim += 1;
                            continue;
                        }
                        200..=299 if !sending.is_done() && !sending.is_broken() => {
                            early = Some(head);
                            continue;
                        }
                        _ => return Poll::Ready(Ok(head)),
                    }
                }
                Ok(None) => {}
                Err(reason) => return Poll::Ready(Err(Broken::Afterwards(reason.words()))),
            }
            match poll_read(cx, &mut connection) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(_) if sending.sent() == 0 => {
                    return Poll::Ready(Err(Broken::BeforeTheFirstByte));
                }
                Poll::Ready(_) => {
                    return Poll::Ready(Err(Broken::Afterwards(
                        "it closed the connection without an answer",
                    )));
                }
                Poll::Pending if sending.is_broken() && sending.sent() == 0 => {
                    return Poll::Ready(Err(Broken::BeforeTheFirstByte));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    });
    let answer = timer
        .bound(deadline, answer)
        .await
        .map_err(|Elapsed| ForwardError::Late)?;
    let is_sent = sending.is_done();
    connection.timer = timer;
    Ok(answer.map(|head| {
        let rest = match head.body_end(request.is_head) {
            BodyEnd::None | BodyEnd::Length(0) => Rest::Nothing,
            BodyEnd::Length(bytes) => Rest::Length(bytes),
            BodyEnd::Chunked => Rest::Chunked(Box::default()),
            BodyEnd::Close => Rest::Close,
        };
        Response {
            reusable: is_sent && head.keep_alive() && !matches!(rest, Rest::Close),
            head,
            rest,
            address: connection.address,
            connection: Some(connection),
            upstream: Arc::clone(upstream),
            deadline,
            seen: now,
        }
    }))
}

fn poll_read(cx: &mut Context<'_>, connection: &mut Connection) -> Poll<std::io::Result<usize>> {
    connection.inbound.reserve(READ / 4);
    if connection.inbound.capacity() < READ && connection.inbound.is_empty() {
        connection.inbound.reserve(READ);
    }
    pin!(connection.stream.read_buf(&mut connection.inbound)).poll(cx)
}

impl Response {
    /// The next piece of the body. `None` means that the body has ended; its connection was kept
    /// for reuse if it can be used again.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ForwardError> {
        loop {
            if let Some(piece) = self.ready()? {
                return Ok(Some(piece));
            }
            if self.is_done() {
                return Ok(None);
            }
            let Some(connection) = &mut self.connection else {
                return Ok(None);
            };
            // Without this check, an upstream that always has bytes to read would never let the
            // timer fire.
            if Instant::now() >= self.deadline {
                return Err(ForwardError::Late);
            }
            let mut timer = std::mem::take(&mut connection.timer);
            let read = timer
                .bound(self.deadline, poll_fn(|cx| poll_read(cx, connection)))
                .await;
            connection.timer = timer;
            match read {
                Ok(Ok(1..)) => self.seen = Instant::now(),
                Ok(Ok(_)) if matches!(self.rest, Rest::Close) => self.rest = Rest::Nothing,
                Ok(_) => {
                    return Err(ForwardError::Failed(
                        "it broke off in the middle of its answer",
                    ));
                }
                Err(Elapsed) => return Err(ForwardError::Late),
            }
        }
    }

    /// Whether the whole body was taken.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.rest, Rest::Nothing)
    }

    /// The bytes of the body that have arrived and were not taken yet; `None` if there are not any.
    pub(crate) fn ready(&mut self) -> Result<Option<Bytes>, ForwardError> {
        let Some(connection) = &mut self.connection else {
            return Ok(None);
        };
        let inbound = &mut connection.inbound;
        let piece = match &mut self.rest {
            Rest::Nothing => None,
            _ if inbound.is_empty() => None,
            Rest::Length(left) => {
                let count = inbound
                    .len()
                    .min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= count as u64;
                if *left == 0 {
                    self.rest = Rest::Nothing;
                }
                Some(inbound.split_to(count).freeze())
            }
            Rest::Chunked(decoder) => {
                let mut piece = Vec::new();
                while !inbound.is_empty() {
                    let (consumed, part) = decoder
                        .next(inbound)
                        .map_err(|reason| ForwardError::Failed(reason.words()))?;
                    let ended = match part {
                        Piece::Data(data) => {
                            piece.extend_from_slice(data);
                            false
                        }
                        Piece::NeedMore => false,
                        Piece::End => true,
                    };
                    inbound.advance(consumed);
                    if ended {
                        self.rest = Rest::Nothing;
                        break;
                    }
                }
                (!piece.is_empty()).then(|| piece.into())
            }
            Rest::Close => Some(inbound.split().freeze()),
        };
        if self.is_done() {
            self.give_back();
        }
        Ok(piece)
    }

    /// Keeps the connection for reuse if its answer has ended exactly and no byte is left unread.
    fn give_back(&mut self) {
        if let Some(connection) = self.connection.take()
            && self.reusable
            && connection.inbound.is_empty()
        {
            self.upstream.keep(connection, self.seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_begins_empty_whatever_was_sent_before_and_no_large_buffer_is_kept() {
        for bytes in [10, 2000, 100, KEPT + 1, 50] {
            let mut head = head_buffer(bytes);
            assert_eq!((head.len(), head.capacity() >= bytes), (0, true), "{bytes}");
            head.resize(bytes, b'x');
            drop(VerifiedRequest::of(head, &Bytes::new(), false));
            let kept = SPARE.take();
            assert!(kept.capacity() <= KEPT, "{bytes}");
            assert_eq!(kept.capacity() >= bytes, bytes <= KEPT, "{bytes}");
            SPARE.set(kept);
        }
    }
}
