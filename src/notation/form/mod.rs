//! A strict parser of `application/x-www-form-urlencoded` (WHATWG URL 5.1): names and values as
//! bytes, in order.
//!
//! The parser is strict where the standard is lenient, because another program may read the same
//! bytes in another way. A form is refused as a whole where a `%` is not followed by two hex digits,
//! where a `;` is not escaped (older programs divide fields there), and where it has too many pairs.
//! [`names`] knows which names a program takes for another name, [`said`] reads `Content-Type`, and
//! [`multipart`] reads `multipart/form-data`.

mod multipart;
mod names;
mod said;

pub(crate) use self::multipart::parts;
pub(crate) use self::names::{alternatives, begins_as, is_or_aliases};
pub(crate) use self::said::Said;

use crate::wire::head::Found;

/// A name and its value, both decoded.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

/// The most pairs that a form may have.
pub(crate) const MAX_PAIRS: usize = 1024;

/// The fields of a form, urlencoded or multipart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    /// Names and values, in order.
    pub(crate) pairs: Vec<Pair>,
    /// The names of the parts that are files: an app does not read them as fields, or reads them in
    /// place of the field of the same name.
    pub(crate) files: Vec<Vec<u8>>,
}

impl Fields {
    /// The fields of a body, of which `said` says what it is. A body that begins with two hyphens is
    /// multipart. `None` where the body is malformed, or of another kind than `said`.
    pub(crate) fn of(said: &Said, body: &[u8]) -> Option<Self> {
        match (body.starts_with(b"--"), said) {
            (true, Said::Urlencoded) | (false, Said::Multipart(_)) => None,
            (true, said) => {
                let (boundary, fields) = parts(body)?;
                let is_said = match said {
                    Said::Multipart(said) => said == boundary,
                    _ => true,
                };
                is_said.then_some(fields)
            }
            (false, _) => Some(Self {
                pairs: pairs(body)?,
                files: Vec::new(),
            }),
        }
    }

    /// The value under this name, as [`one`] finds it. A file under the name or an alias of it counts
    /// as another value.
    pub(crate) fn one(&self, name: &[u8]) -> Found<'_> {
        if self.files.iter().any(|file| is_or_aliases(name, file)) {
            return Found::Several;
        }
        one(&self.pairs, name)
    }
}

/// Reads a form: pieces between `&`, split at their first `=`; `+` is a space, and `%hh` is a byte.
/// A piece without `=` is a name with an empty value, and an empty piece is skipped. `None` if an
/// escape is broken, if a `;` is not escaped, or if there are more than [`MAX_PAIRS`].
pub(crate) fn pairs(body: &[u8]) -> Option<Vec<Pair>> {
    // Rack 2, Python before 3.9.2 and Perl's CGI divide fields at a `;` too, and every sender
    // escapes it.
    if memchr::memchr(b';', body).is_some() {
        return None;
    }
    let mut pairs = Vec::new();
    for piece in body
        .split(|byte| *byte == b'&')
        .filter(|piece| !piece.is_empty())
    {
        if pairs.len() == MAX_PAIRS {
            return None;
        }
        let mut halves = piece.splitn(2, |byte| *byte == b'=');
        let name = decoded(halves.next().unwrap_or_default())?;
        let value = decoded(halves.next().unwrap_or_default())?;
        pairs.push((name, value));
    }
    Some(pairs)
}

/// The value under this decoded name, compared with regard to case. An alias of the name counts as
/// another value, whether the name itself is there or not: a program may read it under the name. So
/// does the field `_charset_`, by which a form says in which characters a program is to read it
/// (HTML, 4.10.21.5).
pub(crate) fn one<'p>(pairs: &'p [Pair], name: &[u8]) -> Found<'p> {
    let is_it =
        |given: &[u8]| is_or_aliases(name, given) || given.eq_ignore_ascii_case(b"_charset_");
    let mut found = pairs.iter().filter(|(given, _)| is_it(given));
    match (found.next(), found.next()) {
        (None, _) => Found::Nothing,
        (Some((own, value)), None) if own == name => Found::One(value),
        (Some(_), _) => Found::Several,
    }
}

/// The bytes that a name or a value spells; `None` if an escape is broken.
pub(crate) fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => digit(*rest.next()?)? << 4 | digit(*rest.next()?)?,
            other => *other,
        });
    }
    Some(out)
}

/// The value of a hex digit of either case.
fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_form_is_taken_apart_as_browsers_write_it_and_broken_escapes_are_none() {
        type Row = (
            &'static str,
            &'static [u8],
            Option<&'static [(&'static str, &'static [u8])]>,
        );
        let rows: &[Row] = &[
            ("nothing", b"", Some(&[])),
            ("one pair", b"a=1", Some(&[("a", b"1")])),
            (
                "order is kept, names may repeat",
                b"b=2&a=1&b=1",
                Some(&[("b", b"2"), ("a", b"1"), ("b", b"1")]),
            ),
            (
                "an empty value",
                b"a=&b=1",
                Some(&[("a", b""), ("b", b"1")]),
            ),
            ("no equals sign", b"a&b=1", Some(&[("a", b""), ("b", b"1")])),
            ("an empty name", b"=1", Some(&[("", b"1")])),
            ("an equals sign alone", b"=", Some(&[("", b"")])),
            (
                "equals signs in a value",
                b"a=b=c==",
                Some(&[("a", b"b=c==")]),
            ),
            ("empty pieces", b"&&a=1&", Some(&[("a", b"1")])),
            ("a semicolon, which may divide", b"a=1;b=2", None),
            ("a semicolon at the end", b"a=1;", None),
            (
                "an escaped semicolon",
                b"a=1%3Bb=2",
                Some(&[("a", b"1;b=2")]),
            ),
            (
                "plus and escapes, in names too",
                b"a+%2B=%26%3d+%e2%82%AC",
                Some(&[("a +", b"&= \xe2\x82\xac")]),
            ),
            (
                "bytes that are no UTF-8",
                b"a=%ff\xfe",
                Some(&[("a", b"\xff\xfe")]),
            ),
            ("a zero byte", b"a=%00", Some(&[("a", b"\0")])),
            (
                "an escape is undone once",
                b"a=%2541",
                Some(&[("a", b"%41")]),
            ),
            ("a lone percent sign", b"a=%", None),
            ("one digit", b"a=%4", None),
            ("no digit", b"a=%zz", None),
            ("a sign for a digit", b"a=%+1", None),
            ("an escape over the border", b"a=%2&1=b", None),
            ("a broken name", b"%g0=1", None),
            ("another escape", b"a=%u0041", None),
        ];
        let mut wrong = Vec::new();
        for (name, body, expected) in rows {
            let found = pairs(body);
            let expected = expected.map(|list| {
                list.iter()
                    .map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec()))
                    .collect::<Vec<_>>()
            });
            if found != expected {
                wrong.push((name, found));
            }
        }
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn more_pairs_than_the_limit_are_none() {
        let form = |count: usize| vec!["a=1"; count].join("&");
        assert_eq!(
            pairs(form(MAX_PAIRS).as_bytes()).map(|pairs| pairs.len()),
            Some(MAX_PAIRS)
        );
        assert_eq!(pairs(form(MAX_PAIRS + 1).as_bytes()), None);
    }

    #[test]
    fn a_name_is_found_once_or_said_to_stand_there_several_times() {
        let pairs = pairs(b"a=1&b=2&b=2&%63=4&e=5&E=6&F=7").unwrap();
        assert_eq!(one(&pairs, b"a"), Found::One(b"1"));
        assert_eq!(one(&pairs, b"b"), Found::Several);
        assert_eq!(one(&pairs, b"c"), Found::One(b"4"));
        assert_eq!(one(&pairs, b"d"), Found::Nothing);
        assert_eq!(one(&pairs, b"e"), Found::Several);
        assert_eq!(one(&pairs, b"f"), Found::Several);
    }

    #[test]
    fn a_field_that_chooses_the_characters_makes_every_other_field_doubtful() {
        let pairs = pairs(b"a=1&_CHARSET_=utf-7").unwrap();
        assert_eq!(one(&pairs, b"a"), Found::Several);
        assert_eq!(one(&pairs, b"b"), Found::Several);
    }

    #[test]
    fn a_body_of_another_kind_than_content_type_says_is_no_form() {
        let parts = b"--B\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--B--";
        let of_b = Said::Multipart(b"B".to_vec());
        let other = Said::Multipart(b"C".to_vec());
        let rows: [(&[u8], &Said, bool); 8] = [
            (parts, &of_b, true),
            (parts, &Said::Nothing, true),
            (parts, &Said::Other, true),
            (parts, &other, false),
            (parts, &Said::Urlencoded, false),
            (b"a=1", &Said::Urlencoded, true),
            (b"a=1", &Said::Nothing, true),
            (b"a=1", &of_b, false),
        ];
        for (body, said, is_form) in rows {
            let found = Fields::of(said, body);
            assert_eq!(found.is_some(), is_form, "{said:?}");
            let value = found.as_ref().map(|fields| fields.one(b"a"));
            assert_eq!(value, is_form.then_some(Found::One(&b"1"[..])), "{said:?}");
        }
    }

    #[test]
    fn a_file_is_no_field_and_takes_the_place_of_none() {
        let part = |disposition: &str| {
            format!("--B\r\nContent-Disposition: form-data; {disposition}\r\n\r\n1\r\n")
        };
        let body = part("name=a") + &part("name=b; filename=x") + "--B--";
        let fields = Fields::of(&Said::Nothing, body.as_bytes()).unwrap();
        assert_eq!(fields.one(b"a"), Found::One(b"1"));
        assert_eq!(fields.one(b"b"), Found::Several);
        let body = part("name=a") + &part("name=\"A[]\"; filename=\"\"") + "--B--";
        let fields = Fields::of(&Said::Nothing, body.as_bytes()).unwrap();
        assert_eq!(fields.one(b"a"), Found::Several);
    }

    proptest! {
        #[test]
        fn whatever_arrives_is_taken_apart_without_a_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(pairs) = pairs(&body) {
                let bytes: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
                prop_assert!(bytes <= body.len() && pairs.len() <= MAX_PAIRS);
            }
        }

        #[test]
        fn what_is_escaped_reads_back(value in prop::collection::vec(any::<u8>(), 0..50)) {
            let escaped = value.iter().fold(String::new(), |text, byte| text + &format!("%{byte:02x}"));
            prop_assert_eq!(pairs(format!("a={escaped}").as_bytes()), Some(vec![(b"a".to_vec(), value)]));
        }
    }
}
