//! Attacks on what a message says of itself: what is covered, how it is written, when it ends.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::super::tests::codes;
use super::*;
use crate::clock::{Now, UnixMillis};
use crate::key::public::{PublicAlgorithm, PublicKey, SigningKey};
use crate::notation::timestamp::Tolerance;
use crate::scheme::tests::fixtures::{TOLERANCE, secret};
use crate::scheme::{Scheme, Settings};
use crate::verify::verifier::Verifier;

const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
const AT: i64 = 1_750_000_000;
const URL: &str = "https://hooks.example.com";

/// A message that says what it covers.
#[derive(Clone, Debug)]
struct Message {
    method: &'static str,
    target: String,
    lines: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Message {
    /// A message with this text behind the label of Signature-Input, whatever its form, signed over
    /// the lines of `base`.
    fn signed(input: &str, base: &[(&str, &str)]) -> Self {
        let mut lines: Vec<_> = base
            .iter()
            .map(|(name, value)| format!("\"{name}\": {value}"))
            .collect();
        lines.push(format!("\"@signature-params\": {input}"));
        let content = lines.join("\n");
        let key = SigningKey::parse(SEED.as_bytes()).unwrap();
        let signature = key.sign(PublicAlgorithm::Ed25519, content.as_bytes());
        let signature = Encoding::Base64.encode(&signature.unwrap());
        Self {
            method: "POST",
            target: "/in?a=1".to_owned(),
            lines: vec![
                (DIGEST.to_owned(), digest(b"{}")),
                (INPUT.to_owned(), format!("s={input}")),
                (SIGNATURE.to_owned(), format!("s=:{signature}:")),
            ],
            body: b"{}".to_vec(),
        }
    }

    /// A good message with these parameters.
    fn with(parameters: &str) -> Self {
        let input = format!("(\"@method\" \"content-digest\"){parameters}");
        Self::signed(
            &input,
            &[("@method", "POST"), ("content-digest", &digest(b"{}"))],
        )
    }

    fn line(mut self, name: &str, value: &str) -> Self {
        let known = self.lines.iter_mut().find(|(own, _)| own == name);
        match known {
            Some((_, own)) => value.clone_into(own),
            None => self.lines.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    fn code(&self, components: &[&str]) -> Option<&'static str> {
        self.code_at(components, AT, TOLERANCE)
    }

    fn code_at(&self, components: &[&str], at: i64, within: Tolerance) -> Option<&'static str> {
        let settings = Settings {
            tolerance: within,
            future_tolerance: within,
            public_url: Some(URL.to_owned()),
            max_body: 1 << 20,
        };
        let scheme = Scheme {
            components: components.iter().map(|name| (*name).to_owned()).collect(),
            ..codes::scheme("http-message-signatures")
        };
        assert_eq!(scheme.faults(&settings), [], "{components:?}");
        let secrets = vec![secret("s", PUBLIC)];
        let verifier = Verifier::new(Arc::new(scheme), secrets, settings).unwrap();
        let lines = self
            .lines
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let head = Head::from_parts(self.method, &self.target, lines).unwrap();
        let now = Now {
            wall: UnixMillis::from_secs(at),
            mono: Duration::ZERO,
        };
        let judged = verifier
            .begin(&head, now)
            .and_then(|begun| begun.finish(&self.body, now));
        judged.err().map(|refusal| refusal.code.name())
    }
}

fn digest(body: &[u8]) -> String {
    format!(
        "sha-256=:{}:",
        Encoding::Base64.encode(&Sha256::digest(body))
    )
}

/// RFC 9421, appendix B.2.6: the only published signature of a request by a key that is taken here.
/// It covers no body, so only its base is compared and its signature verified.
#[test]
fn the_signature_base_is_that_of_the_rfc() {
    let lines = [
        ("Host", "example.com"),
        ("Date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("Content-Type", "application/json"),
        ("Content-Length", "18"),
    ];
    let lines = lines.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let head = Head::from_parts("POST", "/foo?param=Value&Pet=dog", lines).unwrap();
    let text = br#"sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#;
    let input = Input::parse(text).unwrap();
    let url = PublicUrl::new("https://example.com");
    let base = base(&head, Some(&url), &input.components, input.signed).unwrap();
    let signature =
        "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==";
    let signature = reading::decoded(signature.as_bytes(), Encoding::Base64, Algorithm::Ed25519);
    let key = "26b40b8f93fff3d897112f7ebc582b232dbd72517d082fe83cfb30ddce43d1bb";
    let keys = PublicKey::parse_all(key.as_bytes()).unwrap();
    assert!(keys[0].verify(PublicAlgorithm::Ed25519, &base, &signature.unwrap()));
}

#[test]
fn every_component_of_a_request_can_be_covered() {
    let digest = digest(b"{}");
    let base = [
        ("@method", "POST"),
        ("@target-uri", "https://hooks.example.com/in?a=1"),
        ("@authority", "hooks.example.com"),
        ("@scheme", "https"),
        ("@request-target", "/in?a=1"),
        ("@path", "/in"),
        ("@query", "?a=1"),
        ("x-a", "b c"),
        ("content-digest", &digest),
    ];
    let names: Vec<_> = base.iter().map(|(name, _)| *name).collect();
    let input = format!("({});created={AT}", quoted(&names).join(" "));
    let message = Message::signed(&input, &base).line("X-A", "b c");
    assert_eq!(message.code(&names), None);
    let mut other = message.clone();
    other.target = "/in?a=2".to_owned();
    assert_eq!(other.code(&names), Some("bad_signature"));
    let mut other = message.clone();
    other.method = "PUT";
    assert_eq!(other.code(&names), Some("bad_signature"));
    let other = message.line("X-A", "b  c");
    assert_eq!(other.code(&names), Some("bad_signature"));
}

#[test]
fn au_62_a_message_that_covers_less_than_the_scheme_demands_is_refused() {
    let good = Message::with(&format!(";created={AT}"));
    assert_eq!(good.code(&["content-digest"]), None);
    assert_eq!(good.code(&["content-digest", "@method"]), None);
    for demanded in ["@path", "x-a", "@target-uri"] {
        let code = good.code(&["content-digest", demanded]);
        assert_eq!(code, Some("malformed_signature"), "{demanded}");
    }
    // Without the digest nothing covers the body, so it is always demanded.
    let bare = Message::signed(
        &format!("(\"@method\");created={AT}"),
        &[("@method", "POST")],
    );
    assert_eq!(bare.code(&["content-digest"]), Some("malformed_signature"));
    let empty = Message::signed(&format!("();created={AT}"), &[]);
    assert_eq!(empty.code(&["content-digest"]), Some("malformed_signature"));
}

#[test]
fn au_62_the_body_must_have_every_digest_that_is_signed() {
    let sha512 = |body: &[u8]| Encoding::Base64.encode(&Sha512::digest(body));
    let rows = [
        (digest(b"{}"), None),
        (format!("sha-512=:{}:", sha512(b"{}")), None),
        (
            format!("{}, sha-512=:{}:", digest(b"{}"), sha512(b"{}")),
            None,
        ),
        (format!("md5=:YQ==:, {}", digest(b"{}")), None),
        (digest(b"[]"), Some("bad_signature")),
        (
            format!("{}, sha-512=:{}:", digest(b"{}"), sha512(b"[]")),
            Some("bad_signature"),
        ),
        ("md5=:YQ==:".to_owned(), Some("malformed_signature")),
        (
            digest(b"{}").replace('=', " ="),
            Some("malformed_signature"),
        ),
        (
            digest(b"{}").to_ascii_uppercase(),
            Some("malformed_signature"),
        ),
    ];
    for (digest, expected) in rows {
        let input = format!("(\"content-digest\");created={AT}");
        let message = Message::signed(&input, &[("content-digest", &digest)]);
        let message = message.line(DIGEST, &digest);
        assert_eq!(message.code(&["content-digest"]), expected, "{digest}");
    }
    let mut other = Message::with(&format!(";created={AT}"));
    other.body = b"[]".to_vec();
    assert_eq!(other.code(&["content-digest"]), Some("bad_signature"));
    let other = other.line(DIGEST, &digest(b"[]"));
    assert_eq!(other.code(&["content-digest"]), Some("bad_signature"));
}

#[test]
fn au_62_a_signature_counts_from_its_creation_to_its_end() {
    let code = |parameters: &str, at| {
        Message::with(parameters).code_at(&["content-digest"], at, TOLERANCE)
    };
    let created = format!(";created={AT}");
    assert_eq!(code(&created, AT + 300), None);
    assert_eq!(code(&created, AT + 301), Some("stale_timestamp"));
    assert_eq!(code(&created, AT - 301), Some("future_timestamp"));
    let ending = format!(";created={AT};expires={}", AT + 10);
    assert_eq!(code(&ending, AT + 9), None);
    assert_eq!(code(&ending, AT + 10), Some("stale_timestamp"));
    let unjudged = Message::with(&ending).code_at(&["content-digest"], AT + 10, Tolerance::Off);
    assert_eq!(
        unjudged,
        Some("stale_timestamp"),
        "`expires` counts by itself"
    );
    assert_eq!(code("", AT), Some("missing_timestamp"));
    for odd in [
        ";created=01750000000",
        ";created=-1",
        ";created=",
        ";created=1.5",
    ] {
        assert_eq!(code(odd, AT), Some("malformed_timestamp"), "{odd}");
    }
    let odd = format!(";created={AT};expires=x");
    assert_eq!(code(&odd, AT), Some("malformed_timestamp"));
}

#[test]
fn au_62_the_algorithm_in_the_message_is_not_believed() {
    for named in ["ed25519", "hmac-sha256", "rsa-v1_5-sha256", "none", ""] {
        let parameters = format!(";created={AT};alg=\"{named}\"");
        assert_eq!(Message::with(&parameters).code(&["content-digest"]), None);
    }
    // An HMAC under the text of the public key, which everybody knows.
    let input = format!("(\"content-digest\");created={AT};alg=\"hmac-sha256\"");
    let digest = digest(b"{}");
    let content = format!("\"content-digest\": {digest}\n\"@signature-params\": {input}");
    for key in [PUBLIC.as_bytes(), &hex::decode(PUBLIC).unwrap()] {
        let forged = reading::signed(
            content.as_bytes(),
            Algorithm::HmacSha256,
            key,
            Encoding::Base64,
        );
        let message = Message::signed(&input, &[("content-digest", &digest)])
            .line(SIGNATURE, &format!("s=:{}:", forged.unwrap()));
        assert_eq!(
            message.code(&["content-digest"]),
            Some("malformed_signature")
        );
    }
}

#[test]
fn au_62_a_message_has_one_signature_in_one_spelling() {
    let good = Message::with(&format!(";created={AT};keyid=\"k\""));
    let text = |name: &str| {
        let (_, value) = good.lines.iter().find(|(own, _)| own == name).unwrap();
        value.clone()
    };
    let (input, signature) = (text(INPUT), text(SIGNATURE));
    assert_eq!(good.code(&["content-digest"]), None);
    let (other_input, other_signature) =
        (input.replacen('s', "t", 1), signature.replacen('s', "t", 1));
    let rows = [
        (input.clone(), other_signature.clone()),
        (other_input.clone(), signature.clone()),
        (
            format!("{input}, {other_input}"),
            format!("{signature}, {other_signature}"),
        ),
        (format!("{input}, {other_input}"), signature.clone()),
        (input.clone(), format!("{signature}, {other_signature}")),
        (input.replace(';', "; "), signature.clone()),
        (input.replace("\" \"", "\"  \""), signature.clone()),
        (input.clone(), signature.replace(':', "")),
        (input.clone(), signature.replace("==:", ":")),
        (input.clone(), format!("{signature};a=1")),
    ];
    for (input, signature) in rows {
        let message = good.clone().line(INPUT, &input).line(SIGNATURE, &signature);
        assert_eq!(
            message.code(&["content-digest"]),
            Some("malformed_signature"),
            "{input} {signature}"
        );
    }
    for (name, value) in [(INPUT, input), (SIGNATURE, signature)] {
        let mut twice = good.clone();
        twice
            .lines
            .push((name.replace('-', "_").to_lowercase(), value));
        assert!(twice.code(&["content-digest"]).is_some(), "{name}");
    }
}

#[test]
fn components_that_a_scheme_cannot_demand_are_faults() {
    let fault = |components: &[&str]| {
        let components: Vec<_> = components.iter().map(|name| (*name).to_owned()).collect();
        MessageSignatures.judge_components(&components).err()
    };
    assert_eq!(fault(&["content-digest", "@path", "x-a"]), None);
    for bad in [
        &[][..],
        &["@path"],
        &["content-digest", "@query-param"],
        &["content-digest", "@status"],
    ] {
        assert!(fault(bad).is_some(), "{bad:?}");
    }
}

proptest! {
    /// One bit changed in a signed field, the target or the body is refused.
    #[test]
    fn au_62_a_changed_message_is_refused(part in 0..5_usize, place: prop::sample::Index) {
        let names = ["@method", "@request-target", "content-digest"];
        let digest = digest(b"{}");
        let input = format!("({});created={AT};keyid=\"k\"", quoted(&names).join(" "));
        let base = [("@method", "POST"), ("@request-target", "/in?a=1"), ("content-digest", digest.as_str())];
        let mut message = Message::signed(&input, &base);
        prop_assert_eq!(message.code(&names), None);
        let flip = |bytes: &mut Vec<u8>| {
            let bit = place.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
        };
        let mut bytes = match part {
            3 => message.target.clone().into_bytes(),
            4 => message.body.clone(),
            line => message.lines[line].1.clone().into_bytes(),
        };
        flip(&mut bytes);
        if part == 4 {
            message.body = bytes;
        } else {
            let Ok(text) = String::from_utf8(bytes) else { return Ok(()) };
            if part == 3 {
                message.target = text;
            } else {
                message.lines[part].1 = text;
            }
            let lines = message.lines.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            if Head::from_parts(message.method, &message.target, lines).is_err() {
                return Ok(());
            }
        }
        // The label is not signed: it only joins the two fields.
        prop_assert!(message.code(&names).is_some(), "{:?}", message);
    }

    #[test]
    fn whatever_arrives_is_refused_without_a_panic(
        values in prop::collection::vec("[ -~]{0,60}", 3),
        body in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let names = [DIGEST, INPUT, SIGNATURE];
        let lines = names.into_iter().zip(values).map(|(n, v)| (n.to_owned(), v.trim().to_owned()));
        let message = Message { method: "POST", target: "/".to_owned(), lines: lines.collect(), body };
        prop_assert!(message.code(&["content-digest"]).is_some());
    }
}
