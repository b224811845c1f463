//! A captured delivery: method, target and headers from a file and from arguments, the body from
//! another file or from the same (contract: Command line).
//!
//! The forms of the headers are read in `message`. [`Head::from_parts`] judges the header lines by
//! the rules of the wire.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;

use super::message::{Body, FORMS, Message};
use super::subject::Subject;
use crate::clock::{Clock, Now, UnixMillis};
use crate::verdict::Refusal;
use crate::wire::head::Head;

/// The delivery that `verify` and `explain` judge.
#[derive(Args, Debug)]
pub(super) struct Captured {
    /// The delivery's headers: `Name: value` lines, a raw HTTP message, `curl -v` lines, a curl
    /// command, JSON, HAR, or printed variables [- for stdin]
    #[arg(long, value_name = "FILE")]
    headers: PathBuf,
    /// The delivery's body, byte for byte [- for stdin] [default: the body in the headers file]
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// The delivery's method [default: that of the headers file, or POST]
    #[arg(long)]
    method: Option<String>,
    /// The URL that was called, or only its path and query [default: that of the headers file, or
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

/// A captured delivery of a provider that is not known yet.
#[derive(Debug)]
pub(super) struct OpenDelivery {
    /// The head, or the refusal that such a head would also get on the wire.
    pub(super) head: Result<Head, Refusal>,
    /// The body, if it was captured.
    pub(super) body: Option<Vec<u8>>,
    pub(super) now: Now,
    /// The scheme and host of the URL, if it is known.
    pub(super) origin: Option<String>,
}

/// The content of the headers file, read.
#[derive(Debug)]
pub(super) struct Captive {
    message: Message,
    /// The origin of the URL, and its target.
    origin: Option<String>,
    target: Option<String>,
}

impl Captive {
    /// The scheme and host of the URL: the beginning of the signed URL where no route has a
    /// `public_url`.
    pub(super) fn origin(&self) -> Option<String> {
        self.origin.clone()
    }
}

impl Captured {
    /// Reads the headers file, and the URL of the arguments or of that file.
    pub(super) fn headers(&self) -> anyhow::Result<Captive> {
        if is_stdin(&self.headers) && self.body.as_deref().is_some_and(is_stdin) {
            bail!(
                "only one of `--headers` and `--body` can be `-`: name a file for the other, or \
                 leave `--body` out if the body is in the headers file"
            );
        }
        let text = read_input(&self.headers).context("`--headers`")?;
        let shown = self.headers.display();
        let message = Message::read(&text, self.body.is_some()).map_err(|fault| {
            let line = fault
                .line
                .map_or_else(String::new, |line| format!(":{line}"));
            anyhow::anyhow!("{shown}{line}: {}. {FORMS}", fault.why)
        })?;
        let (origin, target) = match &self.url {
            Some(url) => {
                let (origin, target) = split_url(url).map_err(|why| anyhow!("`--url` {why}"))?;
                (origin.map(str::to_owned), Some(target))
            }
            None => match message.url.as_deref() {
                // A target with an authority is left for the head to refuse.
                Some(url) if url.starts_with("http://") || url.starts_with("https://") => {
                    let (origin, target) =
                        split_url(url).map_err(|why| anyhow!("{shown}: the URL {why}"))?;
                    (origin.map(str::to_owned), Some(target))
                }
                other => (None, other.map(str::to_owned)),
            },
        };
        Ok(Captive {
            message,
            origin,
            target,
        })
    }

    /// Puts the head together and reads the body.
    pub(super) fn read(&self, captive: Captive, subject: &Subject) -> anyhow::Result<Delivery> {
        let Captive {
            message, target, ..
        } = captive;
        let target = target.unwrap_or_else(|| subject.path.clone());
        let method = self
            .method
            .as_deref()
            .or(message.method.as_deref())
            .unwrap_or("POST");
        let fields = message
            .fields
            .iter()
            .map(|(name, value)| (name.as_slice(), value.as_slice()));
        let head = Head::from_parts(method, &target, fields);
        Ok(Delivery {
            head,
            body: self.body(message.body)?,
            now: moment(self.at),
        })
    }

    /// Puts the head together, and reads the body where there is any.
    pub(super) fn read_open(&self, captive: Captive) -> anyhow::Result<OpenDelivery> {
        let Captive {
            message,
            target,
            origin,
        } = captive;
        let method = self.method.as_deref().or(message.method.as_deref());
        let fields = message.fields.iter();
        let fields = fields.map(|(name, value)| (name.as_slice(), value.as_slice()));
        let target = target.as_deref().unwrap_or("/");
        let head = Head::from_parts(method.unwrap_or("POST"), target, fields);
        let has_body = match &message.body {
            Some(Body::Bytes(bytes)) => !bytes.is_empty(),
            Some(Body::File { .. }) => true,
            Some(Body::Parsed) | None => false,
        };
        let body = (has_body || self.body.is_some()).then(|| self.body(message.body));
        Ok(OpenDelivery {
            head,
            body: body.transpose()?,
            now: moment(self.at),
            origin,
        })
    }

    /// The body of its own file, or else of the headers file.
    fn body(&self, beside: Option<Body>) -> anyhow::Result<Vec<u8>> {
        if let Some(path) = &self.body {
            return read_input(path).context("`--body`");
        }
        match beside {
            Some(Body::Bytes(bytes)) => Ok(bytes),
            Some(Body::File {
                path,
                without_newlines,
            }) => {
                let mut bytes =
                    read_input(&path).context("the body that the curl command names")?;
                if without_newlines {
                    bytes.retain(|byte| !matches!(byte, b'\r' | b'\n' | 0));
                }
                Ok(bytes)
            }
            Some(Body::Parsed) => bail!(
                "the body in {0} is parsed JSON, and a signature covers the raw bytes: name the \
                 file with them, as in `--body FILE`",
                self.headers.display()
            ),
            None => bail!(
                "{0} holds no body: name its file with `--body FILE`, or give a raw HTTP message, \
                 whose body follows a blank line",
                self.headers.display()
            ),
        }
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
        bail!("has a fragment, which is never sent: {right}");
    }
    if url.starts_with('/') {
        return Ok((None, encoded(url)));
    }
    let (scheme, rest) = url
        .split_once("://")
        .with_context(|| format!("is no URL: {right}"))?;
    if !matches!(scheme, "http" | "https") {
        bail!("begins with neither http:// nor https://: {right}");
    }
    let host_len = rest.find(['/', '?']).unwrap_or(rest.len());
    if host_len == 0 {
        bail!("names no host: {right}");
    }
    let (origin, target) = url
        .split_at_checked(scheme.len() + 3 + host_len)
        .unwrap_or((url, ""));
    if !origin.bytes().all(|b| b.is_ascii_graphic()) {
        bail!(
            "names a host that is not ASCII: write its ASCII form, as in \
             `https://xn--bcher-kva.example/in`"
        );
    }
    let slash = if target.starts_with('/') { "" } else { "/" };
    Ok((Some(origin), format!("{slash}{}", encoded(target))))
}

/// The target as a request line spells it: unchanged where a request line can hold it, since a
/// signature may cover the URL byte for byte. With any other byte it was shown decoded, and is encoded
/// in the strictest way.
fn encoded(target: &str) -> String {
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    // The bytes that many senders leave unescaped in a query (contract: Head).
    let is_unescaped = |byte: u8| b"[]{}|\\^`".contains(&byte);
    if path.bytes().all(is_plain) && query.bytes().all(|b| is_plain(b) || is_unescaped(b)) {
        return target.to_owned();
    }
    let mut out = String::with_capacity(target.len());
    for byte in target.bytes() {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Whether a byte needs no escape: the unreserved characters, the reserved characters except `#`, `[`
/// and `]`, and the percent sign (RFC 3986 2, 3.3 and 3.4).
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("/x?a[]={1}|\\^`", Some((None, "/x?a[]={1}|\\^`"))),
            ("/[a]?b[]=1", Some((None, "/%5Ba%5D?b%5B%5D=1"))),
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
