//! Key sets (RFC 7517): which key of a set may have signed a token (schemes: Tokens, Keys and secrets). The test is the
//! provider, and the forger that has a key of the set which is not meant.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING as P256, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::Sha256;
use verigate::key::public::PublicAlgorithm;

use crate::keys;
use crate::support::cases::Cases;
use crate::support::config::{Config, Route, text};
use crate::support::delivery::{Delivery, event};
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;

/// A P-256 key of this run.
struct Pair(EcdsaKeyPair);

impl Pair {
    fn new() -> Self {
        let rng = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&P256, &rng).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(&P256, document.as_ref(), &rng).unwrap())
    }

    /// The public half as a JWK, with these members beside those of the key.
    fn jwk(&self, more: &Value) -> Value {
        let (x, y) = self.0.public_key().as_ref()[1..].split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        with(json!({"kty": "EC", "crv": "P-256", "x": x, "y": y}), more)
    }

    fn sign(&self, content: &[u8]) -> Vec<u8> {
        let signature = self.0.sign(&SystemRandom::new(), content).unwrap();
        signature.as_ref().to_vec()
    }
}

/// The JWK with more members.
fn with(mut jwk: Value, more: &Value) -> Value {
    let more = more.as_object().unwrap().clone();
    jwk.as_object_mut().unwrap().extend(more);
    jwk
}

/// The public half of the key that [`keys::sign`] has for this algorithm.
fn own(algorithm: PublicAlgorithm, more: &Value) -> Value {
    with(
        serde_json::from_str(&keys::public(algorithm)).unwrap(),
        more,
    )
}

fn set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

/// A route at `/NAME` of detached tokens of this algorithm, with the key sets in these variables.
fn route(upstream: &Upstream, name: &str, algorithm: &str, variables: &[&str]) -> Route {
    let secrets: Vec<String> = variables
        .iter()
        .map(|variable| text(&format!("env:{variable}")))
        .collect();
    let jwt = "header = \"X-Jws\", detached = \"encoded\"";
    Route::new(name, &format!("/{name}"), upstream)
        .set("secrets", &format!("[{}]", secrets.join(", ")))
        .scheme("algorithm", "\"jwt\"")
        .scheme(
            "jwt",
            &format!("{{ algorithms = [\"{algorithm}\"], {jwt} }}"),
        )
}

/// A delivery to a route, with the token of this header.
fn delivery(name: &str, header: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> Delivery {
    let body = event();
    let header = URL_SAFE_NO_PAD.encode(header.to_string());
    let content = format!("{header}.{}", URL_SAFE_NO_PAD.encode(&body));
    let signature = URL_SAFE_NO_PAD.encode(sign(content.as_bytes()));
    Delivery::unsigned(&format!("/{name}"), body).with("X-Jws", format!("{header}..{signature}"))
}

type Signer<'s> = Box<dyn Fn(&[u8]) -> Vec<u8> + 's>;
/// A name, the route, the algorithm and the key that the header names, the signer, and the answer.
type Row<'s> = (
    &'s str,
    &'s str,
    &'s str,
    Option<&'s str>,
    Signer<'s>,
    &'s str,
);

/// The status and the code of the answer, where it is a refusal.
fn answer(gateway: &Gateway, delivery: Delivery) -> String {
    let answer = gateway.ask(delivery);
    if answer.status == 200 {
        return "200".to_owned();
    }
    let told: Value = serde_json::from_slice(&answer.body).unwrap();
    told["code"].as_str().unwrap().to_owned()
}

#[test]
fn au_74_a_token_holds_only_under_the_key_of_its_set_that_it_names() {
    let upstream = Upstream::start();
    let [a, b, unnamed, packed, stranger] = [(); 5].map(|()| Pair::new());
    let rsa = PublicAlgorithm::RsaPkcs1Sha256;
    let ed25519 = PublicAlgorithm::Ed25519;
    let several = set(&[
        a.jwk(&json!({"kid": "a", "use": "sig", "alg": "ES256"})),
        b.jwk(&json!({"kid": "b"})),
        own(ed25519, &json!({"kid": "ed", "alg": "EdDSA"})),
        own(rsa, &json!({"kid": "rsa", "alg": "RS256"})),
        packed.jwk(&json!({"kid": "packed", "use": "enc"})),
        stranger.jwk(&json!({"kid": "other", "key_ops": ["deriveKey"]})),
    ]);
    let twice = set(&[a.jwk(&json!({"kid": "a"})), b.jwk(&json!({"kid": "a"}))]);
    let without = set(&[a.jwk(&json!({"kid": "a"})), unnamed.jwk(&json!({}))]);
    let only_a = set(&[a.jwk(&json!({"kid": "a"}))]);
    let only_b = set(&[b.jwk(&json!({"kid": "b"}))]);
    let config = Config::new()
        .env("SEVERAL", &several)
        .env("TWICE", &twice)
        .env("WITHOUT", &without)
        .env("ONLY_A", &only_a)
        .env("ONLY_B", &only_b)
        .route(route(&upstream, "several", "ES256", &["SEVERAL"]))
        .route(route(&upstream, "twice", "ES256", &["TWICE"]))
        .route(route(&upstream, "without", "ES256", &["WITHOUT"]))
        .route(route(&upstream, "rotated", "ES256", &["ONLY_A", "ONLY_B"]));
    let gateway = Gateway::start(&config);
    let bad = "bad_signature";
    let rows = [
        ("its own key", "several", Some("a"), &a, "200"),
        ("the other key", "several", Some("b"), &b, "200"),
        ("no key is named", "several", None, &b, "200"),
        ("the key of another name", "several", Some("a"), &b, bad),
        ("a name that no key has", "several", Some("c"), &a, bad),
        ("an empty name", "several", Some(""), &a, bad),
        ("a name in another case", "several", Some("A"), &a, bad),
        ("a key of Ed25519", "several", Some("ed"), &a, bad),
        ("a key of RSA", "several", Some("rsa"), &a, bad),
        (
            "a key to encrypt with",
            "several",
            Some("packed"),
            &packed,
            bad,
        ),
        (
            "a key to encrypt with, not named",
            "several",
            None,
            &packed,
            bad,
        ),
        (
            "a key for other operations",
            "several",
            Some("other"),
            &stranger,
            bad,
        ),
        (
            "two keys of the name, the first",
            "twice",
            Some("a"),
            &a,
            "200",
        ),
        (
            "two keys of the name, the second",
            "twice",
            Some("a"),
            &b,
            "200",
        ),
        (
            "two keys of the name, neither",
            "twice",
            Some("a"),
            &stranger,
            bad,
        ),
        (
            "a key without a name",
            "without",
            Some("x"),
            &unnamed,
            "200",
        ),
        ("a name that another key has", "without", Some("x"), &a, bad),
        ("the set before the last", "rotated", Some("a"), &a, "200"),
        ("the last set", "rotated", Some("b"), &b, "200"),
        ("a name of the other set", "rotated", Some("a"), &b, bad),
    ];
    let mut cases = Cases::new();
    for (name, route, kid, pair, expected) in rows {
        cases.case(name, || {
            let header = match kid {
                Some(kid) => json!({"alg": "ES256", "kid": kid}),
                None => json!({"alg": "ES256"}),
            };
            let delivery = delivery(route, &header, |content| pair.sign(content));
            assert_eq!(answer(&gateway, delivery), expected);
        });
    }
    cases.finish();
}

#[test]
fn au_74_a_token_holds_under_no_algorithm_that_its_key_is_not_for() {
    let upstream = Upstream::start();
    let pair = Pair::new();
    let rs512 = own(
        PublicAlgorithm::RsaPkcs1Sha512,
        &json!({"kid": "rsa", "alg": "RS512"}),
    );
    let any = own(PublicAlgorithm::RsaPkcs1Sha512, &json!({"kid": "rsa"}));
    let ec = pair.jwk(&json!({"kid": "ec"}));
    let mixed = set(&[ec.clone(), rs512.clone()]);
    let config = Config::new()
        .env("MIXED", &mixed)
        .env("ANY", &set(&[ec, any]))
        .route(route(&upstream, "ec", "ES256", &["MIXED"]))
        .route(route(&upstream, "rs512", "RS512", &["MIXED"]))
        .route(route(&upstream, "rs256", "RS256", &["ANY"]));
    let gateway = Gateway::start(&config);
    let hmac = |key: &str, content: &[u8]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
        mac.update(content);
        mac.finalize().into_bytes().to_vec()
    };
    let by =
        |algorithm| -> Signer<'static> { Box::new(move |content| keys::sign(algorithm, content)) };
    let (rsa256, rsa512) = (
        PublicAlgorithm::RsaPkcs1Sha256,
        PublicAlgorithm::RsaPkcs1Sha512,
    );
    let point = pair.jwk(&json!({}))["x"].as_str().unwrap().to_owned();
    let rows: Vec<Row<'_>> = vec![
        ("RS512", "rs512", "RS512", Some("rsa"), by(rsa512), "200"),
        ("RS256", "rs256", "RS256", Some("rsa"), by(rsa256), "200"),
        (
            "ES256",
            "ec",
            "ES256",
            Some("ec"),
            Box::new(|content| pair.sign(content)),
            "200",
        ),
        (
            "SHA-256 under RS512",
            "rs512",
            "RS512",
            Some("rsa"),
            by(rsa256),
            "bad_signature",
        ),
        (
            "SHA-512 under RS256",
            "rs256",
            "RS256",
            Some("rsa"),
            by(rsa512),
            "bad_signature",
        ),
        (
            "RS256 for a key of RS512",
            "rs512",
            "RS256",
            Some("rsa"),
            by(rsa256),
            "malformed_signature",
        ),
        (
            "RS512 on a route of ES256",
            "ec",
            "RS512",
            Some("rsa"),
            by(rsa512),
            "malformed_signature",
        ),
        (
            "a MAC under the set's text",
            "ec",
            "HS256",
            None,
            Box::new(|content| hmac(&mixed, content)),
            "malformed_signature",
        ),
        (
            "a MAC under the key's text",
            "rs512",
            "HS256",
            Some("rsa"),
            Box::new(|content| hmac(&rs512.to_string(), content)),
            "malformed_signature",
        ),
        (
            "a MAC under the point, as if by ES256",
            "ec",
            "ES256",
            Some("ec"),
            Box::new(|content| hmac(&point, content).repeat(2)),
            "bad_signature",
        ),
        (
            "no algorithm",
            "ec",
            "none",
            None,
            Box::new(|_| Vec::new()),
            "malformed_signature",
        ),
        (
            "no signature",
            "ec",
            "ES256",
            Some("ec"),
            Box::new(|_| Vec::new()),
            "malformed_signature",
        ),
        (
            "zeros for a signature",
            "ec",
            "ES256",
            Some("ec"),
            Box::new(|_| vec![0; 64]),
            "bad_signature",
        ),
    ];
    let mut cases = Cases::new();
    for (name, route, algorithm, kid, sign, expected) in rows {
        cases.case(name, || {
            let header = match kid {
                Some(kid) => json!({"alg": algorithm, "kid": kid}),
                None => json!({"alg": algorithm}),
            };
            let delivery = delivery(route, &header, sign);
            assert_eq!(answer(&gateway, delivery), expected);
        });
    }
    cases.finish();
}
