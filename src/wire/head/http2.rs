//! A head from the names and values of an HTTP/2 request (RFC 9113 8.3; contract: HTTP/2).
//!
//! It obeys the same rules as the lines of HTTP/1, by the same code. Here is only what HTTP/1 cannot
//! say: `:authority`, names in lower case alone, and cookies in several lines.

use super::parse::Assembly;
use super::{Framing, Head, KnownName, Limits, Version};
use crate::verdict::Refusal;
use crate::wire::rules::Reason;
use crate::wire::rules::fields::trim;
use crate::wire::rules::names::Tag;

/// The parts of a request that HTTP/2 sends beside its header lines.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The value of `:method`.
    pub method: &'a [u8],
    /// The value of `:scheme`, if it is known.
    pub scheme: Option<&'a [u8]>,
    /// The value of `:path`; empty if there is none.
    pub target: &'a [u8],
    /// The value of `:authority`.
    pub authority: Option<&'a [u8]>,
    /// Whether a body follows the head.
    pub has_body: bool,
}

impl Head {
    /// Builds the head of an HTTP/2 request. `lines` are the names and values of its header lines in
    /// order. `:authority` becomes the `Host`, and all cookies become one line, joined by `; `
    /// (RFC 9113 8.2.3). A body without a declared length counts as chunked.
    ///
    /// # Errors
    /// `bad_request`, `headers_too_large` or `uri_too_long`, with the reason: that of the same lines
    /// in HTTP/1, or that HTTP/2 does not allow them.
    pub fn from_http2<'a>(
        request: &Request<'a>,
        lines: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
        limits: &Limits,
    ) -> Result<Self, Refusal> {
        assemble(request, lines, limits).map_err(Refusal::from)
    }
}

fn assemble<'a>(
    request: &Request<'a>,
    lines: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    limits: &Limits,
) -> Result<Head, Reason> {
    let Request {
        method,
        scheme,
        target,
        authority,
        has_body,
    } = *request;
    let is_http = |scheme: &[u8]| {
        [&b"https"[..], b"http"]
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known))
    };
    if !scheme.is_none_or(is_http) {
        return Err(Reason::UnknownScheme);
    }
    let mut assembly = Assembly::begin(method, target, Version::Http2, *limits)?;
    if let Some(authority) = authority {
        assembly.add(b"host", authority)?;
    }
    let (mut hosts, mut cookies) = (0, Vec::new());
    for (name, value) in lines {
        if name.iter().any(u8::is_ascii_uppercase) {
            return Err(Reason::UpperCaseName);
        }
        if trim(value).len() != value.len() {
            return Err(Reason::SpaceAroundValue);
        }
        if is_of_the_connection(name, value) {
            return Err(Reason::ConnectionLine);
        }
        match (name, authority) {
            (b"host", Some(authority)) => {
                hosts += 1;
                if hosts > 1 {
                    return Err(Reason::SecondHost);
                }
                if !value.eq_ignore_ascii_case(authority) {
                    return Err(Reason::OtherHost);
                }
            }
            (b"cookie", _) => {
                if !cookies.is_empty() {
                    cookies.extend_from_slice(b"; ");
                }
                cookies.extend_from_slice(value);
            }
            _ => assembly.add(name, value)?,
        }
    }
    if !cookies.is_empty() {
        assembly.add(b"cookie", &cookies)?;
    }
    if !assembly.has_host() {
        return Err(Reason::MissingHost);
    }
    let mut head = assembly.complete(target)?;
    if has_body && head.framing == Framing::None {
        head.framing = Framing::Chunked;
    }
    Ok(head)
}

/// Whether a line is about the connection, which HTTP/2 says by other means (RFC 9113 8.2.2).
fn is_of_the_connection(name: &[u8], value: &[u8]) -> bool {
    match KnownName::tagged(Tag::of(name), name) {
        (
            KnownName::Connection
            | KnownName::KeepAlive
            | KnownName::ProxyConnection
            | KnownName::TransferEncoding
            | KnownName::Upgrade,
            false,
        ) => true,
        (KnownName::Te, false) => !value.eq_ignore_ascii_case(b"trailers"),
        _ => false,
    }
}
