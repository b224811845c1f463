//! Header lines: `Name: value`, with or without a request line, a raw message with its body, the
//! `>` lines of `curl -v`, variables one a line, and what PHP and nginx print.

use super::cgi::{is_name, is_variable};
use super::{Body, Fault, Field, Message};
use crate::wire::chunked;
use crate::wire::head::FieldName;

/// The words before a header in the debug log of nginx.
const NGINX: &[u8] = b"http header: \"";

pub(super) fn read(text: &[u8], has_body: bool) -> Result<Message, Fault> {
    let lines: Vec<&[u8]> = text.split(|b| *b == b'\n').map(bare).collect();
    if lines.iter().any(|line| line.starts_with(b"> ")) {
        return sent_by_curl(&lines);
    }
    if lines.iter().any(|line| find(line, NGINX).is_some()) {
        let quoted = lines.iter().filter_map(|line| {
            let rest = line.get(find(line, NGINX)? + NGINX.len()..)?;
            rest.strip_suffix(b"\"")
        });
        return plain(&quoted.collect::<Vec<_>>());
    }
    let first = lines.iter().position(|line| !is_blank(line));
    let starts = first.and_then(|first| lines.get(first));
    let is_message = starts.is_some_and(|line| request_line(line).is_some());
    let end = first.and_then(|first| {
        let rest = lines.get(first..)?;
        Some(first + rest.iter().position(|line| is_blank(line))?)
    });
    // After the blank line comes the body, unless the body is a file of its own and the lines
    // after the blank line are headers as well.
    let behind = end.and_then(|end| lines.get(end + 1..)).unwrap_or_default();
    let is_body = if has_body {
        is_message && !are_headers(behind)
    } else {
        behind.iter().any(|line| !is_blank(line)) || is_message
    };
    let Some(end) = end.filter(|_| is_body) else {
        return plain(&lines);
    };
    let mut message = plain(lines.get(..end).unwrap_or_default())?;
    message.body = Some(Body::Bytes(body(&message.fields, after(text, end + 1))));
    Ok(message)
}

/// Whether each line is a header. JSON has colons too, but no name before the first.
fn are_headers(lines: &[&[u8]]) -> bool {
    let is_json = |(name, _): &Field| matches!(name.trim_ascii_start(), [b'{' | b'[' | b'"', ..]);
    plain(lines).is_ok_and(|message| !message.fields.iter().any(is_json))
}

/// The text behind the first `lines` lines.
fn after(text: &[u8], lines: usize) -> &[u8] {
    let ends = text.iter().enumerate().filter(|(_, b)| **b == b'\n');
    let mut ends = ends.map(|(at, _)| at + 1);
    let from = lines
        .checked_sub(1)
        .and_then(|before| ends.nth(before))
        .unwrap_or(text.len());
    text.get(from..).unwrap_or_default()
}

/// The body of a raw message: chunks are put together, and line ends that an editor added after
/// the announced length are dropped.
fn body(fields: &[Field], raw: &[u8]) -> Vec<u8> {
    let value = |name: &str| {
        let named = |field: &&Field| field.0.eq_ignore_ascii_case(name.as_bytes());
        fields
            .iter()
            .find(named)
            .map(|(_, value)| value.trim_ascii().to_vec())
    };
    if value("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case(b"chunked"))
        && let Some(decoded) = chunked::whole(raw)
    {
        return decoded;
    }
    let announced = value("content-length")
        .and_then(|value| String::from_utf8(value).ok()?.parse::<usize>().ok());
    match announced.and_then(|length| raw.split_at_checked(length)) {
        Some((body, rest)) if rest.iter().all(|b| matches!(b, b'\r' | b'\n')) => body.to_vec(),
        _ => raw.to_vec(),
    }
}

/// The request that `curl -v` shows: its lines begin with `>`, and the first empty one ends it.
fn sent_by_curl(lines: &[&[u8]]) -> Result<Message, Fault> {
    let sent = lines.iter().filter_map(|line| line.strip_prefix(b">"));
    let head: Vec<&[u8]> = sent
        .map(<[u8]>::trim_ascii)
        .take_while(|line| !line.is_empty())
        .collect();
    plain(&head)
}

/// Lines of headers. Blank lines are skipped. Of the pseudo-headers of HTTP/2 (`:authority`) only
/// method and path are read.
fn plain(lines: &[&[u8]]) -> Result<Message, Fault> {
    let mut message = Message::default();
    let mut is_first = true;
    // The name of a list that `print_r` of PHP has opened.
    let mut list: Option<Vec<u8>> = None;
    let has_variables = lines
        .iter()
        .any(|line| variable(line).is_some_and(|(name, _)| is_variable(&name)));
    for (place, line) in lines.iter().enumerate() {
        if is_blank(line) {
            continue;
        }
        if std::mem::take(&mut is_first)
            && let Some((method, target)) = request_line(line)
        {
            (message.method, message.url) = (Some(method.to_owned()), Some(target.to_owned()));
            continue;
        }
        if let Some((name, value)) = pseudo_header(line) {
            match name {
                ":method" => message.method = Some(value.to_owned()),
                ":path" => message.url = Some(value.to_owned()),
                _ => {}
            }
            continue;
        }
        if let Some((name, value)) = of_print_r(line) {
            match (value, &list) {
                (b"Array", _) => list = Some(name.to_vec()),
                (value, Some(list)) if name.iter().all(u8::is_ascii_digit) => {
                    message.fields.push((list.clone(), value.to_vec()));
                }
                (value, _) => {
                    list = None;
                    message.fields.push((name.to_vec(), value.to_vec()));
                }
            }
            continue;
        }
        if matches!(line.trim_ascii(), b"Array" | b"(" | b")") {
            continue;
        }
        if let Some(field) = variable(line).filter(|_| has_variables) {
            message.fields.push(field);
            continue;
        }
        let separator = line
            .iter()
            .position(|b| *b == b':')
            .or_else(|| line.iter().position(|b| *b == b'\t'));
        let at = separator.ok_or_else(|| {
            Fault::at(
                place + 1,
                "this line has no colon; write each header as `Name: value`",
            )
        })?;
        let (name, value) = line.split_at_checked(at).unwrap_or((line, b""));
        let value = value.get(1..).unwrap_or_default();
        message.fields.push((name.to_vec(), value.to_vec()));
    }
    Ok(message)
}

/// A variable and its value, as in `HTTP_X_NAME=value`, `$_SERVER['HTTP_X_NAME'] = 'value'` or
/// `export NAME="value"`.
fn variable(line: &[u8]) -> Option<Field> {
    let line = line.trim_ascii();
    let line = line.strip_prefix(b"export ").unwrap_or(line);
    let line = line.strip_prefix(b"$_SERVER[").unwrap_or(line);
    let at = line.iter().position(|b| matches!(b, b'=' | b':' | b'\t'))?;
    let (name, value) = line.split_at_checked(at)?;
    let is_of_name =
        |b: &u8| b.is_ascii_whitespace() || matches!(b, b'\'' | b'"' | b']' | b'$' | b'[');
    let name = trimmed(name, is_of_name);
    let value = value.get(1..)?.trim_ascii();
    let value = value.strip_prefix(b">").unwrap_or(value).trim_ascii();
    let value = value
        .strip_suffix(b";")
        .or_else(|| value.strip_suffix(b","))
        .filter(|value| value.ends_with(b"'") || value.ends_with(b"\""))
        .unwrap_or(value);
    let inner = match value {
        [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => inner,
        other => other,
    };
    is_name(name).then(|| (name.to_vec(), inner.to_vec()))
}

/// A line of PHP's `print_r`: `[name] => value`.
fn of_print_r(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.trim_ascii().strip_prefix(b"[")?;
    let at = find(line, b"] =>")?;
    let (name, value) = line.split_at_checked(at)?;
    Some((name, value.get(4..)?.trim_ascii()))
}

fn trimmed(text: &[u8], is_edge: impl Fn(&u8) -> bool) -> &[u8] {
    let from = text.iter().position(|b| !is_edge(b)).unwrap_or(text.len());
    let to = text
        .iter()
        .rposition(|b| !is_edge(b))
        .map_or(from, |at| at + 1);
    text.get(from..to).unwrap_or_default()
}

fn find(text: &[u8], words: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, words)
}

fn bare(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|b| matches!(b, b' ' | b'\t'))
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
