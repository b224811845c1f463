//! Sends an owned, verified request to an upstream and yields the response (SPEC 2.8–2.10).
//!
//! Knows nothing of the client's connection: a durable queue will call the same function. A request is sent a second
//! time only when not one byte of the first was.

use std::future::{Future, poll_fn};
use std::io::IoSlice;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::time::Instant;

use super::{Connection, Upstream};
use crate::gateway::timer::Elapsed;
use crate::scheme::handshake::Passage;
use crate::verdict::Code;
use crate::verify::verifier::Proof;
use crate::wire::chunked::{ChunkedDecoder, Piece};
use crate::wire::response::{BodyEnd, ResponseHead, ResponseScanner};

/// Interim answers that are read and dropped before the final one; more is a fault (RX-11).
const INTERIM_ANSWERS: usize = 16;
/// How much of an answer is read while its request is still being sent; an upstream that answers more than this
/// without reading is given up.
const EARLY_ANSWER: usize = 1024 * 1024;
/// How much is read from an upstream at once.
const READ: usize = 16 * 1024;

/// A request that may be forwarded: its head as it will be sent, and its body, whole.
pub(crate) struct VerifiedRequest {
    head: Vec<u8>,
    body: Bytes,
    is_head: bool,
}

impl VerifiedRequest {
    /// A proved delivery. `_proof` is the evidence; only a verifier can have made it.
    pub(crate) fn proved(_proof: &Proof, head: Vec<u8>, body: Bytes, is_head: bool) -> Self {
        Self {
            head,
            body,
            is_head,
        }
    }

    /// A handshake for the app to answer; `_passage` is the evidence that it has the form of one.
    pub(crate) fn handshake(_passage: &Passage, head: Vec<u8>, body: Bytes, is_head: bool) -> Self {
        Self {
            head,
            body,
            is_head,
        }
    }

    /// A delivery that nobody proved, let through because its route is in shadow mode. Nothing else may call this.
    pub(crate) fn unproved_in_shadow_mode(head: Vec<u8>, body: Bytes, is_head: bool) -> Self {
        Self {
            head,
            body,
            is_head,
        }
    }
}

/// Why no answer, or no whole answer, came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ForwardError {
    /// No connection could be had; nothing was sent.
    #[error("{0}")]
    Unreachable(String),
    /// The deadline passed.
    #[error("it did not answer within `upstream_timeout`")]
    Late,
    /// The upstream broke off, or answered what is not HTTP.
    #[error("{0}")]
    Failed(&'static str),
}

impl ForwardError {
    /// The code that the client is answered with.
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
    /// The final head.
    pub(crate) head: ResponseHead,
    rest: Rest,
    connection: Option<Connection>,
    upstream: Arc<Upstream>,
    deadline: Instant,
    reusable: bool,
}

/// What is still to come of an answer's body.
enum Rest {
    Nothing,
    Length(u64),
    Chunked(Box<ChunkedDecoder>),
    Close,
}

/// How a conversation can fail.
enum Broken {
    /// Not one byte was sent: it may be tried again.
    BeforeTheFirstByte,
    /// Anything may have arrived.
    Afterwards(&'static str),
}

/// Sends `request` and waits for the final head of the answer, all before `deadline`.
pub(crate) async fn send(
    request: VerifiedRequest,
    upstream: &Arc<Upstream>,
    deadline: Instant,
) -> Result<Response, ForwardError> {
    if let Some(connection) = upstream.reuse().await {
        match converse(connection, &request, upstream, deadline).await? {
            Ok(response) => return Ok(response),
            Err(Broken::BeforeTheFirstByte) => {}
            Err(Broken::Afterwards(why)) => return Err(ForwardError::Failed(why)),
        }
    }
    let connection = match tokio::time::timeout_at(deadline, upstream.connect()).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Err(ForwardError::Unreachable(error.to_string())),
        Err(_) => return Err(ForwardError::Late),
    };
    match converse(connection, &request, upstream, deadline).await? {
        Ok(response) => Ok(response),
        Err(Broken::BeforeTheFirstByte) => Err(ForwardError::Unreachable(
            "the connection broke before the request".into(),
        )),
        Err(Broken::Afterwards(why)) => Err(ForwardError::Failed(why)),
    }
}

/// One request and the head of its answer over one connection.
async fn converse(
    mut connection: Connection,
    request: &VerifiedRequest,
    upstream: &Arc<Upstream>,
    deadline: Instant,
) -> Result<Result<Response, Broken>, ForwardError> {
    let mut sending = Sending {
        head: &request.head,
        body: &request.body,
        sent: 0,
        broken: false,
        flushed: false,
    };
    let mut timer = std::mem::take(&mut connection.timer);
    let mut interim = 0;
    let mut scanner = ResponseScanner::new();
    let mut early = None;
    let answer = poll_fn(|cx| {
        // An upstream may answer before it has read everything, so each poll looks at both directions.
        sending.poll(cx, &mut connection);
        loop {
            if let Some(head) = early.take() {
                // The upstream answered 2xx before it read the whole request. The rest is sent all the same: the
                // claim will be committed, so the app must have got everything.
                if sending.is_done() || sending.broken {
                    return Poll::Ready(Ok(head));
                }
                if connection.inbound.len() >= EARLY_ANSWER {
                    return Poll::Ready(Err(Broken::Afterwards(
                        "it answers without reading the request",
                    )));
                }
                let read = poll_read(cx, &mut connection);
                if matches!(read, Poll::Ready(Ok(0) | Err(_))) {
                    // The upstream closes: its answer counts, and it needs no more of the request.
                    return Poll::Ready(Ok(head));
                }
                early = Some(head);
                if read.is_pending() {
                    return Poll::Pending;
                }
                continue;
            }
            let found = scanner.advance(&connection.inbound).and_then(|end| {
                let head = end.map(|end| connection.inbound.split_to(end).freeze());
                head.map(ResponseHead::from_bytes).transpose()
            });
            match found {
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
                        200..=299 if !sending.is_done() && !sending.broken => {
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
                Poll::Ready(_) if sending.sent == 0 => {
                    return Poll::Ready(Err(Broken::BeforeTheFirstByte));
                }
                Poll::Ready(_) => {
                    return Poll::Ready(Err(Broken::Afterwards(
                        "it closed the connection without an answer",
                    )));
                }
                Poll::Pending if sending.broken && sending.sent == 0 => {
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
            connection: Some(connection),
            upstream: Arc::clone(upstream),
            deadline,
        }
    }))
}

/// A request on its way out.
struct Sending<'r> {
    head: &'r [u8],
    body: &'r [u8],
    sent: usize,
    broken: bool,
    flushed: bool,
}

impl Sending<'_> {
    fn is_done(&self) -> bool {
        self.sent == self.head.len() + self.body.len()
    }

    /// Writes as much as the connection takes now. A broken pipe ends the writing alone: the answer may be there.
    fn poll(&mut self, cx: &mut Context<'_>, connection: &mut Connection) {
        let mut stream = Pin::new(&mut connection.stream);
        while !self.broken && !self.is_done() {
            let head = self.head.get(self.sent..).unwrap_or_default();
            let body = self
                .body
                .get(self.sent.saturating_sub(self.head.len())..)
                .unwrap_or_default();
            let written = if head.is_empty() {
                stream.as_mut().poll_write(cx, body)
            } else {
                stream
                    .as_mut()
                    .poll_write_vectored(cx, &[IoSlice::new(head), IoSlice::new(body)])
            };
            match written {
                Poll::Ready(Ok(count @ 1..)) => self.sent += count,
                Poll::Ready(_) => self.broken = true,
                Poll::Pending => return,
            }
        }
        if !self.flushed && !self.broken {
            match stream.as_mut().poll_flush(cx) {
                Poll::Ready(result) => (self.flushed, self.broken) = (true, result.is_err()),
                Poll::Pending => {}
            }
        }
    }
}

fn poll_read(cx: &mut Context<'_>, connection: &mut Connection) -> Poll<std::io::Result<usize>> {
    connection.inbound.reserve(READ / 4);
    if connection.inbound.capacity() < READ && connection.inbound.is_empty() {
        connection.inbound.reserve(READ);
    }
    pin!(connection.stream.read_buf(&mut connection.inbound)).poll(cx)
}

impl Response {
    /// The next piece of the body. `None`: the body ended, and the connection was given back if it can be used again.
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
            // An upstream that always has more to read would never let the timer fire.
            if Instant::now() >= self.deadline {
                return Err(ForwardError::Late);
            }
            let mut timer = std::mem::take(&mut connection.timer);
            let read = timer
                .bound(self.deadline, poll_fn(|cx| poll_read(cx, connection)))
                .await;
            connection.timer = timer;
            match read {
                Ok(Ok(1..)) => {}
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

    /// What of the body is here already.
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

    /// Returns the connection for reuse where its answer ended exactly and nothing is left unread.
    fn give_back(&mut self) {
        if let Some(connection) = self.connection.take()
            && self.reusable
            && connection.inbound.is_empty()
        {
            self.upstream.keep(connection);
        }
    }
}
