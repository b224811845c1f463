//! One parameter of a URL's query, as two parsers would read it alike (schemes: Signature).
//!
//! The parameter is written as its name is, without an escape. A second one, a name in another
//! spelling, or an alias that some program reads as the name, makes it several.

use std::borrow::Cow;

use super::form;
use crate::wire::head::Found;

/// The value of a parameter as it is written, without decoding.
pub(crate) fn parameter<'q>(query: &'q str, name: &str) -> Found<'q> {
    let mut found = Found::Nothing;
    for piece in query.split('&').filter(|piece| is_it(piece, name)) {
        let value = piece
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('='));
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
    if !query.split('&').any(|piece| is_it(piece, name)) {
        return Cow::Borrowed(target);
    }
    let rest: Vec<&str> = query
        .split('&')
        .filter(|piece| !is_it(piece, name))
        .collect();
    if rest.is_empty() {
        Cow::Borrowed(path)
    } else {
        Cow::Owned(format!("{path}?{}", rest.join("&")))
    }
}

/// Whether some program reads a piece of a query as the parameter of this name.
fn is_it(piece: &str, name: &str) -> bool {
    let given = piece.split('=').next().unwrap_or_default();
    let given = form::decoded(given.as_bytes());
    given.is_some_and(|given| form::is_or_aliases(name.as_bytes(), &given))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_parameter_is_there_once_in_its_own_spelling() {
        let rows: [(&str, Found<'_>); 13] = [
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
