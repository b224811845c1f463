//! A strict parser of `multipart/form-data` (RFC 7578).
//!
//! A body is refused as a whole where two programs could find other parts in it, or another name or
//! content of a part: a boundary within a part or behind the last one (PHP finds it after a bare line
//! feed), a head with folded or odd lines, a name that is there twice or in a spelling of which programs
//! make different things, and a content that is encoded or in characters in which ASCII is not ASCII.

use super::{Fields, MAX_PAIRS};

/// The longest boundary of a multipart body, in bytes (RFC 2046 5.1.1).
const MAX_BOUNDARY: usize = 70;

/// The parts of a body, whose first line is its boundary. `None` where the body is malformed or
/// ambiguous. Returns the boundary, and names and contents in order.
pub(crate) fn parts(body: &[u8]) -> Option<(&[u8], Fields)> {
    let end = memchr::memmem::find(body, b"\r\n")?;
    let boundary = body.get(..end)?.strip_prefix(b"--")?;
    if boundary.is_empty() || boundary.len() > MAX_BOUNDARY {
        return None;
    }
    let line = [b"\r\n--", boundary].concat();
    let mut fields = Fields::default();
    let mut count = 0;
    let mut rest = body.get(end..)?;
    while let Some(behind) = rest.strip_prefix(b"\r\n") {
        if count == MAX_PAIRS {
            return None;
        }
        count += 1;
        let end = memchr::memmem::find(behind, &line)?;
        let part = behind.get(..end)?;
        rest = behind.get(end + line.len()..)?;
        let at = memchr::memmem::find(part, b"\r\n\r\n")?;
        let own = PartHead::parse(std::str::from_utf8(part.get(..at)?).ok()?)?;
        let name = own.name.as_bytes().to_vec();
        if own.is_file {
            fields.files.push(name);
        } else if own.is_plain {
            fields.pairs.push((name, part.get(at + 4..)?.to_vec()));
        } else {
            return None;
        }
    }
    // The last boundary has two hyphens behind it, and no boundary is anywhere else.
    let boundaries = memchr::memmem::find_iter(body, line.get(2..)?).count();
    (rest.starts_with(b"--") && boundaries == count + 1).then_some((boundary, fields))
}

/// The head of a part.
struct PartHead<'h> {
    name: &'h str,
    is_file: bool,
    /// Whether the content is the value as it is.
    is_plain: bool,
}

impl<'h> PartHead<'h> {
    fn parse(head: &'h str) -> Option<Self> {
        let (mut disposition, mut is_plain) = (None, true);
        for line in head.split("\r\n") {
            let (name, value) = line.split_once(':')?;
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            if !name.bytes().all(is_name)
                || value
                    .bytes()
                    .any(|byte| byte.is_ascii_control() && byte != b'\t')
            {
                return None;
            }
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-disposition" if disposition.replace(value).is_some() => return None,
                "content-type" => is_plain &= is_in_plain_characters(value),
                "content-transfer-encoding" => {
                    let codings = ["7bit", "8bit", "binary"];
                    is_plain &= codings
                        .iter()
                        .any(|coding| coding.eq_ignore_ascii_case(value));
                }
                "content-encoding" => is_plain = false,
                _ => {}
            }
        }
        let (name, is_file) = disposed(disposition?)?;
        Some(Self {
            name,
            is_file,
            is_plain,
        })
    }
}

/// Whether a part's `Content-Type` leaves its bytes as they are.
fn is_in_plain_characters(media: &str) -> bool {
    let lower = media.to_ascii_lowercase();
    let mut charsets = lower.split("charset").skip(1);
    match (charsets.next(), charsets.next()) {
        (None, _) => true,
        (Some(text), None) => {
            let text = text.strip_prefix('=').map(|text| text.trim_matches('"'));
            text.is_some_and(|text| super::said::CHARSETS.contains(&text))
        }
        (Some(_), Some(_)) => false,
    }
}

/// The name in a part's `Content-Disposition`, and whether the part is a file. The parameters are divided
/// at every `;`, within quotation marks too, so that a `name` which only some programs find makes two.
fn disposed(disposition: &str) -> Option<(&str, bool)> {
    let mut pieces = disposition.split(';').map(str::trim);
    if !pieces.next()?.eq_ignore_ascii_case("form-data") {
        return None;
    }
    let (mut name, mut is_file) = (None, false);
    for piece in pieces {
        let begins = |word: &str| {
            let start = piece.get(..word.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(word))
        };
        is_file |= begins("filename");
        if begins("name") && name.replace(piece).is_some() {
            return None;
        }
    }
    let (key, value) = name?.split_once('=')?;
    if !key.eq_ignore_ascii_case("name") {
        return None;
    }
    let name = match value.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"')?,
        // PHP ends such a name at white space, and takes single quotation marks off.
        None if value.contains(|sign: char| sign.is_whitespace() || sign == '\'') => return None,
        None => value,
    };
    (!name.contains(['"', '\\', '%'])).then_some((name, is_file))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the fields and of the files in a body of one part with this head and content.
    fn read(head: &str, content: &str) -> Option<(Vec<String>, Vec<String>)> {
        let body = format!("--B0\r\n{head}\r\n\r\n{content}\r\n--B0--\r\n");
        let (boundary, fields) = parts(body.as_bytes())?;
        assert_eq!(boundary, b"B0");
        let text = |name: &Vec<u8>| String::from_utf8(name.clone()).unwrap();
        Some((
            fields.pairs.iter().map(|(name, _)| text(name)).collect(),
            fields.files.iter().map(text).collect(),
        ))
    }

    #[test]
    fn a_part_has_a_name_that_every_program_reads_alike() {
        let rows = [
            ("form-data; name=\"a\"", Some((&["a"][..], &[][..]))),
            ("form-data; name=a", Some((&["a"], &[]))),
            ("Form-Data; NAME=\"a\"", Some((&["a"], &[]))),
            ("form-data; name=\"a b'c\"", Some((&["a b'c"], &[]))),
            ("form-data; name=\"a\"; filename=\"x\"", Some((&[], &["a"]))),
            ("form-data; name=\"a\"; filename=\"\"", Some((&[], &["a"]))),
            (
                "form-data; name=\"a\"; FileName*=utf-8''x",
                Some((&[], &["a"])),
            ),
            (
                "form-data; filename=\"x\\\"y\"; name=\"a\"",
                Some((&[], &["a"])),
            ),
            ("form-data; filename=\"x; name=b\"; name=\"a\"", None),
            ("form-data; name=\"a\"; Name=\"b\"", None),
            ("form-data; name=\"a\"; name*=utf-8''b", None),
            ("form-data; name*=utf-8''b", None),
            ("form-data; name*0=\"a\"; name*1=\"b\"", None),
            ("form-data; name=\"a\\\"b\"", None),
            ("form-data; name=\"a%22b\"", None),
            ("form-data; name='a'", None),
            ("form-data; name=a b", None),
            ("form-data; name = \"a\"", None),
            ("form-data", None),
            ("attachment; name=\"a\"", None),
            ("form-data; name=\"a\"\r\n ; name=\"b\"", None),
            (
                "form-data; name=\"a\"\r\nContent-Disposition: form-data; name=\"b\"",
                None,
            ),
            ("form-data; name=\"a\"\r\nX : y", None),
            ("form-data; name=\"a\"\nX: y", None),
        ];
        let mut wrong = Vec::new();
        for (disposition, expected) in rows {
            let found = read(&format!("Content-Disposition: {disposition}"), "1");
            let list = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>();
            let expected = expected.map(|(fields, files)| (list(fields), list(files)));
            if found != expected {
                wrong.push((disposition, found));
            }
        }
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn a_content_that_programs_decode_is_refused_but_in_a_file() {
        let rows = [
            ("Content-Type: text/plain", true),
            ("Content-Type: text/plain; charset=UTF-8", true),
            (
                "Content-Type: text/plain; charset=ISO-8859-1\r\nContent-Transfer-Encoding: 8bit",
                true,
            ),
            ("Content-Type: text/plain; charset=utf-16", false),
            (
                "Content-Type: text/plain; charset=utf-8; charset=utf-7",
                false,
            ),
            ("Content-Transfer-Encoding: quoted-printable", false),
            ("Content-Transfer-Encoding: base64", false),
            ("Content-Encoding: gzip", false),
        ];
        for (line, is_taken) in rows {
            let of = |more: &str| format!("Content-Disposition: form-data; name=a{more}\r\n{line}");
            assert_eq!(read(&of(""), "1").is_some(), is_taken, "{line}");
            assert!(read(&of("; filename=x"), "1").is_some(), "{line}");
        }
    }

    #[test]
    fn a_boundary_stands_only_where_a_part_ends() {
        let head = "Content-Disposition: form-data; name=a";
        assert!(read(head, "x\r\n--B").is_some());
        for content in [
            "x\n--B0\nContent-Disposition: form-data; name=b\n\ny",
            "--B0",
            "\r--B0--",
        ] {
            assert!(read(head, content).is_none(), "{content}");
        }
        let whole = format!("--B0\r\n{head}\r\n\r\n1\r\n--B0--");
        assert!(parts(whole.as_bytes()).is_some());
        for behind in ["\r\n", "\r\nan epilogue"] {
            assert!(parts((whole.clone() + behind).as_bytes()).is_some());
        }
        let more = format!("{whole}\r\n--B0\r\n{head}\r\n\r\n2\r\n--B0--");
        assert!(parts(more.as_bytes()).is_none());
    }
}
