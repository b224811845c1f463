//! A head read in the plainest way: byte by byte, each name compared with each name that matters,
//! nothing remembered between two questions. The fast reading must agree with it on every head.

use std::net::Ipv6Addr;

use crate::wire::head::{Expect, Framing, Limits, Version, fold};
use crate::wire::rules::request_line::{self, Method};
use crate::wire::rules::{MAX_LINE, Reason};

/// The parts of a head that the fast reading must find too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plain {
    pub(super) lines: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) framing: Framing,
    pub(super) keep_alive: bool,
    pub(super) expect: Expect,
    pub(super) host: Option<Vec<u8>>,
}

/// Reads a request's head.
pub(super) fn request(head: &[u8], limits: &Limits) -> Result<Plain, Reason> {
    if head.len() > limits.max_head {
        return Err(Reason::HeadTooLarge);
    }
    judge_bytes(head)?;
    let (line, rest) = first_line(head).ok_or(Reason::BrokenHead)?;
    let parts = request_line::split(line)?;
    Method::judge(&line[..parts.method_end])?;
    request_line::judge_target(&line[parts.target.clone()])?;
    let plain = fields(rest, limits, parts.version, true)?;
    if plain.host.is_none() && parts.version == Version::Http11 {
        return Err(Reason::MissingHost);
    }
    framed(plain, parts.version)
}

/// Reads an answer's head behind its status line, which `version` begins.
pub(super) fn answer(head: &[u8], limits: &Limits, version: Version) -> Result<Plain, Reason> {
    judge_bytes(head)?;
    let (_, rest) = first_line(head).ok_or(Reason::BrokenHead)?;
    framed(fields(rest, limits, version, false)?, version)
}

/// Whether two names are equal or aliases of each other.
pub(super) fn is_alike(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| fold(*a) == fold(*b))
}

fn judge_bytes(bytes: &[u8]) -> Result<(), Reason> {
    let odd = |byte: &u8| byte.is_ascii_control() && !b"\t\r\n".contains(byte);
    let pairs =
        || (0..=bytes.len()).map(|at| (at.checked_sub(1).map(|at| bytes[at]), bytes.get(at)));
    if bytes.iter().any(odd) {
        Err(Reason::ControlByte)
    } else if pairs().any(|(a, b)| b == Some(&b'\n') && a != Some(b'\r')) {
        Err(Reason::BareLineFeed)
    } else if pairs().any(|(a, b)| a == Some(b'\r') && b != Some(&b'\n')) {
        Err(Reason::BareCarriageReturn)
    } else {
        Ok(())
    }
}

fn first_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    Some((&bytes[..end], &bytes[end + 2..]))
}

/// Lines in the order of arrival; framing is put together by [`framed`].
fn fields(
    head: &[u8],
    limits: &Limits,
    version: Version,
    is_request: bool,
) -> Result<Plain, Reason> {
    let (mut lines, mut host) = (Vec::new(), None);
    let mut expects: Vec<Vec<u8>> = Vec::new();
    let (mut has_length, mut has_coding) = (false, false);
    let mut rest = head;
    loop {
        let Some((line, behind)) = first_line(rest) else {
            return Err(Reason::BrokenHead);
        };
        rest = behind;
        if line.is_empty() {
            break;
        }
        if line.len() > MAX_LINE {
            return Err(Reason::LineTooLong);
        }
        if lines.len() >= limits.max_headers {
            return Err(Reason::TooManyLines);
        }
        let (name, value) = field(line)?;
        if is_request && name.eq_ignore_ascii_case(b"host") {
            if !is_host(value) {
                return Err(Reason::MalformedHost);
            }
            if host.replace(value.to_vec()).is_some() {
                return Err(Reason::SecondHost);
            }
        } else if is_request && name.eq_ignore_ascii_case(b"expect") {
            expects.push(value.to_ascii_lowercase());
        } else if name.eq_ignore_ascii_case(b"content-length") {
            number(value).ok_or(Reason::MalformedLength)?;
            if std::mem::replace(&mut has_length, true) {
                return Err(Reason::SecondLength);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if has_coding {
                return Err(Reason::SecondCoding);
            }
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Reason::UnknownCoding);
            }
            has_coding = true;
        } else if is_alike(name, b"content-length") || is_alike(name, b"transfer-encoding") {
            return Err(Reason::FramingAlias);
        }
        lines.push((name.to_vec(), value.to_vec()));
    }
    if !rest.is_empty() {
        return Err(Reason::BrokenHead);
    }
    let expect = match &expects[..] {
        [] => Expect::None,
        [only] if only == b"100-continue" && version == Version::Http10 => Expect::None,
        [only] if only == b"100-continue" => Expect::Continue,
        _ => Expect::Other,
    };
    Ok(Plain {
        lines,
        framing: Framing::None,
        keep_alive: true,
        expect,
        host,
    })
}

fn framed(plain: Plain, version: Version) -> Result<Plain, Reason> {
    let values = |wanted: &'static [u8]| {
        let lines = plain.lines.iter();
        lines
            .filter(move |(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value)
    };
    let length = values(b"content-length")
        .next()
        .and_then(|value| number(value));
    let is_chunked = values(b"transfer-encoding").next().is_some();
    let framing = match (length, is_chunked) {
        (Some(_), true) => return Err(Reason::LengthBesideChunked),
        (None, true) if version == Version::Http10 => return Err(Reason::ChunkedBeforeHttp11),
        (None, true) => Framing::Chunked,
        (Some(length), false) => Framing::Length(length),
        (None, false) => Framing::None,
    };
    let mut members = values(b"connection").flat_map(|value| value.split(|byte| *byte == b','));
    let closes = members.any(|member| trim(member).eq_ignore_ascii_case(b"close"));
    let keep_alive = version == Version::Http11 && !closes;
    Ok(Plain {
        framing,
        keep_alive,
        ..plain
    })
}

fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Reason> {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let name_end = line.iter().take_while(|byte| is_token(byte)).count();
    let Some(separator) = line.get(name_end) else {
        return Err(Reason::MissingColon);
    };
    let more = &line[name_end + 1..];
    match separator {
        b':' if name_end == 0 => Err(Reason::EmptyName),
        b':' => Ok((&line[..name_end], trim(more))),
        b' ' | b'\t' if name_end == 0 => Err(Reason::FoldedLine),
        b' ' | b'\t' if more.contains(&b':') => Err(Reason::SpaceBeforeColon),
        _ if more.contains(&b':') => Err(Reason::NameByte),
        _ => Err(Reason::MissingColon),
    }
}

fn trim(value: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| !b" \t".contains(byte);
    let start = value.iter().position(is_text).unwrap_or(value.len());
    let end = value.iter().rposition(is_text).map_or(start, |at| at + 1);
    &value[start..end]
}

fn number(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?;
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn is_host(value: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(value) else {
        return false;
    };
    let bracket = if host.starts_with('[') {
        host.find(']').unwrap_or(0)
    } else {
        0
    };
    let end = host
        .get(bracket..)
        .and_then(|rest| rest.find(':'))
        .map_or(host.len(), |at| bracket + at);
    let (name, port) = host.split_at(end);
    let is_name = match name.strip_prefix('[') {
        Some(rest) => rest
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        }
    };
    let digits = port.strip_prefix(':').unwrap_or(port);
    let is_port = digits.len() <= 5
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits.is_empty() || digits.parse::<u16>().is_ok());
    is_name && (port.is_empty() || is_port)
}
