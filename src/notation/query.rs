//! One parameter of a URL's query, as two parsers would read it alike (schemes: Signature).
//!
//! The parameter is written as its name is, without an escape, and divided by `&` alone. A second
//! parameter, a name in another spelling, an alias that some program reads as the name, or a `;` beside
//! it, makes it several.

use std::borrow::Cow;

use super::form;
use crate::wire::head::Found;

/// The value of a parameter as it is written, without decoding.
pub(crate) fn parameter<'q>(query: &'q str, name: &str) -> Found<'q> {
    let mut found = Found::Nothing;
    for piece in query.split('&').filter(|piece| holds(piece, name)) {
        let value = piece
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('='))
            .filter(|value| !value.contains(';'));
        found = match (found, value) {
            (Found::Nothing, Some(value)) => Found::One(value.as_bytes()),
            _ => return Found::Several,
        };
    }
    found
}

/// The target without each parameter of this name and its aliases.
pub(crate) fn without<'t>(target: &'t str, name: &str) -> Cow<'t, str> {
    let Some((path, query)) = target.split_once('?') else {
        return Cow::Borrowed(target);
    };
    if !query.split('&').any(|piece| holds(piece, name)) {
        return Cow::Borrowed(target);
    }
    let rest: Vec<Cow<'_, str>> = query
        .split('&')
        .filter_map(|piece| rest_of(piece, name))
        .collect();
    if rest.is_empty() {
        Cow::Borrowed(path)
    } else {
        Cow::Owned(format!("{path}?{}", rest.join("&")))
    }
}

/// A piece of a query without the parameters of this name, for a program that divides it at a `;`;
/// `None` where nothing else is in it.
fn rest_of<'p>(piece: &'p str, name: &str) -> Option<Cow<'p, str>> {
    if !holds(piece, name) {
        return Some(Cow::Borrowed(piece));
    }
    let rest: Vec<&str> = piece
        .split(';')
        .filter(|piece| !holds(piece, name))
        .collect();
    (!rest.is_empty()).then(|| Cow::Owned(rest.join(";")))
}

/// Whether some program reads the parameter of this name in a piece of a query, at once or after it
/// has undone the escapes of the whole query.
pub(crate) fn holds(piece: &str, name: &str) -> bool {
    form::alternatives(piece.as_bytes()).any(|text| {
        text.split(|byte| matches!(byte, b'&' | b';'))
            .filter_map(|piece| piece.split(|byte| *byte == b'=').next())
            .any(|given| form::begins_as(name.as_bytes(), given))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn au_83_a_parameter_is_there_once_in_its_own_spelling() {
        let rows: [(&str, Found<'_>); 33] = [
            ("", Found::Nothing),
            ("a=1&b=2", Found::Nothing),
            ("signature=ab", Found::One(b"ab")),
            ("a=1&signature=ab&b=2", Found::One(b"ab")),
            ("signature=", Found::One(b"")),
            ("signature=a%62", Found::One(b"a%62")),
            ("signature=a=b", Found::One(b"a=b")),
            ("signature", Found::Several),
            ("signature=ab&signature=ab", Found::Several),
            ("signature=ab&Signature=cd", Found::Several),
            ("signature=ab&signature[]=cd", Found::Several),
            ("%73ignature=ab", Found::Several),
            ("signature=ab&%73ignature=cd", Found::Several),
            ("signature=ab;a=1", Found::Several),
            ("a=1;signature=cd&signature=ab", Found::Several),
            ("signature=ab&a=1;signature=cd", Found::Several),
            ("signature=ab&signature%zz=cd", Found::Several),
            ("signature=ab&signature+=cd", Found::Several),
            ("signature=ab&signature.x=cd", Found::Several),
            ("signature=ab&%2573ignature=cd", Found::Several),
            ("signature=ab&%252573ignature=cd", Found::Several),
            ("signature=ab&%u0073ignature=cd", Found::Several),
            ("signature=ab&+signature=cd", Found::Several),
            ("signature=ab&?signature=cd", Found::Several),
            ("signature=ab&[signature]=cd", Found::Several),
            ("signature=ab&signature%00=cd", Found::Several),
            ("signature=ab&%C5%BFignature=cd", Found::Several),
            ("signature=ab&a=1%26signature=cd", Found::Several),
            ("signature=ab&a=1%26signature%3Dcd", Found::Several),
            ("signature=ab&a=1%3Bsignature%3Dcd", Found::Several),
            ("signature=ab&a=1;b=2", Found::One(b"ab")),
            ("signature=ab&signature_kind=1", Found::One(b"ab")),
            ("signature=ab&a=signature&design=%zz", Found::One(b"ab")),
        ];
        for (query, expected) in rows {
            assert_eq!(parameter(query, "signature"), expected, "{query}");
        }
    }

    #[test]
    fn a_target_without_it_keeps_every_other_byte() {
        let rows = [
            ("/in", "/in"),
            ("/in?", "/in?"),
            ("/in?a=%20&b", "/in?a=%20&b"),
            ("/in?signature=ab", "/in"),
            ("/in?signature=ab&a=1", "/in?a=1"),
            ("/in?a=1&signature=ab", "/in?a=1"),
            ("/in?a=1&signature=ab&&b=2?", "/in?a=1&&b=2?"),
            (
                "/in?%73ignature=ab&Signature=c&signature[]=d&x=1",
                "/in?x=1",
            ),
            ("/signature=ab?x=signature", "/signature=ab?x=signature"),
            ("/in?a=1;signature=ab;b=2&c=;", "/in?a=1;b=2&c=;"),
            ("/in?signature=ab;signature%zz=cd&x", "/in?x"),
            (
                "/in?signature+=ab&signature.x=c&%2573ignature=d&x=%zz",
                "/in?x=%zz",
            ),
            ("/in?a=%26signature%3Dab&b=%26", "/in?b=%26"),
        ];
        for (target, expected) in rows {
            assert_eq!(without(target, "signature"), expected, "{target}");
        }
    }

    proptest! {
        #[test]
        fn the_value_is_never_in_the_rest(
            before in "([a-z]{1,5}=[A-Za-z0-9%]{0,5}&){0,3}",
            value in "[0-9a-f]{64}",
            after in "(&[a-z]{1,5}=[A-Za-z0-9]{0,5}){0,3}",
        ) {
            let target = format!("/in?{before}signature={value}{after}");
            let rest = without(&target, "signature");
            prop_assert!(!rest.contains(&value));
            prop_assert_eq!(rest.len() + "signature=".len() + value.len() + 1, target.len());
            let (_, query) = target.split_once('?').unwrap_or_default();
            prop_assert_eq!(parameter(query, "signature"), Found::One(value.as_bytes()));
        }
    }
}
