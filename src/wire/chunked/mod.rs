//! A strict, incremental decoder of chunked bodies, of requests and of the upstream's answers (RFC
//! 9112 7.1; contract: Head).
//!
//! Data is handed out as slices of the input, without a copy. Only an incomplete trailer line is
//! kept. Extensions and trailers are judged, limited and dropped. The decoder sets no limit on the
//! data: the caller compares [`ChunkedDecoder::declared`] with the limit it has.

mod size_line;

#[cfg(test)]
mod tests;

use memchr::memchr;

pub use size_line::MAX_EXTENSION;

use super::rules::{Reason, fields};
use size_line::{Progress, SizeLine};

/// The most bytes that all trailers of a message may take, line ends included (SM-17).
pub const MAX_TRAILERS: usize = 8 * 1024;
/// The most bytes that all chunk extensions of a message may take (SM-15).
pub const MAX_EXTENSIONS: usize = 16 * 1024;

/// The result of one step of decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Data of the body; never empty.
    Data(&'a [u8]),
    /// All of the input was consumed, and the message is not complete.
    NeedMore,
    /// The message is complete; the rest of the input is not part of it.
    End,
}

/// Decodes a chunked message.
#[derive(Clone, Debug)]
pub struct ChunkedDecoder {
    state: State,
    declared: u64,
    extensions: usize,
    trailers: usize,
    trailer_line: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Size(SizeLine),
    Data { left: u64 },
    DataCr,
    DataLf,
    Trailers,
    Ended,
    Failed(Reason),
}

impl Default for ChunkedDecoder {
    fn default() -> Self {
        Self::new()
    }
}

/// The data of a whole chunked body; `None` if `body` is not chunked or breaks off. Bytes after its
/// end are left out.
pub fn whole(body: &[u8]) -> Option<Vec<u8>> {
    let mut decoder = ChunkedDecoder::new();
    let (mut rest, mut out) = (body, Vec::new());
    loop {
        let (used, piece) = decoder.next(rest).ok()?;
        match piece {
            Piece::Data(data) => out.extend_from_slice(data),
            Piece::End => return Some(out),
            Piece::NeedMore => return None,
        }
        rest = rest.get(used..)?;
    }
}

impl ChunkedDecoder {
    /// A decoder at the beginning of a message.
    pub fn new() -> Self {
        let state = State::Size(SizeLine::default());
        Self {
            state,
            declared: 0,
            extensions: 0,
            trailers: 0,
            trailer_line: Vec::new(),
        }
    }

    /// The sum of all chunk sizes announced so far, including the current chunk's. It is known
    /// before the first byte of the chunk is handed out, so a body that will be too large can be
    /// refused as soon as its size line is read.
    pub fn declared(&self) -> u64 {
        self.declared
    }

    /// Decodes up to the next piece and returns it with the number of bytes of `input` that were
    /// consumed. The caller passes the unconsumed bytes again in the next call. After
    /// [`Piece::End`] every call returns `End`.
    ///
    /// # Errors
    /// The rule that the input breaks. No later byte can be trusted then, so every later call
    /// returns the same reason.
    pub fn next<'a>(&mut self, input: &'a [u8]) -> Result<(usize, Piece<'a>), Reason> {
        let mut rest = input;
        let step = loop {
            match self.step(&mut rest) {
                Ok(Some(piece)) => break Ok(piece),
                Ok(None) if rest.is_empty() => break Ok(Piece::NeedMore),
                Ok(None) => {}
                Err(reason) => {
                    self.state = State::Failed(reason);
                    break Err(reason);
                }
            }
        };
        step.map(|piece| (input.len() - rest.len(), piece))
    }

    /// Consumes the bytes at the front of `rest` that belong to the present state; there may be no
    /// such bytes.
    fn step<'a>(&mut self, rest: &mut &'a [u8]) -> Result<Option<Piece<'a>>, Reason> {
        match &mut self.state {
            State::Size(line) => {
                while let Some((&byte, after)) = rest.split_first() {
                    *rest = after;
                    match line.take(byte)? {
                        Progress::Size => {}
                        Progress::Extension => {
                            self.extensions += 1;
                            if self.extensions > MAX_EXTENSIONS {
                                return Err(Reason::ChunkExtensionTooLong);
                            }
                        }
                        Progress::Done(size) => {
                            self.declared = self
                                .declared
                                .checked_add(size)
                                .ok_or(Reason::ChunkSizeTooLarge)?;
                            self.state = if size == 0 {
                                State::Trailers
                            } else {
                                State::Data { left: size }
                            };
                            break;
                        }
                    }
                }
                Ok(None)
            }
            State::Data { left } => {
                let length = usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len()));
                let (data, after) = rest.split_at_checked(length).unwrap_or_default();
                *rest = after;
                *left -= length as u64;
                if *left == 0 {
                    self.state = State::DataCr;
                }
                Ok((!data.is_empty()).then_some(Piece::Data(data)))
            }
            State::DataCr => self.line_end(rest, b'\r', State::DataLf),
            State::DataLf => self.line_end(rest, b'\n', State::Size(SizeLine::default())),
            State::Trailers => self.trailers(rest),
            State::Ended => Ok(Some(Piece::End)),
            State::Failed(reason) => Err(*reason),
        }
    }

    /// Consumes one byte of the line end after a chunk's data: `due` is the byte that must come.
    fn line_end<'a>(
        &mut self,
        rest: &mut &'a [u8],
        due: u8,
        next: State,
    ) -> Result<Option<Piece<'a>>, Reason> {
        if let Some((&byte, after)) = rest.split_first() {
            if byte != due {
                return Err(Reason::ChunkDataEnd);
            }
            *rest = after;
            self.state = next;
        }
        Ok(None)
    }

    /// Consumes one trailer line, or the part of it that has arrived.
    fn trailers<'a>(&mut self, rest: &mut &'a [u8]) -> Result<Option<Piece<'a>>, Reason> {
        let line_feed = memchr(b'\n', rest);
        let (part, after) = rest
            .split_at_checked(line_feed.map_or(rest.len(), |at| at + 1))
            .unwrap_or_default();
        self.trailers += part.len();
        // The empty line that ends the message is counted too, but it is not a trailer.
        if self.trailers > MAX_TRAILERS + "\r\n".len() {
            return Err(Reason::TrailersTooLarge);
        }
        self.trailer_line.extend_from_slice(part);
        *rest = after;
        if line_feed.is_none() {
            return Ok(None);
        }
        fields::judge_bytes(&self.trailer_line)?;
        if self.trailer_line == b"\r\n" {
            self.state = State::Ended;
            self.trailer_line = Vec::new();
            return Ok(Some(Piece::End));
        }
        fields::judge_line(self.trailer_line.strip_suffix(b"\r\n").unwrap_or_default())?;
        self.trailer_line.clear();
        Ok(None)
    }
}
