//! A client connection's life over HTTP/1: heads under one deadline, keep-alive, shutdown, lingering close.
//!
//! Carries out SPEC 2.1 (limits and time around a head), 2.3 (`100 Continue`), 2.11 (lingering close). The [`Port`]
//! decides what a request is answered. One buffer in, one buffer out; each answer is one write where it fits.

use std::future::{Future, poll_fn};
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use pingora::protocols::Stream;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use super::budget::{Account, Budget};
use super::{AnswerHead, BodyFault, Client, Gone, Length, Next};
use crate::gateway::timer::{Elapsed, LazyTimer};
use crate::verdict::{Code, Refusal};
use crate::wire::chunked::{ChunkedDecoder, Piece};
use crate::wire::head::{Framing, Head, HeadScanner, Limits, Version};

/// A port of the gateway, by what it answers to its clients.
pub(crate) trait Port: Send + Sync + 'static {
    /// Answers one request.
    fn answer(&self, client: &mut H1, head: Head) -> impl Future<Output = Next> + Send;

    /// Answers bytes that are no request, or a request whose head did not come in time. The connection ends afterwards.
    fn refuse(&self, client: &mut H1, refusal: Refusal) -> impl Future<Output = ()> + Send;
}

/// The limits of a connection (SPEC 5 `[server]`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionLimits {
    pub(crate) head: Limits,
    pub(crate) head_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) write_timeout: Duration,
}

/// One client connection.
pub(crate) struct H1 {
    stream: Stream,
    peer: Option<IpAddr>,
    /// The peer's, from the first request on.
    account: Option<Arc<Account>>,
    limits: ConnectionLimits,
    inbound: BytesMut,
    outbound: Vec<u8>,
    unread: Unread,
    // The request's: HTTP/1.0 knows no chunks and no keep-alive.
    version: Version,
    keep_alive: bool,
    // The answer's.
    chunked_answer: bool,
    reading: LazyTimer,
    writing: LazyTimer,
}

/// What is still to be read of the request's body.
enum Unread {
    Nothing,
    Length(u64),
    Chunked(Box<ChunkedDecoder>),
}

/// The connection's buffer at first: a head and a body of common size in one read.
const FIRST_READ: usize = 8 * 1024;
/// The most that is read at once.
const LARGE_READ: usize = 64 * 1024;
/// The connection's buffer is read into further while it has so much room left.
const SPARE_READ: usize = 512;
/// SPEC 2.11.
const LINGER_IDLE: Duration = Duration::from_millis(500);
const LINGER_TOTAL: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 4 * 1024 * 1024;

impl H1 {
    /// Takes a connection over.
    pub(crate) fn new(stream: Stream, peer: Option<IpAddr>, limits: ConnectionLimits) -> Self {
        Self {
            stream,
            peer,
            account: None,
            limits,
            inbound: BytesMut::new(),
            outbound: Vec::new(),
            unread: Unread::Nothing,
            version: Version::Http11,
            keep_alive: false,
            chunked_answer: false,
            reading: LazyTimer::default(),
            writing: LazyTimer::default(),
        }
    }

    /// Serves the connection to its end. `stopping` resolves when no further request shall be taken.
    pub(crate) async fn serve<P: Port>(
        mut self,
        port: &Arc<P>,
        stopping: impl Future<Output = ()> + Send,
    ) {
        let mut stopping = pin!(stopping);
        let mut first = true;
        loop {
            let head = match self.read_head(first, stopping.as_mut()).await {
                Ok(Some(head)) => head,
                Ok(None) => return,
                Err(refusal) => {
                    self.keep_alive = false;
                    port.refuse(&mut self, refusal).await;
                    return self.linger().await;
                }
            };
            first = false;
            self.version = head.version();
            self.keep_alive = head.keep_alive() && self.version == Version::Http11;
            self.unread = match head.framing() {
                Framing::None => {
                    // Bytes after a head that frames no body are no request either (SM-20): a method that usually
                    // has a body ends the connection.
                    self.keep_alive &= matches!(head.method(), "GET" | "HEAD" | "OPTIONS");
                    Unread::Nothing
                }
                Framing::Length(0) => Unread::Nothing,
                Framing::Length(left) => Unread::Length(left),
                Framing::Chunked => Unread::Chunked(Box::default()),
            };
            if poll_fn(|cx| Poll::Ready(stopping.as_mut().poll(cx).is_ready())).await {
                self.keep_alive = false;
            }
            match port.answer(&mut self, head).await {
                Next::KeepAlive if self.keep_alive => {}
                Next::KeepAlive | Next::Close => {
                    let _ = self.stream.shutdown().await;
                    return;
                }
                Next::Linger => return self.linger().await,
                Next::Abort => return,
            }
        }
    }

    /// Reads one head. `None`: the client left, stayed silent, or the gateway is stopping.
    async fn read_head(
        &mut self,
        first: bool,
        mut stopping: Pin<&mut (impl Future<Output = ()> + Send)>,
    ) -> Result<Option<Head>, Refusal> {
        let limits = self.limits.head;
        let mut scanner = HeadScanner::new(limits);
        let ConnectionLimits {
            head_timeout,
            idle_timeout,
            ..
        } = self.limits;
        // The first head's time runs from the start of the connection, that of the others from their first byte.
        let mut deadline = first.then(|| Instant::now() + head_timeout);
        if self.inbound.is_empty() {
            let limit = if first { head_timeout } else { idle_timeout };
            if !self.wait_for_first_byte(limit, stopping.as_mut()).await {
                return Ok(None);
            }
        }
        loop {
            if let Some(found) = scanner.advance(&self.inbound)? {
                let mut taken = self.inbound.split_to(found.end);
                let _ = taken.split_to(found.start);
                return Head::parse(taken.freeze(), &limits).map(Some);
            }
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + head_timeout);
            match self.read_more(deadline).await {
                Ok(Ok(1..)) => {}
                Ok(_) => return Ok(None),
                Err(Elapsed) => return Err(Code::HeadTimeout.into()),
            }
        }
    }

    /// Waits between requests, where neither silence nor shutdown deserves an answer. `false`: the connection ends.
    async fn wait_for_first_byte(
        &mut self,
        limit: Duration,
        mut stopping: Pin<&mut (impl Future<Output = ()> + Send)>,
    ) -> bool {
        self.make_room();
        let Self {
            stream,
            inbound,
            reading,
            ..
        } = self;
        let mut read = pin!(stream.read_buf(inbound));
        let wait = poll_fn(|cx| {
            if let Poll::Ready(result) = read.as_mut().poll(cx) {
                return Poll::Ready(matches!(result, Ok(1..)));
            }
            stopping.as_mut().poll(cx).map(|()| false)
        });
        reading.within(limit, wait).await.unwrap_or(false)
    }

    /// Makes room for the next read, more the fuller the buffer already is.
    fn make_room(&mut self) {
        let room = if self.inbound.is_empty() {
            FIRST_READ
        } else {
            self.inbound.len().clamp(1024, LARGE_READ)
        };
        self.inbound.reserve(room);
    }

    async fn read_more(&mut self, deadline: Instant) -> Result<io::Result<usize>, Elapsed> {
        self.make_room();
        self.reading
            .bound(deadline, self.stream.read_buf(&mut self.inbound))
            .await
    }

    /// Writes what is buffered; each write that makes progress renews the time limit.
    async fn flush(&mut self) -> Result<(), Gone> {
        let mut written = 0;
        while let Some(rest) = self.outbound.get(written..).filter(|rest| !rest.is_empty()) {
            let stream = Pin::new(&mut self.stream);
            match self
                .writing
                .within(self.limits.write_timeout, write_some(stream, rest))
                .await
            {
                Ok(Ok(count @ 1..)) => written += count,
                _ => {
                    self.keep_alive = false;
                    return Err(Gone);
                }
            }
        }
        self.outbound.clear();
        if self.outbound.capacity() > LARGE_READ * 2 {
            self.outbound.shrink_to(FIRST_READ);
        }
        // The stream writes through; this only reaches a layer that would hold bytes back (TLS).
        self.stream.flush().await.map_err(|_| Gone)
    }

    /// Ends our side and discards what still comes, so that the client can read the answer (RFC 9112 9.6).
    async fn linger(mut self) {
        if self.stream.shutdown().await.is_err() {
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
        }
    }

    fn put_length(&mut self, length: Length) {
        self.chunked_answer = false;
        match length {
            Length::Known(bytes) => {
                self.outbound.extend_from_slice(b"Content-Length: ");
                put_decimal(&mut self.outbound, bytes);
                self.outbound.extend_from_slice(b"\r\n");
            }
            Length::Unknown if self.version == Version::Http11 => {
                self.chunked_answer = true;
                self.outbound
                    .extend_from_slice(b"Transfer-Encoding: chunked\r\n");
            }
            Length::Unknown => self.keep_alive = false,
            Length::NoBody => {}
        }
    }

    fn put_piece(&mut self, data: &[u8], last: bool) {
        if !self.chunked_answer {
            self.outbound.extend_from_slice(data);
            return;
        }
        if !data.is_empty() {
            put_hex(&mut self.outbound, data.len());
            self.outbound.extend_from_slice(b"\r\n");
            self.outbound.extend_from_slice(data);
            self.outbound.extend_from_slice(b"\r\n");
        }
        if last {
            self.outbound.extend_from_slice(b"0\r\n\r\n");
        }
    }
}

impl Client for H1 {
    fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    fn is_tls(&self) -> bool {
        self.stream.get_ssl().is_some()
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
    ) -> Result<usize, BodyFault> {
        loop {
            match &mut self.unread {
                Unread::Nothing => return Ok(0),
                Unread::Length(left) => {
                    let count = if !self.inbound.is_empty() {
                        let count = self
                            .inbound
                            .len()
                            .min(usize::try_from(*left).unwrap_or(usize::MAX));
                        // A body that begins in the connection's buffer goes on there, without a copy.
                        into.unsplit(self.inbound.split_to(count));
                        count
                    } else if self.inbound.capacity() >= SPARE_READ {
                        match self
                            .reading
                            .bound(deadline, self.stream.read_buf(&mut self.inbound))
                            .await
                        {
                            Ok(Ok(1..)) => continue,
                            Ok(_) => return Err(BodyFault::Gone),
                            Err(Elapsed) => return Err(BodyFault::Late),
                        }
                    } else {
                        // The connection's buffer is full: the rest goes straight to where it is kept.
                        let most = usize::try_from(*left).unwrap_or(usize::MAX);
                        into.reserve(most.min(into.len().max(FIRST_READ)));
                        let mut limited = (&mut self.stream).take(*left);
                        match self.reading.bound(deadline, limited.read_buf(into)).await {
                            Ok(Ok(count @ 1..)) => count,
                            Ok(_) => return Err(BodyFault::Gone),
                            Err(Elapsed) => return Err(BodyFault::Late),
                        }
                    };
                    *left -= count as u64;
                    if *left == 0 {
                        self.unread = Unread::Nothing;
                    }
                    return Ok(count);
                }
                Unread::Chunked(decoder) => {
                    let mut gained = 0;
                    while !self.inbound.is_empty() {
                        let (consumed, piece) = decoder
                            .next(&self.inbound)
                            .map_err(|reason| BodyFault::Refused(reason.into()))?;
                        let ended = match piece {
                            Piece::Data(data) => {
                                into.extend_from_slice(data);
                                gained += data.len();
                                false
                            }
                            Piece::NeedMore => false,
                            Piece::End => true,
                        };
                        let _ = self.inbound.split_to(consumed);
                        if decoder.declared() > limit {
                            return Err(BodyFault::Refused(Code::BodyTooLarge.into()));
                        }
                        if ended {
                            self.unread = Unread::Nothing;
                            return Ok(gained);
                        }
                    }
                    if gained > 0 {
                        return Ok(gained);
                    }
                    match self.read_more(deadline).await {
                        Ok(Ok(1..)) => {}
                        Ok(_) => return Err(BodyFault::Gone),
                        Err(Elapsed) => return Err(BodyFault::Late),
                    }
                }
            }
        }
    }

    fn is_body_complete(&self) -> bool {
        matches!(self.unread, Unread::Nothing)
    }

    async fn start(&mut self, head: &dyn AnswerHead, first: &[u8], last: bool) -> Result<(), Gone> {
        // An answer in front of an unread body ends the connection: the next request could not be found.
        self.keep_alive &= self.is_body_complete() && !head.closes();
        self.outbound.extend_from_slice(b"HTTP/1.1 ");
        put_decimal(&mut self.outbound, u64::from(head.status()));
        self.outbound.push(b' ');
        self.outbound.extend_from_slice(head.reason());
        self.outbound.extend_from_slice(b"\r\n");
        self.put_length(head.length());
        let outbound = &mut self.outbound;
        head.lines(&mut |name, value| {
            outbound.extend_from_slice(name);
            outbound.extend_from_slice(b": ");
            outbound.extend_from_slice(value);
            outbound.extend_from_slice(b"\r\n");
        });
        if !self.keep_alive {
            self.outbound.extend_from_slice(b"Connection: close\r\n");
        }
        self.outbound.extend_from_slice(b"\r\n");
        if head.length() != Length::NoBody {
            self.put_piece(first, last);
        }
        self.flush().await
    }

    async fn piece(&mut self, data: &[u8], last: bool) -> Result<(), Gone> {
        self.put_piece(data, last);
        self.flush().await
    }
}

async fn write_some(mut stream: Pin<&mut Stream>, data: &[u8]) -> io::Result<usize> {
    poll_fn(|cx| stream.as_mut().poll_write(cx, data)).await
}

fn put_decimal(into: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0_u8; 20];
    let mut length = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        length += 1;
        if number == 0 {
            break;
        }
    }
    into.extend(digits.iter().skip(20 - length));
}

fn put_hex(into: &mut Vec<u8>, number: usize) {
    use io::Write;
    // Writing to a `Vec` cannot fail.
    let _ = write!(into, "{number:x}");
}
