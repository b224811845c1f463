//! The frames of an HTTP/2 connection, as far as they are counted: what kind each is, and of which
//! stream (RFC 9113 4.1).
//!
//! The frames themselves are read by `h2`. It answers pings and settings without a word, so that
//! whoever counts them must look at the bytes on their way.

/// The length of the client's preface, which comes before its first frame.
pub(super) const PREFACE: u32 = 24;

/// The length of a frame's own head.
const HEAD: usize = 9;

/// The kinds of frames that are told apart.
mod kind {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PING: u8 = 6;
    pub(super) const CONTINUATION: u8 = 9;
}

/// The flag of a frame that is the last of a request's head.
const END_HEADERS: u8 = 4;

/// A frame that has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// The head of a request, or its trailers.
    Headers { stream: u32 },
    /// The end of a stream before its time, for this reason.
    Reset { stream: u32, code: u32 },
    /// A ping, or settings. Their acknowledgements count too.
    Signal,
    /// Bytes of a body.
    Data,
    /// A frame that asks for nothing: a priority, room in a window, or an unknown kind.
    Other,
}

/// Finds the frames in the bytes of one direction of a connection, in whatever pieces they come.
#[derive(Debug)]
pub(super) struct FrameReader {
    head: [u8; HEAD],
    /// The bytes of `head` that have come.
    filled: usize,
    /// The bytes of the payload that have not come.
    left: u32,
    /// The first four bytes of the payload, as far as they have come: the reason of a reset.
    code: u32,
    /// Whether a request's head has begun and is not complete.
    is_in_headers: bool,
}

impl FrameReader {
    /// A reader of frames that begin after `preface` bytes.
    pub(super) fn after(preface: u32) -> Self {
        Self {
            head: [0; HEAD],
            filled: 0,
            left: preface,
            code: 0,
            is_in_headers: false,
        }
    }

    /// Whether a request's head has begun and is not complete.
    pub(super) fn is_in_headers(&self) -> bool {
        self.is_in_headers
    }

    /// Calls `see` with each frame that ends in `bytes`, which follow those of the last call.
    pub(super) fn read(&mut self, mut bytes: &[u8], mut see: impl FnMut(Frame)) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let most = usize::try_from(self.left).unwrap_or(usize::MAX);
                let (payload, rest) = bytes.split_at(bytes.len().min(most));
                for byte in payload.iter().take(4) {
                    self.code = self.code << 8 | u32::from(*byte);
                }
                // No longer than `left`, which is a `u32`.
                self.left -= u32::try_from(payload.len()).unwrap_or(self.left);
                bytes = rest;
                if self.left == 0 {
                    self.end(&mut see);
                }
                continue;
            }
            let missing = HEAD - self.filled;
            let (part, rest) = bytes.split_at(bytes.len().min(missing));
            if let Some(place) = self.head.get_mut(self.filled..self.filled + part.len()) {
                place.copy_from_slice(part);
            }
            self.filled += part.len();
            bytes = rest;
            if self.filled == HEAD {
                let [a, b, c, kind, ..] = self.head;
                self.left = u32::from_be_bytes([0, a, b, c]);
                self.code = 0;
                self.is_in_headers |= kind == kind::HEADERS;
                if self.left == 0 {
                    self.end(&mut see);
                }
            }
        }
    }

    /// The present frame is complete.
    fn end(&mut self, see: &mut impl FnMut(Frame)) {
        if std::mem::take(&mut self.filled) < HEAD {
            return; // the preface
        }
        let [_, _, _, kind, flags, stream @ ..] = self.head;
        // The first bit is reserved.
        let stream = u32::from_be_bytes(stream) & (u32::MAX >> 1);
        if matches!(kind, kind::HEADERS | kind::CONTINUATION) && flags & END_HEADERS != 0 {
            self.is_in_headers = false;
        }
        match kind {
            kind::HEADERS => see(Frame::Headers { stream }),
            kind::RST_STREAM => see(Frame::Reset {
                stream,
                code: self.code,
            }),
            kind::SETTINGS | kind::PING => see(Frame::Signal),
            kind::DATA => see(Frame::Data),
            kind::CONTINUATION => {}
            _ => see(Frame::Other),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let [_, length @ ..] = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[..], &[kind, flags], &stream.to_be_bytes()].concat();
        [head, payload.to_vec()].concat()
    }

    /// What a reader sees in these pieces, and whether it ends within a head.
    fn seen(pieces: &[&[u8]]) -> (Vec<Frame>, bool) {
        let (mut reader, mut frames) = (FrameReader::after(PREFACE), Vec::new());
        for piece in pieces {
            reader.read(piece, |frame| frames.push(frame));
        }
        (frames, reader.is_in_headers())
    }

    fn connection() -> Vec<u8> {
        [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            frame(4, 0, 0, &[0; 6]),
            frame(4, 1, 0, &[]),
            frame(1, 0, 1, &[7; 300]),
            frame(9, 4, 1, &[7; 20]),
            frame(0, 1, 1, &[7; 20]),
            frame(1, 4, 1 << 31 | 3, &[]),
            frame(3, 0, 3, &[0, 0, 1, 8]),
            frame(6, 0, 0, &[9; 8]),
            frame(8, 0, 0, &[9; 4]),
            frame(1, 1, 5, &[1]),
        ]
        .concat()
    }

    const FRAMES: [Frame; 9] = [
        Frame::Signal,
        Frame::Signal,
        Frame::Headers { stream: 1 },
        Frame::Data,
        Frame::Headers { stream: 3 },
        Frame::Reset {
            stream: 3,
            code: 0x108,
        },
        Frame::Signal,
        Frame::Other,
        Frame::Headers { stream: 5 },
    ];

    #[test]
    fn a_head_is_open_until_its_last_frame_has_come() {
        let bytes = connection();
        assert_eq!(seen(&[&bytes]), (FRAMES.to_vec(), true));
        let last = [&bytes[..], &frame(9, 4, 5, &[1])].concat();
        assert_eq!(seen(&[&last]), (FRAMES.to_vec(), false));
        let begun = frame(1, 4, 7, &[1, 2]);
        let all = [&last[..], &begun[..10]].concat();
        assert!(seen(&[&all]).1);
    }

    proptest! {
        #[test]
        fn frames_are_seen_in_whatever_pieces_they_come(cuts in prop::collection::vec(1..40usize, 1..60)) {
            let bytes = connection();
            let (mut rest, mut pieces) = (&bytes[..], Vec::new());
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            pieces.push(rest);
            prop_assert_eq!(seen(&pieces), (FRAMES.to_vec(), true));
        }
    }
}
