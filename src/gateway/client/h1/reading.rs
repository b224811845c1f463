//! The input of an HTTP/1 connection: heads and bodies, read under their deadlines (contract: Head,
//! Body).

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use super::{H1, is_ending};
use crate::gateway::client::ReadError;
use crate::gateway::client::port::ConnectionLimits;
use crate::gateway::client::stock;
use crate::gateway::client::turns::{BETWEEN_TURNS, spend};
use crate::gateway::timer::Elapsed;
use crate::verdict::{Code, Refusal};
use crate::wire::chunked::{ChunkedDecoder, Piece};
use crate::wire::head::{Head, HeadScanner};

/// The part of a request's body that was not yet read.
pub(super) enum Unread {
    Nothing,
    Length(u64),
    Chunked(Box<ChunkedDecoder>),
}

/// The signal that a connection waits for no further request.
///
/// The future is polled once: from then on it wakes the connection's task, which is always the same
/// task. It is polled again only after the connection was told that it is ending, which is a cheap
/// question.
pub(super) struct Stopping<'s, F> {
    pub(super) signal: Pin<&'s mut F>,
    pub(super) is_awaited: bool,
}

impl<F: Future<Output = ()>> Stopping<'_, F> {
    fn poll(&mut self, cx: &mut Context<'_>, is_ending: impl Fn() -> bool) -> bool {
        if self.is_awaited && !is_ending() {
            return false;
        }
        self.is_awaited = true;
        self.signal.as_mut().poll(cx).is_ready()
    }
}

/// The room in the connection's buffer at first. A head and a body of common size come with a
/// single read.
pub(super) const FIRST_READ: usize = 8 * 1024;
/// The most bytes that are read at once.
pub(super) const LARGE_READ: usize = 64 * 1024;
/// The work of reading the framing of a chunk, counted in bytes that are hashed.
const FRAMING: u64 = 64;
/// The least capacity at which a body is still read into the connection's buffer.
const SPARE_READ: usize = 512;

impl H1 {
    /// Reads a head. Returns `None` if the client left or stayed silent, or if the gateway is
    /// stopping.
    pub(super) async fn read_head(
        &mut self,
        first: bool,
        stopping: &mut Stopping<'_, impl Future<Output = ()> + Send>,
    ) -> Result<Option<Head>, Refusal> {
        let mut scanner = HeadScanner::new(self.limits.head);
        let ConnectionLimits {
            head_timeout,
            idle_timeout,
            ..
        } = self.limits;
        // The time for the first head runs from the start of the connection, for later heads from
        // their first byte.
        let mut deadline = first.then(|| Instant::now() + head_timeout);
        if self.inbound.is_empty() {
            let limit = if first { head_timeout } else { idle_timeout };
            if !self.wait_for_first_byte(first, limit, stopping).await {
                return Ok(None);
            }
        }
        loop {
            if let Some(head) = scanner.take(&mut self.inbound)? {
                return Ok(Some(head));
            }
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + head_timeout);
            match self.read_more(deadline).await {
                Ok(Ok(1..)) => {}
                Ok(_) => return Ok(None),
                Err(Elapsed) => return Err(Code::HeadTimeout.into()),
            }
        }
    }

    /// Waits for the first byte of a request: neither silence nor shutdown is answered before it.
    /// Returns whether a byte came; otherwise the connection ends. Between two requests the
    /// connection is idle while it waits.
    async fn wait_for_first_byte(
        &mut self,
        first: bool,
        limit: Duration,
        stopping: &mut Stopping<'_, impl Future<Output = ()> + Send>,
    ) -> bool {
        self.make_room();
        let Self {
            stream,
            inbound,
            reading,
            idle,
            stop,
            ended,
            ..
        } = self;
        let (idle, stop) = (idle.as_ref(), stop.as_ref());
        let is_ending = || is_ending(idle, stop);
        let idle = idle.filter(|_| !first);
        let mut read = pin!(stream.read_buf(inbound));
        let wait = poll_fn(|cx| {
            if let Poll::Ready(result) = read.as_mut().poll(cx) {
                return Poll::Ready(matches!(result, Ok(1..)));
            }
            if stopping.poll(cx, is_ending) {
                return Poll::Ready(false);
            }
            Poll::Pending
        });
        let end = || {
            let now = ended.unwrap_or_else(Instant::now);
            if let Some(idle) = idle {
                idle.begin(now);
            }
            now + limit
        };
        let is_there = reading.until(end, wait).await.unwrap_or(false);
        if let Some(idle) = idle {
            idle.end();
        }
        is_there
    }

    /// Makes room for the next read: the more bytes wait in the buffer already, the more room.
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

    /// Reads bytes of the body, as [`Client::read_body`](crate::gateway::client::Client::read_body)
    /// says.
    pub(super) async fn read_piece(
        &mut self,
        into: &mut BytesMut,
        limit: u64,
        deadline: Instant,
    ) -> Result<usize, ReadError> {
        loop {
            match &mut self.unread {
                Unread::Nothing => return Ok(0),
                Unread::Length(left) => {
                    let count = if !self.inbound.is_empty() {
                        let count = self
                            .inbound
                            .len()
                            .min(usize::try_from(*left).unwrap_or(usize::MAX));
                        // A body that begins in the connection's buffer grows there, without a
                        // copy.
                        into.unsplit(self.inbound.split_to(count));
                        count
                    } else if self.inbound.capacity() >= SPARE_READ {
                        match self
                            .reading
                            .bound(deadline, self.stream.read_buf(&mut self.inbound))
                            .await
                        {
                            Ok(Ok(1..)) => continue,
                            Ok(_) => return Err(ReadError::Gone),
                            Err(Elapsed) => return Err(ReadError::Late),
                        }
                    } else {
                        // The connection's buffer is full: the rest is read straight into the
                        // body's own memory.
                        stock::make_room(into, *left, SPARE_READ);
                        // A fast sender's bytes may all wait in the system's buffer. They are
                        // taken in pieces that are hashed between two turns.
                        let mut limited =
                            (&mut self.stream).take((*left).min(BETWEEN_TURNS as u64));
                        match self.reading.bound(deadline, limited.read_buf(into)).await {
                            Ok(Ok(count @ 1..)) => count,
                            Ok(_) => return Err(ReadError::Gone),
                            Err(Elapsed) => return Err(ReadError::Late),
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
                            .map_err(|reason| ReadError::Refused(reason.into()))?;
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
                        // The body's own bytes are counted by whoever hashes them.
                        spend(FRAMING);
                        if decoder.declared() > limit {
                            return Err(ReadError::Refused(Code::BodyTooLarge.into()));
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
                        Ok(_) => return Err(ReadError::Gone),
                        Err(Elapsed) => return Err(ReadError::Late),
                    }
                }
            }
        }
    }
}
