//! Used memory of bodies, kept for the next bodies (contract: Body).
//!
//! The system hands out new memory page by page, as it is first written to, and takes it back at
//! once: for a body of a mebibyte that costs more than to receive it. So the process keeps a few
//! buffers, at most [`KEPT`] bytes in all. A buffer is emptied before it is kept, and only the bytes
//! that were written into it since can be read from it.
//!
//! The threads share the stock: a worker that hands its tasks over is followed by another thread, and
//! with a stock for each of them memory would grow with their number.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};

/// The most bytes that are kept.
const KEPT: usize = 16 * 1024 * 1024;
/// The least capacity that is worth keeping. A smaller body lies in its connection's buffer.
const LEAST: usize = 12 * 1024;
/// The largest capacity that is kept.
pub(super) const LARGEST: usize = 2 * 1024 * 1024;
/// The length up to which a body gets all its memory as soon as it is longer than the connection's
/// buffer.
const AT_ONCE: usize = 1024 * 1024;

/// A plain lock: held for a search in a short list, twice for a body that is longer than its
/// connection's buffer.
static STOCK: Mutex<Stock> = Mutex::new(Stock::new());

fn stock() -> MutexGuard<'static, Stock> {
    STOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A buffer for at least this many bytes.
pub(super) fn take(capacity: usize) -> BytesMut {
    let kept = stock().take(capacity);
    kept.unwrap_or_else(|| BytesMut::with_capacity(capacity))
}

/// Makes room in `buffer`, which may move to another memory, for at least `least` of the `left` bytes of
/// the body that are still to come. A body of common size grows once; of a longer one as much must have
/// come as it gets memory.
pub(super) fn make_room(buffer: &mut BytesMut, left: u64, least: usize) {
    let left = usize::try_from(left).unwrap_or(usize::MAX);
    let least = least.min(left);
    if buffer.capacity() - buffer.len() >= least {
        return;
    }
    let part = buffer.len().max(AT_ONCE.saturating_sub(buffer.len()));
    let mut larger = take(buffer.len() + left.min(part).max(least));
    larger.extend_from_slice(buffer);
    let outgrown = std::mem::replace(buffer, larger).freeze();
    // Beside a body that will be too long for the stock, it would be held while no other needs it.
    if left.saturating_add(buffer.len()) <= LARGEST {
        give_back(outgrown);
    }
}

/// Keeps the memory of a body, if nothing else uses it and it is worth it. Otherwise it is freed.
pub(super) fn give_back(bytes: Bytes) {
    if let Ok(buffer) = bytes.try_into_mut() {
        // The lock is held to the end of the first statement. To free memory takes longer.
        let freed = stock().give_back(buffer);
        drop(freed);
    }
}

/// The buffers that are kept, those that were used last at the end.
#[derive(Debug)]
struct Stock {
    buffers: Vec<BytesMut>,
    bytes: usize,
}

impl Stock {
    const fn new() -> Self {
        Self {
            buffers: Vec::new(),
            bytes: 0,
        }
    }

    /// The smallest buffer for at least this many bytes, if it is not much larger.
    fn take(&mut self, capacity: usize) -> Option<BytesMut> {
        let fits = |buffer: &BytesMut| {
            (capacity..=capacity.saturating_mul(4)).contains(&buffer.capacity())
        };
        let fitting = self.buffers.iter().enumerate();
        let fitting = fitting.filter(|(_, buffer)| fits(buffer));
        // Of several, the buffer that was used last: it may still be in the processor's cache.
        let (at, _) = fitting.min_by_key(|(at, buffer)| (buffer.capacity(), usize::MAX - at))?;
        let buffer = self.buffers.remove(at);
        self.bytes -= buffer.capacity();
        Some(buffer)
    }

    /// Keeps a buffer. Returns the buffers that are not kept, for the caller to free them when it no
    /// longer holds the lock.
    fn give_back(&mut self, mut buffer: BytesMut) -> Vec<BytesMut> {
        buffer.clear();
        let capacity = buffer.capacity();
        if !(LEAST..=LARGEST).contains(&capacity) {
            return vec![buffer];
        }
        let mut freed = Vec::new();
        while self.bytes + capacity > KEPT {
            let oldest = self.buffers.remove(0);
            self.bytes -= oldest.capacity();
            freed.push(oldest);
        }
        self.bytes += capacity;
        self.buffers.push(buffer);
        freed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(capacity: usize, byte: u8) -> BytesMut {
        let mut buffer = BytesMut::with_capacity(capacity);
        buffer.resize(capacity, byte);
        buffer
    }

    #[test]
    fn a_buffer_is_used_again_empty_by_what_fits_it() {
        let mut stock = Stock::new();
        for size in [64, 16, 16, 256] {
            assert!(stock.give_back(used(size * 1024, b'x')).is_empty());
        }
        let rows = [
            (300, None),
            (4, Some(16)),
            (16, Some(16)),
            (3, None),
            (20, Some(64)),
        ];
        for (asked, expected) in rows {
            let taken = stock.take(asked * 1024);
            assert!(taken.as_ref().is_none_or(BytesMut::is_empty));
            assert_eq!(
                taken.map(|buffer| buffer.capacity() / 1024),
                expected,
                "{asked}"
            );
        }
        assert_eq!(stock.bytes, 256 * 1024);
    }

    #[test]
    fn what_a_body_outgrows_is_kept_only_if_the_body_itself_may_be() {
        // No other test uses memory of these sizes.
        for (whole, outgrown, is_kept) in [
            (LARGEST, 777_777, true),
            (LARGEST + 1, 888_888, false),
            (usize::MAX, 999_999, false),
        ] {
            let mut body = used(outgrown, b'x');
            let left = (whole - outgrown) as u64;
            make_room(&mut body, left, 1);
            assert_eq!(body.len(), outgrown);
            assert!(
                (2 * outgrown..=2 * LARGEST).contains(&body.capacity()),
                "{whole}"
            );
            let kept = stock()
                .buffers
                .iter()
                .any(|kept| kept.capacity() == outgrown);
            assert_eq!(kept, is_kept, "{whole}");
        }
    }

    #[test]
    fn no_more_is_kept_than_the_bound_and_nothing_too_small_or_too_large() {
        let mut stock = Stock::new();
        for size in [LEAST - 1, LARGEST + 1, 0] {
            stock.give_back(used(size, 1));
        }
        assert_eq!((stock.bytes, stock.buffers.len()), (0, 0));
        for _ in 0..100 {
            stock.give_back(used(1024 * 1024, 1));
            stock.give_back(used(100 * 1024, 1));
            let sum: usize = stock.buffers.iter().map(BytesMut::capacity).sum();
            assert!(stock.bytes <= KEPT && sum == stock.bytes);
        }
        assert!(stock.bytes > KEPT / 2);
    }

    #[test]
    fn memory_that_is_still_read_is_not_kept() {
        let body = used(20 * 1024, b'x').freeze();
        let reader = body.clone();
        give_back(body);
        let mut next = take(20 * 1024);
        next.extend_from_slice(b"another body");
        assert!(reader.iter().all(|byte| *byte == b'x'));
        give_back(reader);
        make_room(&mut next, 30 * 1024, 30 * 1024);
        assert_eq!(next, &b"another body"[..]);
    }
}
