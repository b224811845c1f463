//! Rules that hold for every scheme of this room whose signature is in a header, and the fixtures
//! that the tests of these schemes share.

use std::sync::Arc;

use proptest::prelude::*;

use crate::clock::{Now, UnixMillis};
use crate::notation::encoding::Encoding;
use crate::notation::timestamp::Tolerance;
use crate::providers::code;
use crate::scheme::code::SignRequest;
use crate::scheme::tests::fixtures::{TOLERANCE, plain, secret};
use crate::scheme::{Place, ProofBy, Scheme, Settings};
use crate::sign::sign;
use crate::verdict::Refusal;
use crate::verify::verifier::Verifier;
use crate::wire::head::{FieldName, Head};

pub(in crate::providers) const NOW_MS: i64 = 1_750_000_000_000;
pub(in crate::providers) const ORIGIN: &str = "https://hooks.example.com";

pub(in crate::providers) fn scheme(name: &str) -> Scheme {
    let code = code(name).unwrap();
    Scheme {
        proof: ProofBy::Code(code),
        event_id: None,
        ..plain("{body}")
    }
}

/// A delivery as it arrives.
#[derive(Clone, Debug)]
pub(in crate::providers) struct Delivery {
    pub(in crate::providers) method: &'static str,
    pub(in crate::providers) origin: &'static str,
    pub(in crate::providers) target: String,
    pub(in crate::providers) lines: Vec<(String, Vec<u8>)>,
    pub(in crate::providers) body: Vec<u8>,
}

impl Delivery {
    pub(in crate::providers) fn new(target: &str, lines: &[(&str, &str)], body: &[u8]) -> Self {
        let lines = lines
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
            .collect();
        Self {
            method: "POST",
            origin: ORIGIN,
            target: target.to_owned(),
            lines,
            body: body.to_vec(),
        }
    }

    pub(in crate::providers) fn with(mut self, name: &str, value: &str) -> Self {
        self.lines
            .push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }

    /// The delivery with the headers of its signature under the secret `text`, beside its own.
    pub(in crate::providers) fn signed(mut self, name: &str, text: &str, id: Option<&str>) -> Self {
        let lines: Vec<_> = self
            .lines
            .iter()
            .map(|(n, v)| (n.as_str(), std::str::from_utf8(v).unwrap()))
            .collect();
        let request = SignRequest {
            method: self.method,
            target: &self.target,
            body: &self.body,
            id,
            at: UnixMillis(NOW_MS),
            public_url: Some(self.origin),
            headers: &lines,
        };
        let headers = sign(&scheme(name), &secret("s", text), &request).unwrap();
        self.lines.extend(
            headers
                .into_iter()
                .map(|(name, value)| (name, value.into_bytes())),
        );
        self
    }

    /// The verdict on this delivery by the scheme `name` and the secret `text`; the signed content
    /// where it is proved.
    pub(in crate::providers) fn judge(&self, name: &str, text: &str) -> Result<Vec<u8>, Refusal> {
        self.judge_within(name, text, TOLERANCE)
    }

    pub(in crate::providers) fn judge_within(
        &self,
        name: &str,
        text: &str,
        within: Tolerance,
    ) -> Result<Vec<u8>, Refusal> {
        let settings = Settings {
            tolerance: within,
            future_tolerance: within,
            public_url: Some(self.origin.to_owned()),
            max_body: 1 << 20,
        };
        let verifier =
            Verifier::new(Arc::new(scheme(name)), vec![secret("s", text)], settings).unwrap();
        let lines = self
            .lines
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_slice()));
        let head = Head::from_parts(self.method, &self.target, lines)?;
        let now = Now {
            wall: UnixMillis(NOW_MS),
            mono: std::time::Duration::ZERO,
        };
        let proof = verifier.begin(&head, now)?.finish(&self.body, now)?;
        Ok(proof.content.before().to_vec())
    }

    pub(in crate::providers) fn code(&self, name: &str, text: &str) -> Option<&'static str> {
        self.judge(name, text)
            .err()
            .map(|refusal| refusal.code.name())
    }
}

const FOUR: [&str; 4] = ["twilio", "plivo-v3", "contentful", "mercadopago"];
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

fn fields() -> impl Strategy<Value = String> {
    prop::collection::vec(("[A-Za-z]{1,8}", "[A-Za-z0-9._~-]{0,8}"), 1..6).prop_map(|pairs| {
        pairs
            .iter()
            .map(|(n, v)| format!("{n}={v}"))
            .collect::<Vec<_>>()
            .join("&")
    })
}

/// A signed delivery of the scheme `name`.
fn delivery(name: &str, key: &str, query: &str, body: &str) -> Delivery {
    let target = format!("/in/x?data.id=abc123&{query}");
    Delivery::new(&target, &[FORM], body.as_bytes()).signed(name, key, Some("evt-1"))
}

#[test]
fn what_cannot_be_signed_says_why() {
    let request = SignRequest {
        method: "POST",
        target: "/",
        body: b"",
        id: None,
        at: UnixMillis(NOW_MS),
        public_url: None,
        headers: &[],
    };
    let fault = |name, text, request| {
        sign(&scheme(name), &secret("mine", text), &request)
            .unwrap_err()
            .to_string()
    };
    for name in FOUR {
        assert_eq!(fault(name, "", request), "secret mine: the secret is empty");
        assert_eq!(
            fault(
                name,
                "k",
                SignRequest {
                    at: UnixMillis(-1),
                    ..request
                }
            ),
            "the time to sign at lies before 1970"
        );
    }
    for name in ["twilio", "plivo-v3"] {
        assert!(fault(name, "k", request).contains("public_url"));
    }
    assert!(
        fault(
            "plivo-v3",
            "k",
            SignRequest {
                id: Some(" a"),
                ..request
            }
        )
        .contains("event id")
    );
}

#[test]
fn what_is_signed_is_said_of_each_place() {
    let header = |name| Place::Header(FieldName::new(name).unwrap());
    let json = Place::Json(vec![crate::notation::json::Pointer::parse("/id").unwrap()]);
    let rows = [
        ("twilio", header("I-Twilio-Idempotency-Token"), false),
        ("twilio", json.clone(), true),
        ("plivo-v3", header("x-plivo-signature-v3-nonce"), true),
        ("plivo-v3", header("x-other"), false),
        ("contentful", header("x-contentful-topic"), false),
        ("contentful", header("x-contentful-timestamp"), true),
        ("contentful", json.clone(), true),
        ("mercadopago", header("x-request-id"), true),
        ("mercadopago", json, false),
    ];
    for (name, place, expected) in rows {
        assert_eq!(
            code(name).unwrap().signs(&place),
            expected,
            "{name} {place:?}"
        );
    }
}

#[test]
fn without_a_signature_or_with_an_empty_one_it_is_missing() {
    for name in FOUR {
        let mut delivery = delivery(name, "k", "a=1", "a=1");
        let mut lines = delivery.lines.clone();
        let (_, signature) = lines.last_mut().unwrap();
        signature.clear();
        delivery.lines.pop();
        assert_eq!(
            delivery.code(name, "k"),
            Some("missing_signature"),
            "{name}"
        );
        delivery.lines = lines;
        assert_eq!(
            delivery.code(name, "k"),
            Some("missing_signature"),
            "{name}"
        );
    }
}

#[test]
fn a_signature_or_signed_header_that_is_there_twice_or_beside_an_alias_is_refused() {
    for name in FOUR {
        let good = delivery(name, "k", "a=1", "a=1");
        assert_eq!(good.code(name, "k"), None, "{name}");
        for (line, value) in good.lines.clone() {
            for line in [line.clone(), line.replacen('-', "_", 1)] {
                let twice = good
                    .clone()
                    .with(&line, std::str::from_utf8(&value).unwrap());
                let is_type = line.to_lowercase().contains("content_type") || line == FORM.0;
                // A scheme that does not sign the body does not read the body's type.
                if is_type && name == "mercadopago" {
                    continue;
                }
                assert!(twice.judge(name, "k").is_err(), "{name} {line}");
            }
        }
    }
}

#[test]
fn what_is_too_old_or_ahead_is_refused_where_a_time_is_signed() {
    for (name, at, expected) in [
        ("contentful", NOW_MS - 300_001, "stale_timestamp"),
        ("contentful", NOW_MS + 300_001, "future_timestamp"),
        ("mercadopago", NOW_MS - 300_001, "stale_timestamp"),
        ("mercadopago", NOW_MS + 300_001, "future_timestamp"),
    ] {
        let request = SignRequest {
            method: "POST",
            target: "/",
            body: b"",
            id: Some("i"),
            at: UnixMillis(at),
            public_url: None,
            headers: &[],
        };
        let mut delivery = Delivery::new("/", &[], b"");
        let headers = sign(&scheme(name), &secret("s", "k"), &request).unwrap();
        delivery.lines = headers
            .into_iter()
            .map(|(name, value)| (name, value.into_bytes()))
            .collect();
        assert_eq!(delivery.code(name, "k"), Some(expected));
        assert!(delivery.judge_within(name, "k", Tolerance::Off).is_ok());
    }
}

proptest! {
    #[test]
    fn what_is_signed_verifies_and_under_another_secret_does_not(
        which in 0..4_usize, key in "[a-z]{1,70}", other in "[a-z]{1,70}", query in fields(), body in fields(),
    ) {
        let name = FOUR[which];
        let delivery = delivery(name, &key, &query, &body);
        prop_assert_eq!(delivery.code(name, &key), None);
        prop_assume!(key != other);
        prop_assert_eq!(delivery.code(name, &other), Some("bad_signature"));
    }

    #[test]
    fn one_bit_changed_anywhere_that_is_signed_is_refused(
        which in 0..4_usize, query in fields(), body in fields(), place: prop::sample::Index, part in 0..3_usize,
    ) {
        let name = FOUR[which];
        let mut changed = delivery(name, "k", &query, &body);
        let before = changed.judge(name, "k").unwrap();
        let flip = |bytes: &mut [u8]| {
            let bit = place.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
        };
        match part {
            0 => flip(&mut changed.body),
            1 => {
                let mut target = changed.target.clone().into_bytes();
                flip(&mut target);
                let Ok(target) = String::from_utf8(target) else { return Ok(()) };
                changed.target = target;
            }
            // The first line is the body's type. Of these schemes only `contentful` signs it.
            _ => {
                let first = usize::from(name != "contentful");
                let line = first + place.index(changed.lines.len() - first);
                let before = changed.lines[line].1.clone();
                flip(&mut changed.lines[line].1);
                prop_assert!(changed.judge(name, "k").is_err(), "{before:?} {changed:?}");
            }
        }
        // A changed delivery is still proved where the change is not signed, or only moves fields.
        if let Ok(after) = changed.judge(name, "k") {
            prop_assert_eq!(&before, &after);
            prop_assert_eq!(says(name, &changed), says(name, &delivery(name, "k", &query, &body)));
        }
    }

    #[test]
    fn whatever_arrives_is_refused_without_a_panic(
        which in 0..4_usize,
        target in "/[ -~]{0,60}",
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 8),
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let names = [
            "X-Twilio-Signature", "X-Twilio-Webhooks-Signature-Settings", "X-Plivo-Signature-V3",
            "X-Plivo-Signature-V3-Nonce", "x-contentful-signature", "x-contentful-signed-headers",
            "x-contentful-timestamp", "x-signature",
        ];
        let name = FOUR[which];
        let mut delivery = Delivery::new(&target, &[], &body);
        delivery.lines = names.map(str::to_owned).into_iter().zip(values).collect();
        prop_assert!(delivery.judge(name, "k").is_err());
    }

    #[test]
    fn well_formed_but_forged_deliveries_are_never_proved(
        which in 0..4_usize, digest in any::<[u8; 32]>(), query in fields(), body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let name = FOUR[which];
        let hex = hex::encode(digest);
        let base64 = Encoding::Base64.encode(&digest);
        let mercadopago = format!("ts={NOW_MS},v1={hex}");
        let lines = [
            ("X-Twilio-Signature", base64.as_str()), ("X-Twilio-Webhooks-Signature-Settings", "algorithm=HMAC_SHA256"),
            ("X-Plivo-Signature-V3", &base64), ("X-Plivo-Signature-V3-Nonce", "1"), ("x-contentful-signature", &hex),
            ("x-contentful-signed-headers", "x-contentful-signed-headers,x-contentful-timestamp"),
            ("x-contentful-timestamp", "1750000000000"), ("x-signature", &mercadopago), FORM,
        ];
        let delivery = Delivery::new(&format!("/in?{query}"), &lines, &body);
        prop_assert!(matches!(delivery.code(name, "k"), Some("bad_signature" | "malformed_signature")));
    }
}

/// The parts of a delivery that its receiver reads and that its scheme must sign.
fn says(name: &str, delivery: &Delivery) -> Vec<Vec<u8>> {
    let pairs = |text: &str| {
        let mut pairs = crate::notation::form::pairs(text.as_bytes()).unwrap();
        pairs.sort_unstable();
        pairs.into_iter().flat_map(|(name, value)| [name, value])
    };
    let (path, query) = delivery.target.split_once('?').unwrap();
    let body = || String::from_utf8(delivery.body.clone()).unwrap();
    let target = delivery.target.clone().into_bytes();
    match name {
        "twilio" => std::iter::once(target).chain(pairs(&body())).collect(),
        "plivo-v3" => std::iter::once(path.into())
            .chain(pairs(query))
            .chain(pairs(&body()))
            .collect(),
        "mercadopago" => {
            match crate::notation::form::one(
                &crate::notation::form::pairs(query.as_bytes()).unwrap(),
                b"data.id",
            ) {
                crate::wire::head::Found::One(id) => vec![id.to_vec()],
                _ => Vec::new(),
            }
        }
        _ => vec![target, delivery.body.clone()],
    }
}
