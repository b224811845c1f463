//! Signatures that cannot be a signature of any message. They are refused before a byte of the
//! message is hashed, so that a made-up signature costs its sender more than the gateway.
//!
//! The check takes a few microseconds and decides nothing else: a signature that passes it is
//! verified by the library of its algorithm, with all the checks of `checked`.

use der::asn1::UintRef;
use der::{Reader as _, SliceReader};
use ed25519_dalek::VerifyingKey;

use super::PublicAlgorithm;
use super::checked::is_below_field_prime;

/// The order of P-256, big-endian (SEC 2 2.4.2).
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];
/// The order of the base point of Ed25519, big-endian (RFC 8032 5.1).
const ED25519_ORDER: [u8; 32] = [
    0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0xde, 0xf9, 0xde, 0xa2, 0xf7, 0x9c,
    0xd6, 0x58, 0x12, 0x63, 0x1a, 0x5c, 0xf5, 0xd3, 0xed,
];

/// Whether `signature` can be a signature of some message. `modulus` is that of an RSA key, and
/// empty for every other key.
pub(super) fn is_possible(algorithm: PublicAlgorithm, modulus: &[u8], signature: &[u8]) -> bool {
    match algorithm {
        PublicAlgorithm::Ed25519 => is_ed25519(signature),
        PublicAlgorithm::EcdsaP256Raw => signature
            .split_at_checked(32)
            .is_some_and(|(r, s)| is_below_order(r) && is_below_order(s)),
        PublicAlgorithm::EcdsaP256Der => is_ecdsa_der(signature).unwrap_or(false),
        PublicAlgorithm::RsaPkcs1Sha256
        | PublicAlgorithm::RsaPkcs1Sha384
        | PublicAlgorithm::RsaPkcs1Sha512 => {
            signature.len() == modulus.len() && signature < modulus
        }
    }
}

/// R must be the canonical encoding of a point whose order is not small, and s less than L.
fn is_ed25519(signature: &[u8]) -> bool {
    let Some((r, s)) = signature.split_at_checked(32) else {
        return false;
    };
    let (Ok(r), Ok(mut s)) = (<&[u8; 32]>::try_from(r), <[u8; 32]>::try_from(s)) else {
        return false;
    };
    s.reverse();
    s < ED25519_ORDER
        && is_below_field_prime(r)
        && VerifyingKey::from_bytes(r).is_ok_and(|point| !point.is_weak())
}

/// Whether r and s, in DER, lie in 1..n; `None` where the bytes are not two numbers in DER.
fn is_ecdsa_der(signature: &[u8]) -> Option<bool> {
    let mut reader = SliceReader::new(signature).ok()?;
    let both = reader.sequence(|reader: &mut SliceReader<'_>| {
        let (r, s) = (
            reader.decode::<UintRef<'_>>()?,
            reader.decode::<UintRef<'_>>()?,
        );
        Ok::<_, der::Error>(is_below_order(r.as_bytes()) && is_below_order(s.as_bytes()))
    });
    Some(both.ok()? && reader.is_finished())
}

/// Whether a big-endian number lies in 1..n of P-256.
fn is_below_order(number: &[u8]) -> bool {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let significant = number.get(zeros..).unwrap_or_default();
    !significant.is_empty()
        && (significant.len() < P256_ORDER.len()
            || significant.len() == P256_ORDER.len() && *significant < P256_ORDER[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A signature of Ed25519 with these two halves, given in hex.
    fn halves(r: &str, s: &str) -> Vec<u8> {
        [hex::decode(r).unwrap(), hex::decode(s).unwrap()].concat()
    }

    #[test]
    fn rx_20_signatures_that_cannot_be_are_known_without_a_message() {
        const POINT: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        const ONE: &str = "0100000000000000000000000000000000000000000000000000000000000000";
        const L: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
        const L_LESS_1: &str = "ecd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
        const OFF_CURVE: &str = "0200000000000000000000000000000000000000000000000000000000000000";
        // The neutral element, written with y = p + 1.
        const NOT_CANONICAL: &str =
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f";
        let n = hex::encode(P256_ORDER);
        let n_less_1 = n.replace("2551", "2550");
        let one = format!("{:064x}", 1);
        let zero = format!("{:064x}", 0);
        let raw = |r: &str, s: &str| hex::decode(format!("{r}{s}")).unwrap();
        let rows: &[(&str, PublicAlgorithm, Vec<u8>, bool)] = &[
            (
                "a point and a small s",
                PublicAlgorithm::Ed25519,
                halves(POINT, ONE),
                true,
            ),
            (
                "the greatest s",
                PublicAlgorithm::Ed25519,
                halves(POINT, L_LESS_1),
                true,
            ),
            ("s is L", PublicAlgorithm::Ed25519, halves(POINT, L), false),
            (
                "s is far too large",
                PublicAlgorithm::Ed25519,
                halves(POINT, &"ff".repeat(32)),
                false,
            ),
            (
                "R is off the curve",
                PublicAlgorithm::Ed25519,
                halves(OFF_CURVE, ONE),
                false,
            ),
            (
                "R has a small order",
                PublicAlgorithm::Ed25519,
                halves(ONE, ONE),
                false,
            ),
            (
                "R is not canonical",
                PublicAlgorithm::Ed25519,
                halves(NOT_CANONICAL, ONE),
                false,
            ),
            (
                "63 bytes",
                PublicAlgorithm::Ed25519,
                halves(POINT, &"01".repeat(31)),
                false,
            ),
            (
                "r and s are 1",
                PublicAlgorithm::EcdsaP256Raw,
                raw(&one, &one),
                true,
            ),
            (
                "r and s are n - 1",
                PublicAlgorithm::EcdsaP256Raw,
                raw(&n_less_1, &n_less_1),
                true,
            ),
            (
                "r is 0",
                PublicAlgorithm::EcdsaP256Raw,
                raw(&zero, &one),
                false,
            ),
            (
                "s is 0",
                PublicAlgorithm::EcdsaP256Raw,
                raw(&one, &zero),
                false,
            ),
            (
                "r is n",
                PublicAlgorithm::EcdsaP256Raw,
                raw(&n, &one),
                false,
            ),
            (
                "s is n",
                PublicAlgorithm::EcdsaP256Raw,
                raw(&one, &n),
                false,
            ),
            (
                "1 and 1 in DER",
                PublicAlgorithm::EcdsaP256Der,
                raw("3006020101", "020101"),
                true,
            ),
            (
                "0 in DER",
                PublicAlgorithm::EcdsaP256Der,
                raw("3006020100", "020101"),
                false,
            ),
            (
                "n in DER",
                PublicAlgorithm::EcdsaP256Der,
                raw(&format!("3026022100{n}"), "020101"),
                false,
            ),
            (
                "no DER",
                PublicAlgorithm::EcdsaP256Der,
                raw("3106020101", "020101"),
                false,
            ),
            (
                "bytes after DER",
                PublicAlgorithm::EcdsaP256Der,
                raw("3006020101", "02010100"),
                false,
            ),
        ];
        let wrong: Vec<_> = rows
            .iter()
            .filter(|(_, algorithm, bytes, expected)| {
                is_possible(*algorithm, b"", bytes) != *expected
            })
            .map(|(name, ..)| name)
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
        let rsa = PublicAlgorithm::RsaPkcs1Sha256;
        for (length, first, expected) in [
            (256, 0x7f, true),
            (256, 0xff, false),
            (255, 0x7f, false),
            (257, 0, false),
        ] {
            let mut signature = vec![0x11; length];
            signature[0] = first;
            assert_eq!(
                is_possible(rsa, &[0x80; 256], &signature),
                expected,
                "{length} bytes beginning with {first:#x}"
            );
        }
    }
}
