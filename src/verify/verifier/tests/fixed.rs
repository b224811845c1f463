//! Values of a fixed form in the signed content: digests of the body, ids of a fixed form, and texts
//! of the route. No byte moves from one value into the next (AU-81, AU-82).

use proptest::prelude::*;

use super::{BODY, NOW_S, code, mac, now, verifier, verify};
use crate::key::digest::DigestAlgorithm;
use crate::notation::encoding::Encoding;
use crate::scheme::tests::fixtures::{changed, field, plain, secret, timestamped};
use crate::scheme::{Algorithm, IdForm, Part, Place, TemplateScheme};
use crate::sign::{SignRequest, sign};
use crate::verify::verifier::*;

const ID: &str = "6f1f6a0e-5b8e-4f0c-9d0a-0e7c1d2b3a4f";

/// A scheme whose ids are UUIDs.
fn with_uuid(template: &str) -> Scheme {
    changed(plain(template), |template: &mut TemplateScheme| {
        let signed = std::mem::take(&mut template.signed);
        template.signed = if signed.parts().contains(&Part::Id) {
            signed.with_id_form(IdForm::Uuid)
        } else {
            signed
        };
    })
}

fn digested() -> Scheme {
    changed(timestamped("{body_sha512:base64}|{id}|{timestamp}"), |_| {})
}

/// The digest of a body in base64, by another library than the one that is tested.
fn sha512(body: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA512, body);
    Encoding::Base64.encode(digest.as_ref())
}

#[test]
fn au_81_a_digest_is_made_of_the_received_body_and_never_read_from_a_header() {
    let route = verifier(digested(), vec![secret("s", "k")]);
    let content = format!("{}|evt_1|{NOW_S}", sha512(BODY));
    let signature = mac(b"k", content.as_bytes());
    let (own, now) = (sha512(BODY), NOW_S.to_string());
    let lines = [
        ("X-Signature", &*signature),
        ("X-Id", "evt_1"),
        ("X-Timestamp", &now),
        // The provider sends it along. Whoever changes the body leaves it as it was.
        ("X-Content-Digest", &own),
    ];
    assert_eq!(code(&route, &lines, BODY), None);
    assert_eq!(
        code(&route, &lines, b"{}"),
        Some(Code::BadSignature),
        "another body"
    );
    let other_id = lines.map(|(name, value)| (name, value.replace("evt_1", "evt_2")));
    let other_id: Vec<_> = other_id.iter().map(|(n, v)| (*n, v.as_str())).collect();
    assert_eq!(code(&route, &other_id, BODY), Some(Code::BadSignature));
    assert!(route.scheme().covers_body());
    let proof = verify(&route, &lines, BODY, super::now()).unwrap();
    assert_eq!(proof.content.before(), content.as_bytes());
    assert_eq!(proof.signed_at, Some(UnixMillis::from_secs(NOW_S)));
}

#[test]
fn digests_stand_beside_the_body_and_its_values() {
    let text = "{body_sha256:hex}\n{json:/event_id}\n{body}\n{body_sha512:base64}";
    let route = verifier(plain(text), vec![secret("s", "k")]);
    let mut sha256 = DigestAlgorithm::Sha256.mac(b"");
    sha256.update(BODY);
    let sha256 = hex::encode(sha256.finalize().as_bytes());
    let body = std::str::from_utf8(BODY).unwrap();
    let content = format!("{sha256}\n1\n{body}\n{}", sha512(BODY));
    let signature = mac(b"k", content.as_bytes());
    assert_eq!(code(&route, &[("X-Signature", &signature)], BODY), None);
    for place in 0..BODY.len() {
        let mut changed = BODY.to_vec();
        changed[place] ^= 1;
        assert!(code(&route, &[("X-Signature", &signature)], &changed).is_some());
    }
}

#[test]
fn the_work_of_a_digest_is_counted() {
    let route = verifier(digested(), vec![secret("s", "k")]);
    let signature = mac(b"k", b"");
    let at = NOW_S.to_string();
    let lines = [
        ("X-Signature", &*signature),
        ("X-Id", "evt_1"),
        ("X-Timestamp", &at),
    ];
    let work = |bytes: usize| {
        let verification = route.begin(&super::head(&lines), now()).unwrap();
        verification.work(&vec![0; bytes], now())
    };
    assert!(matches!(work(1000), Work::Little(1000..)));
    assert_eq!(work(2 << 20), Work::Much);
}

#[test]
fn an_id_of_a_fixed_form_needs_no_delimiter() {
    let route = verifier(with_uuid("{body}{id}"), vec![secret("s", "k")]);
    let signature = mac(b"k", &[BODY, ID.as_bytes()].concat());
    let with =
        |id: &str, body: &[u8]| code(&route, &[("X-Signature", &signature), ("X-Id", id)], body);
    assert_eq!(with(ID, BODY), None);
    let shape = Some(Code::InvalidEnvelope);
    // The first byte of the id as the last byte of the body, and the other way round.
    let longer = [BODY, &ID.as_bytes()[..1]].concat();
    assert_eq!(with(ID.strip_prefix('6').unwrap(), &longer), shape);
    let (shorter, last) = BODY.split_at(BODY.len() - 1);
    let id = format!("{}{ID}", std::str::from_utf8(last).unwrap());
    assert_eq!(with(&id, shorter), shape);
    assert_eq!(with(&ID.replace('f', "0"), BODY), Some(Code::BadSignature));
    assert_eq!(with(&ID.to_uppercase(), BODY), Some(Code::BadSignature));
    assert_eq!(with("", BODY), shape);
}

#[test]
fn a_text_of_the_route_is_a_literal_of_the_template() {
    let scheme = |text| plain("{param:app_key}{body}").with_params(|_| Some(text));
    let route = verifier(scheme("app_key_123"), vec![secret("s", "k")]);
    let signature = mac(b"k", &[b"app_key_123", BODY].concat());
    assert_eq!(code(&route, &[("X-Signature", &signature)], BODY), None);
    let other = verifier(scheme("app_key_12"), vec![secret("s", "k")]);
    assert_eq!(
        code(&other, &[("X-Signature", &signature)], BODY),
        Some(Code::BadSignature)
    );
    // A byte of the text cannot come from the body.
    let moved = [b"3", BODY].concat();
    assert_eq!(code(&other, &[("X-Signature", &signature)], &moved), None);
}

#[test]
fn without_the_text_of_the_route_nothing_is_accepted() {
    let scheme = plain("{param:app_key}{body}");
    let settings = Settings {
        max_body: 1 << 20,
        tolerance: scheme.tolerance,
        future_tolerance: scheme.future_tolerance,
        public_url: None,
    };
    let keys: Vec<_> = scheme.faults(&settings).iter().map(|f| f.key).collect();
    assert_eq!(keys, ["params"]);
    let route = Verifier::new(Arc::new(scheme), vec![secret("s", "k")], settings).unwrap();
    let signature = mac(b"k", BODY);
    assert_eq!(
        code(&route, &[("X-Signature", &signature)], BODY),
        Some(Code::MalformedSignature)
    );
}

/// Schemes with values of a fixed form, each of which must tell its values apart.
fn schemes() -> Vec<Scheme> {
    let mut schemes: Vec<Scheme> = [
        "{body}{id}",
        "{id}{body}",
        "{header:X-Nonce}{id}.{body}",
        "{header:X-Nonce}.{id}{body}",
        "{id}{body_sha256:hex}",
        "{header:X-Nonce}{body_sha256:base64}",
        "{body_sha256:base64url}{header:X-Nonce}.{id}",
        "{header:X-Nonce}|{body_sha512:hex}|{id}",
    ]
    .map(with_uuid)
    .into();
    let timed = [
        "{timestamp}{id}{body}",
        "{body_sha256:base64}{timestamp}{id}",
        "{id}{timestamp}{body_sha256:hex}",
    ];
    schemes.extend(timed.map(|text| {
        changed(timestamped(text), |template| {
            let signed = std::mem::take(&mut template.signed);
            template.signed = signed.with_id_form(IdForm::Uuid);
        })
    }));
    schemes
}

/// The lines of a delivery that `sign` makes.
fn lines(scheme: &Scheme, nonce: &str, id: &str, body: &[u8]) -> Option<Vec<(String, String)>> {
    let given = [("X-Nonce", nonce)];
    let request = SignRequest {
        method: "POST",
        target: "/in/x",
        body,
        id: Some(id),
        at: UnixMillis::from_secs(NOW_S),
        public_url: None,
        headers: &given,
    };
    let mut made = sign(scheme, &secret("s", "k"), &request).ok()?;
    made.push(("X-Nonce".to_owned(), nonce.to_owned()));
    Some(made)
}

fn taken(route: &Verifier, lines: &[(String, String)], body: &[u8]) -> bool {
    let lines: Vec<_> = lines
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    verify(route, &lines, body, now()).is_ok()
}

proptest! {
    /// Bytes are moved over a border of a delivery that verifies: from the end of a value to the
    /// beginning of another, and back. What verifies afterwards is what was sent.
    #[test]
    fn au_82_no_byte_moves_between_values_of_a_fixed_form(
        which in 0_usize..11,
        // A nonce and a body that look like ids and digests themselves.
        nonce in "([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}){0,2}[0-9a-f]{0,3}x",
        body in "([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}){0,3}[0-9]{0,12}",
        moved in 1_usize..80,
        values in prop::sample::subsequence(vec![0_usize, 1, 2, 3], 2),
        back: bool,
    ) {
        let scheme = schemes().swap_remove(which);
        let Some(signed) = lines(&scheme, &nonce, ID, body.as_bytes()) else {
            return Ok(());
        };
        let route = verifier(scheme, vec![secret("s", "k")]);
        prop_assert!(taken(&route, &signed, body.as_bytes()));
        let value = |name: &str| signed.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        let mut all = [
            nonce.clone(),
            ID.to_owned(),
            value("X-Timestamp").unwrap_or_default(),
            body.clone(),
        ];
        let (mut from, mut to) = (values[0], values[1]);
        if back {
            std::mem::swap(&mut from, &mut to);
        }
        let length = all[from].len().min(moved);
        let at = if from < to { all[from].len() - length } else { length };
        let (head, tail) = all[from].split_at(at);
        let (stays, goes) = if from < to { (head, tail) } else { (tail, head) };
        let (stays, goes) = (stays.to_owned(), goes.to_owned());
        all[to] = if from < to { goes + &all[to] } else { all[to].clone() + &goes };
        all[from] = stays;
        let changed: Vec<_> = signed
            .iter()
            .map(|(name, old)| {
                let new = match name.as_str() {
                    "X-Nonce" => &all[0],
                    "X-Id" => &all[1],
                    "X-Timestamp" => &all[2],
                    _ => old,
                };
                (name.clone(), new.clone())
            })
            .collect();
        // A value that is not signed may be any.
        let signs_id = which != 5;
        let signs_nonce = [2, 3, 5, 6, 7].contains(&which);
        let is_same = (!signs_nonce || all[0] == nonce)
            && (!signs_id || all[1] == ID)
            && all[3] == body;
        prop_assert!(is_same || !taken(&route, &changed, all[3].as_bytes()), "{:?}", changed);
    }
}

#[test]
fn a_public_key_verifies_a_digest_too() {
    let seed = crate::cli::tests::samples::ED25519_SEED;
    let public = crate::cli::tests::samples::ED25519;
    let scheme = changed(plain("{body_sha512:base64}|{header:X-Nonce}"), |template| {
        template.algorithm = Algorithm::Ed25519;
        template.signature.encoding = Encoding::Base64;
    });
    let scheme = Scheme {
        event_id: Some(Place::Header(field("X-Id"))),
        ..scheme
    };
    let given = [("X-Nonce", "n")];
    let request = SignRequest {
        method: "POST",
        target: "/in/x",
        body: BODY,
        id: None,
        at: UnixMillis::from_secs(NOW_S),
        public_url: None,
        headers: &given,
    };
    let mut made = sign(&scheme, &secret("s", seed), &request).unwrap();
    made.push(("X-Nonce".to_owned(), "n".to_owned()));
    let route = verifier(scheme, vec![secret("s", public)]);
    assert!(taken(&route, &made, BODY));
    assert!(!taken(&route, &made, b"{}"));
}
