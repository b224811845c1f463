//! Attacks: signatures in second spellings, out of range and under weak keys (AU-10), and keys and
//! algorithms used for each other's purposes (AU-08).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::fixtures::*;
use crate::key::public::*;
use crate::scheme::algorithm::{Algorithm, Kind};

use PublicAlgorithm::{
    EcdsaP256Der, EcdsaP256Raw, Ed25519, RsaPkcs1Sha256, RsaPkcs1Sha384, RsaPkcs1Sha512,
};

const ALGORITHMS: [PublicAlgorithm; 6] = [
    Ed25519,
    EcdsaP256Der,
    EcdsaP256Raw,
    RsaPkcs1Sha256,
    RsaPkcs1Sha384,
    RsaPkcs1Sha512,
];

/// The order of P-256.
const N: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

/// The text of a key, an algorithm, and the key's signature of [`MESSAGE`] by it.
const GOOD: [(&str, PublicAlgorithm, &str); 7] = [
    (ED25519_PEM, Ed25519, ED25519_SIGNATURE),
    (P256_PEM, EcdsaP256Der, P256_DER_SIGNATURE),
    (P256_PEM, EcdsaP256Raw, P256_RAW_SIGNATURE),
    (RSA_PEM, RsaPkcs1Sha256, RSA_SHA256_SIGNATURE),
    (RSA_PEM, RsaPkcs1Sha384, RSA_SHA384_SIGNATURE),
    (RSA_PEM, RsaPkcs1Sha512, RSA_SHA512_SIGNATURE),
    (RSA_E3_PEM, RsaPkcs1Sha256, RSA_E3_SIGNATURE),
];

fn key(text: &str) -> PublicKey {
    PublicKey::parse_all(text.as_bytes()).unwrap().remove(0)
}

fn bytes(base64: &str) -> Vec<u8> {
    STANDARD.decode(base64).unwrap()
}

fn is_good(key_text: &str, algorithm: PublicAlgorithm, signature: &[u8]) -> bool {
    key(key_text).verify(algorithm, MESSAGE, signature)
}

/// The sum or the difference of two big-endian numbers of the same length.
fn sum(a: &[u8], b: &[u8]) -> Vec<u8> {
    fold(a, b, |a, b| a + b)
}

fn difference(a: &[u8], b: &[u8]) -> Vec<u8> {
    fold(a, b, |a, b| a - b)
}

fn fold(a: &[u8], b: &[u8], step: impl Fn(i32, i32) -> i32) -> Vec<u8> {
    let mut carry = 0;
    let mut result = Vec::new();
    for (a, b) in a.iter().zip(b).rev() {
        let digit = step(i32::from(*a), i32::from(*b)) + carry;
        result.insert(0, u8::try_from(digit.rem_euclid(256)).unwrap());
        carry = digit.div_euclid(256);
    }
    assert_eq!(carry, 0, "the result has as many bytes");
    result
}

#[test]
fn signatures_of_openssl_verify_and_nothing_near_them_does() {
    for (text, algorithm, signature) in GOOD {
        let (key, good) = (key(text), bytes(signature));
        assert!(key.verify(algorithm, MESSAGE, &good), "{algorithm:?}");
        assert!(
            !key.verify(algorithm, b"verigatf", &good),
            "{algorithm:?}: another message"
        );
        assert!(
            !key.verify(algorithm, b"", &good),
            "{algorithm:?}: no message"
        );
        for at in 0..good.len() {
            let mut near = good.clone();
            near[at] ^= 1 << (at % 8);
            assert!(
                !key.verify(algorithm, MESSAGE, &near),
                "{algorithm:?}: byte {at} changed"
            );
        }
        for len in 0..good.len() {
            assert!(
                !key.verify(algorithm, MESSAGE, &good[..len]),
                "{algorithm:?}: the first {len} bytes"
            );
        }
        for more in [&[0][..], &[0; 8], &good] {
            assert!(
                !key.verify(algorithm, MESSAGE, &[&good, more].concat()),
                "{algorithm:?}: bytes after it"
            );
            assert!(
                !key.verify(algorithm, MESSAGE, &[more, &good].concat()),
                "{algorithm:?}: bytes before it"
            );
        }
        assert!(algorithm.signature_len().contains(&good.len()));
    }
}

#[test]
fn a_key_verifies_with_the_algorithms_of_its_type_alone() {
    let mut wrong = Vec::new();
    for (text, right, signature) in GOOD {
        for algorithm in ALGORITHMS {
            let key = key(text);
            if key.fits(algorithm) != (algorithm.key_type() == key.key_type())
                || key.verify(algorithm, MESSAGE, &bytes(signature)) != (algorithm == right)
            {
                wrong.push((key, algorithm));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn an_rsa_key_whose_jwk_names_a_hash_verifies_with_it_alone() {
    for (alg, only) in [
        ("RS256", RsaPkcs1Sha256),
        ("RS384", RsaPkcs1Sha384),
        ("RS512", RsaPkcs1Sha512),
    ] {
        let key = key(&format!(
            r#"{{"kty":"RSA","n":"{RSA_N}","e":"AQAB","alg":"{alg}"}}"#
        ));
        for (_, algorithm, signature) in &GOOD[3..6] {
            assert_eq!(key.fits(*algorithm), *algorithm == only);
            assert_eq!(
                key.verify(*algorithm, MESSAGE, &bytes(signature)),
                *algorithm == only,
                "{alg} {algorithm:?}"
            );
        }
    }
}

#[test]
fn au_08_a_mac_keyed_with_the_public_keys_text_is_no_signature() {
    for (text, algorithm, _) in GOOD {
        for mac in Algorithm::ALL {
            let Kind::Digest(digest) = mac.kind() else {
                continue;
            };
            for secret in [text.as_bytes(), text.trim_end().as_bytes()] {
                let mut state = digest.mac(secret);
                state.update(MESSAGE);
                let digest = state.finalize();
                let padded = [digest.as_bytes(), &[0; 256]].concat();
                for signature in [
                    digest.as_bytes(),
                    &padded[..64],
                    &padded[..72],
                    &padded[..256],
                ] {
                    assert!(
                        !key(text).verify(algorithm, MESSAGE, signature),
                        "{algorithm:?} {}",
                        mac.name()
                    );
                }
            }
        }
    }
}

#[test]
fn au_10_ed25519_r_of_small_order_is_refused_though_the_equation_holds() {
    for signature in [
        ED25519_SMALL_R,
        ED25519_SMALL_R_NOT_CANONICAL,
        ED25519_SMALL_R_SIGNED,
    ] {
        assert!(!is_good(ED25519_PEM, Ed25519, &bytes(signature)));
    }
    // The lax check of the same library accepts the first signature: only the strict rule refuses
    // it.
    let point = ed25519_dalek::VerifyingKey::from_bytes(
        &hex::decode(ED25519_HEX).unwrap().try_into().unwrap(),
    )
    .unwrap();
    let lax = ed25519_dalek::Signature::from_slice(&bytes(ED25519_SMALL_R)).unwrap();
    assert!(ed25519_dalek::Verifier::verify(&point, MESSAGE, &lax).is_ok());
}

#[test]
fn au_10_ed25519_s_of_the_group_order_or_more_is_refused() {
    let order =
        hex::decode("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed").unwrap();
    let good = bytes(ED25519_SIGNATURE);
    let mut s = good[32..].to_vec();
    s.reverse();
    for _ in 0..8 {
        s = sum(&s, &order);
        let little_endian: Vec<u8> = s.iter().rev().copied().collect();
        assert!(!is_good(
            ED25519_PEM,
            Ed25519,
            &[&good[..32], &little_endian].concat()
        ));
    }
}

#[test]
fn au_10_ed25519_keys_of_small_order_and_of_second_spellings_are_refused() {
    let parse = |mut y: [u8; 32], sign: u8| {
        y[31] |= sign;
        PublicKey::parse_all(hex::encode(y).as_bytes())
    };
    for sign in [0, 0x80] {
        for y in ED25519_SMALL_Y {
            let why = parse(hex::decode(y).unwrap().try_into().unwrap(), sign).unwrap_err();
            assert!(why.contains("small order"), "{y} {sign}: {why}");
        }
        // The values p to p + 18 of y mean 0 to 18 again.
        for low in 0xed..=0xff_u8 {
            let mut y = [0xff; 32];
            (y[0], y[31]) = (low, 0x7f);
            let why = parse(y, sign).unwrap_err();
            assert!(why.contains("canonical"), "{low} {sign}: {why}");
        }
    }
    // The largest y is p - 1, which is canonical but of small order. y = 2 lies on no curve, and y
    // = 3 is a good key.
    let small = |low| {
        let mut y = [0; 32];
        y[0] = low;
        parse(y, 0)
    };
    assert!(small(2).unwrap_err().contains("not a point"));
    assert!(small(3).is_ok());
}

/// The DER of r and s, each written with exactly the given bytes.
fn der_of(r: &[u8], s: &[u8]) -> Vec<u8> {
    let part = |number: &[u8]| [&[2, u8::try_from(number.len()).unwrap()], number].concat();
    let content = [part(r), part(s)].concat();
    [&[0x30, u8::try_from(content.len()).unwrap()], &content[..]].concat()
}

#[test]
fn au_10_ecdsa_takes_one_spelling_of_a_signature() {
    let raw = bytes(P256_RAW_SIGNATURE);
    let (r, s) = raw.split_at(32);
    let n = hex::decode(N).unwrap();
    let positive = |number: &[u8]| [&[0][..], number].concat();
    let der = bytes(P256_DER_SIGNATURE);
    let der_r = positive(r);
    assert_eq!(
        der,
        der_of(&der_r, s),
        "r needs a zero in front, s does not"
    );

    let content = &der[2..];
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("r without its zero: negative", der_of(r, s)),
        ("r with a second zero", der_of(&positive(&der_r), s)),
        (
            "s with a zero that it does not need",
            der_of(&der_r, &positive(s)),
        ),
        ("r = 0", der_of(&[0], s)),
        ("s = 0", der_of(&der_r, &[0])),
        ("r of no bytes", der_of(&[], s)),
        ("r and s of no bytes", der_of(&[], &[])),
        ("s = n", der_of(&der_r, &positive(&n))),
        ("r = n", der_of(&positive(&n), s)),
        ("s + n", der_of(&der_r, &sum(&positive(s), &positive(&n)))),
        (
            "s - n: negative",
            der_of(
                &der_r,
                &difference(&[&[1, 0], s].concat(), &[&[0, 0], &n[..]].concat())[1..],
            ),
        ),
        (
            "length in two bytes (BER)",
            [&[0x30, 0x81, der[1]], content].concat(),
        ),
        (
            "length in three bytes (BER)",
            [&[0x30, 0x82, 0, der[1]], content].concat(),
        ),
        (
            "indefinite length (BER)",
            [&[0x30, 0x80], content, &[0, 0]].concat(),
        ),
        ("a byte after it", [&der[..], &[0]].concat()),
        (
            "a byte within it",
            [&[0x30, der[1] + 1], content, &[0]].concat(),
        ),
        (
            "NULL within it",
            [&[0x30, der[1] + 2], content, &[5, 0]].concat(),
        ),
        ("a SET", [&[0x31, der[1]], content].concat()),
        ("OCTET STRINGs", {
            let mut d = der.clone();
            d[2] = 4;
            d
        }),
        ("long tag form", [&[0x3f, 0x10, der[1]], content].concat()),
        ("raw where DER is due", raw.clone()),
    ];
    let mut wrong: Vec<_> = rows
        .iter()
        .filter(|(_, s)| is_good(P256_PEM, EcdsaP256Der, s))
        .map(|row| row.0)
        .collect();

    let raw_rows: Vec<(&str, Vec<u8>)> = vec![
        ("DER where raw is due", der.clone()),
        ("DER cut to 64 bytes", der[..64].to_vec()),
        ("r = 0", [&[0; 32], s].concat()),
        ("s = 0", [r, &[0; 32]].concat()),
        ("both 0", vec![0; 64]),
        ("r = n", [&n, s].concat()),
        ("s = n", [r, &n].concat()),
        ("s and r", [s, r].concat()),
        ("33 bytes each", [&[0], r, &[0], s].concat()),
        ("all ones", vec![0xff; 64]),
    ];
    wrong.extend(
        raw_rows
            .iter()
            .filter(|(_, s)| is_good(P256_PEM, EcdsaP256Raw, s))
            .map(|row| row.0),
    );
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn au_10_ecdsa_takes_the_twin_of_a_signature_so_a_signature_is_no_identity() {
    let raw = bytes(P256_RAW_SIGNATURE);
    let (r, s) = raw.split_at(32);
    let twin = difference(&hex::decode(N).unwrap(), s);
    assert!(is_good(P256_PEM, EcdsaP256Raw, &[r, &twin].concat()));
}

#[test]
fn au_10_rsa_takes_the_one_padded_block_of_a_digest() {
    for (at, (name, signature)) in RSA_BLOCKS.into_iter().enumerate() {
        assert_eq!(
            is_good(RSA_PEM, RsaPkcs1Sha256, &bytes(signature)),
            at == 0,
            "{name}"
        );
    }
    assert!(
        !is_good(RSA_E3_PEM, RsaPkcs1Sha256, &bytes(RSA_E3_FORGERY)),
        "a cube with a block at its front"
    );
    for low in [0, 1] {
        let mut signature = [0; 256];
        signature[255] = low;
        assert!(
            !is_good(RSA_PEM, RsaPkcs1Sha256, &signature),
            "a signature of {low}"
        );
    }
}
