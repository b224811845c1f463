//! The work that is left once a body is complete, and the steps in which it is done (contract:
//! Body).

use super::{NOW_S, SIGNATURE, TIMESTAMP, head, mac, now, verifier};
use crate::notation::json::Pointer;
use crate::scheme::body_form::Room;
use crate::scheme::tests::fixtures::{
    changed, credential, itellico, plain, secret, standard_webhooks, template_of,
};
use crate::scheme::{BodyForm, CredentialKind};
use crate::verify::verifier::*;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
/// The two public keys of RFC 8032 7.1, tests 1 and 2. As R of a signature they are points as well.
const POINTS: [&str; 2] = [
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
];

/// [`Work::Little`], however little it is.
const LITTLE: Work = Work::Little(0);

fn kind(work: Work) -> Work {
    match work {
        Work::Little(bytes) => {
            assert!(bytes <= STRETCH, "{bytes}");
            LITTLE
        }
        work => work,
    }
}

fn secrets(count: usize) -> Vec<Secret> {
    (0..count)
        .map(|number| secret(&format!("s{number}"), &format!("key {number}")))
        .collect()
}

/// A delivery of `route` with this body, all of which has arrived.
fn arrived(route: &Verifier, lines: &[(&str, &str)], body: &[u8]) -> Box<Verification> {
    let mut verification = route.begin(&head(lines), now()).unwrap();
    for piece in body.chunks(64 * KIB) {
        verification.update(piece);
    }
    verification
}

/// Signatures of Ed25519 that could be right, or that cannot because s is too large.
fn ed25519(count: usize, is_possible: bool) -> String {
    use base64::Engine as _;
    let one = |number: usize| {
        let mut bytes = hex::decode(POINTS[number % 2]).unwrap();
        bytes.extend(u32::try_from(number + 1).unwrap().to_le_bytes());
        bytes.resize(64, if is_possible { 0 } else { 0xff });
        let text = base64::engine::general_purpose::STANDARD.encode(bytes);
        format!("v1a,{text}")
    };
    (0..count).map(one).collect::<Vec<_>>().join(" ")
}

#[test]
fn rx_20_the_work_is_keys_times_signatures_times_forms_times_length() {
    let wrong = "0".repeat(64);
    let stamp = NOW_S.to_string();
    let hmac = |keys, body: usize, key: &str| {
        let body = vec![b'x'; body];
        let signed = [&body, b".".as_slice(), stamp.as_bytes()].concat();
        let signature = if key.is_empty() {
            wrong.clone()
        } else {
            mac(key.as_bytes(), &signed)
        };
        let route = verifier(itellico(), secrets(keys));
        let lines = [(SIGNATURE, signature.as_str()), (TIMESTAMP, &*stamp)];
        arrived(&route, &lines, &body).work(&body, now())
    };
    let plain_with = |scheme: Scheme, body: &[u8]| {
        let route = verifier(scheme, secrets(1));
        let mut lines = vec![("X-Id", "1"), ("X-Signature", wrong.as_str())];
        if route.scheme().signature_headers().is_empty() {
            lines.pop();
        }
        arrived(&route, &lines, body).work(body, now())
    };
    let with_form = |form, body: &[u8]| {
        let with = |forms| changed(plain("{body}"), |template| template.body = forms);
        plain_with(with(vec![BodyForm::Raw, form]), body)
    };
    let public = |signatures: &str, body: usize| {
        let body = vec![b'x'; body];
        let keys = POINTS.map(|point| secret(point, point));
        let route = verifier(
            changed(standard_webhooks(), |template| {
                template.signature.items.accept.remove(0);
                template.algorithm = crate::scheme::Algorithm::Ed25519;
            }),
            keys.to_vec(),
        );
        let lines = [
            ("webhook-id", "1"),
            ("webhook-timestamp", &*stamp),
            ("webhook-signature", signatures),
        ];
        arrived(&route, &lines, &body).work(&body, now())
    };
    let in_json = |scheme: Scheme| {
        let mut scheme = changed(scheme, |template| {
            template.signature.headers.clear();
            template.signature.json = Some(Pointer::parse("/signature").unwrap());
        });
        template_of(&mut scheme).may_leave_body = true;
        scheme
    };
    let body = |bytes| vec![b'{'; bytes];
    let rows = [
        ("one key, hashed while it arrived", hmac(1, MIB, ""), LITTLE),
        ("many keys, a short body", hmac(9, 100 * KIB, ""), LITTLE),
        (
            "the second of two keys, 1 MiB",
            hmac(2, MIB, "key 1"),
            LITTLE,
        ),
        ("three keys, 1 MiB", hmac(3, MIB, ""), Work::Steps),
        (
            "the last of four keys, 1 MiB",
            hmac(4, MIB, "key 3"),
            Work::Steps,
        ),
        ("five keys, 1 MiB, none holds", hmac(5, MIB, ""), Work::Much),
        (
            "five keys, 1 MiB, the first holds",
            hmac(5, MIB, "key 0"),
            LITTLE,
        ),
        (
            "a form that escapes, short",
            with_form(BodyForm::JsonAscii, &body(10 * KIB)),
            LITTLE,
        ),
        (
            "a form that escapes, long",
            with_form(BodyForm::JsonAscii, &body(100 * KIB)),
            Work::Much,
        ),
        (
            "a form that inflates, short",
            with_form(BodyForm::Inflated, &body(KIB)),
            LITTLE,
        ),
        (
            "a form that inflates, long",
            with_form(BodyForm::Inflated, &body(100 * KIB)),
            Work::Much,
        ),
        (
            "two public keys, one signature",
            public(&ed25519(1, true), 10 * KIB),
            LITTLE,
        ),
        (
            "two public keys, 16 signatures",
            public(&ed25519(16, true), KIB),
            Work::Much,
        ),
        (
            "a signature and 1 MiB",
            public(&ed25519(1, true), MIB),
            Work::Much,
        ),
        (
            "16 impossible ones and 1 MiB",
            public(&ed25519(16, false), MIB),
            LITTLE,
        ),
        (
            "a signature in a body, short",
            plain_with(in_json(plain("{header:X-Id}")), &body(100 * KIB)),
            LITTLE,
        ),
        (
            "a signature in a body, long",
            plain_with(in_json(plain("{header:X-Id}")), &body(MIB)),
            Work::Much,
        ),
        (
            "a credential in a header",
            plain_with(
                credential(plain("{body}"), CredentialKind::Token, ""),
                &body(MIB),
            ),
            LITTLE,
        ),
        (
            "a credential in a body",
            plain_with(
                credential(in_json(plain("{body}")), CredentialKind::Token, ""),
                &body(MIB),
            ),
            Work::Much,
        ),
        (
            "no byte of the body is signed",
            plain_with(
                changed(plain("{header:X-Id}"), |template| {
                    template.may_leave_body = true;
                }),
                &body(MIB),
            ),
            LITTLE,
        ),
    ];
    let different: Vec<_> = rows
        .into_iter()
        .filter(|(_, found, expected)| kind(*found) != *expected)
        .collect();
    assert!(different.is_empty(), "{different:#?}");
}

#[test]
fn rx_20_in_steps_the_verdict_is_the_same_and_no_step_is_long() {
    let body: Vec<u8> = (0..700 * KIB)
        .map(|at| u8::try_from(at % 251).unwrap())
        .collect();
    let stamp = NOW_S.to_string();
    let signed = [&body, b".".as_slice(), stamp.as_bytes()].concat();
    for (key, expected, hashed) in [
        ("key 0", Some("s0"), 0),
        ("key 1", Some("s1"), 1),
        ("key 3", Some("s3"), 3),
        ("another key", None, 3),
    ] {
        let signature = mac(key.as_bytes(), &signed);
        let lines = [(SIGNATURE, signature.as_str()), (TIMESTAMP, &*stamp)];
        let mut verification = arrived(&verifier(itellico(), secrets(4)), &lines, &body);
        let work = kind(verification.work(&body, now()));
        assert_eq!(
            work,
            if hashed == 0 { LITTLE } else { Work::Steps },
            "{key}"
        );
        let mut steps = 0;
        while work == Work::Steps && verification.advance(&body, now()) {
            steps += 1;
        }
        // Each further key begins in a step of its own, and 700 KiB are three more.
        assert_eq!(steps, hashed * 4, "{key}");
        if work == Work::Steps {
            assert!(
                !verification.advance(&body, now()),
                "{key}: nothing is left"
            );
        }
        let proof = verification.finish(&body, now());
        assert_eq!(
            proof.as_ref().map(|proof| &*proof.secret).ok(),
            expected,
            "{key}"
        );
    }
}

#[test]
fn rx_21_a_form_for_which_there_is_no_room_is_overloaded_and_not_a_bad_signature() {
    struct Full;
    impl Room for Full {
        fn take(&mut self, _: usize) -> bool {
            false
        }
    }
    let scheme = changed(plain("{body}"), |template| {
        template.body = vec![BodyForm::Raw, BodyForm::JsonAscii];
    });
    let route = verifier(scheme, secrets(1));
    let body = "\u{e9}".as_bytes();
    for (key, expected) in [("key 0", None), ("another key", Some(Code::Overloaded))] {
        let lines = [("X-Signature", &*mac(key.as_bytes(), body)), ("X-Id", "1")];
        let verification = arrived(&route, &lines, body);
        let found = verification.finish_within(body, now(), &mut Full);
        assert_eq!(found.err().map(|refusal| refusal.code), expected, "{key}");
    }
}
