//! The strict rules of SPEC 2.1 as one table of reasons: framing, target, Host, white space, limits.
//!
//! Each file below judges one part and answers with a [`Reason`]; no part is repaired, folded or guessed. A reason
//! becomes a [`Refusal`] where the client broke the rule ([`From`]) and where the upstream did
//! ([`Reason::of_upstream`]). Not judged here: whether a path is ambiguous (`routes::path`), whether a size is wanted.

pub(in crate::wire) mod fields;
pub(in crate::wire) mod framing;
pub(in crate::wire) mod host;
pub(in crate::wire) mod request_line;

#[cfg(test)]
mod tests;

use std::fmt;

use crate::verdict::{Code, Refusal};

/// How much a head may hold (SPEC 2.1); the limits of a line and of the target are fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole head, its empty line included (`server.max_head`).
    pub max_head: usize,
    /// Header lines (`server.max_headers`).
    pub max_headers: usize,
}

impl Default for Limits {
    /// 64 KiB and 100 lines.
    fn default() -> Self {
        Self {
            max_head: 64 * 1024,
            max_headers: 100,
        }
    }
}

/// The longest line of a head, in bytes, its CRLF not counted (SPEC 2.1).
pub const MAX_LINE: usize = 16 * 1024;
/// The longest request target, in bytes (SPEC 2.1).
pub const MAX_TARGET: usize = 8 * 1024;
/// The longest method, in bytes; the longest registered one has 17.
pub const MAX_METHOD: usize = 32;
/// How many empty lines may stand before a request line (RFC 9112 2.2 asks for at least one).
pub const MAX_EMPTY_LINES: usize = 8;

macro_rules! reasons {
    ($($variant:ident => $code:ident, $words:literal;)*) => {
        /// Why bytes are not taken as HTTP: one row per rule.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $(#[doc = concat!("`", stringify!($code), "`: ", $words, ".")] $variant,)*
        }

        impl Reason {
            /// Every reason, in the order of the table.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant,)*];

            /// The code that a client is refused with.
            pub fn code(self) -> Code {
                match self { $(Reason::$variant => Code::$code,)* }
            }

            /// The reason in plain words; never bytes of the request.
            pub fn words(self) -> &'static str {
                match self { $(Reason::$variant => $words,)* }
            }
        }
    };
}

reasons! {
    TargetTooLong => UriTooLong, "the request target is longer than 8 KiB";
    LineTooLong => HeadersTooLarge, "a header line is longer than 16 KiB";
    HeadTooLarge => HeadersTooLarge, "the head is larger than the limit";
    TooManyLines => HeadersTooLarge, "there are more header lines than the limit";
    TooManyEmptyLines => BadRequest, "more than 8 empty lines stand before the request line";

    BareLineFeed => BadRequest, "a line ends in a line feed without a carriage return";
    BareCarriageReturn => BadRequest, "a carriage return stands without a line feed";
    ControlByte => BadRequest, "a control byte stands in the head or in a trailer";
    BrokenHead => BadRequest, "the head does not end in exactly one empty line";

    NotHttp => BadRequest, "what was sent does not begin as an HTTP request does";
    RequestLineParts => BadRequest, "the request line is not a method, a target and a version with one space between";
    UnknownVersion => BadRequest, "the version is neither HTTP/1.1 nor HTTP/1.0";
    MethodTooLong => BadRequest, "the method is longer than 32 bytes";
    MethodByte => BadRequest, "the method holds a byte that is not allowed there";
    NotOriginForm => BadRequest, "the request target does not begin with a slash";
    TargetFragment => BadRequest, "the request target holds a fragment";
    TargetByte => BadRequest, "the request target holds a byte that no URI may hold unescaped";

    FoldedLine => BadRequest, "a header line begins with white space";
    MissingColon => BadRequest, "a header line has no colon";
    EmptyName => BadRequest, "a header line has no name";
    SpaceBeforeColon => BadRequest, "white space stands in a header name or before its colon";
    NameByte => BadRequest, "a header name holds a byte that is not allowed there";

    LengthBesideChunked => BadRequest, "Content-Length stands beside Transfer-Encoding";
    SecondLength => BadRequest, "there is more than one Content-Length";
    MalformedLength => BadRequest, "Content-Length is not a plain decimal number";
    UnknownCoding => BadRequest, "Transfer-Encoding is not exactly chunked";
    SecondCoding => BadRequest, "there is more than one Transfer-Encoding";
    FramingAlias => BadRequest, "a header name can be mistaken for Content-Length or Transfer-Encoding";
    ChunkedBeforeHttp11 => BadRequest, "HTTP/1.0 has no Transfer-Encoding";

    MissingHost => BadRequest, "Host is missing";
    SecondHost => BadRequest, "there is more than one Host";
    MalformedHost => BadRequest, "Host is not a name or an address with an optional port";

    ChunkSize => BadRequest, "a chunk size is not one to 16 hexadecimal digits";
    ChunkSizeTooLarge => BadRequest, "the chunk sizes are too large to be counted";
    ChunkLineEnd => BadRequest, "a chunk line does not end in a carriage return and a line feed";
    ChunkExtension => BadRequest, "a chunk extension is malformed";
    ChunkExtensionTooLong => BadRequest, "the chunk extensions are too long";
    ChunkDataEnd => BadRequest, "the data of a chunk is not followed by a carriage return and a line feed";
    TrailersTooLarge => BadRequest, "the trailers are larger than 8 KiB";

    StatusLine => BadRequest, "the status line is not HTTP/1.1 or HTTP/1.0, a status from 100 to 599 and a reason";
}

impl Reason {
    /// The same reason where the upstream broke the rule: `upstream_failed`.
    pub fn of_upstream(self) -> Refusal {
        Refusal::because(Code::UpstreamFailed, self.words())
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::because(reason.code(), reason.words())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl std::error::Error for Reason {}

/// Bit of [`CLASSES`]: may stand in a token (RFC 9110 5.6.2).
const TOKEN: u8 = 1;
/// Bit of [`CLASSES`]: may stand in a target's path or query as RFC 3986 has them, `%` included.
const TARGET: u8 = 2;
/// Bit of [`CLASSES`]: unreserved (RFC 3986 2.3), which is all that a host's name is made of.
const UNRESERVED: u8 = 4;

/// For each byte, what it may stand in.
static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    mark(
        &mut table,
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
        TOKEN | TARGET | UNRESERVED,
    );
    mark(&mut table, b"!#$%&'*+-.^_`|~", TOKEN);
    mark(&mut table, b"-._~", UNRESERVED | TARGET);
    mark(&mut table, b"!$&'()*+,;=:@/?%", TARGET);
    table
}

#[expect(
    clippy::indexing_slicing,
    reason = "runs at compile time, where a wrong index is a compile error"
)]
const fn mark(table: &mut [u8; 256], bytes: &[u8], class: u8) {
    let mut at = 0;
    while at < bytes.len() {
        table[bytes[at] as usize] |= class;
        at += 1;
    }
}

fn has_class(byte: u8, class: u8) -> bool {
    CLASSES
        .get(usize::from(byte))
        .is_some_and(|classes| classes & class != 0)
}

/// Whether `byte` may stand in a token: a method, a header name, a chunk extension (RFC 9110 5.6.2).
pub(in crate::wire) fn is_token_byte(byte: u8) -> bool {
    has_class(byte, TOKEN)
}

/// Lower case; any byte that is neither letter nor digit becomes `-`.
pub fn fold(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() {
        byte.to_ascii_lowercase()
    } else {
        b'-'
    }
}
