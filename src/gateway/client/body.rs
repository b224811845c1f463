//! The body of a request, read once and whole, within the limits of time, rate, size and memory.
//! Each byte is passed to the verification as it arrives (contract: Body).

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::budget::{Exhausted, Reservation};
use super::turns::{BETWEEN_TURNS, Turns, spend};
use super::{Client, ReadError, stock};
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
    /// The share of the budget, given back when the body is dropped. Forms of the body are charged
    /// to it too.
    pub(crate) reservation: Reservation,
}

/// The length from which a body is given back to the system on another thread, in bytes. The system
/// takes milliseconds to take back a large body, and a worker thread shall not wait for it.
const LARGE: usize = 4 * 1024 * 1024;

/// The length from which a body grows in pieces, in bytes.
const GROWS_SLOWLY: usize = 2 * 1024 * 1024;

/// The bytes of a body that are read without waiting for a turn. A small delivery never waits.
const WITHOUT_TURN: usize = 16 * 1024;

impl Drop for Body {
    fn drop(&mut self) {
        give_back(std::mem::take(&mut self.bytes));
    }
}

/// Moves a large body to memory of twice the size, taking turns: the allocator would copy it at a
/// stretch, which takes milliseconds. No body has more than `limit` bytes.
async fn grow(bytes: &mut BytesMut, limit: u64, turns: &Turns) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let most = limit.max(bytes.len()).saturating_add(BETWEEN_TURNS);
    let mut larger = BytesMut::with_capacity(bytes.len().saturating_mul(2).min(most));
    for piece in bytes.chunks(BETWEEN_TURNS) {
        larger.extend_from_slice(piece);
        spend(piece.len() as u64);
        turns.next().await;
    }
    give_back(std::mem::replace(bytes, larger).freeze());
}

/// Keeps memory for the next body, or gives it back to the system, on another thread if it is much.
fn give_back(bytes: Bytes) {
    if bytes.len() < LARGE {
        stock::give_back(bytes);
    } else if let Ok(runtime) = Handle::try_current() {
        // The task needs no watching: it cannot fail.
        drop(runtime.spawn_blocking(move || drop(bytes)));
    }
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

/// Reads the client's body of at most `limit` bytes, and updates `verification` with it. `time` is
/// the moment from which the body's time counts, and that time. A large body takes turns with
/// everything else on its thread.
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
    time: (Instant, Duration),
    turns: &Turns,
    mut reservation: Reservation,
    verification: Option<&mut Verification>,
) -> Result<Body, BodyError> {
    let mut bytes = BytesMut::new();
    let limits = (limit, time);
    let read = read_into(
        &mut bytes,
        client,
        limits,
        turns,
        &mut reservation,
        verification,
    )
    .await;
    let bytes = bytes.freeze();
    match read {
        Ok(()) => Ok(Body { bytes, reservation }),
        Err(error) => {
            give_back(bytes);
            Err(error)
        }
    }
}

async fn read_into<C: Client>(
    bytes: &mut BytesMut,
    client: &mut C,
    (limit, (start, timeout)): (u64, (Instant, Duration)),
    turns: &Turns,
    reservation: &mut Reservation,
    mut verification: Option<&mut Verification>,
) -> Result<(), BodyError> {
    if client.is_body_complete() {
        return Ok(());
    }
    let end = start + timeout;
    let (mut window_end, mut window_bytes) = (start + WINDOW, 0);
    loop {
        if bytes.len() >= GROWS_SLOWLY && bytes.capacity() - bytes.len() < BETWEEN_TURNS {
            grow(bytes, limit, turns).await;
        }
        let before = bytes.len();
        let piece = client.read_body(bytes, limit, end.min(window_end));
        let read = if before < WITHOUT_TURN {
            piece.await
        } else {
            turns.paced(piece).await
        };
        match read {
            Ok(0) => {
                return Ok(());
            }
            Ok(count) => {
                let count = count as u64;
                spend(count);
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
                    return Ok(());
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
