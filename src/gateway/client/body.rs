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
use crate::verify::claim::{BodyHash, BodyHasher};
use crate::verify::verifier::Verification;

/// The slowest body that is accepted, in bytes a second, measured over each [`WINDOW`].
const SLOWEST: u64 = 1024;
/// The time over which the rate is measured.
const WINDOW: Duration = Duration::from_secs(5);

/// A body that was read whole, and its share of the budget.
pub(crate) struct Body {
    /// The bytes exactly as the client sent them, without chunk framing.
    pub(crate) bytes: Bytes,
    /// The hash of the bytes for the replay window, if it was asked for.
    pub(crate) hash: Option<BodyHash>,
    /// The share of the budget, given back when the body is dropped. Forms of the body are charged
    /// to it too.
    pub(crate) reservation: Reservation,
}

/// The length from which a body is given back to the system on another thread, in bytes. The system
/// takes milliseconds to take back a large body, and a worker thread shall not wait for it.
const LARGE: usize = 4 * 1024 * 1024;

/// The length from which a body grows in pieces, in bytes, if it may become longer than what is kept
/// of used memory. A shorter body leaves its memory to the next bodies as it grows.
const GROWS_SLOWLY: usize = 1024 * 1024;

/// The bytes of a body that are read without waiting for a turn. A small delivery never waits.
const WITHOUT_TURN: usize = 16 * 1024;

/// The bytes that are hashed for the proof and then for the replay window. A hash of SHA-2 waits for
/// its own last step most of the time. Beside pieces of this length, a processor makes the other hash
/// meanwhile, nearly for nothing: 1 MiB takes 530 µs, against 525 for the proof alone, and 635 in
/// pieces of 256 KiB. Both hashes take blocks of which this is a multiple.
const TOGETHER: usize = 512;

/// The hashes that are made of a body while it arrives.
pub(crate) struct Hashing<'v> {
    /// The proof, if the request may have one.
    pub(crate) verification: Option<&'v mut Verification>,
    /// The hash for the replay window, where it is made beside that of a proof.
    pub(crate) compared: Option<BodyHasher>,
}

impl Hashing<'_> {
    /// Hashes `new` bytes that have come behind `before` others.
    fn update(&mut self, before: usize, new: &[u8]) {
        match (&mut self.verification, &mut self.compared) {
            (Some(verification), Some(compared)) => {
                // The pieces begin at multiples of their length, however the bytes come.
                let (first, rest) = new.split_at(new.len().min(TOGETHER - before % TOGETHER));
                for piece in std::iter::once(first).chain(rest.chunks(TOGETHER)) {
                    verification.update(piece);
                    compared.update(piece);
                }
            }
            (Some(verification), None) => verification.update(new),
            (None, Some(compared)) => compared.update(new),
            (None, None) => {}
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        give_back(std::mem::take(&mut self.bytes));
    }
}

/// Moves a large body to memory of two to four times the size, taking turns: the allocator would copy
/// it at a stretch, which takes milliseconds. No body has more than `limit` bytes.
///
/// The system hands memory out as it is written to, so only a body and its copy are held. The last
/// copy is made for a body of `limit` bytes when at most half of it has come, so it holds no more than
/// the whole body does.
async fn grow(bytes: &mut BytesMut, limit: u64, turns: &Turns) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut capacity = limit.max(bytes.len()).saturating_add(BETWEEN_TURNS);
    while capacity / 4 > bytes.len() {
        capacity /= 2;
    }
    let mut larger = BytesMut::with_capacity(capacity);
    for piece in bytes.chunks(BETWEEN_TURNS) {
        larger.extend_from_slice(piece);
        spend(piece.len() as u64);
        turns.next().await;
    }
    // Not kept for others: together with the body it would be more than the body.
    free(std::mem::replace(bytes, larger).freeze());
}

/// Keeps memory for the next body, or gives it back to the system.
fn give_back(bytes: Bytes) {
    if bytes.len() < LARGE {
        stock::give_back(bytes);
    } else {
        free(bytes);
    }
}

/// Gives memory back to the system, on another thread if it is much.
fn free(bytes: Bytes) {
    if bytes.len() >= LARGE
        && let Ok(runtime) = Handle::try_current()
    {
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

/// Reads the client's body of at most `limit` bytes, and makes the hashes of it. `time` is
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
    hashing: &mut Hashing<'_>,
) -> Result<Body, BodyError> {
    let mut bytes = BytesMut::new();
    let limits = (limit, time);
    let read = read_into(&mut bytes, client, limits, turns, &mut reservation, hashing).await;
    let bytes = bytes.freeze();
    match read {
        Ok(()) => Ok(Body {
            bytes,
            hash: hashing.compared.take().map(BodyHasher::finish),
            reservation,
        }),
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
    hashing: &mut Hashing<'_>,
) -> Result<(), BodyError> {
    if client.is_body_complete() {
        return Ok(());
    }
    let end = start + timeout;
    let (mut window_end, mut window_bytes) = (start + WINDOW, 0);
    loop {
        if bytes.len() >= GROWS_SLOWLY
            && limit > stock::LARGEST as u64
            && bytes.capacity() - bytes.len() < BETWEEN_TURNS
        {
            // Boxed, so that the common request is not as large as the rare one.
            Box::pin(grow(bytes, limit, turns)).await;
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
                hashing.update(before, bytes.get(before..).unwrap_or_default());
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
