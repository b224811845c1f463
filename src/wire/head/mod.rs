//! A request head: its raw bytes, and the places of its parts in them (contract: Head).
//!
//! [`HeadScanner`] finds the lines of a head while it arrives. A whole head is judged by
//! [`super::rules`] and its parts are found in the same pass, so no second parser can read them
//! differently. A head can also be built from name and value pairs (by the command line, by HTTP/2),
//! so that the verifier needs only one type. Routes, methods and body sizes are judged
//! elsewhere.

mod field_name;
mod http2;
mod parse;
mod scanner;

#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use field_name::{FieldName, Found};
pub use http2::Request as Http2Request;
pub use scanner::HeadScanner;

pub use super::rules::fields::Line;
pub use super::rules::framing::Framing;
pub use super::rules::names::KnownName;
pub use super::rules::request_line::Version;
pub use super::rules::{Limits, fold};
pub(in crate::wire) use scanner::{Opening, Scanner};

use super::rules::fields::Fields;
use super::rules::host;
use super::rules::names::Tag;
use super::rules::request_line::Method;

/// The expectation of a request (RFC 9110 10.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The request has no `Expect`, or an HTTP/1.0 client sent `100-continue`, which is ignored.
    None,
    /// `100-continue`, from an HTTP/1.1 client.
    Continue,
    /// Any other value, or more than one line: the request is refused with `expectation_failed`.
    Other,
}

/// The parts of a head that are asked for as text: the target, and behind it the value of `Host`.
/// They are ASCII by the rules for both, which is checked once, here.
#[derive(Clone, Debug)]
struct Text {
    ascii: String,
    /// The end of the target's path, which is its first `?` if it has a query.
    path_end: usize,
    target_end: usize,
    has_host: bool,
}

impl Text {
    /// The text of a target and a host that have been judged.
    fn of(target: &[u8], host: Option<&[u8]>) -> Self {
        let mut text = Vec::with_capacity(target.len() + host.map_or(0, <[u8]>::len));
        text.extend_from_slice(target);
        text.extend_from_slice(host.unwrap_or_default());
        let query = target.iter().position(|&byte| byte == b'?');
        Self {
            ascii: String::from_utf8(text).unwrap_or_default(),
            path_end: query.unwrap_or(target.len()),
            target_end: target.len(),
            has_host: host.is_some(),
        }
    }
}

/// A judged request head. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Head {
    bytes: Bytes,
    method: Method,
    text: Text,
    version: Version,
    fields: Fields,
    framing: Framing,
    expect: Expect,
    keep_alive: bool,
}

impl Head {
    /// The raw bytes of the head, from the request line to the empty line.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The method as received (a token).
    pub fn method(&self) -> &str {
        match self.method {
            Method::Usual(method) => method,
            Method::Other(end) => {
                let method = self.bytes.get(..end).unwrap_or_default();
                std::str::from_utf8(method).unwrap_or_default()
            }
        }
    }

    /// The target as received: in origin-form, and made of bytes that RFC 3986 allows, except for
    /// backslashes in the path.
    pub fn target(&self) -> &str {
        let Text {
            ascii, target_end, ..
        } = &self.text;
        ascii.get(..*target_end).unwrap_or_default()
    }

    /// The target up to the first `?`.
    pub fn path(&self) -> &str {
        let Text {
            ascii, path_end, ..
        } = &self.text;
        ascii.get(..*path_end).unwrap_or_default()
    }

    /// The part of the target after its first `?`; `None` without a `?`.
    pub fn query(&self) -> Option<&str> {
        self.target().get(self.text.path_end + 1..)
    }

    /// The protocol version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The framing of the body.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// This head as that of a request without a body.
    #[must_use]
    pub fn without_body(&self) -> Self {
        Self {
            framing: Framing::None,
            ..self.clone()
        }
    }

    /// The expectation of the request.
    pub fn expect(&self) -> Expect {
        self.expect
    }

    /// Whether the client lets the connection stay open after this request, by the version and by
    /// all `Connection` lines.
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// The value of `Host` as received, with its port.
    pub fn host(&self) -> Option<&str> {
        let Text {
            ascii,
            target_end,
            has_host,
            ..
        } = &self.text;
        ascii.get(*target_end..).filter(|_| *has_host)
    }

    /// The name or address in `Host` without the port, in the case received. An IPv6 address keeps
    /// its brackets.
    pub fn host_name(&self) -> Option<&str> {
        self.host()
            .map(|host| host.get(..host::name_end(host)).unwrap_or(host))
    }

    /// The names and values of all lines, in the order of arrival. Values have no white space
    /// around them.
    pub fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.lines(&self.bytes)
    }

    /// Whether some line has this name or an alias of it.
    pub fn has(&self, name: KnownName) -> bool {
        self.fields.has(name)
    }

    /// Appends the lines that `keep` picks by their names, in the order of arrival, each as
    /// `Name: value` and a CRLF.
    pub fn copy_lines(&self, out: &mut Vec<u8>, keep: impl FnMut(KnownName, &[u8]) -> bool) {
        self.fields.copy(&self.bytes, out, keep);
    }

    /// The names that all `Connection` lines list, in the case received. A proxy must not forward
    /// the fields of these names (RFC 9110 7.6.1).
    pub fn connection_names(&self) -> impl Iterator<Item = &[u8]> {
        self.fields.connection_names(&self.bytes)
    }

    /// The line of this name.
    pub fn find(&self, name: &FieldName) -> Found<'_> {
        self.find_tagged(name.tag(), name.as_str().as_bytes())
    }

    /// The line of this name, compared without regard to case. Nothing is found under a name that
    /// is not a token.
    pub fn find_str(&self, name: &str) -> Found<'_> {
        self.find_tagged(Tag::of(name.as_bytes()), name.as_bytes())
    }

    /// The line of this name, which has this tag.
    fn find_tagged(&self, tag: Tag, name: &[u8]) -> Found<'_> {
        let mut real = None;
        let mut count = 0;
        for field in self.fields.iter().filter(|field| field.has_tag(tag)) {
            let received = field.name(&self.bytes);
            if name.eq_ignore_ascii_case(received) {
                count += 1;
                real = Some(field);
            } else if field_name::is_or_aliases(name, received) {
                count += 1;
            }
        }
        match real {
            None => Found::Nothing,
            Some(field) if count == 1 => Found::One(field.value(&self.bytes)),
            Some(_) => Found::Several,
        }
    }
}
