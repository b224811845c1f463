//! Lists whose items are known by their position, by the end of their label, or by a text before
//! the whole list.

use proptest::prelude::*;

use super::{BODY, NOW_S, code, now, verifier, verify};
use crate::key::digest::DigestAlgorithm;
use crate::notation::encoding::Encoding;
use crate::notation::timestamp::Unit;
use crate::scheme::tests::fixtures::{changed, plain, secret, timestamped};
use crate::scheme::{Algorithm, Items, TimestampAt};
use crate::sign::{SignRequest, sign};
use crate::verify::verifier::*;

const WRONG: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn mac(content: &[&[u8]]) -> String {
    let mut mac = DigestAlgorithm::HmacSha256.mac(b"k");
    for bytes in content {
        mac.update(bytes);
    }
    hex::encode(mac.finalize().as_bytes())
}

/// A timestamp at this position of a list.
fn at_position(position: usize, separator: &str, unit: Unit) -> Scheme {
    changed(timestamped("{timestamp}.{body}"), |template| {
        template.signature.items = Items {
            separator: Some(separator.to_owned()),
            ..Items::default()
        };
        if let Some(place) = &mut template.timestamp {
            (place.at, place.unit) = (TimestampAt::Item(position), unit);
        }
    })
}

/// A list of signatures behind a text that comes once.
fn behind_a_prefix() -> Scheme {
    changed(plain("{body}"), |template| {
        template.signature.prefix = "v0=".to_owned();
        template.signature.prefix_once = true;
        template.signature.items.separator = Some(",".to_owned());
    })
}

/// Items of a key's name, the name of an algorithm and a signature.
fn three_parts() -> Scheme {
    changed(plain("{body}"), |template| {
        template.signature.items = Items {
            separator: Some(",".to_owned()),
            assign: Some(b'/'),
            assign_last: true,
            accept: vec![("*/SHA256".to_owned(), Algorithm::HmacSha256)],
            ..Items::default()
        };
    })
}

/// The codes of these values of `X-Signature`; `None` for a value that is taken.
fn codes(scheme: Scheme, rows: &[(&str, String, Option<Code>)]) {
    let route = verifier(scheme, vec![secret("s", "k")]);
    let wrong: Vec<_> = rows
        .iter()
        .map(|(name, value, expected)| {
            let found = code(&route, &[("X-Signature", value)], BODY);
            (name, found, expected)
        })
        .filter(|(_, found, expected)| found != *expected)
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn au_80_a_timestamp_by_its_position_is_never_a_signature() {
    let good = mac(&[b"1750000000000.", BODY]);
    let scheme = at_position(1, ",", Unit::Milliseconds);
    let (bad, shape, time) = (
        Some(Code::BadSignature),
        Some(Code::MalformedSignature),
        Some(Code::MalformedTimestamp),
    );
    codes(
        scheme,
        &[
            ("time and signature", format!("1750000000000,{good}"), None),
            (
                "two signatures",
                format!("1750000000000,{WRONG},{good}"),
                None,
            ),
            ("the time alone", "1750000000000".to_owned(), shape),
            ("a time and nothing", "1750000000000,".to_owned(), shape),
            ("the signature alone", good.clone(), shape),
            (
                "the signature first",
                format!("{good},1750000000000"),
                shape,
            ),
            ("two signatures and no time", format!("{good},{good}"), time),
            ("an empty time", format!(",{good}"), time),
            ("a sign", format!("+1750000000000,{good}"), time),
            ("a zero in front", format!("01750000000000,{good}"), time),
            ("a space", format!("1750000000000, {good}"), shape),
            ("another time", format!("1750000000001,{good}"), bad),
            (
                "an old time",
                format!("1749999699000,{good}"),
                Some(Code::StaleTimestamp),
            ),
            (
                "seconds",
                format!("1750000000,{good}"),
                Some(Code::StaleTimestamp),
            ),
        ],
    );
    let good = mac(&[b"1750000000.", BODY]);
    codes(
        at_position(1, ".", Unit::Seconds),
        &[
            ("divided by a dot", format!("{NOW_S}.{good}"), None),
            ("decimals", format!("{NOW_S}.5.{good}"), None),
            ("by a comma", format!("{NOW_S},{good}"), shape),
        ],
    );
    codes(
        at_position(2, ",", Unit::Seconds),
        &[
            ("the second item", format!("{good},{NOW_S}"), None),
            ("no second item", good.clone(), time),
            (
                "a signature behind it",
                format!("{WRONG},{NOW_S},{good}"),
                None,
            ),
        ],
    );
}

#[test]
fn au_80_a_prefix_that_comes_once_is_not_repeated() {
    let good = mac(&[BODY]);
    let shape = Some(Code::MalformedSignature);
    codes(
        behind_a_prefix(),
        &[
            ("one signature", format!("v0={good}"), None),
            ("the second of two", format!("v0={WRONG},{good}"), None),
            ("the first of two", format!("v0={good},{WRONG}"), None),
            (
                "before each",
                format!("v0={WRONG},v0={good}"),
                Some(Code::BadSignature),
            ),
            ("before the second", format!("{WRONG},v0={good}"), shape),
            ("no prefix", good.clone(), shape),
            ("a longer prefix", format!("v0=v0={good}"), shape),
            ("another version", format!("v1={good}"), shape),
        ],
    );
}

#[test]
fn au_80_a_label_may_hold_the_assign_where_it_ends_at_the_last() {
    let good = mac(&[BODY]);
    let shape = Some(Code::MalformedSignature);
    codes(
        three_parts(),
        &[
            ("a key's name", format!("1/SHA256/{good}"), None),
            ("another key", format!("key-2/SHA256/{good}"), None),
            (
                "the second item",
                format!("1/SHA256/{WRONG},2/SHA256/{good}"),
                None,
            ),
            (
                "in another order",
                format!("2/SHA256/{good},1/SHA256/{WRONG}"),
                None,
            ),
            ("a name with a slash", format!("a/b/SHA256/{good}"), None),
            ("an empty name", format!("/SHA256/{good}"), None),
            ("another algorithm", format!("1/SHA1/{good}"), shape),
            ("no algorithm", format!("1/{good}"), shape),
            ("no label", good.clone(), shape),
            ("the signature first", format!("{good}/SHA256/1"), shape),
            (
                "other signature",
                format!("1/SHA256/{WRONG}"),
                Some(Code::BadSignature),
            ),
        ],
    );
}

#[test]
fn a_star_stands_for_any_text_of_a_label() {
    let rows: [(&str, &[(&str, bool)]); 5] = [
        (
            "v1",
            &[("v1", true), ("v2", false), ("", false), ("v11", false)],
        ),
        ("*", &[("v1", true), ("", true), ("a/b", true)]),
        ("*b", &[("ab", true), ("b", true), ("ba", false)]),
        ("a*", &[("ab", true), ("a", true), ("ba", false)]),
        ("ab*bc", &[("abbc", true), ("abxbc", true), ("abc", false)]),
    ];
    for (accepted, labels) in rows {
        let items = Items {
            accept: vec![(accepted.to_owned(), Algorithm::Ed25519)],
            ..Items::default()
        };
        for (label, expected) in labels {
            let found = items.accepted(label.as_bytes()).is_some();
            assert_eq!(found, *expected, "{accepted}: {label}");
        }
    }
}

#[test]
fn base64url_is_taken_with_its_padding_and_without() {
    let scheme = changed(plain("{body}"), |template| {
        template.signature.encoding = Encoding::Base64UrlAny;
    });
    let digest = hex::decode(mac(&[BODY])).unwrap();
    let bare = Encoding::Base64Url.encode(&digest);
    let shape = Some(Code::MalformedSignature);
    codes(
        scheme,
        &[
            ("without", bare.clone(), None),
            ("with", format!("{bare}="), None),
            ("too much", format!("{bare}=="), shape),
            (
                "the standard alphabet",
                bare.replacen(char::is_alphanumeric, "+", 1),
                shape,
            ),
            ("hex", mac(&[BODY]), shape),
        ],
    );
}

proptest! {
    #[test]
    fn what_is_signed_verifies_and_no_other_list_does(
        which in 0_usize..6,
        body in prop::collection::vec(any::<u8>(), 0..200),
        place: prop::sample::Index,
        byte in 0x20_u8..0x7f,
    ) {
        let scheme = [
            at_position(1, ",", Unit::Milliseconds),
            at_position(1, ".", Unit::Seconds),
            at_position(2, ", ", Unit::Seconds),
            at_position(3, ";", Unit::Seconds),
            behind_a_prefix(),
            three_parts(),
        ]
        .into_iter()
        .nth(which)
        .unwrap();
        let key = secret("s", "k");
        let request = SignRequest {
            method: "POST",
            target: "/in/x",
            body: &body,
            id: None,
            at: UnixMillis::from_secs(NOW_S),
            public_url: None,
            headers: &[],
        };
        let signed = sign(&scheme, &key, &request).unwrap();
        let value = &signed.iter().find(|(name, _)| name == "X-Signature").unwrap().1;
        let route = verifier(scheme, vec![key]);
        prop_assert!(verify(&route, &[("X-Signature", value)], &body, now()).is_ok(), "{}", value);
        // A changed byte is refused, but in what is no signature that counts: the name of a key,
        // and one of two equal signatures.
        let mut changed = value.clone().into_bytes();
        let at = place.index(changed.len());
        changed[at] = byte;
        let changed = String::from_utf8(changed).unwrap();
        let is_free = which == 5 && at == 0 || which == 3;
        if changed != *value && !is_free && changed.trim() == changed {
            prop_assert!(
                verify(&route, &[("X-Signature", &changed)], &body, now()).is_err(),
                "{}", changed
            );
        }
    }
}
