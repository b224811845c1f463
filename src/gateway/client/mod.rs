//! The client's side of an exchange. This file holds [`Client`], the trait that an exchange reads a
//! body from and writes its answer to.
//!
//! There are two kinds of client: a connection of HTTP/1 ([`h1`]) and a stream of HTTP/2 ([`h2`]). Code
//! that speaks to clients enters here, and so do the gateway's own answers. The room may import
//! `timer`, and no other room of the gateway.

pub(crate) mod ahead;
pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod budget;
pub(crate) mod challenge;
pub(crate) mod connections;
pub(crate) mod h1;
pub(crate) mod h2;
pub(crate) mod handshakes;
pub(crate) mod holder;
pub(crate) mod idle;
pub(crate) mod origin;
pub(crate) mod port;
pub(crate) mod reason;
pub(crate) mod shown;
mod stock;
pub(crate) mod stream;
pub(crate) mod tls;
pub(crate) mod turns;

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::time::Instant;

use crate::verdict::Refusal;
use budget::{Account, Budget};
use shown::Shown;

/// The reason why no further piece of a body comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReadError {
    /// The deadline passed.
    #[error("the body did not arrive before the deadline")]
    Late,
    /// The client left, or ended the body early.
    #[error("the client ended the body early")]
    Gone,
    /// The framing of the body is broken, or it declares more than the limit.
    #[error("{0}")]
    Refused(Refusal),
}

/// The client takes nothing more: it left, or it was too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

/// The length of an answer's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// The body has this many bytes.
    Known(u64),
    /// The length shows only when the body ends.
    Unknown,
    /// The answer has no body, whatever its headers say (HEAD, 204, 304).
    NoBody,
}

/// The fate of a connection after a request; of HTTP/2, the fate of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The connection waits for the next request.
    KeepAlive,
    /// The connection ends here.
    Close,
    /// The connection ends here, but the client may still be sending and must be able to read the
    /// answer (contract: Log line).
    Linger,
    /// The connection breaks here: the answer is not complete and must not look so.
    Abort,
}

/// The head of a final answer, without the lines that frame its body.
pub(crate) trait AnswerHead: Sync {
    /// The status, a number of three digits.
    fn status(&self) -> u16;
    /// The reason phrase; may be empty.
    fn reason(&self) -> &[u8];
    /// Calls `put` with the name and the value of each header line, in order.
    fn lines(&self, put: &mut dyn FnMut(&[u8], &[u8]));
    /// The length of the body, from which the connection makes the framing.
    fn length(&self) -> Length;
    /// Whether the connection must end after this answer.
    fn closes(&self) -> bool;
}

/// The client's side of a request.
pub(crate) trait Client: Send {
    /// The address at the other end of the connection.
    fn peer(&self) -> Option<IpAddr>;

    /// Whether the connection came over TLS.
    fn is_tls(&self) -> bool;

    /// The certificate with which the connection began; `None` without TLS.
    fn shown(&self) -> Option<&Shown>;

    /// The account of [`peer`](Self::peer) in the budget. A connection looks it up once for all its
    /// requests.
    fn account(&mut self, budget: &Budget) -> Arc<Account>;

    /// The bytes of the head that count in the budget beside those of the body: a connection of HTTP/2
    /// has many heads at a time. 0 where it has one.
    fn charged_head(&self) -> u64 {
        0
    }

    /// Tells the client to send its body (`100 Continue`).
    fn proceed(&mut self) -> impl Future<Output = Result<(), Gone>> + Send;

    /// Appends bytes of the body to `into` as they arrive and returns their number; 0 means that
    /// the body is complete.
    ///
    /// `limit` is for a chunked body, whose size nobody knows beforehand: it bounds the sum of the
    /// chunk sizes that were declared. The caller compares a `Content-Length` with its limit before
    /// it reads.
    ///
    /// # Errors
    /// [`ReadError`]. `into` may hold bytes of the body then.
    fn read_body(
        &mut self,
        into: &mut BytesMut,
        limit: u64,
        deadline: Instant,
    ) -> impl Future<Output = Result<usize, ReadError>> + Send;

    /// Whether all of the body that is not yet read has arrived, so that nothing waits for it.
    fn is_body_at_hand(&self) -> bool;

    /// Drops the rest of a body that is at hand, so that an answer which needs no body need not end
    /// the connection.
    fn drop_body_at_hand(&mut self);

    /// Whether the body was read to its end, so that the next bytes begin another request.
    fn is_body_complete(&self) -> bool;

    /// Writes an answer's head and the first bytes of its body. `last` says that no more will
    /// follow.
    fn start(
        &mut self,
        head: &dyn AnswerHead,
        first: &[u8],
        last: bool,
    ) -> impl Future<Output = Result<(), Gone>> + Send;

    /// Writes further bytes of the body. `last` says that no more will follow.
    fn piece(&mut self, data: &[u8], last: bool) -> impl Future<Output = Result<(), Gone>> + Send;

    /// Takes note that the request was done at `now`, which spares the connection a look at the
    /// clock when it waits for the next request.
    fn end(&mut self, now: Instant);
}
