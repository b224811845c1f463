//! Reads a body once, under time, rate, size and budget, feeding the verifier as it arrives (SPEC 2.4).

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::budget::{Exhausted, Reservation};
use super::{Client, ReadError};
use crate::verdict::{Code, Refusal};
use crate::verify::verifier::Verification;

/// A body slower than this over [`WINDOW`] is given up, in bytes a second.
const SLOWEST: u64 = 1024;
/// How long the rate is looked at.
const WINDOW: Duration = Duration::from_secs(5);

/// A body that was read whole, and its place in the budget.
pub(crate) struct Body {
    /// The bytes, exactly as signed.
    pub(crate) bytes: Bytes,
    /// Given back when the body is dropped.
    _reservation: Reservation,
}

/// What keeps a body from being read whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// To be answered.
    #[error("{0}")]
    Refused(Refusal),
    /// Nobody is left to answer.
    #[error("the client ended the body early")]
    Gone,
}

impl From<Code> for BodyError {
    fn from(code: Code) -> Self {
        Self::Refused(code.into())
    }
}

/// Reads the client's body of at most `limit` bytes, all of it within `timeout`.
///
/// Dropped half way, nothing of the body is kept and its budget is free again.
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
