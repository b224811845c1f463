//! The way of a request to an upstream, and of the answer back (contract: Forwarding, Settling,
//! Relaying).
//!
//! A request is verified, and this file knows nothing of the client's connection: the durable queue
//! calls the same function. A request is sent a second time only when not a byte
//! of it was sent the first time.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::AsyncReadExt;
use tokio::time::Instant;
use tokio_rustls::rustls;

use super::group::{Busy, Tried};
use super::request::VerifiedRequest;
use super::sending::Sending;
use super::{Connection, Group, Upstream};
use crate::gateway::timer::Elapsed;
use crate::tls;
use crate::verdict::Code;
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

/// The reason why no answer, or not the whole answer, came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ForwardError {
    /// No connection was made, or it broke at once: nothing was sent.
    #[error("{0}")]
    Unreachable(String),
    /// The deadline passed before the head of an answer.
    #[error("it did not answer within `upstream_timeout`")]
    Late,
    /// The deadline passed before the end of the answer, which the upstream sent slowly.
    #[error("its answer did not end within `upstream_timeout`")]
    Unfinished,
    /// The deadline passed before the end of the answer, which the client took slowly.
    #[error("its answer was not taken within `upstream_timeout`")]
    Untaken,
    /// The upstream broke off, or its answer is not HTTP.
    #[error("{0}")]
    Failed(&'static str),
}

impl ForwardError {
    /// The code of the answer that the client gets.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Unreachable(_) => Code::UpstreamUnreachable,
            Self::Late | Self::Unfinished | Self::Untaken => Code::UpstreamTimeout,
            Self::Failed(_) => Code::UpstreamFailed,
        }
    }
}

/// An upstream's answer: its final head, and its body as it comes.
pub(crate) struct Response {
    /// The head of the final answer. Interim heads before it were dropped.
    pub(crate) head: ResponseHead,
    /// The address that answered; `None` for a Unix socket.
    pub(crate) address: Option<SocketAddr>,
    rest: Rest,
    connection: Option<Connection>,
    upstream: Arc<Upstream>,
    // Counts this delivery among those that the upstream has in hand.
    busy: Option<Busy>,
    deadline: Instant,
    /// The latest moment that is known of this answer: that of its head, or of the last bytes that
    /// were waited for. The connection counts as idle since then, which spares a look at the clock.
    pub(crate) seen: Instant,
    /// The time for which more of the body was waited for, and that for which whoever takes the body
    /// was busy with what it had taken, since the moment in `had`.
    waited: Duration,
    taken: Duration,
    had: Instant,
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

/// Sends `request` to an upstream of the group and waits for the final head of the answer, all before
/// `deadline`. It is `now`. While not a byte was sent, the next upstream is tried.
///
/// Returns the place of the upstream that was asked last, and its answer.
pub(crate) async fn send(
    request: &VerifiedRequest,
    group: &Group,
    now: Instant,
    deadline: Instant,
) -> (usize, Result<Response, ForwardError>) {
    let mut tried = Tried::default();
    let mut chosen = group.choose(&mut tried, now);
    // A group has at least one upstream.
    let mut last = (
        0,
        Err(ForwardError::Unreachable("there is no upstream".into())),
    );
    while let Some((place, upstream)) = chosen {
        let attempt = Attempt {
            request,
            group,
            place,
            upstream,
            now,
            deadline,
            left: group.left(tried),
        };
        let busy = group.busy(upstream);
        let mut answer = pin!(attempt.send()).await;
        if let Ok(response) = &mut answer {
            response.busy = busy;
        }
        let is_unsent = matches!(answer, Err(ForwardError::Unreachable(_)));
        last = (place, answer);
        if !is_unsent || !group.has_choice() {
            break;
        }
        let now = Instant::now();
        if now >= deadline {
            break;
        }
        chosen = group.choose(&mut tried, now);
    }
    last
}

/// A request and the upstream that it is tried at.
struct Attempt<'a> {
    request: &'a VerifiedRequest,
    group: &'a Group,
    place: usize,
    upstream: &'a Arc<Upstream>,
    now: Instant,
    deadline: Instant,
    /// The number of upstreams that may be tried after this one.
    left: u32,
}

impl Attempt<'_> {
    async fn send(&self) -> Result<Response, ForwardError> {
        let Self { upstream, now, .. } = self;
        if let Some(connection) = upstream.reuse(*now) {
            match pin!(self.converse(connection)).await? {
                Ok(response) => {
                    // An upstream that answers is none to leave out, whoever made the connection.
                    self.group.worked(self.place);
                    return Ok(response);
                }
                Err(Broken::BeforeTheFirstByte) => {}
                Err(Broken::Afterwards(why)) => return Err(ForwardError::Failed(why)),
            }
        }
        let connection = match self.connect().await {
            Ok(connection) => connection,
            Err(error) => {
                self.group.failed(self.place, &error);
                return Err(error);
            }
        };
        let answer = match pin!(self.converse(connection)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(Broken::Afterwards(why))) => Err(ForwardError::Failed(why)),
            Ok(Err(Broken::BeforeTheFirstByte)) => {
                let why = "the connection broke before the request".to_owned();
                let error = ForwardError::Unreachable(why);
                self.group.failed(self.place, &error);
                return Err(error);
            }
            Err(late) => Err(late),
        };
        // Whatever came of the request, a connection was made.
        self.group.worked(self.place);
        answer
    }

    /// A new connection. The time is divided among all upstreams that may still be tried.
    async fn connect(&self) -> Result<Connection, ForwardError> {
        let deadline = if self.left == 0 {
            self.deadline
        } else {
            let now = Instant::now();
            now + self.deadline.saturating_duration_since(now) / self.left.saturating_add(1)
        };
        match tokio::time::timeout_at(deadline, self.upstream.connect(deadline)).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(ForwardError::Unreachable(error.to_string())),
            // Addresses are given up before, so this is a name that the resolver does not tell.
            Err(_) => Err(ForwardError::Unreachable(
                "no connection within its share of the time".into(),
            )),
        }
    }

    /// Sends the request over a connection and reads the head of its answer.
    async fn converse(
        &self,
        mut connection: Connection,
    ) -> Result<Result<Response, Broken>, ForwardError> {
        let Self {
            request, upstream, ..
        } = *self;
        let beneath = connection.stream.sent_beneath();
        let mut sending = Sending::of(&request.head, &request.body);
        let mut timer = std::mem::take(&mut connection.timer);
        let mut interim = 0;
        let mut scanner = ResponseScanner::new();
        let mut early = None;
        let is_unsent = |sending: &Sending<'_>, connection: &Connection| {
            sending.sent() == 0 && connection.stream.sent_beneath() == beneath
        };
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
                    Poll::Ready(_) if is_unsent(&sending, &connection) => {
                        return Poll::Ready(Err(Broken::BeforeTheFirstByte));
                    }
                    Poll::Ready(ended) => {
                        return Poll::Ready(Err(Broken::Afterwards(why_ended(&ended))));
                    }
                    Poll::Pending if sending.is_broken() && is_unsent(&sending, &connection) => {
                        return Poll::Ready(Err(Broken::BeforeTheFirstByte));
                    }
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        let answer = timer
            .bound(self.deadline, answer)
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
                busy: None,
                deadline: self.deadline,
                seen: self.now,
                waited: Duration::ZERO,
                taken: Duration::ZERO,
                had: self.now,
            }
        }))
    }
}

/// Why a connection ended before an answer.
fn why_ended(ended: &std::io::Result<usize>) -> &'static str {
    let of_tls = ended.as_ref().err().and_then(|error| error.get_ref());
    match of_tls.and_then(|error| error.downcast_ref::<rustls::Error>()) {
        Some(error) => tls::ended_by(error),
        None => "it closed the connection without an answer",
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
            let asked = Instant::now();
            self.taken += asked.saturating_duration_since(self.had);
            // Without this check, an upstream that always has bytes to read would never let the
            // timer fire.
            if asked >= self.deadline {
                return Err(self.late());
            }
            let mut timer = std::mem::take(&mut connection.timer);
            let read = timer
                .bound(self.deadline, poll_fn(|cx| poll_read(cx, connection)))
                .await;
            connection.timer = timer;
            match read {
                Ok(Ok(1..)) => {
                    self.seen = Instant::now();
                    self.had = self.seen;
                    self.waited += self.seen.saturating_duration_since(asked);
                }
                Ok(Ok(_)) if matches!(self.rest, Rest::Close) => self.rest = Rest::Nothing,
                Ok(_) => {
                    return Err(ForwardError::Failed(
                        "it broke off in the middle of its answer",
                    ));
                }
                Err(Elapsed) => {
                    self.waited += self.deadline.saturating_duration_since(asked);
                    return Err(self.late());
                }
            }
        }
    }

    /// From now on the body is taken. What came before, such as a wait for the disk, is nobody's time.
    pub(crate) fn begin(&mut self) {
        self.had = Instant::now();
    }

    /// Why the answer did not end in time: the side on which most of the time was spent since its head.
    fn late(&self) -> ForwardError {
        if self.taken > self.waited {
            ForwardError::Untaken
        } else {
            ForwardError::Unfinished
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
