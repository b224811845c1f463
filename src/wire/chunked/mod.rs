//! Strict chunk decoding, incremental (SPEC 2.1, RFC 9112 7.1), for requests and for the upstream's answers.
//!
//! Data is handed out where it lies in the input; only a trailer line is ever kept, until it is whole. Extensions and
//! trailers are judged, limited and dropped. How much data is wanted is the caller's to judge, by
//! [`ChunkedDecoder::declared`].

mod size_line;

#[cfg(test)]
mod tests;

use memchr::memchr;

pub use size_line::MAX_EXTENSION;

use super::rules::{Reason, fields};
use size_line::{Progress, SizeLine};

/// The most that all trailers of a message may take, in bytes, line ends included (ATTACKS SM-17).
pub const MAX_TRAILERS: usize = 8 * 1024;
/// The most that all chunk extensions of a message may take, in bytes.
pub const MAX_EXTENSIONS: usize = 16 * 1024;

/// What one step of decoding gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Data of the body; never empty.
    Data(&'a [u8]),
    /// All of the input was consumed and the message goes on.
    NeedMore,
    /// The message is complete; what follows in the input is not part of it.
    End,
}

/// Decodes one chunked message.
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

    /// The sum of all chunk sizes announced so far, the current chunk's included: known before its first byte is
    /// handed out, so that a body that is going to be too large can be refused at its size line.
    pub fn declared(&self) -> u64 {
        self.declared
    }

    /// Decodes up to the next piece: how many bytes of `input` were consumed, and what came of them. The bytes that
    /// were not consumed are to be given again. After [`Piece::End`] it is `End` for ever.
    ///
    /// # Errors
    /// The first byte that breaks a rule; nothing after it can be trusted, and every later call gives the same reason.
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

    /// Consumes some of `rest`: all that belongs to the present state, if there is any.
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

    /// Takes one byte of the line end after a chunk's data.
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

    /// Takes as much as there is of one trailer line.
    fn trailers<'a>(&mut self, rest: &mut &'a [u8]) -> Result<Option<Piece<'a>>, Reason> {
        let line_feed = memchr(b'\n', rest);
        let (part, after) = rest
            .split_at_checked(line_feed.map_or(rest.len(), |at| at + 1))
            .unwrap_or_default();
        self.trailers += part.len();
        // The line that ends the message is not a trailer.
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
        fields::split(self.trailer_line.strip_suffix(b"\r\n").unwrap_or_default())?;
        self.trailer_line.clear();
        Ok(None)
    }
}
