//! The spellings of keys: which texts are read, and which are refused by name, without a byte of
//! the text in the message.

#[cfg(test)]
mod attacks;
#[cfg(test)]
pub(crate) mod fixtures;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::tests::fixtures::*;
use super::*;
use crate::clock::UnixMillis;

fn one(text: &str) -> PublicKey {
    let mut keys = PublicKey::parse_all(text.as_bytes()).unwrap();
    assert_eq!(keys.len(), 1);
    keys.remove(0)
}

fn fault(text: &str) -> &'static str {
    PublicKey::parse_all(text.as_bytes()).unwrap_err()
}

/// The base64 between the lines of a PEM block, joined to a single line.
fn inside(pem: &str) -> String {
    pem.lines()
        .filter(|line| !line.starts_with("-----"))
        .collect()
}

fn without_first(text: &str, count: usize) -> String {
    text.chars().skip(count).collect()
}

fn pem(label: &str, der: &[u8]) -> String {
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        STANDARD.encode(der)
    )
}

fn raw(hex_digits: &str) -> Vec<u8> {
    hex::decode(hex_digits).unwrap()
}

fn ed25519_jwk(more: &str) -> String {
    format!(
        r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"{more}}}"#,
        URL_SAFE_NO_PAD.encode(raw(ED25519_HEX))
    )
}

fn p256_jwk(more: &str) -> String {
    format!(r#"{{"kty":"EC","crv":"P-256","x":"{P256_X}","y":"{P256_Y}"{more}}}"#)
}

fn rsa_jwk(more: &str) -> String {
    format!(r#"{{"kty":"RSA","n":"{RSA_N}","e":"AQAB"{more}}}"#)
}

#[test]
fn every_form_of_a_key_gives_the_same_key() {
    let base64_of_raw = STANDARD.encode(raw(ED25519_HEX));
    let forms: [(&str, String, KeyType, &str); 23] = [
        (
            "PEM",
            ED25519_PEM.into(),
            KeyType::Ed25519,
            ED25519_FINGERPRINT,
        ),
        (
            "hex",
            ED25519_HEX.into(),
            KeyType::Ed25519,
            ED25519_FINGERPRINT,
        ),
        (
            "hex in capitals",
            ED25519_HEX.to_uppercase(),
            KeyType::Ed25519,
            ED25519_FINGERPRINT,
        ),
        (
            "white space around",
            format!(" {ED25519_HEX}\r\n"),
            KeyType::Ed25519,
            ED25519_FINGERPRINT,
        ),
        (
            "base64",
            base64_of_raw.clone(),
            KeyType::Ed25519,
            ED25519_FINGERPRINT,
        ),
        (
            "whpk_",
            format!("whpk_{base64_of_raw}"),
            KeyType::Ed25519,
            ED25519_FINGERPRINT,
        ),
        (
            "base64 of DER",
            inside(ED25519_PEM),
            KeyType::Ed25519,
            ED25519_FINGERPRINT,
        ),
        (
            "JWK",
            ed25519_jwk(""),
            KeyType::Ed25519,
            ED25519_FINGERPRINT,
        ),
        (
            "JWK with alg",
            ed25519_jwk(r#","alg":"EdDSA""#),
            KeyType::Ed25519,
            ED25519_FINGERPRINT,
        ),
        (
            "certificate",
            ED25519_CERTIFICATE.into(),
            KeyType::Ed25519,
            ED25519_FINGERPRINT,
        ),
        ("PEM", P256_PEM.into(), KeyType::EcdsaP256, P256_FINGERPRINT),
        (
            "PEM in one line",
            P256_PEM.replace('\n', " "),
            KeyType::EcdsaP256,
            P256_FINGERPRINT,
        ),
        (
            "PEM with CR LF",
            P256_PEM.replace('\n', "\r\n"),
            KeyType::EcdsaP256,
            P256_FINGERPRINT,
        ),
        (
            "base64 of DER",
            inside(P256_PEM),
            KeyType::EcdsaP256,
            P256_FINGERPRINT,
        ),
        (
            "wrapped",
            inside(P256_PEM).replace("AQ", "\nAQ"),
            KeyType::EcdsaP256,
            P256_FINGERPRINT,
        ),
        (
            "JWK",
            p256_jwk(r#","alg":"ES256","use":"sig""#),
            KeyType::EcdsaP256,
            P256_FINGERPRINT,
        ),
        (
            "certificate",
            P256_CERTIFICATE.into(),
            KeyType::EcdsaP256,
            P256_FINGERPRINT,
        ),
        (
            "base64 of a certificate",
            inside(P256_CERTIFICATE),
            KeyType::EcdsaP256,
            P256_FINGERPRINT,
        ),
        ("PEM", RSA_PEM.into(), KeyType::Rsa, RSA_FINGERPRINT),
        (
            "PEM of PKCS #1",
            RSA_PKCS1_PEM.into(),
            KeyType::Rsa,
            RSA_FINGERPRINT,
        ),
        (
            "base64 of DER",
            inside(RSA_PEM),
            KeyType::Rsa,
            RSA_FINGERPRINT,
        ),
        (
            "JWK",
            rsa_jwk(r#","key_ops":["verify"]"#),
            KeyType::Rsa,
            RSA_FINGERPRINT,
        ),
        (
            "JWK with a zero in front of e",
            rsa_jwk("").replace("AQAB", "AAEAAQ"),
            KeyType::Rsa,
            RSA_FINGERPRINT,
        ),
    ];
    let mut wrong = Vec::new();
    for (name, text, key_type, fingerprint) in forms {
        match PublicKey::parse_all(text.as_bytes()).as_deref() {
            Ok([key]) if key.key_type() == key_type && key.fingerprint() == fingerprint => {}
            other => wrong.push(format!("{name}: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_is_no_usable_key_is_refused_by_name() {
    let (p256_private, rsa_private) = (inside(P256_PRIVATE_PEM), r#","d":"AQAB""#);
    let off_curve = |pem: &str| {
        let mut der = STANDARD.decode(inside(pem)).unwrap();
        *der.last_mut().unwrap() ^= 1;
        STANDARD.encode(der)
    };
    let cut = STANDARD.encode(&STANDARD.decode(inside(RSA_PEM)).unwrap()[..200]);
    let longer_der = [STANDARD.decode(inside(RSA_PEM)).unwrap(), vec![0]].concat();
    let longer = STANDARD.encode(&longer_der);
    let two_certificates = [P256_CERTIFICATE, ED25519_CERTIFICATE].concat();
    let rows: Vec<(&str, String, &str)> = vec![
        ("nothing", " \n".into(), "is empty"),
        ("PEM: PKCS #8", P256_PRIVATE_PEM.into(), "private key"),
        ("PEM: Ed25519", ED25519_PRIVATE_PEM.into(), "private key"),
        ("PEM: SEC 1", P256_SEC1_PEM.into(), "private key"),
        (
            "PEM: encrypted",
            ED25519_ENCRYPTED_PEM.into(),
            "private key",
        ),
        (
            "PEM: public and private",
            [P256_PEM, P256_PRIVATE_PEM].concat(),
            "private key",
        ),
        ("DER: PKCS #8", p256_private, "private key"),
        ("DER: SEC 1", inside(P256_SEC1_PEM), "private key"),
        ("whsk_", "whsk_AAAA".into(), "private key"),
        ("JWK with d", p256_jwk(r#","d":"AQAB""#), "private key"),
        (
            "JWK with d, for encryption",
            rsa_jwk(&format!(r#"{rsa_private},"use":"enc""#)),
            "private key",
        ),
        (
            "JWK Set with d in the second",
            format!(r#"{{"keys":[{},{}]}}"#, p256_jwk(""), rsa_jwk(rsa_private)),
            "private",
        ),
        ("whsec_", "whsec_AAAA".into(), "symmetric"),
        ("JWK oct", r#"{"kty":"oct","k":"AAAA"}"#.into(), "symmetric"),
        ("RSA of 1024 bits", RSA_1024_PEM.into(), "2048"),
        ("P-384", P384_PEM.into(), "unsupported curve"),
        (
            "curve spelled out",
            P256_EXPLICIT_PEM.into(),
            "unsupported curve",
        ),
        ("compressed point", P256_COMPRESSED_PEM.into(), "compressed"),
        ("X25519", X25519_PEM.into(), "unsupported type"),
        ("RSA-PSS", RSA_PSS_PEM.into(), "PSS"),
        (
            "parameters",
            EC_PARAMETERS_PEM.into(),
            "neither a PUBLIC KEY nor a CERTIFICATE",
        ),
        ("two certificates", two_certificates, "without its chain"),
        (
            "certificate and key",
            [P256_CERTIFICATE, P256_PEM].concat(),
            "without its chain",
        ),
        (
            "PEM without its end",
            P256_PEM.replace("-----END", ""),
            "-----END",
        ),
        (
            "PEM of another end",
            P256_PEM.replace("END PUBLIC", "END RSA PUBLIC"),
            "-----END",
        ),
        ("PEM with \\n", P256_PEM.replace('\n', "\\n"), "line breaks"),
        (
            "PEM with a letter less",
            P256_PEM.replacen("MF", "M", 1),
            "not base64",
        ),
        ("P-256 off its curve", off_curve(P256_PEM), "not a point"),
        ("DER cut off", cut, "cut off"),
        ("DER with a byte after it", longer, "follows"),
        (
            "PEM with a byte after its DER",
            pem("PUBLIC KEY", &longer_der),
            "follows",
        ),
        ("RSA key alone", inside(RSA_PKCS1_PEM), "bare RSA key"),
        (
            "not DER",
            STANDARD.encode([7; 40]),
            "none of the known forms",
        ),
        (
            "31 bytes",
            STANDARD.encode([7; 31]),
            "none of the known forms",
        ),
        (
            "63 hex digits",
            without_first(ED25519_HEX, 1),
            "none of the known forms",
        ),
        (
            "66 hex digits",
            format!("{ED25519_HEX}00"),
            "none of the known forms",
        ),
        (
            "base64url",
            URL_SAFE_NO_PAD.encode(raw(ED25519_HEX)),
            "none of the known forms",
        ),
        ("a word", "secret!".into(), "none of the known forms"),
        ("whpk_ without base64", "whpk_!".into(), "not base64"),
        (
            "whpk_ of 31 bytes",
            format!("whpk_{}", STANDARD.encode([1; 31])),
            "32 bytes",
        ),
        ("not JSON", "{".into(), "not JSON"),
        ("empty JWK Set", r#"{"keys":[]}"#.into(), "no key"),
        ("JWK Set of numbers", r#"{"keys":[1]}"#.into(), "no JWK"),
        (
            "JWK Set that is none",
            r#"{"keys":{}}"#.into(),
            "not a list",
        ),
        ("JWK without kty", "{}".into(), "kty"),
        (
            "JWK for encryption",
            rsa_jwk(r#","use":"enc""#),
            "not for signatures",
        ),
        (
            "JWK for encryption by key_ops",
            rsa_jwk(r#","key_ops":["encrypt"]"#),
            "not for signatures",
        ),
        (
            "JWK of P-384",
            p256_jwk("").replace("P-256", "P-384"),
            "unsupported curve",
        ),
        (
            "JWK of X25519",
            ed25519_jwk("").replace("Ed25519", "X25519"),
            "unsupported curve",
        ),
        (
            "JWK with the alg of another type",
            rsa_jwk(r#","alg":"ES256""#),
            "does not fit",
        ),
        (
            "JWK with alg none",
            p256_jwk(r#","alg":"none""#),
            "does not fit",
        ),
        (
            "JWK with alg HS256",
            rsa_jwk(r#","alg":"HS256""#),
            "does not fit",
        ),
        (
            "JWK with alg PS256",
            rsa_jwk(r#","alg":"PS256""#),
            "does not fit",
        ),
        (
            "JWK with a short x",
            p256_jwk("").replace(P256_X, &without_first(P256_X, 4)),
            "32 bytes each",
        ),
        (
            "JWK with x and y swapped",
            p256_jwk("")
                .replace(P256_X, "T")
                .replace(P256_Y, P256_X)
                .replace("\"T\"", &format!("\"{P256_Y}\"")),
            "not a point",
        ),
        (
            "JWK with padding",
            ed25519_jwk("").replace("\"}", "=\"}"),
            "base64url",
        ),
        (
            "JWK without e",
            rsa_jwk("").replace("\"e\"", "\"f\""),
            "lacks",
        ),
        ("JWK with a number", p256_jwk(r#","kid":1"#), "not text"),
        (
            "RSA with an even exponent",
            rsa_jwk("").replace("AQAB", "AQAA"),
            "exponent",
        ),
        (
            "RSA with exponent 1",
            rsa_jwk("").replace("AQAB", "AQ"),
            "exponent",
        ),
        (
            "RSA with exponent 2^33 + 1",
            rsa_jwk("").replace("AQAB", "AgAAAAE"),
            "exponent",
        ),
        (
            "RSA with an endless exponent",
            rsa_jwk("").replace("AQAB", &"B".repeat(40)),
            "exponent",
        ),
        (
            "RSA with an even modulus",
            rsa_jwk("").replace(&without_first(RSA_N, 340), "cA"),
            "even",
        ),
    ];
    let mut wrong = Vec::new();
    for (name, text, expected) in rows {
        match PublicKey::parse_all(text.as_bytes()) {
            Err(why) if why.contains(expected) => {}
            other => wrong.push(format!("{name}: {other:?}, not {expected:?}")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn an_rsa_modulus_may_have_2048_to_8192_bits() {
    let parse = |len: usize, first: u8| {
        let mut modulus = vec![0xff; len];
        modulus[0] = first;
        fault_of(&rsa_jwk("").replace(RSA_N, &URL_SAFE_NO_PAD.encode(modulus)))
    };
    assert!(parse(256, 0x7f).unwrap().contains("fewer"), "2047 bits");
    assert_eq!(parse(256, 0x80), None, "2048 bits");
    assert_eq!(parse(257, 0x01), None, "2049 bits");
    assert_eq!(parse(1024, 0xff), None, "8192 bits");
    assert!(parse(1025, 0x01).unwrap().contains("more"), "8193 bits");
}

fn fault_of(text: &str) -> Option<&'static str> {
    PublicKey::parse_all(text.as_bytes()).err()
}

#[test]
fn a_set_gives_its_keys_for_signatures_in_their_order() {
    let keys = [
        p256_jwk(r#","kid":"a""#),
        rsa_jwk(r#","kid":"b","use":"enc""#),
        ed25519_jwk(r#","kid":"c","x5u":"https://example.com/c.pem""#),
        rsa_jwk(""),
    ];
    let keys =
        PublicKey::parse_all(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes()).unwrap();
    let found: Vec<_> = keys
        .iter()
        .map(|key| (key.key_type(), key.key_id()))
        .collect();
    assert_eq!(
        found,
        [
            (KeyType::EcdsaP256, Some("a")),
            (KeyType::Ed25519, Some("c")),
            (KeyType::Rsa, None)
        ],
        "the one for encryption is left out"
    );
}

#[test]
fn several_pem_keys_give_several_keys() {
    let keys =
        PublicKey::parse_all([RSA_PEM, "\nthe next one:\n", P256_PEM].concat().as_bytes()).unwrap();
    let types: Vec<_> = keys.iter().map(PublicKey::key_type).collect();
    assert_eq!(types, [KeyType::Rsa, KeyType::EcdsaP256]);
}

#[test]
fn a_certificate_is_active_from_its_first_second_through_its_last() {
    let second = |seconds| UnixMillis::from_secs(seconds);
    let validity = one(P256_CERTIFICATE).validity();
    assert_eq!(
        validity,
        Validity {
            not_before: Some(second(1_767_225_600)),
            not_after: Some(second(1_798_761_600))
        }
    );
    let rows = [
        (1_767_225_599_999, false),
        (1_767_225_600_000, true),
        (1_798_761_599_999, true),
    ];
    for (millis, is_in) in rows.into_iter().chain([(1_798_761_600_000, false)]) {
        assert_eq!(validity.includes(UnixMillis(millis)), is_in, "{millis}");
    }
    // Dates from 2050 on are written as GeneralizedTime.
    assert_eq!(
        one(ED25519_CERTIFICATE).validity().not_after,
        Some(second(2_524_608_001))
    );
    assert_eq!(
        one(P256_PEM).validity(),
        Validity {
            not_before: None,
            not_after: None
        }
    );
}

#[test]
fn looking_public_is_a_matter_of_shape() {
    for text in [
        "-----BEGIN ",
        " \n-----BEGIN PRIVATE KEY-----",
        r#"{"kty":"#,
        r#"{ "keys": []"#,
        "whpk_",
        P256_CERTIFICATE,
    ] {
        assert!(PublicKey::looks_public(text.as_bytes()), "{text}");
    }
    for text in [
        "",
        "{",
        "{}",
        "{secret",
        "-----END",
        "whsec_AAAA",
        "whsk_",
        "[",
        ED25519_HEX,
        "MFkwEwYHKoZIzj0C",
    ] {
        assert!(!PublicKey::looks_public(text.as_bytes()), "{text}");
    }
}

#[test]
fn debug_shows_type_and_fingerprint_alone() {
    assert_eq!(
        format!("{:?}", one(ED25519_HEX)),
        format!("PublicKey(Ed25519, {ED25519_FINGERPRINT})")
    );
    let key = SigningKey::parse(ED25519_PRIVATE_PEM.as_bytes()).unwrap();
    assert_eq!(format!("{key:?}"), "SigningKey(hidden)");
}

#[test]
fn every_form_of_a_signing_key_signs_alike() {
    let der = STANDARD.decode(inside(ED25519_PRIVATE_PEM)).unwrap();
    let seed = &der[der.len() - 32..];
    let pair = [seed, &raw(ED25519_HEX)].concat();
    let forms = [
        ED25519_PRIVATE_PEM.to_owned(),
        hex::encode(seed),
        format!("whsk_{}\n", STANDARD.encode(seed)),
        format!("whsk_{}", STANDARD.encode(pair)),
        // This is version 1 of RFC 5958, with the public key beside the private key.
        pem(
            "PRIVATE KEY",
            &[
                &[0x30, 0x51, 2, 1, 1][..],
                &der[5..],
                &[0x81, 0x21, 0],
                &raw(ED25519_HEX),
            ]
            .concat(),
        ),
    ];
    for text in forms {
        let key = SigningKey::parse(text.as_bytes()).unwrap();
        assert_eq!(
            STANDARD.encode(key.sign(PublicAlgorithm::Ed25519, MESSAGE).unwrap()),
            ED25519_SIGNATURE
        );
        assert_eq!(key.public().fingerprint(), ED25519_FINGERPRINT);
        assert!(one(&key.public().text()).verify(
            PublicAlgorithm::Ed25519,
            MESSAGE,
            &key.sign(PublicAlgorithm::Ed25519, MESSAGE).unwrap()
        ));
    }
}

#[test]
fn each_private_key_signs_with_the_algorithms_of_its_type_alone() {
    use PublicAlgorithm::{
        EcdsaP256Der, EcdsaP256Raw, Ed25519, RsaPkcs1Sha256, RsaPkcs1Sha384, RsaPkcs1Sha512,
    };
    let all = [
        Ed25519,
        EcdsaP256Der,
        EcdsaP256Raw,
        RsaPkcs1Sha256,
        RsaPkcs1Sha384,
        RsaPkcs1Sha512,
    ];
    for (private, public) in [
        (ED25519_PRIVATE_PEM, ED25519_PEM),
        (P256_PRIVATE_PEM, P256_PEM),
        (RSA_PRIVATE_PEM, RSA_PUBLIC_PEM),
    ] {
        let (key, public) = (SigningKey::parse(private.as_bytes()).unwrap(), one(public));
        assert_eq!(key.public().fingerprint(), public.fingerprint());
        assert_eq!(
            one(&key.public().text()).fingerprint(),
            public.fingerprint()
        );
        for algorithm in all {
            let signature = key.sign(algorithm, MESSAGE);
            let is_own = algorithm.key_type() == key.key_type();
            assert_eq!(signature.is_some(), is_own, "{algorithm:?}");
            if let Some(signature) = signature {
                assert!(
                    public.verify(algorithm, MESSAGE, &signature),
                    "{algorithm:?}"
                );
                assert!(
                    !public.verify(algorithm, b"other", &signature),
                    "{algorithm:?}"
                );
            }
        }
    }
    let rsa = SigningKey::parse(RSA_PRIVATE_PEM.as_bytes()).unwrap();
    let signature = rsa.sign(RsaPkcs1Sha256, MESSAGE).unwrap();
    assert_eq!(STANDARD.encode(signature), RSA_PRIVATE_SIGNATURE);
}

#[test]
fn what_is_no_signing_key_is_refused_by_name() {
    // PKCS #8 of RSA with an empty key, and of P-256 with the name of P-384 in it.
    let short_rsa = raw("3018020100300d06092a864886f70d0101010500040430020500");
    let of_p384 = raw("301a020100301006072a8648ce3d020106052b8104002204033001ff");
    let der = STANDARD.decode(inside(ED25519_PRIVATE_PEM)).unwrap();
    let with_another = [
        &[0x30, 0x51, 2, 1, 1][..],
        &der[5..],
        &[0x81, 0x21, 0],
        &[9; 32],
    ]
    .concat();
    let rows = [
        (String::new(), "none of the known forms"),
        ("whsec_AAAA".into(), "none of the known forms"),
        (without_first(ED25519_HEX, 2), "none of the known forms"),
        (ED25519_PEM.into(), "no PRIVATE KEY"),
        (P256_SEC1_PEM.into(), "not written as PKCS #8"),
        (P256_PRIVATE_ALONE_PEM.into(), "its public half is missing"),
        (pem("PRIVATE KEY", &short_rsa), "2048 to 4096 bits"),
        (pem("PRIVATE KEY", &of_p384), "unsupported curve"),
        (ED25519_ENCRYPTED_PEM.into(), "encrypted"),
        ([ED25519_PRIVATE_PEM, ED25519_PEM].concat(), "alone"),
        (pem("PRIVATE KEY", &der[..40]), "cut off"),
        (pem("PRIVATE KEY", &with_another), "does not belong"),
        ("whsk_!".into(), "not base64"),
        (format!("whsk_{}", STANDARD.encode([1; 31])), "32 bytes"),
        (format!("whsk_{}", STANDARD.encode([1; 33])), "32 bytes"),
        (format!("whsk_{}", STANDARD.encode([1; 65])), "32 bytes"),
        (
            format!("whsk_{}", STANDARD.encode([1; 64])),
            "does not belong",
        ),
    ];
    let mut wrong = Vec::new();
    for (text, expected) in rows {
        match SigningKey::parse(text.as_bytes()) {
            Err(why) if why.contains(expected) => {}
            other => wrong.push(format!("{text}: {other:?}, not {expected:?}")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn signatures_are_those_of_rfc_8032() {
    // Tests 1 and 3 of section 7.1: seed, public key, message, signature.
    let rows = [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b\
             d25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659\
             4a7c15e9716ed28dc027beceea1ec40a",
        ),
    ];
    for (seed, public, message, signature) in rows {
        let key = SigningKey::parse(seed.as_bytes()).unwrap();
        assert_eq!(
            hex::encode(key.sign(PublicAlgorithm::Ed25519, &raw(message)).unwrap()),
            signature
        );
        assert!(one(public).verify(PublicAlgorithm::Ed25519, &raw(message), &raw(signature)));
    }
}

#[test]
fn no_fault_repeats_a_part_of_the_text() {
    for text in [
        P384_PEM,
        P256_PRIVATE_PEM,
        "whsk_topsecret",
        "{\"d\":\"topsecret\"}",
        "topsecret",
    ] {
        let why = fault(text);
        assert!(!why.contains("topsecret") && !why.contains("MHYw"), "{why}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_parsing_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(PublicKey::parse_all(&text));
        drop(SigningKey::parse(&text));
    }

    #[test]
    fn a_changed_byte_of_der_never_panics(at in 0_usize..300, byte in any::<u8>(), which in 0_usize..4) {
        let mut der = STANDARD.decode(inside([P256_PEM, RSA_PEM, P256_CERTIFICATE, ED25519_CERTIFICATE][which])).unwrap();
        let at = at % der.len();
        der[at] = byte;
        if let Ok(keys) = PublicKey::parse_all(STANDARD.encode(der).as_bytes()) {
            prop_assert_eq!(keys.len(), 1);
            prop_assert!(!keys[0].verify(PublicAlgorithm::Ed25519, b"", &[0; 64]));
        }
    }
}
