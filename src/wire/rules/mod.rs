//! The strict rules of HTTP/1 and the table of every reason to refuse: framing, target, Host, white
//! space, limits (contract: Head).
//!
//! Each file of this room judges one part and returns a [`Reason`]; no part is repaired or guessed.
//! A reason becomes a [`Refusal`] by [`From`] if the client broke the rule, and by
//! [`Reason::of_upstream`] if the upstream did. Two things are judged elsewhere: whether a path is
//! ambiguous (`routes::path`), and whether a body is larger than its route allows.

pub(in crate::wire) mod fields;
pub(in crate::wire) mod framing;
pub(in crate::wire) mod host;
pub(in crate::wire) mod lines;
pub(in crate::wire) mod names;
pub(in crate::wire) mod request_line;
mod runs;

#[cfg(test)]
mod tests;

use std::fmt;

use crate::verdict::{Code, Refusal};

/// The configurable limits of a head (contract: Head); those of a line and of the target are fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of the whole head, its empty line included (`server.max_head`).
    pub max_head: usize,
    /// The most header lines (`server.max_headers`).
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

/// The longest line of a head, in bytes without its CRLF (contract: Head).
pub const MAX_LINE: usize = 16 * 1024;
/// The longest request target, in bytes (contract: Head).
pub const MAX_TARGET: usize = 8 * 1024;
/// The longest method, in bytes; the longest registered method has 17.
pub const MAX_METHOD: usize = 32;
/// The most empty lines before a request line. RFC 9112 2.2 asks a server to ignore at least one.
pub const MAX_EMPTY_LINES: usize = 8;

macro_rules! reasons {
    ($($variant:ident => $code:ident, $words:literal;)*) => {
        /// The reason why bytes are refused as HTTP: one variant for each rule.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $(#[doc = concat!("`", stringify!($code), "`: ", $words, ".")] $variant,)*
        }

        impl Reason {
            /// Every reason, in the order of the table.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant,)*];

            /// The code of the refusal that a client gets for this reason.
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
    TooManyEmptyLines => BadRequest, "there are more than 8 empty lines before the request line";

    BareLineFeed => BadRequest, "a line feed is not preceded by a carriage return";
    BareCarriageReturn => BadRequest, "a carriage return is not followed by a line feed";
    ControlByte => BadRequest, "the head or a trailer holds a control byte";
    BrokenHead => BadRequest, "the head does not end in exactly one empty line";

    NotHttp => BadRequest, "the first bytes are not the beginning of an HTTP request";
    TlsHello => BadRequest, "the first byte is that of a TLS ClientHello, and this port takes plain HTTP: end TLS in front of it, or write http:// in the URL";
    RequestLineParts => BadRequest, "the request line is not a method, a target and a version, divided by single spaces";
    UnknownVersion => BadRequest, "the version is neither HTTP/1.1 nor HTTP/1.0";
    MethodTooLong => BadRequest, "the method is longer than 32 bytes";
    MethodByte => BadRequest, "the method holds a byte that is not allowed there";
    NotOriginForm => BadRequest, "the request target does not begin with a slash";
    TargetFragment => BadRequest, "the request target holds a fragment";
    TargetByte => BadRequest, "the request target holds a byte that must be percent-encoded there";

    FoldedLine => BadRequest, "a header line begins with white space";
    MissingColon => BadRequest, "a header line has no colon";
    EmptyName => BadRequest, "a header line has no name";
    SpaceBeforeColon => BadRequest, "there is white space in a header name or before its colon";
    NameByte => BadRequest, "a header name holds a byte that is not allowed there";

    LengthBesideChunked => BadRequest, "there are both Content-Length and Transfer-Encoding";
    SecondLength => BadRequest, "there is more than one Content-Length";
    MalformedLength => BadRequest, "Content-Length is not a plain decimal number";
    UnknownCoding => BadRequest, "Transfer-Encoding is not exactly chunked";
    SecondCoding => BadRequest, "there is more than one Transfer-Encoding";
    FramingAlias => BadRequest, "a header name can be mistaken for Content-Length or Transfer-Encoding";
    ChunkedBeforeHttp11 => BadRequest, "HTTP/1.0 has no Transfer-Encoding";

    MissingHost => BadRequest, "Host is missing";
    SecondHost => BadRequest, "there is more than one Host";
    MalformedHost => BadRequest, "Host is not a name or an address with an optional port";

    UnknownScheme => BadRequest, ":scheme is neither https nor http";
    OtherHost => BadRequest, "Host and :authority differ";
    ConnectionLine => BadRequest, "HTTP/2 has no Connection, Keep-Alive, Proxy-Connection, Transfer-Encoding or Upgrade, and no TE but trailers";
    UpperCaseName => BadRequest, "a header name of HTTP/2 holds a letter in upper case";
    SpaceAroundValue => BadRequest, "a header value of HTTP/2 begins or ends with white space";

    ChunkSize => BadRequest, "a chunk size is not one to 16 hexadecimal digits";
    ChunkSizeTooLarge => BadRequest, "the chunk sizes are too large";
    ChunkLineEnd => BadRequest, "a chunk line does not end in a carriage return and a line feed";
    ChunkExtension => BadRequest, "a chunk extension is malformed";
    ChunkExtensionTooLong => BadRequest, "the chunk extensions are too long";
    ChunkDataEnd => BadRequest, "the data of a chunk does not end in a carriage return and a line feed";
    TrailersTooLarge => BadRequest, "the trailers are larger than 8 KiB";

    StatusLine => BadRequest, "the status line is not HTTP/1.1 or HTTP/1.0, a status from 100 to 599 and a reason";
}

impl Reason {
    /// The refusal if the upstream broke the rule: `upstream_failed`, with the same words.
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

/// Bit of [`CLASSES`]: the byte is allowed in a token (RFC 9110 5.6.2).
const TOKEN: u8 = 1;
/// Bit of [`CLASSES`]: RFC 3986 allows the byte in a path or query; `%` is included.
const TARGET: u8 = 2;
/// Bit of [`CLASSES`]: the byte is unreserved (RFC 3986 2.3). The name of a host consists of such
/// bytes alone.
const UNRESERVED: u8 = 4;
/// Bit of [`CLASSES`]: RFC 3986 does not allow the byte, but browsers and HTTP libraries leave it
/// unescaped in a query, and other proxies pass it on.
const QUERY: u8 = 8;

/// The classes of each byte, as bits.
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
    mark(&mut table, b"[]{}|\\^`", QUERY);
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

#[inline]
fn has_class(byte: u8, class: u8) -> bool {
    CLASSES
        .get(usize::from(byte))
        .is_some_and(|classes| classes & class != 0)
}

/// Whether `byte` is allowed in a token: a method, a header name, a part of a chunk extension (RFC
/// 9110 5.6.2).
#[inline]
pub(in crate::wire) fn is_token_byte(byte: u8) -> bool {
    has_class(byte, TOKEN)
}

/// The byte by which names are compared for aliases: a letter in lower case, a digit as it is, and
/// `-` for any other byte.
#[expect(
    clippy::indexing_slicing,
    reason = "the table has a place for each byte; `get` is not for constants"
)]
#[inline]
pub const fn fold(byte: u8) -> u8 {
    FOLDED[byte as usize]
}

/// Whether `name` is `folded` or an alias of it. `folded` is in lower case and has `-` for each
/// byte that is neither letter nor digit.
pub(in crate::wire) fn folds_to(name: &[u8], folded: &[u8]) -> bool {
    name.len() == folded.len() && name.iter().zip(folded).all(|(a, b)| fold(*a) == *b)
}

/// [`fold`] of each byte.
static FOLDED: [u8; 256] = folded();

#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "runs at compile time, where a wrong index is a compile error; the index is below 256"
)]
const fn folded() -> [u8; 256] {
    let mut table = [b'-'; 256];
    let mut at = 0;
    while at < table.len() {
        let byte = at as u8;
        if byte.is_ascii_alphanumeric() {
            table[at] = byte.to_ascii_lowercase();
        }
        at += 1;
    }
    table
}
