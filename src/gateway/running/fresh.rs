//! Contents of deliveries that were stored a moment ago, for their first attempts (contract: Queue).
//!
//! A delivery that is tried as soon as it is stored need not be read from the disk. What waits for longer is forgotten
//! here, and read.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use crate::queue::Number;
use crate::store::Content;

/// The most bytes of all contents together.
const MOST: u64 = 1 << 20;

/// The most bytes of a content: reading a longer one costs little beside sending it.
const MOST_OF_ONE: u64 = 64 << 10;

/// The time for which a content is kept at least.
const KEPT: Duration = Duration::from_secs(1);

/// The contents.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    // A plain lock: it is held for a look-up, and once a second for a look at all.
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: u64,
    /// Each with the monotonic time at which it was stored.
    contents: HashMap<Number, (Content, Duration)>,
    /// The monotonic time at which old ones were looked for.
    looked: Duration,
}

fn length(head: &[u8], body: &[u8]) -> u64 {
    (head.len() as u64).saturating_add(body.len() as u64)
}

/// A copy of a content, if it is short enough to be kept. What was received may be a small part of a
/// large buffer.
pub(super) fn copied(head: &[u8], body: &[u8]) -> Option<Content> {
    (length(head, body) <= MOST_OF_ONE).then(|| Content {
        head: Bytes::copy_from_slice(head),
        body: Bytes::copy_from_slice(body),
    })
}

impl Fresh {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the content of a delivery that was stored at this monotonic time, if there is room for it. A
    /// number is never used twice.
    pub(super) fn keep(&self, number: Number, content: Content, at: Duration) {
        let mut kept = self.kept();
        kept.forget_old(at);
        let bytes = kept
            .bytes
            .saturating_add(length(&content.head, &content.body));
        if bytes <= MOST {
            kept.bytes = bytes;
            kept.contents.insert(number, (content, at));
        }
    }

    /// Takes the content of a delivery, if it is here.
    pub(super) fn take(&self, number: Number) -> Option<Content> {
        let mut kept = self.kept();
        let (content, _) = kept.contents.remove(&number)?;
        kept.bytes = kept
            .bytes
            .saturating_sub(length(&content.head, &content.body));
        Some(content)
    }

    /// Forgets what nobody has taken.
    pub(super) fn forget_old(&self, now: Duration) {
        self.kept().forget_old(now);
    }
}

impl Kept {
    fn forget_old(&mut self, now: Duration) {
        let is_old = |at: Duration| now.saturating_sub(at) >= KEPT;
        if !is_old(self.looked) {
            return;
        }
        self.looked = now;
        self.contents.retain(|_, (_, at)| !is_old(*at));
        let contents = self.contents.values().map(|(own, _)| own);
        self.bytes = contents.map(|own| length(&own.head, &own.body)).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(bytes: u64) -> Content {
        copied(b"head", &vec![7; usize::try_from(bytes - 4).unwrap()]).unwrap()
    }

    #[test]
    fn a_content_is_taken_once_and_forgotten_after_a_while() {
        let (fresh, at) = (Fresh::default(), Duration::from_secs(100));
        fresh.keep(Number(1), content(10), at);
        fresh.keep(Number(2), content(20), at);
        fresh.keep(Number(3), content(30), at + KEPT / 2);
        assert_eq!(fresh.take(Number(1)), Some(content(10)));
        assert_eq!(fresh.take(Number(1)), None);
        fresh.forget_old(at + KEPT);
        assert_eq!(fresh.take(Number(2)), None);
        assert_eq!(fresh.take(Number(3)), Some(content(30)));
        assert_eq!(fresh.kept().bytes, 0);
    }

    #[test]
    fn however_many_are_stored_their_memory_is_bounded() {
        let fresh = Fresh::default();
        let long = vec![7; usize::try_from(MOST_OF_ONE).unwrap()];
        assert!(copied(b"", &long).is_some() && copied(b"a", &long).is_none());
        for number in 1..=2 * MOST / MOST_OF_ONE {
            fresh.keep(Number(number), content(MOST_OF_ONE), Duration::ZERO);
        }
        let kept = fresh.kept().contents.len() as u64;
        assert_eq!(kept, MOST / MOST_OF_ONE, "the oldest are tried first");
        assert!(fresh.take(Number(1)).is_some());
        fresh.keep(Number(100), content(MOST_OF_ONE), Duration::ZERO);
        assert!(fresh.take(Number(100)).is_some(), "there is room again");
        fresh.keep(Number(101), content(MOST_OF_ONE), Duration::ZERO);
        fresh.keep(Number(102), content(MOST_OF_ONE), KEPT);
        let kept: Vec<_> = fresh.kept().contents.keys().copied().collect();
        assert_eq!(kept, [Number(102)], "what has waited makes room");
    }
}
