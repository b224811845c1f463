//! The writer of DER: a key as a `SubjectPublicKeyInfo` (RFC 5280 4.1, RFC 3279 2.3), from which
//! its fingerprint is made. [`asn1`](super::asn1) reads DER.

use der::asn1::ObjectIdentifier;

pub(super) const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
pub(super) const EC_PUBLIC_KEY: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
pub(super) const PRIME256V1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
pub(super) const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// The `SubjectPublicKeyInfo` of an Ed25519 key (RFC 8410 4).
pub(super) fn ed25519_info(key: &[u8; 32]) -> Vec<u8> {
    let algorithm = value(0x30, &[&value(0x06, &[ED25519.as_bytes()])]);
    value(0x30, &[&algorithm, &value(0x03, &[&[0], key])])
}

/// The `SubjectPublicKeyInfo` of a P-256 key (RFC 5480 2).
pub(super) fn ecdsa_p256_info(point: &[u8; 65]) -> Vec<u8> {
    let identifiers = [
        value(0x06, &[EC_PUBLIC_KEY.as_bytes()]),
        value(0x06, &[PRIME256V1.as_bytes()]),
    ];
    let algorithm = value(0x30, &[&identifiers.concat()]);
    value(0x30, &[&algorithm, &value(0x03, &[&[0], point])])
}

/// The `SubjectPublicKeyInfo` of an RSA key (RFC 3279 2.3.1).
pub(super) fn rsa_info(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let algorithm = value(0x30, &[&value(0x06, &[RSA.as_bytes()]), &value(0x05, &[])]);
    let key = value(0x30, &[&integer(modulus), &integer(exponent)]);
    value(0x30, &[&algorithm, &value(0x03, &[&[0], &key])])
}

/// The INTEGER of a positive number, given as big-endian bytes of which the first is not zero.
fn integer(number: &[u8]) -> Vec<u8> {
    let sign: &[u8] = if number.first().is_some_and(|byte| byte & 0x80 != 0) {
        &[0]
    } else {
        &[]
    };
    value(0x02, &[sign, number])
}

/// The element of this tag: its length, and `parts` as its content.
fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let mut bytes = vec![tag];
    match u8::try_from(len) {
        Ok(len @ ..=0x7f) => bytes.push(len),
        _ => {
            let digits: Vec<u8> = len
                .to_be_bytes()
                .into_iter()
                .skip_while(|byte| *byte == 0)
                .collect();
            bytes.push(0x80 | u8::try_from(digits.len()).unwrap_or_default());
            bytes.extend(digits);
        }
    }
    for part in parts {
        bytes.extend(*part);
    }
    bytes
}
