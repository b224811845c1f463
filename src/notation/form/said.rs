//! What `Content-Type` says of a body that may be a form.
//!
//! No signature covers the header, and an app takes a body apart as the header says. So the reading by
//! which a field was verified must be the reading of the app: whoever reads fields compares them with
//! the header, and a header that two programs understand in two ways is refused.

use crate::verdict::{Code, Refusal};
use crate::wire::head::{Found, Head};

const AMBIGUOUS: Refusal = Refusal::because(
    Code::MalformedSignature,
    "Content-Type is there more than once, or says in a way of which programs make different things \
     how the fields of the form are to be read (a character set other than UTF-8, no boundary or \
     several)",
);
const PACKED: Refusal = Refusal::because(
    Code::MalformedSignature,
    "Content-Encoding says that the body is packed, and the fields of a form are read in it as it is",
);

/// The character sets in which every name and value of ASCII is the same bytes.
pub(super) const CHARSETS: [&str; 6] = [
    "utf-8",
    "utf8",
    "us-ascii",
    "ascii",
    "iso-8859-1",
    "windows-1252",
];

/// The kind of body that `Content-Type` announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// The header is missing or empty.
    Nothing,
    /// `application/x-www-form-urlencoded`.
    Urlencoded,
    /// `multipart/form-data` with this boundary.
    Multipart(Vec<u8>),
    /// Any media type that no program reads as a form.
    Other,
}

impl Said {
    /// Reads `Content-Type`, and `Content-Encoding` beside it.
    ///
    /// # Errors
    /// `malformed_signature` for a header that two programs could understand in two ways, and for a
    /// body that is packed.
    pub(crate) fn of(head: &Head) -> Result<Self, Refusal> {
        match head.find_str("content-encoding") {
            Found::Nothing | Found::One(b"") => {}
            Found::One(coding) if coding.eq_ignore_ascii_case(b"identity") => {}
            Found::One(_) | Found::Several => return Err(PACKED),
        }
        match head.find_str("content-type") {
            Found::Nothing | Found::One(b"") => Ok(Self::Nothing),
            Found::Several => Err(AMBIGUOUS),
            Found::One(text) => Self::parse(text).ok_or(AMBIGUOUS),
        }
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let has = |word: &[u8]| memchr::memmem::find_iter(&lower, word).count();
        // PHP takes the first `boundary` in the header, wherever it is, and cuts the media type at a
        // comma or a space; so a word of a form in an odd place is no other type.
        if has(b"urlencoded") + has(b"form-data") + has(b"multipart") == 0 {
            return Some(Self::Other);
        }
        let text = std::str::from_utf8(text).ok()?;
        let mut pieces = text.split(';').map(str::trim);
        let media = pieces.next().unwrap_or_default().to_ascii_lowercase();
        let (mut boundary, mut charset) = (None, None);
        for piece in pieces.filter(|piece| !piece.is_empty()) {
            let (name, value) = piece.split_once('=')?;
            let value = parameter(value)?;
            let place = match name.to_ascii_lowercase().as_str() {
                "boundary" => &mut boundary,
                "charset" => &mut charset,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return None;
            }
        }
        // A second mention is `boundary*`, or a parameter of which it is a part.
        let is_said_once = has(b"boundary") == usize::from(boundary.is_some())
            && has(b"charset") == usize::from(charset.is_some());
        let is_known = charset.is_none_or(|charset| {
            CHARSETS
                .iter()
                .any(|known| known.eq_ignore_ascii_case(charset))
        });
        if !is_said_once || !is_known {
            return None;
        }
        match (media.as_str(), boundary) {
            ("application/x-www-form-urlencoded", _) => Some(Self::Urlencoded),
            ("multipart/form-data", Some(boundary)) => {
                Some(Self::Multipart(boundary.as_bytes().to_vec()))
            }
            _ => None,
        }
    }
}

/// The value of a parameter, in quotation marks or without; `None` where a quotation mark, a backslash or
/// white space is within.
fn parameter(text: &str) -> Option<&str> {
    let value = text
        .strip_prefix('"')
        .map_or(Some(text), |quoted| quoted.strip_suffix('"'))?;
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'\'');
    value.bytes().all(is_plain).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(lines: &[(&str, &str)]) -> Result<Said, Refusal> {
        let lines = lines.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes()));
        Said::of(&Head::from_parts("POST", "/x", lines).unwrap())
    }

    #[test]
    fn a_content_type_is_read_only_where_all_programs_read_it_alike() {
        let multipart = |boundary: &str| Ok(Said::Multipart(boundary.as_bytes().to_vec()));
        let rows = [
            ("", Ok(Said::Nothing)),
            ("application/json; charset=utf-16", Ok(Said::Other)),
            ("text/plain", Ok(Said::Other)),
            ("application/x-www-form-urlencoded", Ok(Said::Urlencoded)),
            (
                "Application/X-WWW-Form-URLencoded;charset=UTF-8",
                Ok(Said::Urlencoded),
            ),
            (
                "application/x-www-form-urlencoded; charset=\"ISO-8859-1\";",
                Ok(Said::Urlencoded),
            ),
            (
                "application/x-www-form-urlencoded; charset=ibm037",
                Err(AMBIGUOUS),
            ),
            (
                "application/x-www-form-urlencoded; charset=utf-16",
                Err(AMBIGUOUS),
            ),
            (
                "application/x-www-form-urlencoded; charset=utf-8; charset=utf-7",
                Err(AMBIGUOUS),
            ),
            (
                "application/x-www-form-urlencoded; x; charset=utf-8",
                Err(AMBIGUOUS),
            ),
            (
                "application/x-www-form-urlencoded, text/plain",
                Err(AMBIGUOUS),
            ),
            (
                "text/plain, application/x-www-form-urlencoded",
                Err(AMBIGUOUS),
            ),
            ("multipart/form-data; boundary=X-y", multipart("X-y")),
            ("multipart/form-data; boundary=\"X'y\"", Err(AMBIGUOUS)),
            (
                "multipart/form-data; boundary=\"X:y\"; charset=utf-8",
                multipart("X:y"),
            ),
            ("multipart/form-data", Err(AMBIGUOUS)),
            (
                "multipart/form-data; boundary=a; boundary=b",
                Err(AMBIGUOUS),
            ),
            (
                "multipart/form-data; xboundary=a; boundary=b",
                Err(AMBIGUOUS),
            ),
            (
                "multipart/form-data; boundary*=utf-8''a; boundary=b",
                Err(AMBIGUOUS),
            ),
            ("multipart/form-data; boundary=a b", Err(AMBIGUOUS)),
            ("multipart/mixed; boundary=a", Err(AMBIGUOUS)),
        ];
        for (text, expected) in rows {
            assert_eq!(said(&[("Content-Type", text)]), expected, "{text}");
        }
        assert_eq!(said(&[]), Ok(Said::Nothing));
        let two = [
            ("Content-Type", "text/plain"),
            ("Content_Type", "text/plain"),
        ];
        assert_eq!(said(&two), Err(AMBIGUOUS));
    }

    #[test]
    fn a_packed_body_is_no_form() {
        assert_eq!(said(&[("Content-Encoding", "Identity")]), Ok(Said::Nothing));
        for coding in ["gzip", "deflate", "identity, gzip"] {
            assert_eq!(
                said(&[("Content-Encoding", coding)]),
                Err(PACKED),
                "{coding}"
            );
        }
    }
}
