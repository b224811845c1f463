//! Tokens as an attacker would send them (RFC 8725 sections 2 and 3); the name of each test says
//! which are refused.

use proptest::prelude::*;

use super::*;

const MALFORMED: Option<Code> = Some(Code::MalformedSignature);
const BAD: Option<Code> = Some(Code::BadSignature);

#[track_caller]
fn check(rows: &[(&str, String, Option<Code>)]) {
    let wrong: Vec<_> = rows
        .iter()
        .map(|(name, token, expected)| (name, code(&rule(), token, BODY), expected))
        .filter(|(_, found, expected)| found != *expected)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_algorithm_is_one_of_the_rules_in_exactly_that_case() {
    let header = |alg: &str| token_of(&format!(r#"{{"alg":{alg}}}"#), &claims(""), KEY);
    let unsigned = |alg: &str| {
        let parts = [format!(r#"{{"alg":"{alg}"}}"#), claims("")]
            .map(|part| Encoding::Base64Url.encode(part.as_bytes()));
        format!("{}.", parts.join("."))
    };
    check(&[
        ("the right one", header(r#""HS256""#), None),
        ("the right one, escaped", header(r#""\u0048S256""#), None),
        ("none", unsigned("none"), MALFORMED),
        ("None", unsigned("None"), MALFORMED),
        ("NONE", unsigned("NONE"), MALFORMED),
        ("nothing", unsigned(""), MALFORMED),
        ("no signature", unsigned("HS256"), MALFORMED),
        (
            "none, and signed all the same",
            header(r#""none""#),
            MALFORMED,
        ),
        ("another of the family", header(r#""HS512""#), MALFORMED),
        ("of another family", header(r#""RS256""#), MALFORMED),
        ("lower case", header(r#""hs256""#), MALFORMED),
        ("a space behind", header(r#""HS256 ""#), MALFORMED),
        ("a list", header(r#"["HS256"]"#), MALFORMED),
        ("null", header("null"), MALFORMED),
        ("a number", header("256"), MALFORMED),
        ("a lone surrogate", header(r#""\ud800""#), MALFORMED),
        ("left out", token_of("{}", &claims(""), KEY), MALFORMED),
    ]);
}

#[test]
fn the_text_of_a_public_key_is_no_hmac_key() {
    const PEM: &str = "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n";
    let public = JwtRule {
        algorithms: vec![JwtAlgorithm::Rs256, JwtAlgorithm::Es256],
        ..rule()
    };
    for header in [
        r#"{"alg":"HS256"}"#,
        r#"{"alg":"RS256"}"#,
        r#"{"alg":"ES256"}"#,
    ] {
        let token = token_of(header, &claims(""), PEM);
        let refused = public.read(&head("/", &[(TOKEN, &token)]));
        assert_eq!(
            refused.map_err(|refusal| Some(refusal.code)),
            Err(MALFORMED),
            "{header}"
        );
    }
}

#[test]
fn a_token_brings_neither_keys_nor_extensions() {
    let header = |more: &str| token_of(&format!(r#"{{"alg":"HS256",{more}}}"#), &claims(""), KEY);
    check(&[
        (
            "what means nothing",
            header(r#""typ":"at+jwt","cty":"x","x5t":"AA","other":{"alg":"none"}"#),
            None,
        ),
        ("a key id", header(r#""kid":"k1""#), None),
        ("crit", header(r#""crit":["exp"],"exp":1"#), MALFORMED),
        ("an empty crit", header(r#""crit":[]"#), MALFORMED),
        (
            "a payload that is not encoded",
            header(r#""crit":["b64"],"b64":false"#),
            MALFORMED,
        ),
        ("the same without crit", header(r#""b64":false"#), MALFORMED),
        ("jwk", header(r#""jwk":{"kty":"oct","k":"AA"}"#), MALFORMED),
        ("jwk null", header(r#""jwk":null"#), MALFORMED),
        (
            "jku",
            header(r#""jku":"https://attacker.example/jwks.json""#),
            MALFORMED,
        ),
        (
            "x5u",
            header(r#""x5u":"https://attacker.example/x.pem""#),
            MALFORMED,
        ),
        ("x5c", header(r#""x5c":["MIIB"]"#), MALFORMED),
        (
            "x5c, its name escaped",
            header(r#""\u00785c":["MIIB"]"#),
            MALFORMED,
        ),
        ("a key id that is a number", header(r#""kid":1"#), MALFORMED),
        ("a key id that is null", header(r#""kid":null"#), MALFORMED),
        (
            "a key id that is no character",
            header(r#""kid":"\udc00""#),
            MALFORMED,
        ),
        ("alg twice", header(r#""alg":"HS256""#), MALFORMED),
        (
            "alg twice, once escaped",
            header(r#""\u0061lg":"none""#),
            MALFORMED,
        ),
        ("kid twice", header(r#""kid":"a","kid":"b""#), MALFORMED),
        ("typ twice", header(r#""typ":"JWT","typ":"JWT""#), MALFORMED),
        ("not closed", header(r#""a":{"#), MALFORMED),
    ]);
    for (name, text) in [
        ("a list", "[]"),
        ("a string", "\"HS256\""),
        ("two", "{}{}"),
        ("nothing", ""),
        ("a mark", "\u{feff}{}"),
    ] {
        assert_eq!(
            code(&rule(), &token_of(text, &claims(""), KEY), BODY),
            MALFORMED,
            "{name}"
        );
    }
    let kid = |text: &str| read(&rule(), &header(&format!(r#""kid":"{text}""#))).key_id;
    assert_eq!(kid(r"a\u002f..").as_deref(), Some("a/.."));
}

#[test]
fn a_token_has_three_parts_in_one_spelling() {
    let good = with(&claims(""));
    let [header, claims_part, signature] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!("three parts")
    };
    let part = |range: std::ops::Range<usize>| signature.get(range).unwrap();
    // With 32 bytes two bits of the last character are left over: they must be zero.
    let last = signature.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let other = alphabet
        .chars()
        .nth(alphabet.find(last).unwrap() + 1)
        .unwrap();
    let trailing = format!("{}{other}", part(0..signature.len() - 1));
    let of = |parts: &[&str]| parts.join(".");
    let long = |bytes: usize| with(&claims(&format!(r#","x":"{}""#, "x".repeat(bytes))));
    check(&[
        ("good", good.clone(), None),
        ("a dot behind", format!("{good}."), MALFORMED),
        ("a dot in front", format!(".{good}"), MALFORMED),
        (
            "two dots",
            of(&[header, "", claims_part, signature]),
            MALFORMED,
        ),
        (
            "two signatures",
            of(&[header, claims_part, signature, signature]),
            MALFORMED,
        ),
        (
            "five parts, as of an encrypted one",
            of(&[header, "", "", claims_part, signature]),
            MALFORMED,
        ),
        ("two parts", of(&[header, claims_part]), MALFORMED),
        ("one part", header.to_owned(), MALFORMED),
        ("no signature", of(&[header, claims_part, ""]), MALFORMED),
        ("no claims", of(&[header, "", signature]), MALFORMED),
        ("padding", format!("{good}="), MALFORMED),
        (
            "bits set behind the last byte",
            of(&[header, claims_part, &trailing]),
            MALFORMED,
        ),
        (
            "standard base64",
            of(&[header, claims_part, &format!("+/{}", part(2..43))]),
            MALFORMED,
        ),
        (
            "half a signature",
            of(&[header, claims_part, part(0..20)]),
            MALFORMED,
        ),
        (
            "a signature with more behind",
            of(&[header, claims_part, &format!("{signature}AAAA")]),
            MALFORMED,
        ),
        (
            "a space",
            of(&[
                header,
                claims_part,
                &format!("{} {}", part(0..8), part(9..43)),
            ]),
            MALFORMED,
        ),
        ("a list", format!("{good},{good}"), MALFORMED),
        (
            "another scheme's prefix",
            format!("Bearer {good}"),
            MALFORMED,
        ),
        ("a long one", long(5900), None),
        ("too long a one", long(6200), MALFORMED),
        ("a body of 12 KiB of dots", ".".repeat(12 * 1024), MALFORMED),
    ]);
    let bearer = JwtRule {
        place: in_header(TOKEN, "Bearer "),
        ..rule()
    };
    let prefixed = |prefix: &str| code(&bearer, &format!("{prefix}{good}"), BODY);
    assert_eq!(
        ["Bearer ", "", "bearer ", "Bearer  ", "Bearer"].map(prefixed),
        [None, MALFORMED, MALFORMED, MALFORMED, MALFORMED]
    );
}

#[test]
fn a_header_that_is_missing_or_there_twice_is_refused() {
    let good = with(&claims(""));
    let code = |lines: &[(&str, &str)]| {
        rule()
            .read(&head("/", lines))
            .err()
            .map(|refusal| refusal.code)
    };
    assert_eq!(code(&[(TOKEN, &good)]), None);
    assert_eq!(code(&[]), Some(Code::MissingSignature));
    assert_eq!(code(&[(TOKEN, " ")]), Some(Code::MissingSignature));
    assert_eq!(code(&[(TOKEN, &good), (TOKEN, &good)]), MALFORMED);
    assert_eq!(code(&[(TOKEN, &good), ("x_token", &good)]), MALFORMED);
}

#[test]
fn claims_are_one_object_with_each_key_once() {
    let good = claims("");
    let exp = NOW_S + 60;
    let all = |claims: &str| with(claims);
    check(&[
        ("a list", all(&format!("[{good}]")), MALFORMED),
        ("a string", all("\"exp\""), MALFORMED),
        ("null", all("null"), MALFORMED),
        ("nothing", all(""), MALFORMED),
        ("two objects", all(&format!("{good}{good}")), MALFORMED),
        ("no JSON", all(&good.replace(':', "=")), MALFORMED),
        (
            "exp twice",
            all(&claims(&format!(r#","exp":{exp}"#))),
            MALFORMED,
        ),
        (
            "exp twice, once escaped",
            all(&claims(&format!(r#","\u0065xp":{exp}"#))),
            MALFORMED,
        ),
        (
            "a digest twice",
            all(&claims(r#","sha256":"00""#)),
            MALFORMED,
        ),
        (
            "a digest of other content",
            all(&good.replace(&hash(BODY), &hash(b""))),
            BAD,
        ),
        (
            "a digest in upper case",
            all(&good.replace(&hash(BODY), &hash(BODY).to_uppercase())),
            MALFORMED,
        ),
        (
            "half a digest",
            all(&good.replace(&hash(BODY), hash(BODY).split_at(32).0)),
            MALFORMED,
        ),
        (
            "an empty digest",
            all(&good.replace(&hash(BODY), "")),
            MALFORMED,
        ),
        (
            "a digest with more behind",
            all(&good.replace(&hash(BODY), &hash(BODY).repeat(9))),
            MALFORMED,
        ),
        (
            "a digest in a list",
            all(&good.replace(&format!("\"{}\"", hash(BODY)), "[]")),
            MALFORMED,
        ),
        ("no digest", all(&format!(r#"{{"exp":{exp}}}"#)), MALFORMED),
        (
            "a digest deeper down",
            all(&format!(r#"{{"exp":{exp},"x":{good}}}"#)),
            MALFORMED,
        ),
    ]);
    // Such a text is not even taken apart, so that no time and no id is looked for in it.
    for text in ["[]", "{}{}", r#"{"iat":1,"iat":1}"#] {
        let refused = rule().read(&head("/", &[(TOKEN, &with(text))]));
        assert_eq!(
            refused.map_err(|refusal| Some(refusal.code)),
            Err(MALFORMED),
            "{text}"
        );
    }
}

#[test]
fn times_are_whole_seconds_and_nothing_else() {
    let exp = |value: &str| with(&format!(r#"{{"exp":{value},"sha256":"{}"}}"#, hash(BODY)));
    let other = |name: &str, value: &str| with(&claims(&format!(r#","{name}":{value}"#)));
    let malformed = Some(Code::MalformedTimestamp);
    check(&[
        ("now", exp("1750000000"), Some(Code::StaleTimestamp)),
        ("a second later", exp("1750000001"), None),
        ("the year 31 million", exp("999999999999999999"), None),
        ("zero", exp("0"), Some(Code::StaleTimestamp)),
        ("19 digits", exp("1000000000000000000"), malformed),
        ("2^64", exp("18446744073709551616"), malformed),
        ("400 digits", exp(&"9".repeat(400)), malformed),
        ("negative", exp("-1"), malformed),
        ("negative zero", exp("-0"), malformed),
        ("a string", exp("\"1750000060\""), malformed),
        ("a fraction", exp("1750000060.5"), malformed),
        ("an exponent", exp("1e18"), malformed),
        ("null", exp("null"), malformed),
        ("true", exp("true"), malformed),
        ("a list", exp("[1750000060]"), malformed),
        ("a leading zero is no JSON", exp("01750000060"), MALFORMED),
        ("nbf now", other("nbf", "1750000000"), None),
        (
            "nbf in a second",
            other("nbf", "1750000001"),
            Some(Code::FutureTimestamp),
        ),
        ("nbf as a string", other("nbf", "\"1\""), malformed),
        (
            "a huge nbf",
            other("nbf", "999999999999999999"),
            Some(Code::FutureTimestamp),
        ),
        ("iat as a string", other("iat", "\"1\""), malformed),
    ]);
    // An old token is stale, whether or not its signature holds (AU-16).
    let forged = token_of(r#"{"alg":"HS256"}"#, r#"{"exp":1}"#, "another key");
    assert_eq!(code(&rule(), &forged, BODY), Some(Code::StaleTimestamp));
    let forged = token_of(r#"{"alg":"HS256"}"#, &claims(""), "another key");
    assert_eq!(code(&rule(), &forged, BODY), BAD);
}

#[test]
fn any_flipped_bit_of_a_token_fails() {
    let good = with(&claims(""));
    assert_eq!(code(&rule(), &good, BODY), None);
    let verifier = verifier(rule(), KEY, "https://hooks.example.com");
    for place in 0..good.len() {
        for bit in 0..8 {
            let mut changed = good.clone().into_bytes();
            changed[place] ^= 1 << bit;
            let lines = [(TOKEN.as_bytes(), changed.as_slice())];
            // Some bytes cannot be part of a header.
            let Ok(head) = Head::from_parts("POST", "/in/x", lines) else {
                continue;
            };
            let proof = verifier
                .begin(&head, at(NOW_S))
                .and_then(|begun| begun.finish(BODY, at(NOW_S)));
            assert!(proof.is_err(), "byte {place}, bit {bit}");
        }
    }
}

fn judge_all(value: &[u8], body: &[u8]) {
    let Ok(head) = Head::from_parts("POST", "/in/x", [(TOKEN.as_bytes(), value)]) else {
        return;
    };
    let url = PublicUrl::new("https://hooks.example.com");
    let carries = JwtRule {
        body_claim: Some("data".into()),
        max_age: Some(i64::MAX),
        leeway: i64::MAX,
        ..rule()
    };
    for rule in [
        rule(),
        JwtRule {
            place: in_header(TOKEN, ""),
            ..messagebird()
        },
        carries,
    ] {
        if let Ok(token) = rule.read(&head) {
            let _ = rule.times(&token);
            let _ = rule.judge(&token, &head, body, Some(&url));
            let _ = claim(&token.claims, "jti");
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(value in prop::collection::vec(any::<u8>(), 0..200), body: Vec<u8>) {
        judge_all(&value, &body);
    }

    #[test]
    fn arbitrary_claims_and_headers_never_panic(
        header in r#"\{"alg":"(HS256|none|\\u[0-9a-f]{4})"(,"(kid|typ|crit)":("[ -~]{0,9}"|[0-9]{1,30}|\[\]))?\}"#,
        claims in prop::collection::vec(
            r#""(exp|iat|nbf|data|sha256|jti)":("[ -!#-\[\]-~]{0,40}"|[1-9][0-9]{0,30}|-1|0.5|\[\]|null)"#,
            0..6,
        ),
        body: Vec<u8>,
    ) {
        judge_all(token_of(&header, &format!("{{{}}}", claims.join(",")), KEY).as_bytes(), &body);
    }

    #[test]
    fn a_digest_holds_for_no_other_body(body: Vec<u8>, other: Vec<u8>) {
        let token = signed(&rule(), &body);
        prop_assert_eq!(code(&rule(), &token, &body), None);
        prop_assert_eq!(code(&rule(), &token, &other).is_none(), body == other);
    }
}
