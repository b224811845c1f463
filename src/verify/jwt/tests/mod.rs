//! Tokens that providers made, times and claims; the tokens of attackers are in `attacks`.

mod attacks;
mod bodies;
mod detached;
mod requests;

use std::sync::Arc;

use base64::Engine as _;
use serde_json::json;

use super::*;
use crate::clock::Now;
use crate::key::digest::DigestAlgorithm;
use crate::notation::encoding::Encoding;
use crate::notation::timestamp::Tolerance;
use crate::scheme::jwt::{DigestClaim, JwtRule, Payload, TokenPlace};
use crate::scheme::tests::fixtures::{field, plain, secret};
use crate::scheme::{KeyForm, Place, ProofBy, PublicUrl, Scheme, Settings, TokenScheme};
use crate::verdict::{Code, Refusal};
use crate::verify::envelope::Envelope;
use crate::verify::verifier::Verifier;
use crate::wire::head::Head;

const NOW_S: i64 = 1_750_000_000;
const KEY: &str = "a key of more than thirty-two bytes";
const TOKEN: &str = "X-Token";
const BODY: &[u8] = br#"{"id":"evt_1"}"#;

/// A delivery of the test vectors.
#[derive(Debug)]
struct Vector {
    id: String,
    method: String,
    url: String,
    header: String,
    token: String,
    body: Vec<u8>,
    secret: String,
    now: i64,
    expected: bool,
}

/// The test vectors of a provider.
fn vectors(provider: &str) -> Vec<Vector> {
    let all: serde_json::Value = serde_json::from_str(include_str!("vectors.json")).unwrap();
    let vector = |row: &serde_json::Value| {
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        Vector {
            id: text("id"),
            method: text("method"),
            url: text("url"),
            header: text("header"),
            token: text("token"),
            body: base64::engine::general_purpose::STANDARD
                .decode(text("body"))
                .unwrap(),
            secret: text("secret"),
            now: row["now"].as_i64().unwrap(),
            expected: row["expected"].as_bool().unwrap(),
        }
    };
    all.as_array()
        .unwrap()
        .iter()
        .map(vector)
        .filter(|vector| vector.id.starts_with(provider))
        .collect()
}

fn in_header(name: &str, prefix: &str) -> TokenPlace {
    TokenPlace::Header {
        name: field(name),
        prefix: prefix.to_owned(),
    }
}

fn digest(claim: &str, encoding: Encoding) -> DigestClaim {
    DigestClaim {
        claim: claim.into(),
        hash: DigestAlgorithm::Sha256,
        encoding,
    }
}

/// HS256 in [`TOKEN`], `sha256` in hexadecimal as the body's digest, `exp` required, no leeway.
fn rule() -> JwtRule {
    JwtRule {
        place: in_header(TOKEN, ""),
        payload: Payload::Claims,
        algorithms: vec![JwtAlgorithm::Hs256],
        body_digest: Some(digest("sha256", Encoding::Hex)),
        body_claim: None,
        url_digest: None,
        url_claim: None,
        request_digest: None,
        absent_if_empty: false,
        issuer: None,
        max_age: None,
        timeless: false,
        leeway: 0,
    }
}

fn messagebird() -> JwtRule {
    JwtRule {
        place: in_header("MessageBird-Signature-JWT", ""),
        algorithms: vec![
            JwtAlgorithm::Hs256,
            JwtAlgorithm::Hs384,
            JwtAlgorithm::Hs512,
        ],
        body_digest: Some(digest("payload_hash", Encoding::Hex)),
        url_digest: Some(digest("url_hash", Encoding::Hex)),
        absent_if_empty: true,
        issuer: Some("MessageBird".into()),
        leeway: 1000,
        ..rule()
    }
}

fn livekit() -> JwtRule {
    JwtRule {
        place: in_header("Authorization", ""),
        body_digest: Some(digest("sha256", Encoding::Base64)),
        ..rule()
    }
}

fn plaid() -> JwtRule {
    JwtRule {
        place: in_header("Plaid-Verification", ""),
        algorithms: vec![JwtAlgorithm::Es256],
        body_digest: Some(digest("request_body_sha256", Encoding::Hex)),
        max_age: Some(300_000),
        timeless: false,
        ..rule()
    }
}

fn scheme(rule: JwtRule) -> Scheme {
    let mut scheme = plain("{body}");
    scheme.event_id = (!rule.is_detached()).then(|| Place::Claim("jti".into()));
    scheme.proof = ProofBy::Token(TokenScheme {
        rule,
        key: vec![KeyForm::default()],
    });
    scheme
}

fn verifier(rule: JwtRule, key: &str, public_url: &str) -> Verifier {
    let settings = Settings {
        max_body: 1 << 20,
        tolerance: Tolerance::Off,
        future_tolerance: Tolerance::Off,
        public_url: Some(public_url.into()),
    };
    let scheme = scheme(rule);
    assert_eq!(scheme.faults(&settings), []);
    Verifier::new(Arc::new(scheme), vec![secret("mine", key)], settings).unwrap()
}

fn at(seconds: i64) -> Now {
    Now {
        wall: UnixMillis::from_secs(seconds),
        mono: std::time::Duration::ZERO,
    }
}

fn head(target: &str, lines: &[(&str, &str)]) -> Head {
    Head::from_parts(
        "POST",
        target,
        lines.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())),
    )
    .unwrap()
}

/// The result of a delivery with this token and body.
fn verdict(rule: &JwtRule, token: &str, body: &[u8]) -> Result<(), Refusal> {
    let verifier = verifier(rule.clone(), KEY, "https://hooks.example.com");
    let mut verification = verifier.begin(&head("/in/x", &[(TOKEN, token)]), at(NOW_S))?;
    verification.update(body);
    verification.finish(body, at(NOW_S)).map(|_| ())
}

fn code(rule: &JwtRule, token: &str, body: &[u8]) -> Option<Code> {
    verdict(rule, token, body).err().map(|refusal| refusal.code)
}

/// A token of exactly these texts, signed with HMAC-SHA256 whatever its header says.
fn token_of(header: &str, claims: &str, key: &str) -> String {
    let text = [header, claims]
        .map(|part| Encoding::Base64Url.encode(part.as_bytes()))
        .join(".");
    let mut mac = DigestAlgorithm::HmacSha256.mac(key.as_bytes());
    mac.update(text.as_bytes());
    format!(
        "{text}.{}",
        Encoding::Base64Url.encode(mac.finalize().as_bytes())
    )
}

/// A good token with other claims.
fn with(claims: &str) -> String {
    token_of(r#"{"alg":"HS256","typ":"JWT"}"#, claims, KEY)
}

fn hash(content: &[u8]) -> String {
    let mut hash = DigestAlgorithm::Sha256.mac(b"");
    hash.update(content);
    hex::encode(hash.finalize().as_bytes())
}

/// Claims that hold for [`BODY`], followed by `more` (which begins with a comma).
fn claims(more: &str) -> String {
    format!(
        r#"{{"exp":{},"sha256":"{}"{more}}}"#,
        NOW_S + 60,
        hash(BODY)
    )
}

/// A delivery to the URL of these tests.
fn covered(body: &[u8], at: UnixMillis) -> Covered<'_> {
    Covered {
        body,
        url: Some(b"https://hooks.example.com/in/x"),
        request: ("POST", "/in/x"),
        at,
        more: &[],
    }
}

/// The header value that a rule makes for a body now.
fn signed(rule: &JwtRule, body: &[u8]) -> String {
    let covered = covered(body, UnixMillis::from_secs(NOW_S));
    rule.sign(KEY.as_bytes(), &covered).unwrap()
}

/// The decoded claims of a token that a rule reads.
fn read(rule: &JwtRule, token: &str) -> Token {
    rule.read(&head("/in/x", &[(rule.header().unwrap().as_str(), token)]))
        .unwrap()
}

#[test]
fn every_name_leads_back_to_its_algorithm() {
    assert_eq!(
        JwtAlgorithm::ALL.map(|a| JwtAlgorithm::named(a.name())),
        JwtAlgorithm::ALL.map(Some)
    );
    for other in [
        "none", "NONE", "hs256", "EDDSA", "HS256 ", "HS1", "RS1", "PS256", "ES384", "",
    ] {
        assert_eq!(JwtAlgorithm::named(other), None, "{other}");
    }
}

#[test]
fn the_deliveries_of_messagebird_and_livekit_come_out_as_they_say() {
    let mut tried = 0;
    let mut wrong = Vec::new();
    for (provider, rule) in [("messagebird", messagebird()), ("livekit", livekit())] {
        for vector in vectors(provider) {
            // A vector has an empty secret, as if that could be a key. Its token is judged with a
            // real key.
            let key = if vector.secret.is_empty() {
                KEY
            } else {
                &vector.secret
            };
            let path = vector.url.match_indices('/').nth(2).unwrap().0;
            let (origin, target) = vector.url.split_at(path);
            let verifier = verifier(rule.clone(), key, origin);
            let lines = [(vector.header.as_bytes(), vector.token.as_bytes())];
            let head = Head::from_parts(&vector.method, target, lines).unwrap();
            let proof = verifier
                .begin(&head, at(vector.now))
                .and_then(|mut verification| {
                    vector
                        .body
                        .chunks(5)
                        .for_each(|chunk| verification.update(chunk));
                    verification.finish(&vector.body, at(vector.now))
                });
            tried += 1;
            if proof.is_ok() != vector.expected {
                wrong.push((vector.id, proof.err()));
            }
        }
    }
    assert_eq!((tried, wrong), (30, vec![]));
}

#[test]
fn the_refusals_of_messagebird_say_why() {
    let rule = messagebird();
    let refusal = |id: &str| {
        let vector = vectors("messagebird")
            .into_iter()
            .find(|vector| vector.id == id)
            .unwrap();
        let key = if vector.secret.is_empty() {
            KEY
        } else {
            &vector.secret
        };
        let head = head("/", &[(&vector.header, &vector.token)]);
        let begun = verifier(rule.clone(), key, "https://example.com").begin(&head, at(vector.now));
        begun
            .and_then(|begun| begun.finish(&vector.body, at(vector.now)))
            .unwrap_err()
    };
    let rows = [
        ("messagebird-016", Code::FutureTimestamp, "future"),
        ("messagebird-019", Code::BadSignature, "another body"),
        ("messagebird-024", Code::BadSignature, "no active secret"),
        (
            "messagebird-026",
            Code::BadSignature,
            "this delivery has none",
        ),
        (
            "messagebird-032",
            Code::MalformedSignature,
            "no claim for the body",
        ),
        ("messagebird-044", Code::MalformedSignature, "no algorithm"),
    ];
    for (id, code, why) in rows {
        let refusal = refusal(id);
        assert!(
            refusal.code == code && refusal.why.contains(why),
            "{id}: {refusal}"
        );
    }
}

#[test]
fn the_tokens_of_plaid_are_read_and_their_age_and_body_are_judged() {
    let (rule, vectors) = (plaid(), vectors("plaid"));
    let [old, symmetric] = &vectors[..] else {
        panic!("two are public")
    };
    let head_of = |vector: &Vector| head("/in/plaid", &[(&vector.header, &vector.token)]);
    assert_eq!(
        rule.read(&head_of(symmetric)).unwrap_err().code,
        Code::MalformedSignature
    );

    let token = rule.read(&head_of(old)).unwrap();
    assert_eq!(
        (token.algorithm, token.signature.len()),
        (JwtAlgorithm::Es256, 64)
    );
    assert_eq!(
        token.key_id.as_deref(),
        Some("bfbd5111-8e33-4643-8ced-b2e642a72f3c")
    );
    let times = rule.times(&token).unwrap();
    assert_eq!(
        times.window.judge(UnixMillis::from_secs(old.now)),
        Err(Code::StaleTimestamp)
    );
    let made = UnixMillis::from_secs(old.now - 301);
    assert_eq!(times.made, Some(made));
    assert_eq!(
        times.window.judge(UnixMillis(made.0 + 300_999)),
        Ok(()),
        "five minutes in whole seconds"
    );
    assert_eq!(
        times.window.judge(UnixMillis(made.0 - 1)),
        Err(Code::FutureTimestamp)
    );
    assert_eq!(rule.judge(&token, &head_of(old), &old.body, None), Ok(()));
    let other = rule.judge(&token, &head_of(old), &old.body[1..], None);
    assert_eq!(other.unwrap_err().code, Code::BadSignature);
}

#[test]
fn the_window_is_that_of_all_times_a_token_gives() {
    let window = |from: Option<i64>, until: Option<i64>| Window {
        from: from.map(|ms| UnixMillis(NOW_S * 1000 + ms)),
        until: until.map(|ms| UnixMillis(NOW_S * 1000 + ms)),
    };
    let aged = |leeway| JwtRule {
        max_age: Some(60_000),
        leeway,
        ..rule()
    };
    let lax = JwtRule {
        leeway: 1500,
        ..rule()
    };
    // The columns, in seconds from now: `exp`, `nbf`, `iat`, and the time at which the token was
    // made.
    let rows = [
        (
            "exp alone",
            rule(),
            [Some(9), None, None],
            window(None, Some(9000)),
            9,
        ),
        (
            "exp and nbf",
            rule(),
            [Some(9), Some(-2), None],
            window(Some(-2000), Some(9000)),
            -2,
        ),
        (
            "iat is when it was made",
            rule(),
            [Some(9), Some(-2), Some(-1)],
            window(Some(-2000), Some(9000)),
            -1,
        ),
        (
            "leeway on both sides",
            lax,
            [Some(9), Some(-2), None],
            window(Some(-3500), Some(10_500)),
            -2,
        ),
        (
            "an age",
            aged(0),
            [None, None, Some(-5)],
            window(Some(-5000), Some(56_000)),
            -5,
        ),
        (
            "an age with leeway",
            aged(2000),
            [None, None, Some(-5)],
            window(Some(-7000), Some(58_000)),
            -5,
        ),
        (
            "exp before the age ends",
            aged(0),
            [Some(7), None, Some(-5)],
            window(Some(-5000), Some(7000)),
            -5,
        ),
        (
            "exp behind it",
            aged(0),
            [Some(99), None, Some(-5)],
            window(Some(-5000), Some(56_000)),
            -5,
        ),
        (
            "nbf before iat",
            aged(0),
            [None, Some(-9), Some(-5)],
            window(Some(-5000), Some(56_000)),
            -5,
        ),
        (
            "nbf behind iat",
            aged(0),
            [None, Some(4), Some(-5)],
            window(Some(4000), Some(56_000)),
            -5,
        ),
    ];
    for (name, rule, times, window, made) in rows {
        let [exp, nbf, iat] = times.map(|off| off.map(|off| NOW_S + off));
        let mut claims = json!({});
        for (key, value) in [("exp", exp), ("nbf", nbf), ("iat", iat)] {
            if let Some(value) = value {
                claims[key] = value.into();
            }
        }
        let times = rule.times(&read(&rule, &with(&claims.to_string())));
        let made = Some(UnixMillis::from_secs(NOW_S + made));
        assert_eq!(times, Ok(Times { window, made }), "{name}");
    }
}

#[test]
fn a_token_that_never_ends_is_refused() {
    let aged = JwtRule {
        max_age: Some(60_000),
        ..rule()
    };
    let without_exp = format!(
        r#"{{"sha256":"{}","iat":{NOW_S},"nbf":{NOW_S}}}"#,
        hash(BODY)
    );
    assert_eq!(
        code(&rule(), &with(&without_exp), BODY),
        Some(Code::MissingTimestamp)
    );
    assert_eq!(code(&aged, &with(&without_exp), BODY), None);
    assert_eq!(
        code(&aged, &with(&claims("")), BODY),
        Some(Code::MissingTimestamp),
        "an age needs `iat`"
    );
    assert_eq!(code(&rule(), &with(&claims("")), BODY), None);
}

#[test]
fn a_body_that_the_token_carries_must_be_this_one() {
    let rule = JwtRule {
        body_digest: None,
        body_claim: Some("data".into()),
        ..rule()
    };
    let token =
        |data: serde_json::Value| with(&json!({ "exp": NOW_S + 60, "data": data }).to_string());
    let text = std::str::from_utf8(BODY).unwrap();
    let escaped = with(&format!(
        r#"{{"exp":{},"data":"{{\u0022id\":\"evt_1\"}}"}}"#,
        NOW_S + 60
    ));
    let base64 = Encoding::Base64.encode(BODY);
    let rows = [
        ("the same", token(text.into()), None),
        ("the same, escaped in another way", escaped, None),
        (
            "a space behind it",
            token(format!("{text} ").into()),
            Some(Code::BadSignature),
        ),
        ("in base64", token(base64.into()), Some(Code::BadSignature)),
        (
            "as an object",
            token(json!({ "id": "evt_1" })),
            Some(Code::MalformedSignature),
        ),
        ("null", token(json!(null)), Some(Code::MalformedSignature)),
        (
            "not there",
            with(&claims("")),
            Some(Code::MalformedSignature),
        ),
    ];
    for (name, token, expected) in rows {
        assert_eq!(code(&rule, &token, BODY), expected, "{name}");
    }
    let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(9000));
    assert_eq!(
        code(&rule, &token(long.as_str().into()), long.as_bytes()),
        None,
        "longer than a token of digests may be"
    );
}

#[test]
fn the_issuer_must_be_the_one_that_the_scheme_names() {
    let rule = JwtRule {
        issuer: Some("us".into()),
        ..rule()
    };
    let rows = [
        (r#","iss":"us""#, None),
        (r#","iss":"u\u0073","aud":"anybody""#, None),
        (r#","iss":"US""#, Some(Code::BadSignature)),
        (r#","iss":"us ""#, Some(Code::BadSignature)),
        (r#","iss":["us"]"#, Some(Code::BadSignature)),
        (r#","iss":null"#, Some(Code::BadSignature)),
        ("", Some(Code::MalformedSignature)),
    ];
    for (more, expected) in rows {
        assert_eq!(code(&rule, &with(&claims(more)), BODY), expected, "{more}");
    }
}

#[test]
fn the_url_is_the_routes_own_with_the_query_as_received() {
    let rule = JwtRule {
        body_digest: None,
        url_digest: Some(digest("url", Encoding::Hex)),
        ..rule()
    };
    let signed =
        |url: &str| with(&json!({ "exp": NOW_S + 60, "url": hash(url.as_bytes()) }).to_string());
    let rows = [
        (
            "https://a.example",
            "/in/x?b=%20&a=1",
            "https://a.example/in/x?b=%20&a=1",
            true,
        ),
        ("https://a.example", "/", "https://a.example/", true),
        ("https://a.example", "/", "https://a.example", false),
        (
            "https://a.example",
            "/x?a=1&b=2",
            "https://a.example/x?b=2&a=1",
            false,
        ),
        ("https://a.example", "/x", "https://a.example/x?", false),
        ("https://a.example", "/x", "http://a.example/x", false),
        ("https://a.example", "/x", "https://b.example/x", false),
        (
            "https://a.example/hook",
            "/in/x?a=1",
            "https://a.example/hook?a=1",
            true,
        ),
    ];
    for (public, target, url, expected) in rows {
        let token = signed(url);
        let head = head(target, &[(TOKEN, &token), ("Host", "b.example")]);
        let verdict = rule.judge(
            &read(&rule, &token),
            &head,
            b"",
            Some(&PublicUrl::new(public)),
        );
        assert_eq!(verdict.is_ok(), expected, "{public} {target} {url}");
    }
    let token = signed("https://a.example/x");
    let without = rule.judge(&read(&rule, &token), &head("/x", &[]), b"", None);
    assert_eq!(
        without.unwrap_err().code,
        Code::BadSignature,
        "no public URL"
    );
    let missing = with(&claims(""));
    let missing = rule.judge(
        &read(&rule, &missing),
        &head("/x", &[]),
        b"",
        Some(&PublicUrl::new("https://a.example")),
    );
    assert_eq!(missing.unwrap_err().code, Code::MalformedSignature);
}

#[test]
fn claims_name_the_event_where_all_read_them_alike() {
    let id = |more: &str| {
        let mut scheme = scheme(rule());
        scheme.event_id_required = true;
        let token = with(&claims(more));
        let token = rule().read(&head("/in/x", &[(TOKEN, &token)])).unwrap();
        let event = Envelope::of(&scheme).extract(&head("/in/x", &[]), BODY, Some(&token.claims));
        event.ok().and_then(|event| event.id)
    };
    assert_eq!(id(r#","jti":"a\u0062""#).as_deref(), Some("ab"));
    assert_eq!(
        id(r#","jti":12345678901234567890"#).as_deref(),
        Some("12345678901234567890")
    );
    for none in [
        "",
        r#","jti":"a","jti":"a""#,
        r#","jti":1.0"#,
        r#","jti":null"#,
        r#","jti":["a"]"#,
        r#","jti":"""#,
    ] {
        assert_eq!(id(none), None, "{none}");
    }
}

#[test]
fn what_is_signed_here_verifies() {
    let full = JwtRule {
        url_digest: Some(digest("url", Encoding::Base64Url)),
        issuer: Some("us".into()),
        ..rule()
    };
    let rules = [
        rule(),
        JwtRule {
            algorithms: vec![JwtAlgorithm::Hs384],
            ..full.clone()
        },
        JwtRule {
            algorithms: vec![JwtAlgorithm::Hs512],
            absent_if_empty: true,
            ..full
        },
        JwtRule {
            place: in_header(TOKEN, "Bearer "),
            max_age: Some(300_000),
            ..rule()
        },
        JwtRule {
            body_digest: None,
            body_claim: Some("data".into()),
            ..rule()
        },
    ];
    for rule in rules {
        for body in [BODY, b""] {
            let sign = |at: i64| {
                let covered = Covered {
                    more: &[("jti", "evt \"1\"")],
                    ..covered(body, UnixMillis(at))
                };
                rule.sign(KEY.as_bytes(), &covered)
            };
            let token = sign(NOW_S * 1000 + 999).unwrap();
            assert_eq!(verdict(&rule, &token, body), Ok(()), "{rule:?}");
            assert_eq!(
                claim(
                    &rule.read(&head("/", &[(TOKEN, &token)])).unwrap().claims,
                    "jti"
                )
                .as_deref(),
                Some("evt \"1\"")
            );
            assert!(
                verdict(&rule, &token, b"{}").is_err(),
                "another body: {rule:?}"
            );
            assert_eq!(
                code(&rule, &sign((NOW_S - 301) * 1000).unwrap(), body),
                Some(Code::StaleTimestamp)
            );
            assert_eq!(
                code(&rule, &sign((NOW_S + 1) * 1000).unwrap(), body),
                Some(Code::FutureTimestamp)
            );
        }
    }
}

#[test]
fn what_cannot_be_signed_is_not() {
    let sign = |rule: JwtRule, key: &str, at| {
        let covered = Covered {
            url: None,
            ..covered(b"\xff", UnixMillis(at))
        };
        rule.sign(key.as_bytes(), &covered)
    };
    assert!(sign(rule(), "k", 0).is_some());
    assert_eq!(sign(rule(), "", 0), None, "an empty key");
    assert_eq!(sign(rule(), "k", -1), None, "before 1970");
    assert_eq!(sign(plaid(), "k", 0), None, "no HMAC");
    assert_eq!(sign(messagebird(), "k", 0), None, "no URL");
    assert_eq!(
        sign(
            JwtRule {
                body_claim: Some("data".into()),
                ..rule()
            },
            "k",
            0
        ),
        None,
        "a body that is no text"
    );
}
