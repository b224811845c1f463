//! A captured delivery: method, target and headers from a file and from arguments, the body from
//! another file (contract: Command line).
//!
//! Lines are taken exactly as they are: [`Head::from_parts`] judges them by the rules of the wire.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;

use super::subject::Subject;
use crate::clock::{Clock, Now, UnixMillis};
use crate::verdict::Refusal;
use crate::wire::head::{FieldName, Head};

/// The delivery that `verify` and `explain` judge.
#[derive(Args, Debug)]
pub(super) struct Captured {
    /// The delivery's headers, a `Name: value` on each line; a request line (`POST /x HTTP/1.1`)
    /// may come first [- for stdin]
    #[arg(long, value_name = "FILE")]
    headers: PathBuf,
    /// The delivery's body, byte for byte [- for stdin]
    #[arg(long, value_name = "FILE")]
    body: PathBuf,
    /// The delivery's method [default: that of the request line, or POST]
    #[arg(long)]
    method: Option<String>,
    /// The URL that was called, or only its path and query [default: that of the request line, or
    /// the route's path]
    #[arg(long)]
    url: Option<String>,
    /// The time of the judgement, in Unix seconds [default: now]
    #[arg(long, value_name = "UNIX")]
    at: Option<i64>,
}

/// A captured delivery, read.
#[derive(Debug)]
pub(super) struct Delivery {
    /// The head, or the refusal that such a head would also get on the wire.
    pub(super) head: Result<Head, Refusal>,
    pub(super) body: Vec<u8>,
    pub(super) now: Now,
}

impl Captured {
    /// The scheme and host of the URL: the beginning of the signed URL where no route has a
    /// `public_url`.
    pub(super) fn origin(&self) -> anyhow::Result<Option<String>> {
        Ok(self
            .url
            .as_deref()
            .map(split_url)
            .transpose()?
            .and_then(|(origin, _)| origin.map(str::to_owned)))
    }

    /// Reads both files and puts the head together.
    pub(super) fn read(&self, subject: &Subject) -> anyhow::Result<Delivery> {
        if is_stdin(&self.headers) && is_stdin(&self.body) {
            bail!("only one of `--headers` and `--body` can be `-`: name a file for the other");
        }
        let text = read_input(&self.headers).context("`--headers`")?;
        let shown = self.headers.display();
        let lines = HeaderLines::parse(&text).map_err(|line| {
            anyhow::anyhow!(
                "{shown}:{line}: this line has no colon; write each header as `Name: value`"
            )
        })?;
        let target = match &self.url {
            Some(url) => split_url(url)?.1,
            None => lines
                .target
                .map_or_else(|| subject.path.clone(), str::to_owned),
        };
        let method = self.method.as_deref().or(lines.method).unwrap_or("POST");
        let head = Head::from_parts(method, &target, lines.fields.iter().copied());
        let body = read_input(&self.body).context("`--body`")?;
        Ok(Delivery {
            head,
            body,
            now: moment(self.at),
        })
    }
}

impl Delivery {
    /// A contradiction within the capture: a `Content-Length` other than the length of the body
    /// file.
    pub(super) fn doubt(&self) -> Option<String> {
        let head = self.head.as_ref().ok()?;
        let crate::wire::head::Framing::Length(said) = head.framing() else {
            return None;
        };
        let held = self.body.len() as u64;
        (said != held).then(|| {
            format!(
                "the headers announce a body of {said} bytes, but the body file holds {held}: the body \
                 may have been changed"
            )
        })
    }
}

/// The given time, in Unix seconds, on both clocks; without it the time of the machine.
pub(super) fn moment(at: Option<i64>) -> Now {
    match at {
        Some(seconds) => Clock::set_to(UnixMillis::from_secs(seconds)).now(),
        None => Clock::system().now(),
    }
}

/// Reads a whole file, or standard input for `-`.
pub(super) fn read_input(path: &Path) -> anyhow::Result<Vec<u8>> {
    if is_stdin(path) {
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .context("cannot read standard input")?;
        return Ok(bytes);
    }
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Whether a path is `-`, which means standard input.
pub(super) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Splits a URL into its origin, if it names a host, and its target. Characters that a target
/// cannot hold (RFC 3986: white space, letters beyond ASCII, quotes, braces) are percent-encoded
/// byte by byte, since a capture may show the URL decoded. A `%` in the URL is kept.
pub(super) fn split_url(url: &str) -> anyhow::Result<(Option<&str>, String)> {
    let right = "write it as in `https://hooks.example.com/in/x?y=1`, or only `/in/x?y=1`";
    if url.contains('#') {
        bail!("`--url` has a fragment, which is never sent: {right}");
    }
    if url.starts_with('/') {
        return Ok((None, encoded(url)));
    }
    let (scheme, rest) = url
        .split_once("://")
        .with_context(|| format!("`--url` is no URL: {right}"))?;
    if !matches!(scheme, "http" | "https") {
        bail!("`--url` begins with neither http:// nor https://: {right}");
    }
    let host_len = rest.find(['/', '?']).unwrap_or(rest.len());
    if host_len == 0 {
        bail!("`--url` names no host: {right}");
    }
    let (origin, target) = url
        .split_at_checked(scheme.len() + 3 + host_len)
        .unwrap_or((url, ""));
    if !origin.bytes().all(|b| b.is_ascii_graphic()) {
        bail!(
            "`--url` names a host that is not ASCII: write its ASCII form, as in \
             `https://xn--bcher-kva.example/in`"
        );
    }
    let slash = if target.starts_with('/') { "" } else { "/" };
    Ok((Some(origin), format!("{slash}{}", encoded(target))))
}

/// The target as a request line spells it.
fn encoded(target: &str) -> String {
    let mut out = String::with_capacity(target.len());
    for byte in target.bytes() {
        // Kept are unreserved characters, reserved characters except `#`, `[` and `]`, and the
        // percent sign (RFC 3986 2, 3.3 and 3.4).
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The lines of a headers file.
#[derive(Debug, PartialEq, Eq)]
struct HeaderLines<'t> {
    method: Option<&'t str>,
    target: Option<&'t str>,
    /// Names and values; white space around a value is cut by [`Head::from_parts`].
    fields: Vec<(&'t [u8], &'t [u8])>,
}

impl<'t> HeaderLines<'t> {
    /// Parses lines that end in LF or CRLF. Blank lines are skipped. Of the pseudo-headers of
    /// HTTP/2 (`:authority`) only method and path are read. The error is the number of a line
    /// without a colon, counted from 1.
    fn parse(text: &'t [u8]) -> Result<Self, usize> {
        let mut parsed = Self {
            method: None,
            target: None,
            fields: Vec::new(),
        };
        let mut is_first = true;
        for (place, line) in text.split(|b| *b == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.iter().all(|b| matches!(b, b' ' | b'\t')) {
                continue;
            }
            if std::mem::take(&mut is_first)
                && let Some((method, target)) = request_line(line)
            {
                (parsed.method, parsed.target) = (Some(method), Some(target));
                continue;
            }
            if let Some((name, value)) = pseudo_header(line) {
                match name {
                    ":method" => parsed.method = Some(value),
                    ":path" => parsed.target = Some(value),
                    _ => {}
                }
                continue;
            }
            let colon = line.iter().position(|b| *b == b':').ok_or(place + 1)?;
            let (name, value) = line.split_at_checked(colon).unwrap_or((line, b""));
            parsed
                .fields
                .push((name, value.strip_prefix(b":").unwrap_or(value)));
        }
        Ok(parsed)
    }
}

/// The name and value of a pseudo-header of HTTP/2 (RFC 9113 8.3.1), as captures show it.
fn pseudo_header(line: &[u8]) -> Option<(&str, &str)> {
    let line = std::str::from_utf8(line).ok()?;
    let colon = line.get(1..)?.find(':')? + 1;
    let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
    let is_one = matches!(
        name,
        ":method" | ":path" | ":authority" | ":scheme" | ":protocol"
    );
    is_one.then(|| (name, value.trim_ascii()))
}

/// Method and target of a request line.
fn request_line(line: &[u8]) -> Option<(&str, &str)> {
    let line = std::str::from_utf8(line).ok()?.trim_ascii();
    let (method, rest) = line.split_once(' ')?;
    let (target, version) = rest.rsplit_once(' ')?;
    let is_one = FieldName::new(method).is_some() && version.starts_with("HTTP/");
    is_one.then_some((method, target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_names_and_values_under_an_optional_request_line() {
        let text =
            b"POST /in/x?y=1 HTTP/1.1\r\nX-A: 1\r\n\r\nx-b:2: \t\n  \nX-C:\n:authority: a\n: 3";
        let lines = HeaderLines::parse(text).unwrap();
        assert_eq!(
            (lines.method, lines.target),
            (Some("POST"), Some("/in/x?y=1"))
        );
        let expected: [(&[u8], &[u8]); 4] = [
            (b"X-A", b" 1"),
            (b"x-b", b"2: \t"),
            (b"X-C", b""),
            (b"", b" 3"),
        ];
        // A line whose name is empty is left for the head to refuse.
        assert_eq!(lines.fields, expected);
        let h2 = HeaderLines::parse(b":method: PUT\n:path: /p\nx: 1").unwrap();
        assert_eq!((h2.method, h2.target), (Some("PUT"), Some("/p")));
    }

    #[test]
    fn a_line_without_a_colon_is_named_by_its_number() {
        assert_eq!(HeaderLines::parse(b"A: 1\n\nB 2\nC: 3"), Err(3));
        assert_eq!(
            HeaderLines::parse(b"A: 1\nPOST / HTTP/1.1"),
            Err(2),
            "a request line comes first"
        );
        assert_eq!(HeaderLines::parse(b"").unwrap().fields.len(), 0);
    }

    #[test]
    fn a_url_is_split_into_origin_and_target() {
        let rows = [
            ("https://a.example/x?y#z", None),
            (
                "https://a.example/x?y=/",
                Some((Some("https://a.example"), "/x?y=/")),
            ),
            ("http://a:8080", Some((Some("http://a:8080"), "/"))),
            ("http://a?x", Some((Some("http://a"), "/?x"))),
            ("/x", Some((None, "/x"))),
            ("ftp://a/x", None),
            ("https:///x", None),
            ("a.example/x", None),
            (
                "https://a.example/a b?q=\u{e9}+%20",
                Some((Some("https://a.example"), "/a%20b?q=%C3%A9+%20")),
            ),
            ("/x?a[]=\"{1}\"", Some((None, "/x?a%5B%5D=%22%7B1%7D%22"))),
            ("/a\\b|c^`<>\n", Some((None, "/a%5Cb%7Cc%5E%60%3C%3E%0A"))),
            (
                "https://a.example?q= ",
                Some((Some("https://a.example"), "/?q=%20")),
            ),
            ("https://b\u{fc}cher.example/x", None),
            ("https://a b/x", None),
        ];
        for (url, expected) in rows {
            let found = split_url(url).ok();
            assert_eq!(
                found.as_ref().map(|(o, t)| (*o, t.as_str())),
                expected,
                "{url}"
            );
            let can_be_sent =
                found.is_none_or(|(_, target)| Head::from_parts("POST", &target, []).is_ok());
            assert!(can_be_sent, "{url}");
        }
    }
}
