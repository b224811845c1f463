//! JSON Web Tokens: expired, another algorithm, another body, URL or issuer.

use super::*;
use crate::clock::UnixMillis;
use crate::key::digest::DigestAlgorithm;
use crate::scheme::jwt::{DigestClaim, JwtAlgorithm, JwtRule, Payload, RequestClaim, TokenPlace};
use crate::scheme::tests::fixtures::plain;
use crate::scheme::{ProofBy, TokenScheme};
use crate::verify::jwt::Covered;

const HEADER: &str = "Authorization";
const URL: &str = "https://a.example";

/// A scheme of tokens with these claims: a digest of the body, an issuer, an expiry five minutes
/// after the reference time.
fn scheme() -> Scheme {
    let digest = |claim: &str| DigestClaim {
        claim: claim.into(),
        hash: DigestAlgorithm::Sha256,
        encoding: Encoding::Hex,
    };
    let rule = JwtRule {
        place: TokenPlace::Header {
            name: field(HEADER),
            prefix: "Bearer ".into(),
        },
        payload: Payload::Claims,
        algorithms: vec![JwtAlgorithm::Hs256],
        body_digest: Some(digest("body")),
        body_claim: None,
        url_digest: Some(digest("url")),
        url_claim: None,
        request_digest: None,
        absent_if_empty: false,
        issuer: Some("acme".into()),
        max_age: None,
        leeway: 0,
        timeless: false,
    };
    Scheme {
        proof: ProofBy::Token(TokenScheme {
            rule,
            key: vec![KeyForm::default()],
        }),
        event_id: None,
        ..plain("{body}")
    }
}

fn sha256(content: &str) -> String {
    let mut hash = DigestAlgorithm::Sha256.mac(b"");
    hash.update(content.as_bytes());
    hex::encode(hash.finalize().as_bytes())
}

/// A token of these parts under [`SECRET`].
fn token(algorithm: JwtAlgorithm, issuer: &str, url: &str) -> String {
    let header = format!(r#"{{"alg":"{}","typ":"JWT"}}"#, algorithm.name());
    let claims = format!(
        r#"{{"iss":"{issuer}","nbf":{},"exp":{},"body":"{}","url":"{}"}}"#,
        AT - 10,
        AT + 300,
        sha256(BODY),
        sha256(url),
    );
    let input = [header, claims]
        .map(|part| Encoding::Base64Url.encode(part.as_bytes()))
        .join(".");
    let crate::scheme::Kind::Digest(digest) = algorithm.kind() else {
        panic!("tests sign with HMAC")
    };
    let mut mac = digest.mac(SECRET.as_bytes());
    mac.update(input.as_bytes());
    format!(
        "Bearer {input}.{}",
        Encoding::Base64Url.encode(mac.finalize().as_bytes())
    )
}

fn sent(token: &str) -> Sample {
    let sample = Sample {
        scheme: scheme(),
        lines: Vec::new(),
        public_url: Some(URL.into()),
        ..Sample::good()
    };
    sample.and(HEADER, token)
}

fn good() -> Sample {
    sent(&token(
        JwtAlgorithm::Hs256,
        "acme",
        &format!("{URL}/in/itellico"),
    ))
}

#[test]
fn mistakes_with_a_json_web_token_are_named() {
    assert!(
        matches!(good().explained(), Explanation::Valid(_)),
        "{:?}",
        good().explained()
    );
    let of = |issuer: &str, url: &str| sent(&token(JwtAlgorithm::Hs256, issuer, url));
    let own = format!("{URL}/in/itellico");
    compare(vec![
        (
            "expired",
            Sample {
                now: AT + 310,
                ..good()
            },
            "token_expired: 10 s ago",
        ),
        (
            "not yet",
            Sample {
                now: AT - 70,
                ..good()
            },
            "token_not_yet: 1 min",
        ),
        (
            "HS512",
            sent(&token(JwtAlgorithm::Hs512, "acme", &own)),
            "token_algorithm: the algorithm HS512",
        ),
        (
            "another body",
            Sample {
                body: b"{}".to_vec(),
                ..good()
            },
            "token_other_body",
        ),
        (
            "a newline too many",
            Sample {
                body: format!("{BODY}\n").into_bytes(),
                ..good()
            },
            "body_gained_newline",
        ),
        ("another issuer", of("other", &own), "token_other_issuer"),
        (
            "another URL",
            of("acme", "https://b.example/x"),
            "token_other_url",
        ),
        (
            "http",
            of("acme", "http://a.example/in/itellico"),
            "url_scheme: `http://`",
        ),
        (
            "no Bearer",
            good().with(HEADER, |s| s.replace("Bearer ", "")),
            "signature_prefix: is missing",
        ),
        (
            "in another header",
            good().renamed(HEADER, "X-Token"),
            "other_header: `authorization` … `x-token`",
        ),
        (
            "the secret's newline",
            good().with_secret(format!("{SECRET}\n").as_bytes()),
            "secret_ends_in_newline",
        ),
    ]);
    let none = Encoding::Base64Url.encode(br#"{"alg":"none"}"#);
    let unsigned = good().with(HEADER, |s| {
        format!("Bearer {none}.{}.", s.split('.').nth(1).unwrap())
    });
    expect(
        unsigned.suspicion().as_ref(),
        "token_algorithm: the algorithm none",
    );
    assert!(matches!(
        good().with_secret(b"other").explained(),
        Explanation::Unexplained { .. }
    ));
}

#[test]
fn a_token_for_another_request_or_over_another_body_is_named() {
    let with_rule = |change: &dyn Fn(&mut JwtRule), sign: (&str, &[u8])| {
        let mut scheme = scheme();
        let ProofBy::Token(TokenScheme { rule, .. }) = &mut scheme.proof else {
            panic!("a token")
        };
        (rule.body_digest, rule.url_digest, rule.issuer) = (None, None, None);
        change(rule);
        let (target, body) = sign;
        let at = UnixMillis::from_secs(AT);
        let covered = Covered {
            body,
            url: None,
            request: ("POST", target),
            at,
            more: &[],
        };
        let signed = rule.sign(SECRET.as_bytes(), &covered);
        Sample {
            scheme,
            ..sent(&signed.unwrap())
        }
    };
    let request = |rule: &mut JwtRule| {
        rule.request_digest = Some(RequestClaim {
            claim: "qsh".into(),
            base_path: String::new(),
        });
    };
    let detached = |rule: &mut JwtRule| {
        rule.payload = Payload::Detached {
            is_encoded: false,
            stamp: None,
        };
        rule.timeless = true;
    };
    let own = with_rule(&request, ("/in/itellico", b""));
    assert!(
        matches!(own.explained(), Explanation::Valid(_)),
        "{:?}",
        own.explained()
    );
    let own = with_rule(&detached, ("/", BODY.as_bytes()));
    assert!(
        matches!(own.explained(), Explanation::Valid(_)),
        "{:?}",
        own.explained()
    );
    compare(vec![
        (
            "another path",
            with_rule(&request, ("/other", b"")),
            "token_other_request",
        ),
        (
            "a detached token in another header",
            own.renamed(HEADER, "X-Token"),
            "other_header: `authorization` … `x-token`",
        ),
        (
            "a detached token over a body without its newline",
            Sample {
                body: format!("{BODY}\n").into_bytes(),
                ..with_rule(&detached, ("/", BODY.as_bytes()))
            },
            "body_gained_newline",
        ),
    ]);
}

#[test]
fn a_token_that_is_the_body_is_explained_too() {
    let mut scheme = scheme();
    let ProofBy::Token(TokenScheme { rule, .. }) = &mut scheme.proof else {
        panic!("a token")
    };
    (rule.body_digest, rule.url_digest) = (None, None);
    rule.place = TokenPlace::Body {
        json_texts: Vec::new(),
    };
    let text = token(JwtAlgorithm::Hs256, "acme", URL);
    let text = text.strip_prefix("Bearer ").unwrap();
    let of = |body: &str| Sample {
        scheme: scheme.clone(),
        body: body.as_bytes().to_vec(),
        ..good()
    };
    assert!(matches!(of(text).explained(), Explanation::Valid(_)));
    compare(vec![
        (
            "a newline too many",
            of(&format!("{text}\n")),
            "body_gained_newline",
        ),
        (
            "expired",
            Sample {
                now: AT + 310,
                ..of(text)
            },
            "token_expired: 10 s ago",
        ),
        (
            "HS512",
            of(token(JwtAlgorithm::Hs512, "acme", URL)
                .strip_prefix("Bearer ")
                .unwrap()),
            "token_algorithm: the algorithm HS512",
        ),
    ]);
}

#[test]
fn a_token_that_asks_for_another_key_is_named() {
    let mut scheme = scheme();
    let ProofBy::Token(TokenScheme { rule, .. }) = &mut scheme.proof else {
        panic!("a token")
    };
    rule.algorithms = vec![JwtAlgorithm::EdDsa];
    let part = |text: &str| Encoding::Base64Url.encode(text.as_bytes());
    let header = part(r#"{"alg":"EdDSA","kid":"a"}"#);
    let claims = part(&format!(r#"{{"exp":{}}}"#, AT + 300));
    let token = format!(
        "Bearer {header}.{claims}.{}",
        Encoding::Base64Url.encode(&[7; 64])
    );
    let point =
        hex::decode("cdfb17ad6ea5031f7e90f3b3a442a47613a25d1f90ec3c621a722c18889f1ab1").unwrap();
    let x = Encoding::Base64Url.encode(&point);
    let key = |name: &str| {
        format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":"{name}"}}]}}"#)
    };
    let judged = |name: &str| {
        Sample {
            scheme: scheme.clone(),
            ..sent(&token)
        }
        .with_secret(key(name).as_bytes())
    };
    expect(judged("b").suspicion().as_ref(), "token_key_unknown");
    assert_eq!(judged("a").suspicion(), None);
}
