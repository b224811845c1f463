//! Schemes that take keys of several types, and whose signature names an algorithm: the type of the configured key decides,
//! and whatever the header names changes nothing (schemes: Code).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use verigate::clock::UnixMillis;
use verigate::key::public::{PublicAlgorithm, PublicKey};
use verigate::notation::timestamp::Unit;

use crate::keys;
use crate::support::cases::Cases;
use crate::support::config::{Config, Route, text};
use crate::support::delivery::{Delivery, event};
use crate::support::gateway::Gateway;
use crate::support::now;
use crate::support::upstream::Upstream;

/// The algorithms of a provider, each with the name of its key's route.
const KEYGEN: [(&str, PublicAlgorithm); 3] = [
    ("ed25519", PublicAlgorithm::Ed25519),
    ("ecdsa", PublicAlgorithm::EcdsaP256Der),
    ("rsa", PublicAlgorithm::RsaPkcs1Sha256),
];
const WOODPECKER: [(&str, PublicAlgorithm); 3] = [
    ("ed25519", PublicAlgorithm::Ed25519),
    ("ecdsa", PublicAlgorithm::EcdsaP256Raw),
    ("rsa", PublicAlgorithm::RsaPkcs1Sha256),
];

/// The names that a header may give an algorithm: Keygen's, those of RFC 9421, and what a forger would like.
const NAMES: [&str; 14] = [
    "ed25519",
    "ecdsa-p256",
    "rsa-sha256",
    "rsa-pss-sha256",
    "hs2019",
    "ecdsa-p256-sha256",
    "ecdsa-p384-sha384",
    "rsa-v1_5-sha256",
    "rsa-pss-sha512",
    "hmac-sha256",
    "none",
    "NONE",
    "",
    "x",
];

/// A delivery of Keygen, whose signature names this algorithm.
fn keygen(route: &str, named: &str, sign: &dyn Fn(&[u8]) -> Vec<u8>) -> Delivery {
    let body = event();
    let target = format!("/keygen-{route}");
    let date = date();
    let digest = STANDARD.encode(Sha256::digest(&body));
    let content = format!(
        "(request-target): post {target}\nhost: hooks.example.com\ndate: {date}\ndigest: sha-256={digest}"
    );
    let signature = STANDARD.encode(sign(content.as_bytes()));
    let list = "(request-target) host date digest";
    Delivery::unsigned(&target, body).with("Date", date).with(
        "Keygen-Signature",
        format!(r#"keyid="a", algorithm="{named}", signature="{signature}", headers="{list}""#),
    )
}

fn date() -> String {
    let seconds = i64::try_from(now()).unwrap();
    Unit::HttpDate
        .write(UnixMillis::from_secs(seconds))
        .unwrap()
}

/// A delivery of Woodpecker, whose signature names this algorithm.
fn woodpecker(route: &str, named: &str, sign: &dyn Fn(&[u8]) -> Vec<u8>) -> Delivery {
    let body = event();
    let target = format!("/woodpecker-{route}");
    let digest = format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(&body)));
    let covered = r#""@request-target" "content-digest""#;
    let input = format!(r#"({covered});created={};alg="{named}";keyid="a""#, now());
    let content = format!(
        "\"@request-target\": {target}\n\"content-digest\": {digest}\n\"@signature-params\": {input}"
    );
    let signature = STANDARD.encode(sign(content.as_bytes()));
    Delivery::unsigned(&target, body)
        .with("Content-Digest", digest)
        .with("Signature-Input", format!("a={input}"))
        .with("Signature", format!("a=:{signature}:"))
}

type Maker = fn(&str, &str, &dyn Fn(&[u8]) -> Vec<u8>) -> Delivery;

/// The provider's three routes, each with the public half of a key of its type.
fn gateway(upstream: &Upstream, provider: &str, types: &[(&str, PublicAlgorithm)]) -> Gateway {
    let mut config = Config::new();
    for (name, algorithm) in types {
        let variable = name.to_uppercase();
        let route = format!("{provider}-{name}");
        config = config.env(&variable, &keys::public(*algorithm)).route(
            Route::new(&route, &format!("/{route}"), upstream)
                .set("provider", &text(provider))
                .set("public_url", "\"https://hooks.example.com\"")
                .set("secrets", &format!("[\"env:{variable}\"]")),
        );
    }
    Gateway::start(&config)
}

/// What a forger knows of a key: the spellings of its public half, as an HMAC key.
fn public_texts(algorithm: PublicAlgorithm) -> Vec<Vec<u8>> {
    let jwk = keys::public(algorithm);
    let key = &PublicKey::parse_all(jwk.as_bytes()).unwrap()[0];
    let spki = STANDARD.decode(key.text()).unwrap();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        key.text()
    );
    let raw = spki[spki.len() - 32..].to_vec();
    let hex = hex::encode(&raw).into_bytes();
    vec![
        jwk.into_bytes(),
        key.text().into_bytes(),
        pem.into_bytes(),
        spki,
        raw,
        hex,
        Vec::new(),
    ]
}

fn judge(provider: &str, types: &[(&str, PublicAlgorithm)], make: Maker) {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream, provider, types);
    let mut cases = Cases::new();
    for (route, own) in types {
        for named in NAMES {
            for (_, used) in types {
                cases.case(
                    &format!("{route}: named {named:?}, signed by {used:?}"),
                    || {
                        let before = upstream.count();
                        let answer =
                            gateway.ask(make(route, named, &|content| keys::sign(*used, content)));
                        if used == own {
                            answer.expect_status(200);
                        } else {
                            answer.expect_status(401);
                            assert_eq!(upstream.count(), before);
                        }
                    },
                );
            }
        }
        for (nth, key) in public_texts(*own).iter().enumerate() {
            // As it is, and as long as a signature of each type is.
            for length in [32, 64, 256] {
                cases.case(
                    &format!("{route}: a MAC of {length} bytes under text {nth}"),
                    || {
                        let delivery = make(route, "hmac-sha256", &|content| {
                            let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
                            mac.update(content);
                            mac.finalize().into_bytes().repeat(length / 32)
                        });
                        let answer = gateway.ask(delivery);
                        answer.expect_status(401);
                        let told: Value = serde_json::from_slice(&answer.body).unwrap();
                        let code = told["code"].as_str().unwrap();
                        assert!(code.ends_with("_signature"), "{code}");
                    },
                );
            }
        }
        for length in [0, 64, 256] {
            cases.case(&format!("{route}: {length} zeros for a signature"), || {
                let answer = gateway.ask(make(route, "none", &|_| vec![0; length]));
                answer.expect_status(401);
            });
        }
    }
    cases.finish();
}

#[test]
fn au_64_the_type_of_the_key_decides_whatever_keygen_s_header_names() {
    judge("keygen", &KEYGEN, keygen);
}

#[test]
fn au_64_the_type_of_the_key_decides_whatever_woodpecker_s_header_names() {
    judge("woodpecker", &WOODPECKER, woodpecker);
}
