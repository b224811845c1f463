//! A request head: its raw bytes, and where its parts are (SPEC 2.1).
//!
//! [`HeadScanner`] finds its end while it arrives; [`Head::parse`] judges the raw bytes by [`super::rules`] and finds
//! the parts in the same pass, so no second parser can see them differently. A head can also be built from name and
//! value pairs (command line, later HTTP/2), so that one type carries both to the verifier. Routes, methods and sizes
//! are judged elsewhere.

mod field_name;
mod parse;
mod scanner;

#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use field_name::{FieldName, Found};
pub use scanner::HeadScanner;

pub use super::rules::fields::{Field, Span};
pub use super::rules::framing::Framing;
pub use super::rules::request_line::Version;
pub use super::rules::{Limits, fold};
pub(in crate::wire) use scanner::{Opening, Scanner};

use super::rules::{fields, host};

/// What `Expect` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    None,
    /// `100-continue`, from an HTTP/1.1 client.
    Continue,
    /// Anything else: `expectation_failed`.
    Other,
}

/// A judged request head. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Head {
    bytes: Bytes,
    method: Span,
    target: Span,
    version: Version,
    fields: Vec<Field>,
    framing: Framing,
    expect: Expect,
    host: Option<Span>,
    keep_alive: bool,
}

impl Head {
    fn slice(&self, span: Span) -> &[u8] {
        span.of(&self.bytes)
    }

    fn text(&self, span: Span) -> &str {
        std::str::from_utf8(self.slice(span)).unwrap_or_default()
    }

    /// The head's raw bytes, request line to empty line.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The method as received (a token).
    pub fn method(&self) -> &str {
        self.text(self.method)
    }

    /// The target as received: origin-form, RFC 3986 bytes only.
    pub fn target(&self) -> &str {
        self.text(self.target)
    }

    /// The target up to the first `?`.
    pub fn path(&self) -> &str {
        let target = self.target();
        target.split_once('?').map_or(target, |(path, _)| path)
    }

    /// What follows the first `?`, without it.
    pub fn query(&self) -> Option<&str> {
        self.target().split_once('?').map(|(_, query)| query)
    }

    /// The protocol version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// How the body is framed.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// What `Expect` asks for.
    pub fn expect(&self) -> Expect {
        self.expect
    }

    /// Whether the client lets the connection stay open afterwards (version and every `Connection` line).
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// The value of `Host` as received, port and all.
    pub fn host(&self) -> Option<&str> {
        self.host.map(|span| self.text(span))
    }

    /// The name or address in `Host`, in the case received, without the port; an IPv6 address keeps its brackets.
    pub fn host_name(&self) -> Option<&str> {
        self.host()
            .map(|host| host.get(..host::name_end(host)).unwrap_or(host))
    }

    /// Names and values, in order of arrival.
    pub fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields
            .iter()
            .map(|f| (self.slice(f.name), self.slice(f.value)))
    }

    /// The names that all `Connection` lines list, in any case: none of them goes any further (RFC 9110 7.6.1).
    pub fn connection_names(&self) -> impl Iterator<Item = &[u8]> {
        fields::connection_names(&self.bytes, &self.fields)
    }

    /// The line of this name.
    pub fn find(&self, name: &FieldName) -> Found<'_> {
        self.find_str(name.as_str())
    }

    /// The line of this name, written in any case. A name that is no token finds nothing.
    pub fn find_str(&self, name: &str) -> Found<'_> {
        let name = name.as_bytes();
        let mut real = None;
        let mut count = 0;
        for field in self
            .fields
            .iter()
            .filter(|field| field.name.len() == name.len())
        {
            let received = self.slice(field.name);
            if name.eq_ignore_ascii_case(received) {
                count += 1;
                real = Some(field.value);
            } else if field_name::is_or_aliases(name, received) {
                count += 1;
            }
        }
        match real {
            None => Found::Nothing,
            Some(value) if count == 1 => Found::One(self.slice(value)),
            Some(_) => Found::Several,
        }
    }
}
