//! Deliveries of the provider and of its libraries, and attacks on them.

use super::super::tests::codes::{Delivery, ORIGIN};
use super::spelling::ports;
use super::*;
use crate::key::secret::SecretText;

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const JSON: (&str, &str) = ("Content-Type", "application/json");
const SHARED: (&str, &str) = (SETTINGS, "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256");
const DOCUMENTED: &[u8] =
    b"CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212&Caller=%2B14158675309";

fn from(
    origin: &'static str,
    target: &str,
    kind: (&str, &str),
    signature: &str,
    body: &[u8],
) -> Delivery {
    Delivery {
        origin,
        ..Delivery::new(target, &[kind, (SIGNATURE, signature)], body)
    }
}

#[test]
fn deliveries_of_the_provider_are_proved() {
    let target = "/myapp.php?foo=1&bar=2";
    let hashed = "/myapp.php?foo=1&bar=2&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
    let rows = [
        (
            "as signed",
            "https://mycompany.com",
            target,
            FORM,
            "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
            DOCUMENTED,
        ),
        (
            "signed without its port",
            "https://mycompany.com:1234",
            target,
            FORM,
            "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
            DOCUMENTED,
        ),
        (
            "signed with its port",
            "http://mycompany.com:1234",
            target,
            FORM,
            "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=",
            DOCUMENTED,
        ),
        (
            "signed with port 443",
            "https://mycompany.com",
            target,
            FORM,
            "kvajT1Ptam85bY51eRf/AJRuM3w=",
            DOCUMENTED,
        ),
        (
            "signed with port 80",
            "http://mycompany.com",
            target,
            FORM,
            "0ZXoZLH/DfblKGATFgpif+LLRf4=",
            DOCUMENTED,
        ),
        (
            "a hashed body",
            "https://mycompany.com",
            hashed,
            JSON,
            "a9nBmqA0ju/hNViExpshrM61xv4=",
            br#"{"property": "value", "boolean": true}"#,
        ),
        (
            "escapes and an empty value",
            ORIGIN,
            "/in/twilio?foo=1&bar=2",
            FORM,
            "Jso5gokOxxKWBvOcYGB2xPtFOyQ=",
            b"CallSid=CA1&From=%2B14158675309&Body=Zo%C3%AB+%F0%9F%98%80+%26+%3D&Empty=",
        ),
    ];
    for (name, origin, target, kind, signature, body) in rows {
        let delivery = from(origin, target, kind, signature, body);
        assert_eq!(delivery.code("twilio", "12345"), None, "{name}");
        assert_eq!(
            delivery.code("twilio", "12346"),
            Some("bad_signature"),
            "{name}"
        );
    }
}

// Signatures of the provider's Python library, 9.13.0.
#[test]
fn fields_are_sorted_and_named_once_as_the_provider_s_library_does_it() {
    let target = "/in/twilio?foo=1";
    let rows: &[(&str, &str, &str, &[u8])] = &[
        (
            target,
            "Vua/5go0u6mlRVA31A7djvx2Ktk=",
            "1p9fDGwDIXqdVoYnItWoJ4Gv4SZnQZnqQ85y7dS0uvo=",
            b"b=2&a=1&b=1&b=2&A=3&c=",
        ),
        (
            target,
            "vMIZvTwNn1PyeT3vyt4LQBaGgjI=",
            "tpuPE+JCGAxHOrnhVvz9SYEGWSRADAiCiLea4x2C5hI=",
            b"a=%C3%A9+x&aa=1&a=1",
        ),
        (
            target,
            "jLoNUZO7Ngc83LomEHOH+L6Jb2k=",
            "hlhsDQXFgR6Yj3xX3Q7rKIC4amt4pncMxt0AkcV0CiE=",
            b"",
        ),
    ];
    for (target, legacy, shared, body) in rows {
        let old = from(ORIGIN, target, FORM, legacy, body);
        let new = from(ORIGIN, target, FORM, shared, body).with(SHARED.0, SHARED.1);
        for delivery in [&old, &new] {
            assert_eq!(delivery.code("twilio", "12345"), None, "{body:?}");
        }
        let pinned = |delivery: &Delivery, text| delivery.code("twilio", text);
        assert_eq!(pinned(&old, "hmac-sha1:12345"), None);
        assert_eq!(pinned(&new, "hmac-sha256:12345"), None);
        assert_eq!(pinned(&old, "hmac-sha256:12345"), Some("bad_signature"));
        assert_eq!(pinned(&new, "hmac-sha1:12345"), Some("bad_signature"));
    }
    let bare = from(ORIGIN, "/", FORM, "FQJfGJVYmpqSCcudQBFvLnPrTQ4=", b"a=1");
    assert_eq!(
        bare.code("twilio", "12345"),
        None,
        "the URL was signed without a path"
    );
    let hash = "/in/twilio?foo=1&bodySHA256=015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862";
    let json = from(
        ORIGIN,
        hash,
        JSON,
        "6gtwP5+zx3TH6iMP4Bflm7XgeJQmIZA7fRAg5RD8Ho4=",
        br#"{"a":1}"#,
    );
    assert_eq!(json.with(SHARED.0, SHARED.1).code("twilio", "12345"), None);
}

#[test]
fn an_algorithm_counts_only_as_it_is_announced() {
    let body = b"CallSid=CA1&From=%2B14158675309&Body=Zo%C3%AB+%F0%9F%98%80+%26+%3D&Empty=";
    let shared = "XARrASPdMFfoMVYgDVzoPCRHpO7cASe1s67c43UGRpI=";
    let legacy = "Jso5gokOxxKWBvOcYGB2xPtFOyQ=";
    let rows = [
        ("no settings, SHA-1", None, legacy, None),
        (
            "no settings, SHA-256",
            None,
            shared,
            Some("malformed_signature"),
        ),
        (
            "SHA-256 named",
            Some("key=k,algorithm=HMAC_SHA256"),
            shared,
            None,
        ),
        (
            "SHA-256 named, spaces, small letters",
            Some("key=k, algorithm = hmac_sha256"),
            shared,
            None,
        ),
        (
            "SHA-256 named, SHA-1 sent",
            Some("key=k,algorithm=HMAC_SHA256"),
            legacy,
            Some("malformed_signature"),
        ),
        (
            "SHA-1 named",
            Some("key=k,algorithm=HMAC_SHA1"),
            legacy,
            None,
        ),
        (
            "SHA-1 named, SHA-256 sent",
            Some("key=k,algorithm=HMAC_SHA1"),
            shared,
            Some("malformed_signature"),
        ),
        ("none named", Some("key=k"), legacy, None),
        ("an empty name", Some("key=k,algorithm="), legacy, None),
        ("empty settings", Some(""), legacy, None),
        (
            "another one",
            Some("key=k,algorithm=HMAC_MD5"),
            legacy,
            Some("malformed_signature"),
        ),
        (
            "none at all",
            Some("algorithm=none"),
            legacy,
            Some("malformed_signature"),
        ),
        (
            "two",
            Some("algorithm=HMAC_SHA256,algorithm=HMAC_SHA1"),
            shared,
            Some("malformed_signature"),
        ),
    ];
    for (name, settings, signature, expected) in rows {
        let mut delivery = from(ORIGIN, "/in/twilio?foo=1&bar=2", FORM, signature, body);
        if let Some(settings) = settings {
            delivery = delivery.with(SETTINGS, settings);
        }
        assert_eq!(delivery.code("twilio", "12345"), expected, "{name}");
    }
}

#[test]
fn a_body_that_neither_fields_nor_a_hash_cover_is_refused() {
    // A signature of the URL alone.
    let url = "l3M939XW6t9CqU5OYzlafcJzCms=";
    let body = br#"{"id":"evt"}"#;
    let sent =
        |kind, body: &[u8]| from(ORIGIN, "/in/twilio", kind, url, body).code("twilio", "12345");
    assert_eq!(sent(JSON, body), Some("malformed_signature"));
    assert_eq!(sent(JSON, b"a=1"), Some("malformed_signature"));
    assert_eq!(sent(FORM, b"&&"), Some("malformed_signature"));
    assert_eq!(sent(FORM, body), Some("bad_signature"));
    assert_eq!(sent(JSON, b""), None, "nothing is there to be covered");
    assert_eq!(sent(FORM, b""), None);
    let untyped = Delivery::new("/in/twilio", &[(SIGNATURE, url)], body);
    assert_eq!(untyped.code("twilio", "12345"), Some("bad_signature"));
    let broken = from(ORIGIN, "/in/twilio", FORM, url, b"a=%zz");
    assert_eq!(broken.code("twilio", "12345"), Some("malformed_signature"));
}

#[test]
fn a_hashed_body_can_be_neither_changed_nor_emptied_nor_renamed() {
    let hash = "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862";
    let target = format!("/in/twilio?foo=1&bodySHA256={hash}");
    let sent = |target: &str, kind, body: &[u8]| {
        from(ORIGIN, target, kind, "xo63M2XhtG/uNxDu5neO/ZbQdvI=", body)
    };
    let code = |target: &str, kind, body| sent(target, kind, body).code("twilio", "12345");
    assert_eq!(code(&target, JSON, br#"{"a":1}"#), None);
    assert_eq!(
        Delivery {
            lines: sent(&target, JSON, b"").lines.split_off(1),
            ..sent(&target, JSON, br#"{"a":1}"#)
        }
        .code("twilio", "12345"),
        None,
        "without a type"
    );
    assert_eq!(code(&target, JSON, br#"{"a":2}"#), Some("bad_signature"));
    assert_eq!(code(&target, JSON, b""), Some("bad_signature"));
    assert_eq!(code(&target, FORM, b""), Some("bad_signature"));
    assert_eq!(code(&target, FORM, b"&"), Some("bad_signature"));
    assert_eq!(code(&target, FORM, br#"{"a":1}"#), Some("bad_signature"));
    assert_eq!(
        code(
            &target
                .to_uppercase()
                .replace("/IN/TWILIO?FOO", "/in/twilio?foo"),
            JSON,
            br#"{"a":1}"#
        ),
        Some("malformed_signature")
    );
    assert_eq!(
        code(&format!("{target}&bodySHA256={hash}"), JSON, br#"{"a":1}"#),
        Some("malformed_signature")
    );
    let upper = format!("/in/twilio?bodySHA256={}", hash.to_uppercase());
    let upper = Delivery::new(&upper, &[JSON], b"").signed_by_url("12345", br#"{"a":1}"#);
    assert_eq!(
        upper.code("twilio", "12345"),
        Some("bad_signature"),
        "one spelling only"
    );
}

impl Delivery {
    /// Signs the URL alone, and adds the body afterwards.
    fn signed_by_url(self, key: &str, body: &[u8]) -> Self {
        let url = format!("{}{}", self.origin, self.target);
        let signature = reading::signed(
            url.as_bytes(),
            Algorithm::HmacSha1,
            key.as_bytes(),
            Encoding::Base64,
        )
        .unwrap();
        Self {
            body: body.to_vec(),
            ..self.with(SIGNATURE, &signature)
        }
    }
}

#[test]
fn the_same_fields_in_another_order_or_spelling_are_the_same_delivery() {
    let good = Delivery::new("/in/twilio", &[FORM], b"b=2&a=x+y").signed("twilio", "k", None);
    let content = good.judge("twilio", "k").unwrap();
    for body in [&b"a=x+y&b=2"[..], b"a=x%20y&b=2&b=2", b"&%61=x+y&b=%32"] {
        let other = Delivery {
            body: body.to_vec(),
            ..good.clone()
        };
        assert_eq!(
            other.judge("twilio", "k").as_ref(),
            Ok(&content),
            "{body:?}"
        );
    }
}

#[test]
fn a_captured_delivery_whose_query_is_spelled_in_another_way_is_the_same_delivery() {
    let good = Delivery::new("/in/twilio?Caller=O'Brien+b&b=1&Caller=2", &[FORM], b"a=1")
        .signed("twilio", "k", None);
    let content = good.judge("twilio", "k").unwrap();
    // Signed as `O'Brien+b`, so only what leads back to this very text can be sent.
    for (target, is_same) in [
        ("/in/twilio?Caller=O'Brien+b&b=1&Caller=2", true),
        ("/in/twilio?Caller=O%27Brien+b&b=1&Caller=2", false),
        ("/in/twilio?Caller=O'Brien%20b&b=1&Caller=2", false),
        ("/in/twilio?Caller=O'Brien+b&Caller=2&b=1", false),
    ] {
        let other = Delivery {
            target: target.to_owned(),
            ..good.clone()
        };
        let judged = other.judge("twilio", "k");
        assert_eq!(judged.as_ref().ok() == Some(&content), is_same, "{target}");
    }
}

#[test]
fn a_spelling_cannot_hide_the_hash_of_the_body() {
    let body = br#"{"a":1}"#;
    let hash = hex::encode(Sha256::digest(body));
    let target = format!("/in?bodySHA256={hash}");
    let good = Delivery::new(&target, &[JSON], body).signed("twilio", "k", None);
    assert_eq!(good.code("twilio", "k"), None);
    let hidden = target.replace("bodySHA256", "body%53HA256");
    for (target, body, code) in [
        // The signed spelling names the hash, whatever the received one does.
        (&hidden, &body[..], None),
        (&hidden, b"", Some("bad_signature")),
        (&hidden, b"{}", Some("bad_signature")),
        (&target, b"", Some("bad_signature")),
    ] {
        for kind in [JSON, FORM] {
            let other = Delivery {
                target: target.clone(),
                body: body.to_vec(),
                ..Delivery::new(target, &[kind], body)
            };
            let signature = good
                .lines
                .iter()
                .find(|(name, _)| name == SIGNATURE)
                .unwrap();
            let other = other.with(SIGNATURE, std::str::from_utf8(&signature.1).unwrap());
            let expected = if kind == FORM {
                Some("bad_signature")
            } else {
                code
            };
            assert_eq!(
                other.code("twilio", "k"),
                expected,
                "{target} {kind:?} {body:?}"
            );
        }
    }
}

#[test]
fn bytes_that_are_no_text_are_signed_as_they_are() {
    let good = Delivery::new("/in", &[FORM], b"a=%FF%00\xfe").signed("twilio", "k", None);
    assert_eq!(
        good.judge("twilio", "k"),
        Ok(b"https://hooks.example.com/ina\xff\0\xfe".to_vec())
    );
}

#[test]
fn a_port_is_found_in_any_authority() {
    let rows = [
        ("https://a/x:1", "https://a/x:1", "https://a:443/x:1"),
        ("HTTPS://a", "HTTPS://a", "HTTPS://a:443"),
        ("http://a?x=1", "http://a?x=1", "http://a:80?x=1"),
        ("https://u:p@a:1/x", "https://u:p@a/x", "https://u:p@a:1/x"),
        ("https://[::1]/x", "https://[::1]/x", "https://[::1]:443/x"),
        (
            "https://[::1]:8443/x",
            "https://[::1]/x",
            "https://[::1]:8443/x",
        ),
    ];
    for (url, without, with) in rows {
        assert_eq!(
            ports(url.as_bytes()).map(|url| String::from_utf8(url).unwrap()),
            [without, with],
            "{url}"
        );
    }
    assert_eq!(ports(b""), [b"".to_vec(), b":80".to_vec()]);
}

#[test]
fn a_secret_is_a_key_of_both_algorithms_or_pinned_to_one() {
    let keys = |text: &str| {
        let keys = Twilio.keys(&SecretText::new(text.as_bytes().to_vec()));
        keys.map(|keys| {
            keys.into_iter()
                .map(|(algorithm, key)| (algorithm.name(), key.to_vec()))
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(
        keys("k"),
        Ok(vec![
            ("hmac-sha1", b"k".to_vec()),
            ("hmac-sha256", b"k".to_vec())
        ])
    );
    assert_eq!(
        keys("hmac-sha256:k"),
        Ok(vec![("hmac-sha256", b"k".to_vec())])
    );
    assert_eq!(
        keys("hmac-sha1:hmac-sha256:"),
        Ok(vec![("hmac-sha1", b"hmac-sha256:".to_vec())])
    );
    for none in ["", "hmac-sha1:", "hmac-sha256:"] {
        assert_eq!(keys(none), Err("the secret is empty"), "{none}");
    }
}

#[test]
fn a_request_is_signed_as_its_secret_is_pinned() {
    let signed = |text| Delivery::new("/in", &[FORM], b"a=1").signed("twilio", text, None);
    let shared = signed("hmac-sha256:k");
    assert_eq!(
        shared.lines[1],
        (SETTINGS.to_owned(), b"algorithm=HMAC_SHA256".to_vec())
    );
    assert_eq!(shared.code("twilio", "hmac-sha256:k"), None);
    assert_eq!(shared.code("twilio", "k"), None);
    assert_eq!(signed("k").code("twilio", "hmac-sha1:k"), None);
}
