//! A strict parser of `application/x-www-form-urlencoded` (WHATWG URL 5.1): names and values as
//! bytes, in order.
//!
//! It is strict where the standard is lenient. A form with a `%` that is not followed by two hex
//! digits, or with too many pairs, is refused as a whole, so no broken escape remains that another
//! parser could read in another way. So is [`parts`], the parser of `multipart/form-data`. The
//! `Content-Type` is not looked at.

use crate::wire::head::{Found, fold};

/// A name and its value, both decoded.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

/// The most pairs that a form may have.
pub(crate) const MAX_PAIRS: usize = 1024;

/// The longest boundary of a multipart body, in bytes (RFC 2046 5.1.1).
const MAX_BOUNDARY: usize = 70;

/// Reads a form: pieces between `&`, split at their first `=`; `+` is a space, and `%hh` is a byte.
/// A piece without `=` is a name with an empty value, and an empty piece is skipped. `None` if an
/// escape is broken or if there are more than [`MAX_PAIRS`].
pub(crate) fn pairs(body: &[u8]) -> Option<Vec<Pair>> {
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
/// another value, whether the name itself is there or not: a program may read it under the name.
pub(crate) fn one<'p>(pairs: &'p [Pair], name: &[u8]) -> Found<'p> {
    let mut found = pairs.iter().filter(|(found, _)| is_or_aliases(name, found));
    match (found.next(), found.next()) {
        (None, _) => Found::Nothing,
        (Some((own, value)), None) if own == name => Found::One(value),
        (Some(_), _) => Found::Several,
    }
}

/// Whether some program reads the decoded name `given` as `name`: PHP takes a dot, a space and an
/// opening bracket for `_`, drops spaces in front and what follows a NUL, and reads `a[]` and `a[b]`
/// as `a`; other programs take no account of case. So names are compared as header names are: a byte
/// that is neither letter nor digit equals any other.
pub(crate) fn is_or_aliases(name: &[u8], given: &[u8]) -> bool {
    let given = given.split(|byte| *byte == 0).next().unwrap_or_default();
    let given = given.trim_ascii_start();
    let whole = given
        .iter()
        .rposition(|byte| !matches!(byte, b'[' | b']'))
        .map_or(0, |last| last + 1);
    // `a[b]` is read under `a.b` by some programs, and under `a` by others.
    let parts = [
        given.get(..whole),
        given.split(|byte| *byte == b'[').next(),
        Some(given),
    ];
    parts.into_iter().flatten().any(|given| {
        given.len() == name.len() && given.iter().zip(name).all(|(a, b)| fold(*a) == fold(*b))
    })
}

/// The parts of a multipart body (RFC 7578), whose first line is its boundary. `None` where the body
/// is malformed, and where a part has no name or a name that two readers could read in two ways.
/// Returns the boundary, and names and contents in order.
pub(crate) fn parts(body: &[u8]) -> Option<(&[u8], Vec<Pair>)> {
    let end = memchr::memmem::find(body, b"\r\n")?;
    let boundary = body.get(..end)?.strip_prefix(b"--")?;
    if boundary.is_empty() || boundary.len() > MAX_BOUNDARY {
        return None;
    }
    let line = [b"\r\n--", boundary].concat();
    let mut found = Vec::new();
    let mut rest = body.get(end..)?;
    while let Some(behind) = rest.strip_prefix(b"\r\n") {
        if found.len() == MAX_PAIRS {
            return None;
        }
        let end = memchr::memmem::find(behind, &line)?;
        let part = behind.get(..end)?;
        rest = behind.get(end + line.len()..)?;
        let at = memchr::memmem::find(part, b"\r\n\r\n")?;
        let name = part_name(std::str::from_utf8(part.get(..at)?).ok()?)?;
        found.push((name.as_bytes().to_vec(), part.get(at + 4..)?.to_vec()));
    }
    // The last boundary has two hyphens behind it.
    rest.starts_with(b"--").then_some((boundary, found))
}

/// The name that the head of a part gives it.
fn part_name(head: &str) -> Option<&str> {
    let mut dispositions = head.split("\r\n").filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-disposition")
            .then_some(value)
    });
    let (Some(value), None) = (dispositions.next(), dispositions.next()) else {
        return None;
    };
    let mut names = value
        .split(';')
        .filter_map(|parameter| parameter.trim().strip_prefix("name"));
    let (Some(name), None) = (names.next(), names.next()) else {
        return None;
    };
    let name = name.strip_prefix('=')?;
    let name = name
        .strip_prefix('"')
        .map_or(Some(name), |quoted| quoted.strip_suffix('"'))?;
    (!name.contains(['"', '\\', '%'])).then_some(name)
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
            (
                "a semicolon divides nothing",
                b"a=1;b=2",
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
    fn an_alias_is_a_name_that_a_program_may_read_as_another() {
        for alias in [
            &b"data.id"[..],
            b"data_id",
            b"data id",
            b"data-id",
            b"DATA.ID",
            b"data[id",
            b"data[id]",
            b"data.id[]",
            b"data.id[x]",
            b"  data.id",
            b"data.id\0x",
        ] {
            assert!(is_or_aliases(b"data.id", alias), "{alias:?}");
        }
        for other in [
            &b""[..],
            b"dataid",
            b"data.idx",
            b"xdata.id",
            b"data..id",
            b"data",
            b"id",
            b"[data.id]",
        ] {
            assert!(!is_or_aliases(b"data.id", other), "{other:?}");
        }
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
