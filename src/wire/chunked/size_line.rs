//! The line before a chunk's data, with its size and extensions, read byte by byte (RFC 9112 7.1
//! and 7.1.1).
//!
//! `1*16HEXDIG *( ";" token [ "=" ( token / quoted-string ) ] ) CRLF`. RFC 9112 lets a recipient
//! accept white space around `;` and `=`. It is refused here, because parsers disagree about it.

use crate::wire::rules::{Reason, is_token_byte};

/// The most bytes of extensions in a chunk line, counted from its first `;`.
pub const MAX_EXTENSION: usize = 256;

/// The most digits of a chunk size.
const MAX_DIGITS: u8 = 16;
/// The largest chunk size that is accepted.
const MAX_SIZE: u64 = i64::MAX.cast_unsigned();

/// The state of a size line that is being read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SizeLine {
    size: u64,
    digits: u8,
    extension: usize,
    place: Place,
}

/// The part of the line that the last byte belonged to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Digits,
    Semicolon,
    Name,
    Equals,
    Token,
    Quoted,
    Backslash,
    QuoteEnd,
    Cr,
}

/// The effect of one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The byte was part of the size or of the line end.
    Size,
    /// The byte was part of an extension.
    Extension,
    /// The byte ended the line; the value is the chunk's size.
    Done(u64),
}

impl SizeLine {
    /// Takes the next byte of the line.
    pub(super) fn take(&mut self, byte: u8) -> Result<Progress, Reason> {
        self.place = match (self.place, byte) {
            (Place::Digits, _) => return self.digit(byte),
            (Place::Cr, b'\n') => return Ok(Progress::Done(self.size)),
            (Place::Name | Place::Token | Place::QuoteEnd, b'\r') => {
                self.place = Place::Cr;
                return Ok(Progress::Size);
            }
            (Place::Name | Place::Token | Place::QuoteEnd, b';') => Place::Semicolon,
            (Place::Name, b'=') => Place::Equals,
            (Place::Equals, b'"') => Place::Quoted,
            (Place::Quoted, b'"') => Place::QuoteEnd,
            (Place::Quoted, b'\\') => Place::Backslash,
            (Place::Quoted | Place::Backslash, _) if is_text(byte) => Place::Quoted,
            (Place::Semicolon | Place::Name, _) if is_token_byte(byte) => Place::Name,
            (Place::Equals | Place::Token, _) if is_token_byte(byte) => Place::Token,
            (Place::Cr, _) | (_, b'\n') => return Err(Reason::ChunkLineEnd),
            _ => return Err(Reason::ChunkExtension),
        };
        self.count_extension()
    }

    fn digit(&mut self, byte: u8) -> Result<Progress, Reason> {
        if let Some(digit) = char::from(byte).to_digit(16) {
            self.digits += 1;
            if self.digits > MAX_DIGITS {
                return Err(Reason::ChunkSize);
            }
            self.size = (self.size << 4) | u64::from(digit);
            // Other parsers behind the gateway may count in signed 64-bit numbers.
            return if self.size > MAX_SIZE {
                Err(Reason::ChunkSizeTooLarge)
            } else {
                Ok(Progress::Size)
            };
        }
        match byte {
            _ if self.digits == 0 => Err(Reason::ChunkSize),
            b'\r' => {
                self.place = Place::Cr;
                Ok(Progress::Size)
            }
            b';' => {
                self.place = Place::Semicolon;
                self.count_extension()
            }
            b'\n' => Err(Reason::ChunkLineEnd),
            _ => Err(Reason::ChunkSize),
        }
    }

    fn count_extension(&mut self) -> Result<Progress, Reason> {
        self.extension += 1;
        if self.extension > MAX_EXTENSION {
            Err(Reason::ChunkExtensionTooLong)
        } else {
            Ok(Progress::Extension)
        }
    }
}

/// Whether `byte` is allowed in a quoted string, bare or after a backslash (RFC 9110 5.6.4).
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}
