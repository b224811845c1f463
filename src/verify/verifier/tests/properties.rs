//! The properties of every delivery: signed content verifies, changed content does not, and nothing
//! panics.

use proptest::prelude::*;

use super::{now, verifier};
use crate::notation::encoding::Encoding;
use crate::scheme::Algorithm;
use crate::scheme::tests::fixtures::{
    changed, field, itellico, secret, standard_webhooks, stripe, template_of, timestamped,
};
use crate::sign::{SignRequest, sign};
use crate::verify::verifier::*;

const SCHEMES: usize = 9;

type Lines = Vec<(String, Vec<u8>)>;

fn signed(scheme: &Scheme, key: &Secret, id: &str, at: UnixMillis, body: &[u8]) -> Lines {
    let request = SignRequest {
        method: "POST",
        target: "/in/x",
        body,
        id: Some(id),
        at,
        public_url: Some("https://hooks.example.com"),
        headers: &[],
    };
    let headers = sign(scheme, key, &request).unwrap();
    headers
        .into_iter()
        .map(|(name, value)| (name, value.into_bytes()))
        .collect()
}

fn verdict(verifier: &Verifier, lines: &Lines, body: &[u8]) -> Result<Proof, Refusal> {
    let lines = lines
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_slice()));
    let mut verification = verifier.begin(&Head::from_parts("POST", "/in/x", lines)?, now())?;
    for chunk in body.chunks(7) {
        verification.update(chunk);
    }
    verification.finish(body, now())
}

fn schemes() -> Vec<Scheme> {
    [
        "{id}.{timestamp}.{body}",
        "v0:{timestamp}:{body}",
        "{method}{url}{body}{timestamp}",
        "{body}|{id}|{timestamp}|",
    ]
    .map(timestamped)
    .into_iter()
    .chain([
        itellico(),
        stripe(),
        standard_webhooks(),
        hashed(),
        two_headers(),
    ])
    .collect()
}

/// A plain hash with the secret in the middle.
fn hashed() -> Scheme {
    changed(timestamped("{timestamp}{secret}{body}"), |template| {
        template.algorithm = Algorithm::Sha256;
    })
}

/// A signature in either of two headers.
fn two_headers() -> Scheme {
    let mut scheme = timestamped("{body}{timestamp}");
    template_of(&mut scheme).signature.headers = vec![field("X-Signature"), field("X-Signature-2")];
    scheme
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..300)
}

/// Seconds around the time at which the tests verify, within the tolerance.
fn times() -> impl Strategy<Value = UnixMillis> {
    (-300..=300_i64).prop_map(|off| UnixMillis(now().wall.0 / 1000 * 1000 + off * 1000))
}

proptest! {
    #[test]
    fn whatever_is_signed_verifies(
        which in 0..SCHEMES,
        // A secret of nothing but zeros is none.
        key in "[a-z][ -~é]{0,79}",
        id in "[A-Za-z0-9_-]{1,40}",
        at in times(),
        body in bodies(),
    ) {
        // A key that everybody knows is refused before anything is signed.
        prop_assume!(crate::key::shape::known_text(key.as_bytes()).is_none());
        let scheme = schemes().swap_remove(which);
        let key = secret("signer", &key);
        let lines = signed(&scheme, &key, &id, at, &body);
        let proof = verdict(&verifier(scheme, vec![secret("another", "another"), key]), &lines, &body);
        prop_assert_eq!(proof.map(|proof| (proof.secret.to_string(), proof.signed_at)), Ok(("signer".into(), Some(at))));
    }

    #[test]
    fn one_bit_changed_anywhere_in_the_body_is_bad(which in 0..SCHEMES, mut body in bodies(), place: prop::sample::Index) {
        prop_assume!(!body.is_empty());
        let scheme = schemes().swap_remove(which);
        let lines = signed(&scheme, &secret("s", "k"), "evt", now().wall, &body);
        let bit = place.index(body.len() * 8);
        body[bit / 8] ^= 1 << (bit % 8);
        let refusal = verdict(&verifier(scheme, vec![secret("s", "k")]), &lines, &body).unwrap_err();
        prop_assert_eq!(refusal.code, Code::BadSignature);
    }

    #[test]
    fn one_bit_changed_in_any_signed_header_or_the_signature_is_refused(
        which in 0..SCHEMES,
        line: prop::sample::Index,
        place: prop::sample::Index,
        body in bodies(),
    ) {
        let scheme = schemes().swap_remove(which);
        let signs_id = scheme.id_is_signed();
        let mut lines = signed(&scheme, &secret("s", "k"), "evt", now().wall, &body);
        let line = line.index(lines.len());
        let (name, value) = &mut lines[line];
        prop_assume!(signs_id || name != "X-Id");
        let bit = place.index(value.len() * 8);
        value[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(verdict(&verifier(scheme, vec![secret("s", "k")]), &lines, &body).is_err());
    }

    #[test]
    fn another_secret_never_verifies(which in 0..SCHEMES, key in "[a-z]{1,70}", other in "[a-z]{1,70}", body in bodies()) {
        prop_assume!(key != other);
        let scheme = schemes().swap_remove(which);
        let lines = signed(&scheme, &secret("s", &key), "evt", now().wall, &body);
        let refusal = verdict(&verifier(scheme, vec![secret("o", &other)]), &lines, &body).unwrap_err();
        prop_assert_eq!(refusal.code, Code::BadSignature);
    }

    #[test]
    fn arbitrary_header_bytes_are_refused_without_a_panic(
        which in 0..SCHEMES,
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 9),
        body in bodies(),
    ) {
        let names = [
            "X-Signature",
            "X-Timestamp",
            "X-Id",
            "X-Webhook-Signature-256",
            "X-Webhook-Timestamp",
            "Stripe-Signature",
            "webhook-signature",
            "webhook-timestamp",
            "webhook-id",
        ];
        let lines: Lines = names.map(str::to_owned).into_iter().zip(values).collect();
        let route = verifier(schemes().swap_remove(which), vec![secret("s", "k")]);
        prop_assert!(verdict(&route, &lines, &body).is_err());
    }

    #[test]
    fn well_formed_but_forged_headers_are_never_proved(
        which in 0..SCHEMES,
        digest in "[0-9a-f]{64}",
        id in "[a-z]{1,9}",
        at in times(),
        body in bodies(),
    ) {
        let time = (at.0 / 1000).to_string();
        let lines: Lines = [
            ("X-Signature", digest.clone()),
            ("X-Timestamp", time.clone()),
            ("X-Id", id.clone()),
            ("X-Webhook-Signature-256", digest.clone()),
            ("X-Webhook-Timestamp", time.clone()),
            ("Stripe-Signature", format!("t={time},v1={digest},v0={digest}")),
            ("webhook-signature", format!("v1,{}", Encoding::Base64.encode(&hex::decode(&digest).unwrap()))),
            ("webhook-timestamp", time),
            ("webhook-id", id.clone()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into_bytes()))
        .collect();
        let route = verifier(schemes().swap_remove(which), vec![secret("s", "k")]);
        prop_assert_eq!(verdict(&route, &lines, &body).map_err(|refusal| refusal.code).err(), Some(Code::BadSignature));
    }
}
