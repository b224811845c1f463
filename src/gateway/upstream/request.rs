//! A request that may be forwarded, in the form in which it is sent (contract: Forwarding).
//!
//! It is owned and verified, and this file knows nothing of the client's connection.

use std::cell::RefCell;

use bytes::Bytes;

use crate::scheme::handshake::Passage;
use crate::verify::verifier::Proof;

/// The longest body that is copied behind its head. The system takes a single buffer faster than
/// two, by 0.2 µs, and copying a short body costs less.
pub(crate) const COPIED: usize = 4 * 1024;

/// The largest buffer of a head that is kept for a later head, in bytes.
const KEPT: usize = 16 * 1024;

/// The most buffers that a thread keeps: as many requests as are often on their way at once.
const SPARES: usize = 32;

thread_local! {
    /// The buffers of heads that were sent by this thread, kept for later heads, the last one on top:
    /// a head and a short body behind it are more than the allocator hands out quickly.
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer with room for a head of `bytes` bytes.
pub(crate) fn head_buffer(bytes: usize) -> Vec<u8> {
    let kept = SPARE.with_borrow_mut(Vec::pop);
    let mut buffer = kept.unwrap_or_default();
    buffer.clear();
    buffer.reserve(bytes);
    buffer
}

/// A request that may be forwarded.
pub(crate) struct VerifiedRequest {
    /// The head in the form in which it is sent, and behind it a short body.
    pub(super) head: Vec<u8>,
    /// The whole body, unless it is behind the head.
    pub(super) body: Bytes,
    pub(super) is_head: bool,
}

/// What was made of a proved delivery, and read again.
pub(crate) trait WasProved {}

impl VerifiedRequest {
    /// A proved delivery. `_proof` is the evidence: only a verifier makes such a value.
    pub(crate) fn proved(_proof: &Proof, head: Vec<u8>, body: &Bytes, is_head: bool) -> Self {
        Self::of(head, body, is_head)
    }

    /// A handshake for the app to answer. `_passage` is the evidence: only a request in the form of
    /// a handshake gives such a value.
    pub(crate) fn handshake(
        _passage: &Passage,
        head: Vec<u8>,
        body: &Bytes,
        is_head: bool,
    ) -> Self {
        Self::of(head, body, is_head)
    }

    /// A delivery that was proved and stored before. `_stored` is the evidence: only what was proved is
    /// stored.
    pub(crate) fn stored<S: WasProved>(_stored: &S, head: Vec<u8>, body: &Bytes) -> Self {
        Self::of(head, body, false)
    }

    /// A delivery that is not proved, let through because its route is in shadow mode. Nothing else
    /// may call this.
    pub(crate) fn unproved_in_shadow_mode(head: Vec<u8>, body: &Bytes, is_head: bool) -> Self {
        Self::of(head, body, is_head)
    }

    fn of(mut head: Vec<u8>, body: &Bytes, is_head: bool) -> Self {
        let mut own = Bytes::new();
        if body.len() <= COPIED {
            head.extend_from_slice(body);
        } else {
            own.clone_from(body);
        }
        Self {
            head,
            body: own,
            is_head,
        }
    }
}

impl Drop for VerifiedRequest {
    fn drop(&mut self) {
        if self.head.capacity() <= KEPT {
            // A thread that ends keeps nothing.
            let _ = SPARE.try_with(|spare| {
                let mut spare = spare.borrow_mut();
                if spare.len() < SPARES {
                    spare.push(std::mem::take(&mut self.head));
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_begins_empty_whatever_was_sent_before_and_no_large_buffer_is_kept() {
        for bytes in [10, 2000, 100, KEPT + 1, 50] {
            let mut head = head_buffer(bytes);
            assert_eq!((head.len(), head.capacity() >= bytes), (0, true), "{bytes}");
            head.resize(bytes, b'x');
            drop(VerifiedRequest::of(head, &Bytes::new(), false));
            let kept = SPARE.with_borrow(|spare| spare.last().map_or(0, Vec::capacity));
            assert!(kept <= KEPT, "{bytes}");
            assert_eq!(kept >= bytes, bytes <= KEPT, "{bytes}");
        }
    }

    #[test]
    fn the_heads_of_requests_on_their_way_at_once_are_kept_up_to_a_number() {
        let many = || {
            let heads = (0..SPARES + 3).map(|_| head_buffer(10));
            heads
                .map(|head| VerifiedRequest::of(head, &Bytes::new(), false))
                .collect::<Vec<_>>()
        };
        let buffers = |requests: &[VerifiedRequest]| {
            let places = requests.iter().map(|request| request.head.as_ptr());
            places.collect::<std::collections::HashSet<_>>()
        };
        let first = many();
        let used = buffers(&first);
        drop(first);
        assert_eq!(SPARE.with_borrow(Vec::len), SPARES);
        let again = many();
        assert!(buffers(&again).intersection(&used).count() >= SPARES);
    }
}
