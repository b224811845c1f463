//! Tokens that sign a body which they do not hold: as it is (RFC 7797) and in base64url (RFC 7515
//! appendix F).

use proptest::prelude::*;

use super::*;

const MALFORMED: Option<Code> = Some(Code::MalformedSignature);

/// HS256 over the body, with a time in the token's header where `stamp` names it.
fn detached(is_encoded: bool, stamp: Option<&str>) -> JwtRule {
    JwtRule {
        payload: Payload::Detached {
            is_encoded,
            stamp: stamp.map(str::to_owned),
        },
        body_digest: None,
        max_age: stamp.map(|_| 300_000),
        timeless: stamp.is_none(),
        ..rule()
    }
}

/// A token over these very bytes, whatever its header says: the signature is over header, dot and
/// `content`.
fn over(header: &str, content: &[u8]) -> String {
    let header = Encoding::Base64Url.encode(header.as_bytes());
    let mut mac = DigestAlgorithm::HmacSha256.mac(KEY.as_bytes());
    mac.update(format!("{header}.").as_bytes());
    mac.update(content);
    let signature = Encoding::Base64Url.encode(mac.finalize().as_bytes());
    format!("{header}..{signature}")
}

/// A header with the extension of RFC 7797, and `more` behind it.
fn unencoded(more: &str) -> String {
    format!(r#"{{"alg":"HS256","b64":false,"crit":["b64"]{more}}}"#)
}

#[test]
fn the_example_of_rfc_7797_is_a_delivery() {
    // RFC 7797 section 4.2: the payload `$.02` under the key of RFC 7515 appendix A.1.
    let key = Encoding::Base64Url;
    let mut bytes = [0; 64];
    let text =
        b"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let len = key.decode(text, &mut bytes).unwrap();
    let token = "eyJhbGciOiJIUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il19..A5dxf2s96_n5FLueVuW1Z_vh161FwXZC4YLPff6dmDY";
    let mut scheme = scheme(detached(false, None));
    let ProofBy::Token(own) = &mut scheme.proof else {
        panic!("a token")
    };
    own.key = vec![KeyForm {
        encoding: crate::scheme::KeyEncoding::Hex,
        ..KeyForm::default()
    }];
    let settings = Settings {
        max_body: 1 << 20,
        tolerance: Tolerance::Off,
        future_tolerance: Tolerance::Off,
        public_url: None,
    };
    let secrets = vec![secret("rfc", &hex::encode(&bytes[..len]))];
    let verifier = Verifier::new(Arc::new(scheme), secrets, settings).unwrap();
    let judge = |body: &[u8]| {
        let begun = verifier.begin(&head("/", &[(TOKEN, token)]), at(NOW_S))?;
        begun.finish(body, at(NOW_S)).map(drop)
    };
    assert_eq!(judge(b"$.02"), Ok(()));
    assert_eq!(judge(b"$.03").unwrap_err().code, Code::BadSignature);
}

#[test]
fn au_70_the_extension_is_there_in_its_one_form_or_the_token_is_refused() {
    let rule = detached(false, None);
    let rows = [
        ("the form", unencoded(""), None),
        (
            "a key id and a type",
            unencoded(r#","kid":"1","typ":"JWT""#),
            None,
        ),
        ("no extension", r#"{"alg":"HS256"}"#.to_owned(), MALFORMED),
        (
            "b64 alone",
            r#"{"alg":"HS256","b64":false}"#.to_owned(),
            MALFORMED,
        ),
        (
            "crit alone",
            r#"{"alg":"HS256","crit":["b64"]}"#.to_owned(),
            MALFORMED,
        ),
        (
            "b64 true",
            r#"{"alg":"HS256","b64":true,"crit":["b64"]}"#.to_owned(),
            MALFORMED,
        ),
        (
            "b64 as text",
            r#"{"alg":"HS256","b64":"false","crit":["b64"]}"#.to_owned(),
            MALFORMED,
        ),
        (
            "b64 null",
            r#"{"alg":"HS256","b64":null,"crit":["b64"]}"#.to_owned(),
            MALFORMED,
        ),
        (
            "crit with more",
            r#"{"alg":"HS256","b64":false,"crit":["b64","exp"],"exp":1}"#.to_owned(),
            MALFORMED,
        ),
        (
            "crit twice the same",
            r#"{"alg":"HS256","b64":false,"crit":["b64","b64"]}"#.to_owned(),
            MALFORMED,
        ),
        (
            "crit empty",
            r#"{"alg":"HS256","b64":false,"crit":[]}"#.to_owned(),
            MALFORMED,
        ),
        (
            "crit as text",
            r#"{"alg":"HS256","b64":false,"crit":"b64"}"#.to_owned(),
            MALFORMED,
        ),
        ("b64 twice", unencoded(r#","b64":true"#), MALFORMED),
        (
            "b64 twice, once in capitals",
            unencoded(r#","B64":true"#),
            MALFORMED,
        ),
        ("crit twice", unencoded(r#","crit":["b64"]"#), MALFORMED),
        (
            "jku",
            unencoded(r#","jku":"https://attacker.example/jwks""#),
            MALFORMED,
        ),
        (
            "x5u",
            unencoded(r#","x5u":"https://attacker.example/x.pem""#),
            MALFORMED,
        ),
        (
            "jwk",
            unencoded(r#","jwk":{"kty":"oct","k":"AA"}"#),
            MALFORMED,
        ),
        ("x5c", unencoded(r#","x5c":["MIIB"]"#), MALFORMED),
        (
            "no algorithm",
            r#"{"alg":"none","b64":false,"crit":["b64"]}"#.to_owned(),
            MALFORMED,
        ),
    ];
    for (name, header, expected) in rows {
        assert_eq!(code(&rule, &over(&header, BODY), BODY), expected, "{name}");
    }
    // The encoded form has no extension at all.
    let encoded = detached(true, None);
    let content = Encoding::Base64Url.encode(BODY);
    let plain = over(r#"{"alg":"HS256"}"#, content.as_bytes());
    assert_eq!(code(&encoded, &plain, BODY), None);
    for header in [
        r#"{"alg":"HS256","b64":true,"crit":["b64"]}"#.to_owned(),
        r#"{"alg":"HS256","b64":true}"#.to_owned(),
        unencoded(""),
    ] {
        let token = over(&header, content.as_bytes());
        assert_eq!(code(&encoded, &token, BODY), MALFORMED, "{header}");
    }
}

#[test]
fn au_70_a_token_of_another_form_is_no_token_of_this() {
    let (plain, encoded) = (detached(false, None), detached(true, None));
    // A token with claims that is genuine: its claims are presented as the body.
    let text = claims("");
    let whole = with(&text);
    let parts: Vec<&str> = whole.split('.').collect();
    let taken_apart = format!("{}..{}", parts[0], parts[2]);
    assert_eq!(
        code(&plain, &whole, text.as_bytes()),
        MALFORMED,
        "a payload"
    );
    assert_eq!(
        code(&encoded, &whole, text.as_bytes()),
        MALFORMED,
        "a payload"
    );
    assert_eq!(code(&plain, &taken_apart, parts[1].as_bytes()), MALFORMED);
    // One form is never taken for the other, with the body in either spelling.
    let (of_plain, of_encoded) = (signed(&plain, BODY), signed(&encoded, BODY));
    let spelt = Encoding::Base64Url.encode(BODY);
    for body in [BODY, spelt.as_bytes()] {
        assert!(verdict(&encoded, &of_plain, body).is_err());
        assert!(verdict(&plain, &of_encoded, body).is_err());
    }
    // A detached token is no token with claims.
    assert_eq!(code(&rule(), &of_encoded, b""), MALFORMED);
    assert_eq!(code(&rule(), &of_plain, b""), MALFORMED);
}

#[test]
fn the_time_in_the_header_is_judged_before_the_body() {
    let rule = JwtRule {
        leeway: 10_000,
        ..detached(false, Some("ts"))
    };
    let verifier = {
        let scheme = scheme(rule);
        let settings = Settings {
            max_body: 1 << 20,
            tolerance: Tolerance::Off,
            future_tolerance: Tolerance::Off,
            public_url: None,
        };
        Verifier::new(Arc::new(scheme), vec![secret("mine", KEY)], settings).unwrap()
    };
    let begun = |more: &str| {
        let token = over(&unencoded(more), BODY);
        let begun = verifier.begin(&head("/", &[(TOKEN, &token)]), at(NOW_S));
        begun.map(drop).map_err(|refusal| refusal.code)
    };
    let stamp = |seconds: i64| begun(&format!(r#","ts":{seconds}"#));
    assert_eq!(stamp(NOW_S), Ok(()));
    assert_eq!(stamp(NOW_S - 310), Ok(()));
    assert_eq!(stamp(NOW_S - 311), Err(Code::StaleTimestamp));
    assert_eq!(stamp(NOW_S + 10), Ok(()));
    assert_eq!(stamp(NOW_S + 11), Err(Code::FutureTimestamp));
    assert_eq!(begun(""), Err(Code::MissingTimestamp));
    assert_eq!(
        begun(r#","ts":"1750000000""#),
        Err(Code::MalformedTimestamp)
    );
    assert_eq!(
        begun(r#","ts":1750000000.0"#),
        Err(Code::MalformedTimestamp)
    );
    assert_eq!(
        begun(r#","ts":1750000000,"ts":1750000000"#),
        Err(Code::MalformedSignature)
    );
    assert_eq!(
        begun(r#","ts":1750000000,"Ts":1"#),
        Err(Code::MalformedSignature)
    );
    let token = over(&unencoded(&format!(r#","ts":{NOW_S}"#)), BODY);
    let proof = verifier
        .begin(&head("/", &[(TOKEN, &token)]), at(NOW_S))
        .unwrap()
        .finish(BODY, at(NOW_S))
        .unwrap();
    assert_eq!(proof.signed_at, Some(UnixMillis::from_secs(NOW_S)));
    assert_eq!((proof.claims(), proof.signed_body(BODY)), (None, BODY));
}

proptest! {
    #[test]
    fn a_detached_token_holds_for_its_body_alone(
        body: Vec<u8>, other: Vec<u8>, is_encoded: bool, has_stamp: bool
    ) {
        let rule = detached(is_encoded, has_stamp.then_some("ts"));
        let token = signed(&rule, &body);
        prop_assert_eq!(code(&rule, &token, &body), None);
        prop_assert_eq!(code(&rule, &token, &other).is_none(), body == other);
    }

    /// No byte moves between the header of the token and the body: base64url has no dot.
    #[test]
    fn au_70_no_byte_moves_between_header_and_body(body in prop::collection::vec(any::<u8>(), 0..40), cut in 0_usize..200) {
        let rule = detached(false, None);
        let token = signed(&rule, &body);
        let (head, signature) = token.split_once("..").unwrap();
        let whole = [head.as_bytes(), b".", &body].concat();
        // Every other place at which the same signed bytes fall apart at a dot.
        let dots: Vec<usize> = whole.iter().enumerate().filter(|(_, byte)| **byte == b'.').map(|(at, _)| at).collect();
        let at = dots[cut % dots.len()];
        let (header, rest) = (&whole[..at], &whole[at + 1..]);
        let Ok(header) = std::str::from_utf8(header) else { return Ok(()) };
        let moved = format!("{header}..{signature}");
        let Ok(lines) = Head::from_parts("POST", "/", [(TOKEN.as_bytes(), moved.as_bytes())]) else { return Ok(()) };
        let holds = rule.read(&lines).is_ok();
        prop_assert_eq!(holds, header == head);
        prop_assert_eq!(rest == &body[..], header == head);
    }
}
