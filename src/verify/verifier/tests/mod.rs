//! The rules for heads, bodies and proofs (contract: Before the body, Body, Proof), and the
//! fixtures of the other tests of this module.

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod fixed;
#[cfg(test)]
mod items;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod work;

use super::*;
use crate::key::digest::DigestAlgorithm;
use crate::notation::encoding::Encoding;
use crate::notation::timestamp::Tolerance;
use crate::notation::timestamp::Unit;
use crate::scheme::tests::fixtures::{
    TOLERANCE, changed, field, itellico, plain, secret, template_of, timestamped,
};
use crate::scheme::{Algorithm, Kind};
use crate::sign::{SignRequest, sign};

pub(super) const NOW_S: i64 = 1_750_000_000;
pub(super) const BODY: &[u8] = br#"{"event_id":"1","data":{"a":1}}"#;
pub(super) const SIGNATURE: &str = "X-Webhook-Signature-256";
pub(super) const TIMESTAMP: &str = "X-Webhook-Timestamp";

pub(super) fn now() -> Now {
    at(UnixMillis(NOW_S * 1000 + 999))
}

pub(super) fn at(wall: UnixMillis) -> Now {
    Now {
        wall,
        mono: std::time::Duration::ZERO,
    }
}

pub(super) fn verifier(scheme: Scheme, secrets: Vec<Secret>) -> Verifier {
    let settings = Settings {
        max_body: 1 << 20,
        tolerance: scheme.tolerance,
        future_tolerance: scheme.future_tolerance,
        public_url: Some("https://hooks.example.com".into()),
    };
    assert_eq!(scheme.faults(&settings), []);
    Verifier::new(Arc::new(scheme), secrets, settings).unwrap()
}

pub(super) fn head(lines: &[(&str, &str)]) -> Head {
    Head::from_parts(
        "POST",
        "/in/x",
        lines.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())),
    )
    .unwrap()
}

/// The result of these lines and this body, which arrives in two chunks.
pub(super) fn verify(
    verifier: &Verifier,
    lines: &[(&str, &str)],
    body: &[u8],
    now: Now,
) -> Result<Proof, Refusal> {
    let mut verification = verifier.begin(&head(lines), now)?;
    let (first, second) = body.split_at(body.len() / 2);
    verification.update(first);
    verification.update(second);
    verification.finish(body, now)
}

pub(super) fn code(verifier: &Verifier, lines: &[(&str, &str)], body: &[u8]) -> Option<Code> {
    verify(verifier, lines, body, now())
        .err()
        .map(|refusal| refusal.code)
}

pub(super) fn mac(key: &[u8], content: &[u8]) -> String {
    let mut mac = DigestAlgorithm::HmacSha256.mac(key);
    mac.update(content);
    hex::encode(mac.finalize().as_bytes())
}

/// The right signature of `body` at `NOW_S` under the secret `k`.
pub(super) fn good(body: &[u8]) -> String {
    mac(b"k", &[body, b".1750000000"].concat())
}

pub(super) fn route() -> Verifier {
    verifier(itellico(), vec![secret("mine", "k")])
}

#[test]
fn a_good_delivery_is_proved_with_what_replay_protection_needs() {
    let proof = verify(
        &route(),
        &[(SIGNATURE, &good(BODY)), (TIMESTAMP, "1750000000")],
        BODY,
        now(),
    )
    .unwrap();
    assert_eq!(&*proof.secret, "mine");
    assert_eq!(proof.signed_at, Some(UnixMillis::from_secs(NOW_S)));
    assert_eq!(proof.timestamp, proof.signed_at);
    assert_eq!(
        (proof.content.before(), proof.content.after()),
        (&b""[..], &b".1750000000"[..])
    );
}

#[test]
fn a_secret_that_ends_while_the_body_arrives_proves_nothing() {
    let mut ending = secret("ending", "k");
    ending.not_after = Some(UnixMillis::from_secs(NOW_S + 1));
    let lines = [(SIGNATURE, &*good(BODY)), (TIMESTAMP, "1750000000")];
    let later = at(UnixMillis::from_secs(NOW_S + 1));
    for (secrets, expected) in [
        (vec![ending.clone()], Err(Code::BadSignature)),
        (vec![ending, secret("heir", "k")], Ok("heir")),
    ] {
        let mut verification = verifier(itellico(), secrets)
            .begin(&head(&lines), now())
            .unwrap();
        verification.update(BODY);
        let verdict = verification.finish(BODY, later);
        assert_eq!(
            verdict
                .as_ref()
                .map(|proof| &*proof.secret)
                .map_err(|refusal| refusal.code),
            expected
        );
    }
}

#[test]
fn every_active_secret_is_tried_and_the_one_that_matches_is_named() {
    let secrets = || {
        vec![
            secret("new", "n"),
            secret("old", "k"),
            secret("oldest", "o"),
        ]
    };
    for (key, name) in [("n", "new"), ("k", "old"), ("o", "oldest")] {
        let signed = mac(key.as_bytes(), &[BODY, b".1750000000"].concat());
        let lines = [(SIGNATURE, signed.as_str()), (TIMESTAMP, "1750000000")];
        let proof = verify(&verifier(itellico(), secrets()), &lines, BODY, now()).unwrap();
        assert_eq!(&*proof.secret, name);
    }
}

#[test]
fn a_body_that_was_not_given_in_chunks_is_hashed_at_the_end() {
    let lines = [(SIGNATURE, &*good(BODY)), (TIMESTAMP, "1750000000")];
    let begun = || route().begin(&head(&lines), now()).unwrap();
    assert!(begun().finish(BODY, now()).is_ok());
    let mut partly = begun();
    partly.update(&BODY[..5]);
    assert!(partly.finish(BODY, now()).is_ok());
    let mut hashed = begun();
    hashed.update(BODY);
    assert_eq!(
        hashed.finish(b"", now()).unwrap_err().code,
        Code::BadSignature,
        "what was hashed is not what is proved"
    );
}

#[test]
fn required_headers_must_have_exactly_their_value() {
    let mut scheme = plain("{body}");
    scheme.require = vec![(field("X-Version"), b"1".to_vec())];
    let route = verifier(scheme, vec![secret("s", "k")]);
    let signature = ("X-Signature", &*mac(b"k", BODY));
    let malformed = Some(Code::MalformedSignature);
    assert_eq!(code(&route, &[signature, ("x-version", "1")], BODY), None);
    assert_eq!(code(&route, &[signature], BODY), malformed);
    assert_eq!(
        code(&route, &[signature, ("X-Version", "2")], BODY),
        malformed
    );
    assert_eq!(
        code(&route, &[signature, ("X-Version", "11")], BODY),
        malformed
    );
    assert_eq!(
        code(
            &route,
            &[signature, ("X-Version", "1"), ("X-Version", "1")],
            BODY
        ),
        malformed
    );
}

#[test]
fn freshness_is_judged_again_when_claiming() {
    let route = route();
    let lines = [(SIGNATURE, &*good(BODY)), (TIMESTAMP, "1750000000")];
    let proof = verify(&route, &lines, BODY, now()).unwrap();
    let end = route.fresh_until(&proof).unwrap();
    assert_eq!(end, UnixMillis::from_secs(NOW_S + 301));
    assert_eq!(route.recheck(&proof, at(UnixMillis(end.0 - 1))), Ok(()));
    assert_eq!(
        route.recheck(&proof, at(end)),
        Err(Code::StaleTimestamp.into())
    );
}

#[test]
fn an_unsigned_timestamp_may_only_refuse() {
    let mut scheme = timestamped("{body}");
    template_of(&mut scheme)
        .timestamp
        .as_mut()
        .unwrap()
        .unsigned = true;
    let route = verifier(scheme, vec![secret("s", "k")]);
    let signature = ("X-Signature", &*mac(b"k", BODY));
    let proof = verify(
        &route,
        &[signature, ("X-Timestamp", "1750000001")],
        BODY,
        now(),
    )
    .unwrap();
    assert_eq!(
        (proof.signed_at, proof.timestamp),
        (None, Some(UnixMillis::from_secs(NOW_S + 1)))
    );
    assert_eq!(route.fresh_until(&proof), None);
    assert_eq!(
        code(&route, &[signature], BODY),
        Some(Code::MissingTimestamp)
    );
    assert_eq!(
        code(&route, &[signature, ("X-Timestamp", "1")], BODY),
        Some(Code::StaleTimestamp)
    );
    assert_eq!(
        route.timestamp_of(&head(&[("X-Timestamp", "1")]), None),
        Some(UnixMillis(1000))
    );
    assert_eq!(
        route.timestamp_of(&head(&[("X-Timestamp", "x")]), None),
        None
    );
}

#[test]
fn a_tolerance_that_is_off_still_wants_a_timestamp_that_can_be_read() {
    let scheme = Scheme {
        tolerance: Tolerance::Off,
        future_tolerance: Tolerance::Off,
        ..itellico()
    };
    let route = verifier(scheme, vec![secret("s", "k")]);
    let signed = mac(b"k", &[BODY, b".5"].concat());
    let verdict = |time| code(&route, &[(SIGNATURE, &*signed), (TIMESTAMP, time)], BODY);
    assert_eq!(
        [verdict("5"), verdict("6"), verdict("05")].map(|code| code.map(Code::name)),
        [None, Some("bad_signature"), Some("malformed_timestamp")]
    );
}

#[test]
fn a_body_that_no_template_names_is_not_hashed() {
    let scheme = changed(timestamped("{timestamp}.{id}"), |template| {
        template.may_leave_body = true;
    });
    let route = verifier(scheme, vec![secret("s", "k")]);
    let signed = mac(b"k", b"1750000000.evt");
    let lines = [
        ("X-Signature", &*signed),
        ("X-Timestamp", "1750000000"),
        ("X-Id", "evt"),
    ];
    let proof = verify(&route, &lines, BODY, now()).unwrap();
    assert_eq!(
        (proof.content.before(), proof.content.after()),
        (&b"1750000000.evt"[..], &b""[..])
    );
}

#[test]
fn method_and_url_are_those_received() {
    let route = verifier(plain("{method} {url} {body}"), vec![secret("s", "k")]);
    let signed = mac(
        b"k",
        &[b"POST https://hooks.example.com/in/x ", BODY].concat(),
    );
    assert_eq!(code(&route, &[("X-Signature", &*signed)], BODY), None);
}

#[test]
fn a_secret_that_is_no_key_is_named() {
    let mut scheme = itellico();
    template_of(&mut scheme).key[0].encoding = crate::scheme::KeyEncoding::Hex;
    let settings = Settings {
        tolerance: TOLERANCE,
        future_tolerance: TOLERANCE,
        public_url: None,
        max_body: 0,
    };
    let secrets = vec![secret("good", "00ff"), secret("bad", "tops3cret")];
    let fault = Verifier::new(Arc::new(scheme), secrets, settings.clone()).unwrap_err();
    assert_eq!(fault.secret, "bad");
    assert!(!fault.to_string().contains("s3cret"), "{fault}");
    let empty =
        Verifier::new(Arc::new(itellico()), vec![secret("empty", "")], settings).unwrap_err();
    assert_eq!(empty.to_string(), "secret empty: the secret is empty");
}

#[test]
fn the_other_algorithms_and_units_work_the_same_way() {
    let digests = Algorithm::ALL
        .into_iter()
        .filter(|algorithm| matches!(algorithm.kind(), Kind::Digest(_)));
    for (algorithm, unit) in digests.flat_map(|algorithm| Unit::ALL.map(|unit| (algorithm, unit))) {
        for encoding in Encoding::ALL {
            let content = if algorithm.is_plain_hash() {
                "{timestamp}|{body}{secret}"
            } else {
                "{timestamp}|{body}"
            };
            let mut scheme = timestamped(content);
            template_of(&mut scheme).algorithm = algorithm;
            template_of(&mut scheme).signature.encoding = encoding;
            template_of(&mut scheme).timestamp.as_mut().unwrap().unit = unit;
            let request = SignRequest {
                method: "POST",
                target: "/in/x",
                body: BODY,
                id: None,
                at: UnixMillis(NOW_S * 1000 - 299_000),
                public_url: None,
                headers: &[],
            };
            let secret = secret("s", "k");
            let headers = sign(&scheme, &secret, &request).unwrap();
            let lines: Vec<_> = headers
                .iter()
                .map(|(n, v)| (n.as_str(), v.as_str()))
                .collect();
            let verdict = code(&verifier(scheme, vec![secret]), &lines, BODY);
            assert_eq!(
                verdict,
                None,
                "{} {} {}",
                algorithm.name(),
                encoding.name(),
                unit.name()
            );
        }
    }
}

#[test]
fn a_timestamp_of_another_unit_is_refused_and_the_right_shape_is_told() {
    let rows = [
        (
            Unit::Seconds,
            "2025-06-15T15:06:40Z",
            "plain decimal number",
        ),
        (Unit::Rfc3339, "1750000000", "RFC 3339"),
        (Unit::Iso8601Utc, "2025-06-15T15:06:40Z", "without a zone"),
        (Unit::HttpDate, "2025-06-15T15:06:40Z", "HTTP date"),
    ];
    for (unit, text, told) in rows {
        let mut scheme = timestamped("{timestamp}|{body}");
        template_of(&mut scheme).timestamp.as_mut().unwrap().unit = unit;
        let signed = mac(b"k", &[text.as_bytes(), b"|", BODY].concat());
        let route = verifier(scheme, vec![secret("s", "k")]);
        let refusal = route
            .begin(
                &head(&[("X-Signature", &*signed), ("X-Timestamp", text)]),
                now(),
            )
            .unwrap_err();
        assert_eq!(refusal.code, Code::MalformedTimestamp);
        assert!(refusal.why.contains(told), "{refusal}");
    }
}

#[test]
fn debug_of_a_verifier_shows_no_secret() {
    let route = verifier(itellico(), vec![secret("mine", "tops3cret")]);
    let lines = [(SIGNATURE, &*good(BODY)), (TIMESTAMP, "1750000000")];
    let verification = route.begin(&head(&lines), now()).unwrap();
    assert!(!format!("{route:?} {verification:?}").contains("s3cret"));
}

#[test]
fn a_verification_can_be_moved_to_another_thread() {
    fn is_send_and_owned<T: Send + 'static>() {}
    is_send_and_owned::<Verification>();
    is_send_and_owned::<Proof>();
}

#[test]
fn a_proof_from_before_the_start_is_refused_by_whole_seconds() {
    let route = verifier(timestamped("{timestamp}.{body}"), vec![secret("s", "k")]);
    let signed = mac(b"k", &[b"1750000000.", BODY].concat());
    let lines = [("X-Timestamp", "1750000000"), ("X-Signature", &*signed)];
    let proof = verify(&route, &lines, BODY, now()).unwrap();
    let judged = |millis: i64| {
        let start = UnixMillis(NOW_S * 1000 + millis);
        route
            .judge_start(&proof, start)
            .err()
            .map(|refusal| refusal.code)
    };
    assert_eq!(
        [judged(-1), judged(0), judged(999)],
        [None; 3],
        "the same second, or an older start"
    );
    assert_eq!(judged(1000), Some(Code::StaleTimestamp));
}
