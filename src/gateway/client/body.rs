//! The body of a request, read once and whole, within the limits of time, rate, size and memory.
//! Each byte is passed to the verification as it arrives (contract: Body).

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::budget::{Exhausted, Reservation};
use super::{Client, ReadError};
use crate::verdict::{Code, Refusal};
use crate::verify::verifier::Verification;

/// The slowest body that is accepted, in bytes a second, measured over each [`WINDOW`].
const SLOWEST: u64 = 1024;
/// The time over which the rate is measured.
const WINDOW: Duration = Duration::from_secs(5);

/// A body that was read whole, and its share of the budget.
pub(crate) struct Body {
    /// The bytes exactly as the client sent them, without chunk framing.
    pub(crate) bytes: Bytes,
    /// The share of the budget, given back when the body is dropped.
    _reservation: Reservation,
}

/// The reason why a body was not read whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The request is refused, and the client gets an answer.
    #[error("{0}")]
    Refused(Refusal),
    /// The client has left, so nobody can be answered.
    #[error("the client ended the body early")]
    Gone,
}

impl From<Code> for BodyError {
    fn from(code: Code) -> Self {
        Self::Refused(code.into())
    }
}

/// Reads the client's body of at most `limit` bytes, all of it within `timeout`, and updates
/// `verification` with it.
///
/// If this future is dropped half way, the bytes are dropped and their share of the budget is given
/// back.
///
/// # Errors
/// [`BodyError::Refused`] with `body_too_large`, `body_timeout`, `overloaded` or the reason why the
/// framing is broken; [`BodyError::Gone`].
pub(crate) async fn read<C: Client>(
    client: &mut C,
    limit: u64,
    timeout: Duration,
    mut reservation: Reservation,
    mut verification: Option<&mut Verification>,
) -> Result<Body, BodyError> {
    let mut bytes = BytesMut::new();
    if client.is_body_complete() {
        return Ok(Body {
            bytes: Bytes::new(),
            _reservation: reservation,
        });
    }
    let start = Instant::now();
    let end = start + timeout;
    let (mut window_end, mut window_bytes) = (start + WINDOW, 0);
    loop {
        let before = bytes.len();
        match client
            .read_body(&mut bytes, limit, end.min(window_end))
            .await
        {
            Ok(0) => {
                return Ok(Body {
                    bytes: bytes.freeze(),
                    _reservation: reservation,
                });
            }
            Ok(count) => {
                let count = count as u64;
                window_bytes += count;
                if bytes.len() as u64 > limit {
                    return Err(Code::BodyTooLarge.into());
                }
                reservation
                    .charge(count)
                    .map_err(|Exhausted| Code::Overloaded)?;
                if let (Some(verification), Some(new)) =
                    (verification.as_mut(), bytes.get(before..))
                {
                    verification.update(new);
                }
                if client.is_body_complete() {
                    return Ok(Body {
                        bytes: bytes.freeze(),
                        _reservation: reservation,
                    });
                }
            }
            Err(ReadError::Late) => {
                let now = Instant::now();
                if now >= end || window_bytes < SLOWEST * WINDOW.as_secs() {
                    return Err(Code::BodyTimeout.into());
                }
                (window_end, window_bytes) = (now + WINDOW, 0);
            }
            Err(ReadError::Gone) => return Err(BodyError::Gone),
            Err(ReadError::Refused(refusal)) => return Err(BodyError::Refused(refusal)),
        }
    }
}
