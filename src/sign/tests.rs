//! Tests of signatures byte by byte, and of requests that cannot be signed. Tests in `cli` check
//! that the signatures of all presets verify.

use super::*;
use crate::clock::UnixMillis;
use crate::key::digest::DigestAlgorithm;
use crate::key::public::PublicKey;
use crate::key::public::tests::fixtures::{
    P256_PEM, P256_PRIVATE_PEM, RSA_PRIVATE_PEM, RSA_PUBLIC_PEM,
};
use crate::scheme::tests::fixtures::{
    credential, field, itellico, plain, secret, standard_webhooks, template_of, timestamped,
};
use crate::scheme::{Algorithm, BodyForm};

const AT: UnixMillis = UnixMillis(1_750_000_000_999);

fn request() -> SignRequest<'static> {
    SignRequest {
        method: "POST",
        target: "/in/x",
        body: b"{}",
        id: None,
        at: AT,
        public_url: None,
        headers: &[],
    }
}

#[test]
fn the_reference_scheme_gives_its_two_headers() {
    let headers = sign(
        &itellico(),
        &secret("s", "itellico_test_secret"),
        &request(),
    )
    .unwrap();
    // printf '{}.1750000000' | openssl dgst -sha256 -hmac itellico_test_secret
    let expected = [
        ("X-Webhook-Timestamp", "1750000000"),
        (
            "X-Webhook-Signature-256",
            "b77330893dbeefc42e604b1636f166dc4ad0eef711228e7b10820bb5649790d0",
        ),
    ];
    assert_eq!(headers, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
}

#[test]
fn required_headers_and_id_come_first() {
    let mut scheme = timestamped("{id}.{header:X-Version}.{header:X-Nonce}.{timestamp}.{body}");
    scheme.require = vec![(field("x-version"), b"1".to_vec())];
    template_of(&mut scheme).signature.prefix = "v1=".into();
    let request = SignRequest {
        id: Some("evt"),
        headers: &[("x-NONCE", " n ")],
        ..request()
    };
    let headers = sign(&scheme, &secret("s", "k"), &request).unwrap();
    let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["X-Version", "X-Id", "X-Timestamp", "X-Signature"]);
    let mut mac = DigestAlgorithm::HmacSha256.mac(b"k");
    mac.update(b"evt.1.n.1750000000.{}");
    assert_eq!(
        headers[3].1,
        format!("v1={}", hex::encode(mac.finalize().as_bytes()))
    );
}

#[test]
fn what_cannot_be_signed_says_why() {
    let fault = |scheme: &Scheme, text, request: SignRequest<'_>| {
        sign(scheme, &secret("mine", text), &request)
            .unwrap_err()
            .to_string()
    };
    let id = |id| SignRequest { id, ..request() };
    let early = SignRequest {
        at: UnixMillis(-1),
        ..request()
    };
    assert_eq!(
        fault(&itellico(), "", request()),
        "secret mine: the secret is empty"
    );
    assert_eq!(
        fault(&itellico(), "k", early),
        "the time to sign at lies before 1970"
    );
    assert!(fault(&plain("{id}.{body}"), "k", id(None)).contains("missing"));
    assert!(fault(&plain("{id}.{body}"), "k", id(Some("a.b"))).contains("divides"));
    assert!(fault(&plain("{id}.{body}"), "k", id(Some("a\nb"))).contains("control character"));
    assert!(fault(&plain("{url}{body}"), "k", request()).contains("public_url"));
    assert!(
        fault(&plain("{header:X-A}.{body}"), "k", request()).contains("signs the header `X-A`")
    );
}

const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"; // RFC 8032 section 7.1

fn value(scheme: &Scheme, text: &str, request: &SignRequest<'_>) -> Result<String, SignError> {
    sign(scheme, &secret("mine", text), request).map(|headers| headers.last().unwrap().1.clone())
}

#[test]
fn a_token_is_sent_as_it_is_and_a_pair_by_rfc_7617() {
    let scheme = credential(plain("{body}"), CredentialKind::Token, "");
    assert_eq!(value(&scheme, "tok en", &request()), Ok("tok en".into()));
    let scheme = credential(plain("{body}"), CredentialKind::Token, "Bearer ");
    assert_eq!(
        value(&scheme, "token", &request()),
        Ok("Bearer token".into())
    );
    for text in ["a\n", " a", "a\u{7f}b"] {
        assert!(
            value(&scheme, text, &request())
                .unwrap_err()
                .to_string()
                .contains("no header can carry it"),
            "{text:?}"
        );
    }
    let scheme = credential(plain("{body}"), CredentialKind::Basic, "");
    // The example of RFC 7617 section 2.
    assert_eq!(
        value(&scheme, "Aladdin:open sesame", &request()),
        Ok("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==".into())
    );
    assert!(
        value(&scheme, "Aladdin", &request())
            .unwrap_err()
            .to_string()
            .contains("`user:password`")
    );
}

#[test]
fn a_private_key_signs_what_a_shared_secret_would() {
    let mut scheme = plain("{body}");
    template_of(&mut scheme).algorithm = Algorithm::Ed25519;
    // RFC 8032 section 7.1, test 1: the empty message
    let signature = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b\
                     d25bf5f0595bbe24655141438e7a100b";
    assert_eq!(
        value(
            &scheme,
            SEED,
            &SignRequest {
                body: b"",
                ..request()
            }
        ),
        Ok(signature.into())
    );
    assert!(public_half(&scheme, &secret("s", SEED)).is_some());
    assert!(public_half(&plain("{body}"), &secret("s", SEED)).is_none());
    for (algorithm, words) in [
        (Algorithm::EcdsaP256Sha256, "ECDSA P-256"),
        (Algorithm::RsaPkcs1Sha256, "RSA"),
    ] {
        template_of(&mut scheme).algorithm = algorithm;
        let other = value(&scheme, SEED, &request()).unwrap_err().to_string();
        assert!(other.contains(&format!("takes {words}")), "{other}");
        let none = value(&scheme, "k", &request()).unwrap_err().to_string();
        assert!(none.contains("PKCS #8") && none.contains(words), "{none}");
        assert!(public_half(&scheme, &secret("s", SEED)).is_none());
    }
    let pairs = [
        (Algorithm::EcdsaP256Sha256, P256_PRIVATE_PEM, P256_PEM),
        (Algorithm::EcdsaP256Sha256Raw, P256_PRIVATE_PEM, P256_PEM),
        (Algorithm::RsaPkcs1Sha256, RSA_PRIVATE_PEM, RSA_PUBLIC_PEM),
    ];
    for (algorithm, private, public) in pairs {
        template_of(&mut scheme).algorithm = algorithm;
        let Kind::Public(own) = algorithm.kind() else {
            panic!("{algorithm:?}")
        };
        let signature = hex::decode(value(&scheme, private, &request()).unwrap()).unwrap();
        let public = PublicKey::parse_all(public.as_bytes()).unwrap().remove(0);
        assert!(public.verify(own, request().body, &signature));
        let half = public_half(&scheme, &secret("s", private)).unwrap();
        assert_eq!(half.fingerprint(), public.fingerprint());
        let told = value(&scheme, &half.text(), &request()).unwrap_err();
        assert!(
            told.to_string().contains("this is the public key"),
            "{told}"
        );
    }
}

#[test]
fn in_a_list_the_secret_s_form_says_which_label_it_signs_under() {
    let scheme = standard_webhooks();
    let request = SignRequest {
        id: Some("m1"),
        ..request()
    };
    assert!(value(&scheme, "k", &request).unwrap().starts_with("v1,"));
    let private = format!(
        "whsk_{}",
        Encoding::Base64.encode(&hex::decode(SEED).unwrap())
    );
    assert!(
        value(&scheme, &private, &request)
            .unwrap()
            .starts_with("v1a,")
    );
    let public = value(&scheme, "whpk_AAAA", &request)
        .unwrap_err()
        .to_string();
    assert!(
        public.contains("the public key") && public.contains("whsk_"),
        "{public}"
    );
}

#[test]
fn the_first_form_that_a_body_has_is_signed() {
    let mut scheme = plain("{body}");
    let raw = value(
        &scheme,
        "k",
        &SignRequest {
            body: b"\"\\u00e9\"",
            ..request()
        },
    )
    .unwrap();
    template_of(&mut scheme).body = vec![BodyForm::JsonAscii];
    assert_eq!(
        value(
            &scheme,
            "k",
            &SignRequest {
                body: "\"\u{e9}\"".as_bytes(),
                ..request()
            }
        ),
        Ok(raw.clone())
    );
    assert_eq!(
        value(
            &scheme,
            "k",
            &SignRequest {
                body: b"\xff",
                ..request()
            }
        ),
        Err(SignError::Form)
    );
    template_of(&mut scheme).body.push(BodyForm::Raw);
    assert_eq!(
        value(
            &scheme,
            "k",
            &SignRequest {
                body: b"\"\\u00e9\"",
                ..request()
            }
        ),
        Ok(raw)
    );
}

#[test]
fn values_of_the_body_are_signed_where_the_template_takes_them_from_there() {
    let mut scheme = plain("{json:/a}.{json:/n}");
    template_of(&mut scheme).may_leave_body = true;
    let mut mac = DigestAlgorithm::HmacSha256.mac(b"k");
    mac.update(b"x.7");
    let expected = hex::encode(mac.finalize().as_bytes());
    assert_eq!(
        value(
            &scheme,
            "k",
            &SignRequest {
                body: br#"{"n":7,"a":"x"}"#,
                ..request()
            }
        ),
        Ok(expected.clone())
    );
    for body in [&b"{}"[..], b"x", br#"{"n":7,"a":"x.y"}"#] {
        assert!(matches!(
            value(&scheme, "k", &SignRequest { body, ..request() }),
            Err(SignError::Refused(_))
        ));
    }
    template_of(&mut scheme).signature.headers.clear();
    let body = br#"{"n":7,"a":"x"}"#;
    let request = SignRequest { body, ..request() };
    assert_eq!(value(&scheme, "k", &request), Err(SignError::InBody));
    template_of(&mut scheme).signature.json = Pointer::parse("/s");
    let place = SignError::Place {
        pointer: Pointer::parse("/s").unwrap(),
        text: SecretText::new(expected.into_bytes()),
    };
    assert_eq!(value(&scheme, "k", &request), Err(place));
}
