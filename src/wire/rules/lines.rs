//! The lines of a head: where each of them ends (RFC 9112 2.2; contract: Head).
//!
//! Line ends are searched once, while the head arrives. Its lines are judged by these places, and
//! nothing is searched again.

use memchr::memchr;
use smallvec::SmallVec;

use super::runs::text_length;

/// The line ends of a head that arrives piece by piece. The search passes each byte once.
#[derive(Clone, Debug, Default)]
pub(in crate::wire) struct LineEnds {
    /// Each is the index behind a line feed, counted from the start of the head. A head that is
    /// accepted has no more than `u32::MAX` bytes.
    ends: SmallVec<[u32; 32]>,
    /// Where the search goes on.
    at: usize,
    may_be_odd: bool,
}

impl LineEnds {
    /// All line ends in the whole head `bytes`.
    pub(in crate::wire) fn of(bytes: &[u8]) -> Self {
        let mut ends = Self::default();
        let mut last = 0;
        while let Some(end) = ends.search(bytes) {
            ends.add(end);
            last = end;
        }
        ends.may_be_odd |= last < bytes.len();
        ends
    }

    /// The end of the next line, which is the index behind its line feed. `None` means that more
    /// bytes are needed. `bytes` are those of the last search, and perhaps more behind them.
    #[inline]
    pub(in crate::wire) fn search(&mut self, bytes: &[u8]) -> Option<usize> {
        loop {
            let rest = bytes.get(self.at..)?;
            let text = text_length(rest);
            self.at += text;
            match rest.get(text..)? {
                [b'\r', b'\n', ..] => {
                    self.at += "\r\n".len();
                    return Some(self.at);
                }
                [b'\t', ..] => self.at += 1,
                [] | [b'\r'] => return None,
                odd => {
                    self.may_be_odd = true;
                    let line_feed = memchr(b'\n', odd);
                    self.at += line_feed.map_or(odd.len(), |place| place + 1);
                    return line_feed.map(|_| self.at);
                }
            }
        }
    }

    /// Adds the end of the next line, counted from the start of the head.
    #[inline]
    pub(in crate::wire) fn add(&mut self, end: usize) {
        self.ends.push(u32::try_from(end).unwrap_or(u32::MAX));
    }

    /// Whether the bytes that were searched may hold a byte that [`super::fields::judge_bytes`]
    /// refuses. If this is false, that function accepts them.
    pub(in crate::wire) fn may_be_odd(&self) -> bool {
        self.may_be_odd
    }
}

/// The lines of a head, each with its start and without its CRLF.
pub(in crate::wire) struct Lines<'h> {
    bytes: &'h [u8],
    ends: std::slice::Iter<'h, u32>,
    at: usize,
}

impl<'h> Lines<'h> {
    /// The lines of the head `bytes`, which have these ends.
    pub(in crate::wire) fn of(bytes: &'h [u8], ends: &'h LineEnds) -> Self {
        Self {
            bytes,
            ends: ends.ends.iter(),
            at: 0,
        }
    }

    /// The bytes of the head.
    pub(in crate::wire) fn bytes(&self) -> &'h [u8] {
        self.bytes
    }

    /// Whether nothing follows the line that came last.
    pub(in crate::wire) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }
}

impl<'h> Iterator for Lines<'h> {
    type Item = (usize, &'h [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let end = *self.ends.next()? as usize;
        let start = std::mem::replace(&mut self.at, end);
        let line = self.bytes.get(start..end)?.strip_suffix(b"\r\n")?;
        Some((start, line))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::rules::fields::judge_bytes;

    proptest! {
        #[test]
        fn line_ends_are_all_line_feeds_and_odd_bytes_are_noticed(
            parts in prop::collection::vec(
                prop_oneof![
                    4 => "[ -~]{0,40}".prop_map(String::into_bytes), 4 => Just(b"\r\n".to_vec()),
                    1 => prop::sample::select(vec!["\r", "\n", "\t", "\0", "\x7f"]).prop_map(Into::into),
                    1 => prop::collection::vec(any::<u8>(), 0..3),
                ], 0..12),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        ) {
            let bytes = parts.concat();
            let plain: Vec<usize> = (1..=bytes.len()).filter(|end| bytes[end - 1] == b'\n').collect();
            let whole = LineEnds::of(&bytes);
            prop_assert_eq!(whole.ends.iter().map(|end| *end as usize).collect::<Vec<_>>(), &plain[..]);
            prop_assert!(whole.may_be_odd() || judge_bytes(&bytes).is_ok());

            let mut lengths: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            lengths.sort_unstable();
            lengths.push(bytes.len());
            let (mut pieces, mut found) = (LineEnds::default(), Vec::new());
            for length in lengths {
                while let Some(end) = pieces.search(&bytes[..length]) {
                    found.push(end);
                }
            }
            let ended = plain.last().copied().unwrap_or_default();
            prop_assert_eq!(found, plain);
            prop_assert!(pieces.may_be_odd() || judge_bytes(&bytes[..ended]).is_ok());
        }
    }
}
