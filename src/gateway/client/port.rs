//! What a connection needs of the port by which it came: how requests are answered, and the limits.

use std::future::Future;
use std::time::Duration;

use super::{Client, Next};
use crate::verdict::{Code, Refusal};
use crate::wire::head::{Head, Limits};

/// A port of the gateway (traffic or admin), which decides how requests are answered.
pub(crate) trait Port: Send + Sync + 'static {
    /// Answers one request.
    fn answer<C: Client>(&self, client: &mut C, head: &Head) -> impl Future<Output = Next> + Send;

    /// Answers where no request can be served: the bytes are no request, its head came too late, or
    /// there are too many connections.
    fn refuse<C: Client>(
        &self,
        client: &mut C,
        refusal: Refusal,
    ) -> impl Future<Output = ()> + Send;

    /// Answers a request for which there is no place.
    fn answer_beyond<C: Client>(
        &self,
        client: &mut C,
        head: &Head,
    ) -> impl Future<Output = Next> + Send;
}

/// The refusal where there are too many connections.
pub(crate) const TOO_MANY: Refusal = Refusal::because(Code::Overloaded, "too many connections");

/// The refusal of a plain request on a TLS port.
pub(crate) const NOT_TLS: Refusal = Refusal::because(
    Code::BadRequest,
    "this port speaks TLS: send the request to https:// instead of http://",
);

/// The refusal of a request on a connection whose certificate does not count any more.
pub(crate) const NOT_LET_IN: Refusal = Refusal::because(
    Code::BadRequest,
    "the certificate of the client is no longer accepted here",
);

/// The time for which a connection without a place is read.
pub(crate) const BEYOND: Duration = Duration::from_secs(1);

/// The time for which a connection without a request stays open once the gateway stops: what its
/// client has to say may be on its way already.
pub(crate) const SILENCE: Duration = Duration::from_secs(1);

/// The bounds of a lingering close: the longest silence, the time in all, and the bytes that are
/// discarded in all (contract: Log line).
pub(crate) const LINGER_IDLE: Duration = Duration::from_millis(500);
pub(crate) const LINGER_TOTAL: Duration = Duration::from_secs(2);
pub(crate) const LINGER_BYTES: usize = 4 * 1024 * 1024;

/// The limits of a connection, from `[server]` (contract: Configuration).
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionLimits {
    pub(crate) head: Limits,
    pub(crate) head_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) write_timeout: Duration,
}
