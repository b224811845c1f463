//! The client's side of an exchange. This file says what an exchange needs of a client: its body piece by piece, and a
//! place for the answer.
//!
//! HTTP/1 ([`h1`]) is the one kind of client today; HTTP/2 becomes another beside it. Whatever speaks to clients enters
//! here, and the gateway's own answers with it. The room may import `timer`, and no other room of the gateway.

pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod budget;
pub(crate) mod h1;
pub(crate) mod origin;

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::time::Instant;

use crate::verdict::Refusal;
use budget::{Account, Budget};

/// Why no further piece of a body comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReadError {
    /// The deadline passed.
    #[error("the body did not arrive before the deadline")]
    Late,
    /// The client left, or ended the body early.
    #[error("the client ended the body early")]
    Gone,
    /// Its framing is broken, or it declared more than the limit.
    #[error("{0}")]
    Refused(Refusal),
}

/// The client takes nothing more: it left, or was too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

/// How long an answer's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// So many bytes.
    Known(u64),
    /// It ends when it ends.
    Unknown,
    /// The answer has no body, whatever its headers say (HEAD, 204, 304).
    NoBody,
}

/// What becomes of a connection after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The next request may follow.
    KeepAlive,
    /// The connection ends here.
    Close,
    /// It ends here, but the client may still be sending: it must be able to read the answer (SPEC 2.11).
    Linger,
    /// It breaks here: the answer is not complete and must not look so.
    Abort,
}

/// A final answer's head, without what frames it.
pub(crate) trait AnswerHead: Sync {
    /// The status.
    fn status(&self) -> u16;
    /// The reason phrase; may be empty.
    fn reason(&self) -> &[u8];
    /// Calls `put` for each header line, in order.
    fn lines(&self, put: &mut dyn FnMut(&[u8], &[u8]));
    /// The length of the body.
    fn length(&self) -> Length;
    /// Whether the connection must end after this answer.
    fn closes(&self) -> bool;
}

/// One client's side of one request.
pub(crate) trait Client: Send {
    /// The address at the other end of the connection.
    fn peer(&self) -> Option<IpAddr>;

    /// Whether the connection came over TLS.
    fn is_tls(&self) -> bool;

    /// The account of [`peer`](Self::peer) in the budget, looked up once for all requests of a connection.
    fn account(&mut self, budget: &Budget) -> Arc<Account>;

    /// Tells the client to send its body (`100 Continue`).
    fn proceed(&mut self) -> impl Future<Output = Result<(), Gone>> + Send;

    /// Appends what has arrived of the body to `into` and says how many bytes that were; 0: the body is complete.
    /// Never appends more than `limit` bytes in all calls together; refuses when more is declared.
    fn read_body(
        &mut self,
        into: &mut BytesMut,
        limit: u64,
        deadline: Instant,
    ) -> impl Future<Output = Result<usize, ReadError>> + Send;

    /// Whether the body was read to its end, so that the connection is in step.
    fn is_body_complete(&self) -> bool;

    /// Writes an answer's head and the first bytes of its body; `last`: there are no more.
    fn start(
        &mut self,
        head: &dyn AnswerHead,
        first: &[u8],
        last: bool,
    ) -> impl Future<Output = Result<(), Gone>> + Send;

    /// Writes more of the body.
    fn piece(&mut self, data: &[u8], last: bool) -> impl Future<Output = Result<(), Gone>> + Send;
}
