//! Claims that hold the URL itself, and Atlassian's digest of a request.

use proptest::prelude::*;

use super::super::request::canonical;
use super::*;
use crate::scheme::jwt::RequestClaim;

/// HS256, `exp` required, with the URL in the claim `aud` and nothing of the body.
fn url_rule() -> JwtRule {
    JwtRule {
        body_digest: None,
        url_claim: Some("aud".into()),
        ..rule()
    }
}

fn qsh_rule(base_path: &str) -> JwtRule {
    JwtRule {
        body_digest: None,
        request_digest: Some(RequestClaim {
            claim: "qsh".into(),
            base_path: base_path.into(),
        }),
        ..rule()
    }
}

#[test]
fn au_72_the_url_in_a_claim_is_the_routes_own() {
    let rule = url_rule();
    let of = |aud: &str, target: &str| {
        let token = with(&format!(r#"{{"exp":{},"aud":{aud}}}"#, NOW_S + 60));
        let head = head(target, &[(TOKEN, &token), ("Host", "b.example")]);
        let url = PublicUrl::new("https://a.example");
        let judged = rule.judge(&read(&rule, &token), &head, b"", Some(&url));
        judged.map_err(|refusal| refusal.code)
    };
    let (bad, malformed) = (Err(Code::BadSignature), Err(Code::MalformedSignature));
    assert_eq!(of(r#""https://a.example/in/x""#, "/in/x"), Ok(()));
    assert_eq!(of(r#""https:\/\/a.example\/in\/x""#, "/in/x"), Ok(()));
    assert_eq!(of(r#""https://a.example/in/x?a=1""#, "/in/x?a=1"), Ok(()));
    assert_eq!(of(r#""https://b.example/in/x""#, "/in/x"), bad);
    assert_eq!(of(r#""https://a.example/in/x/""#, "/in/x"), bad);
    assert_eq!(of(r#""https://A.example/in/x""#, "/in/x"), bad);
    assert_eq!(of(r#""https://a.example/in/x""#, "/in/x?a=1"), bad);
    assert_eq!(of(r#"["https://a.example/in/x"]"#, "/in/x"), malformed);
    assert_eq!(of("null", "/in/x"), malformed);
    let missing = with(&format!(r#"{{"exp":{}}}"#, NOW_S + 60));
    let url = PublicUrl::new("https://a.example");
    let judge = |url| rule.judge(&read(&rule, &missing), &head("/in/x", &[]), b"", url);
    assert_eq!(
        judge(Some(&url)).unwrap_err().code,
        Code::MalformedSignature
    );
    assert_eq!(judge(None).unwrap_err().code, Code::BadSignature);
}

#[test]
fn a_token_that_says_nothing_of_the_body_holds_for_every_body_and_the_scheme_says_so() {
    let rule = url_rule();
    let token = signed(&rule, BODY);
    assert_eq!(code(&rule, &token, b"another"), None);
    assert!(!scheme(rule).covers_body());
}

#[test]
fn a_digest_in_base64url_may_have_its_padding() {
    let rule = JwtRule {
        body_digest: Some(digest("sha256", Encoding::Base64Url)),
        ..rule()
    };
    let mut hash = DigestAlgorithm::Sha256.mac(b"");
    hash.update(BODY);
    let text = Encoding::Base64Url.encode(hash.finalize().as_bytes());
    assert_eq!(text.len(), 43);
    let of = |text: &str| {
        let claims = format!(r#"{{"exp":{},"sha256":"{text}"}}"#, NOW_S + 60);
        code(&rule, &with(&claims), BODY)
    };
    assert_eq!((of(&text), of(&format!("{text}="))), (None, None));
    for wrong in [format!("{text}=="), format!("={text}"), format!("{text}=A")] {
        assert_eq!(of(&wrong), Some(Code::MalformedSignature), "{wrong}");
    }
}

#[test]
fn the_canonical_request_is_atlassians() {
    // The third column was made by createCanonicalRequest of atlassian-jwt 2.0.3 (npm).
    let rows = [
        (
            "POST",
            "/in/x?user_id=abc&a=1%202",
            "POST&/in/x&a=1%202&user_id=abc",
        ),
        ("post", "/in/x", "POST&/in/x&"),
        ("GET", "/", "GET&/&"),
        ("GET", "/a/b/", "GET&/a/b&"),
        ("GET", "/a&b?c", "GET&/a%26b&c="),
        ("GET", "/x?b=2&a=1&b=1", "GET&/x&a=1&b=1,2"),
        ("GET", "/x?a=1+2%2B3", "GET&/x&a=1%202%2B3"),
        ("GET", "/x?a=!'()*-._~", "GET&/x&a=%21%27%28%29%2A-._~"),
        ("GET", "/x?a=1,2&&c=%C3%A9", "GET&/x&a=1%2C2&c=%C3%A9"),
        ("GET", "/x?a%26b=c%3Dd=e", "GET&/x&a%26b=c%3Dd%3De"),
    ];
    for (method, target, expected) in rows {
        assert_eq!(
            canonical(method, target, "").as_deref(),
            Some(expected),
            "{target}"
        );
    }
    let rows = [
        ("/app", "/app/hook?a=1", Some("GET&/hook&a=1")),
        ("/app", "/app", Some("GET&/&")),
        ("/app", "/app/", Some("GET&/&")),
        ("/app", "/apple", None),
        ("/app", "/other", None),
        ("", "/x?a=%zz", None),
    ];
    for (base, target, expected) in rows {
        assert_eq!(
            canonical("GET", target, base).as_deref(),
            expected,
            "{base} {target}"
        );
    }
}

#[test]
fn au_73_a_digest_of_another_request_is_refused() {
    let rule = qsh_rule("");
    let signed = |target: &str| {
        let now = UnixMillis::from_secs(NOW_S);
        let covered = Covered {
            body: b"",
            url: None,
            request: ("POST", target),
            at: now,
            more: &[],
        };
        rule.sign(KEY.as_bytes(), &covered).unwrap()
    };
    let judged = |token: &str, method: &str, target: &str| {
        let lines = [(TOKEN.as_bytes(), token.as_bytes())];
        let head = Head::from_parts(method, target, lines).unwrap();
        let judged = rule.judge(&read(&rule, token), &head, b"", None);
        judged.map_err(|refusal| refusal.code)
    };
    let token = signed("/in/x?a=1&b=2");
    assert_eq!(judged(&token, "POST", "/in/x?a=1&b=2"), Ok(()));
    assert_eq!(
        judged(&token, "POST", "/in/x?b=2&a=1"),
        Ok(()),
        "the order is not signed"
    );
    for (method, target) in [
        ("PUT", "/in/x?a=1&b=2"),
        ("POST", "/in/y?a=1&b=2"),
        ("POST", "/in/x?a=1&b=3"),
        ("POST", "/in/x?a=1"),
        ("POST", "/in/x?a=1&b=2&c=3"),
        ("POST", "/in/x?a=1&b=2&jwt=x"),
        ("POST", "/in/x?a=1&b=2&b=2"),
        ("POST", "/in/x?a=1,b=2"),
        ("POST", "/in/x&a=1&b=2"),
        ("POST", "/in/x?a=%zz"),
    ] {
        assert_eq!(
            judged(&token, method, target),
            Err(Code::BadSignature),
            "{method} {target}"
        );
    }
    // The fixed word of Atlassian's tokens for pages is no digest of any request.
    let of = |qsh: &str| with(&format!(r#"{{"exp":{},"qsh":"{qsh}"}}"#, NOW_S + 60));
    for qsh in ["context-qsh", "", &hash(b"POST&/in/x&").to_uppercase()] {
        assert_eq!(
            judged(&of(qsh), "POST", "/in/x"),
            Err(Code::MalformedSignature),
            "{qsh}"
        );
    }
    assert_eq!(judged(&of(&hash(b"POST&/in/x&")), "POST", "/in/x"), Ok(()));
}

/// Names and values, decoded.
fn parameters() -> impl Strategy<Value = Vec<(String, String)>> {
    // A small alphabet, so that two texts that could be confused are often there.
    let name = prop_oneof!["[a&=,]{1,2}", "[a-c&=,%+ é]{1,3}"];
    let value = prop_oneof!["[a&=,]{0,3}", "[a-c&=,%+ é]{0,3}"];
    prop::collection::vec((name, value), 0..4)
}

fn query(parameters: &[(String, String)], escape: impl Fn(&str) -> String) -> String {
    let pair = |(name, value): &(String, String)| format!("{}={}", escape(name), escape(value));
    parameters.iter().map(pair).collect::<Vec<_>>().join("&")
}

/// Every byte as an escape.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| format!("%{byte:02x}");
    text.bytes().map(escape).collect::<Vec<_>>().concat()
}

proptest! {
    /// Two queries have the same form exactly where they hold the same names and values.
    #[test]
    fn au_73_the_canonical_query_has_one_reading(first in parameters(), second in parameters()) {
        let of = |own: &[(String, String)]| canonical("POST", &format!("/x?{}", query(own, escaped)), "");
        let sorted = |own: &[(String, String)]| { let mut own = own.to_vec(); own.sort(); own };
        prop_assert_eq!(of(&first) == of(&second), sorted(&first) == sorted(&second));
    }

    #[test]
    fn neither_order_nor_spelling_changes_the_form(own in parameters(), turn in 0_usize..5) {
        let usual = |text: &str| {
            use crate::notation::percent::{UNRESERVED, encode};
            encode(text.as_bytes(), UNRESERVED)
        };
        let mut turned = own.clone();
        if !turned.is_empty() {
            turned.rotate_left(turn % own.len());
        }
        let [one, other] = [query(&own, escaped), query(&turned, usual)];
        prop_assert_eq!(canonical("POST", &format!("/x?{one}"), ""), canonical("POST", &format!("/x?{other}"), ""));
    }
}
