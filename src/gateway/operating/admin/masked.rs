//! The head of a stored delivery as an operator may see it (contract: Queue): what proves a delivery,
//! or gives access to something, is not shown.
//!
//! A stored head does not say which of its headers proved the delivery, and the route's scheme may be
//! another one by now, or gone with the route. So three rules hold for every delivery, whatever its
//! route is now: a header is hidden if its name speaks of proof or access, if a provider that is known
//! proves deliveries by it, or if its value is one that a signature, a token or a digest could be.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::config::presets;
use crate::scheme::Scheme;
use crate::verify::envelope::Event;
use crate::wire::head::{FieldName, Head};

/// What is shown in place of a value.
const MASK: &str = "…";

/// Parts of the names of headers whose values are not shown, whatever the scheme.
const HIDDEN: [&str; 14] = [
    "sig",
    "auth",
    "token",
    "secret",
    "cookie",
    "key",
    "jwt",
    "hmac",
    "hash",
    "digest",
    "verif",
    "pass",
    "credential",
    "session",
];

/// Headers whose values are shown whatever they look like: HTTP itself and proxies give them their
/// meaning.
const PLAIN: [&str; 14] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "content-encoding",
    "content-language",
    "content-length",
    "content-type",
    "date",
    "forwarded",
    "host",
    "user-agent",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
];

/// The shortest word that can be a proof: 16 bytes make 22 characters of base64.
const SHORTEST_PROOF: usize = 20;

/// The most digits of a number in a word of plain words.
const LONGEST_NUMBER: usize = 19;

/// The headers that carry the signature, the token or the credential of any known provider.
static PROOFS: LazyLock<Vec<FieldName>> = LazyLock::new(|| {
    let mut names: Vec<FieldName> = Vec::new();
    for preset in presets::all() {
        for name in headers_of(&preset.scheme) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
});

/// The headers from which a scheme reads the signature, the token or the credential.
fn headers_of(scheme: &Scheme) -> impl Iterator<Item = FieldName> {
    let sources = scheme.signature_sources().into_iter();
    sources.filter_map(|source| source.header().cloned())
}

/// The target and the headers. Of a query only the names are shown. `scheme` is that of the route in
/// force, if there is one. The id and the type of the `event` are shown beside the head, so they are not
/// hidden in it.
pub(super) fn masked_head(
    head: &Head,
    scheme: Option<&Scheme>,
    event: &Event,
) -> (String, Vec<Value>) {
    let own: Vec<FieldName> = scheme.map(headers_of).into_iter().flatten().collect();
    let known = [&event.id, &event.event_type];
    let mut headers = Vec::new();
    for (name, value) in head.lines() {
        let lower = name.to_ascii_lowercase();
        let lower = String::from_utf8_lossy(&lower);
        let is_proof = || PROOFS.iter().chain(&own).any(|own| own.is_or_aliases(name));
        let is_known = || {
            let mut texts = known.iter().filter_map(|text| text.as_deref());
            texts.any(|text| text.as_bytes() == value)
        };
        let is_plain = || PLAIN.contains(&&*lower) || is_known();
        let is_hidden = HIDDEN.iter().any(|part| lower.contains(part))
            || is_proof()
            || (is_secret(value) && !is_plain());
        let value = if is_hidden {
            MASK.into()
        } else {
            String::from_utf8_lossy(value)
        };
        headers.push(json!({"name": String::from_utf8_lossy(name), "value": value}));
    }
    let mut target = head.path().to_owned();
    if let Some(query) = head.query() {
        let names = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, _)) => format!("{name}={MASK}"),
            None => MASK.to_owned(),
        });
        target.push('?');
        target.push_str(&names.collect::<Vec<_>>().join("&"));
    }
    (target, headers)
}

/// Whether a value could be a credential or a signature: it has a well-known form of one, or a long
/// word that is random.
fn is_secret(value: &[u8]) -> bool {
    let starts = |text: &[u8]| {
        value
            .get(..text.len())
            .is_some_and(|v| v.eq_ignore_ascii_case(text))
    };
    // What hex, base64 and base64url are written with, and the escapes of their marks in a URL.
    let is_in_use = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=_-%".contains(byte);
    let mut words = value.split(|byte| !is_in_use(byte));
    starts(b"bearer ")
        || starts(b"basic ")
        || starts(b"eyJ")
        || words.any(|word| word.len() >= SHORTEST_PROOF && !is_uuid(word) && !is_plain(word))
}

/// Whether a word is a UUID: ids are what an operator looks for.
fn is_uuid(word: &[u8]) -> bool {
    let is_right = |(place, byte): (usize, &u8)| match place {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    word.len() == 36 && word.iter().enumerate().all(is_right)
}

/// Whether a word is made of plain words and numbers, as `pull_request_review_comment` is. Random text
/// has letters of both cases, or letters and digits, side by side.
fn is_plain(word: &[u8]) -> bool {
    let mut parts = word.split(|byte| !byte.is_ascii_alphanumeric());
    parts.all(|part| {
        let rest = part.get(1..).unwrap_or_default();
        let is_number = part.len() <= LONGEST_NUMBER && part.iter().all(u8::is_ascii_digit);
        let is_word = part.first().is_none_or(u8::is_ascii_alphabetic)
            && rest.iter().all(u8::is_ascii_lowercase);
        is_number || is_word || part.iter().all(u8::is_ascii_uppercase)
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::wire::head::Limits;

    fn parsed(headers: &str) -> Head {
        let text = format!("POST /hooks/a?token=s3cr3t&x HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        let limits = Limits {
            max_head: usize::MAX,
            max_headers: usize::MAX,
        };
        Head::parse(Bytes::from(text), &limits).unwrap()
    }

    fn shown(headers: &str) -> String {
        let (_, headers) = masked_head(&parsed(headers), None, &Event::default());
        Value::from(headers).to_string()
    }

    #[test]
    fn cf_31_what_proves_or_gives_access_is_not_shown() {
        let head = parsed(
            "Content-Type: text/plain\r\nX-Webhook-Signature-256: s3cr3t\r\n\
             Authorization: s3cr3t\r\nX-Api-Key: s3cr3t\r\nX-Own: Bearer s3cr3t\r\n\
             X-Other: s3cr3t0123456789abcdef0123456789ab\r\n\
             X-Event: 0192f0c4-7b1e-7c3a-8000-000000000001\r\n",
        );
        let (target, headers) = masked_head(&head, None, &Event::default());
        assert_eq!(target, "/hooks/a?token=…&…");
        let all = Value::from(headers).to_string();
        assert!(!all.contains("s3cr3t"), "{all}");
        for shown in ["text/plain", "0192f0c4", "X-Webhook-Signature-256"] {
            assert!(all.contains(shown), "{shown}: {all}");
        }
    }

    #[test]
    fn cf_32_a_header_that_proves_for_any_provider_is_hidden_without_the_route() {
        // Each value is too short to be hidden for its form.
        for preset in presets::all() {
            for name in headers_of(&preset.scheme) {
                let all = shown(&format!("{}: s3cr3t\r\n", name.as_str()));
                assert!(!all.contains("s3cr3t"), "{}: {all}", preset.name);
            }
        }
    }

    #[test]
    fn cf_32_a_signature_is_hidden_by_its_form_under_any_name() {
        for value in [
            // MD5, SHA-1, SHA-256: hex of either case, base64, base64url without padding.
            "900150983cd24fb0d6963f7d28e17f72",
            "kAFQmDzST7DWlj99KOF/cg==",
            "3q2+78r+ur7erb7vyv66vv////8=",
            "a9993e364706816aba3e25717850c26c9cd0d89d",
            "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=",
            "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0",
            "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD",
            // No digit in it, and no mark.
            "qZkxNkcGgWqxPiVxeFDCbJzQxJxx",
            // With something around it.
            "sha1=a9993e364706816aba3e25717850c26c9cd0d89d",
            "t=1750000000,v1=kAFQmDzST7DWlj99KOF/cg==",
            "v1,qZk+NkcGgWq6PiVxeFDCbJzQ2J0= v1a,qZk+NkcGgWq6PiVxeFDCbJzQ2J0=",
            "keyId=\"a\",s=\"qZk+NkcGgWq6PiVxeFDCbJzQ2J0=\"",
            "me:qZk+NkcGgWq6PiVxeFDCbJzQ2J0=",
            "qZk%2BNkcGgWq6PiVxeFDCbJzQ2J0%3D",
            "eyJhbGciOiJIUzI1NiJ9.e30.x",
        ] {
            let all = shown(&format!("X-Own: {value}\r\n"));
            assert!(all.contains('…'), "{value}: {all}");
        }
        for value in [
            "1750000000123",
            "pull_request_review_comment",
            "customer.subscription.trial_will_end",
            "orders/create",
            "NOTIFICATION_ABOUT_SOMETHING",
            "my-very-long-shop-name-2024.example.com",
            "0192f0c4-7b1e-7c3a-8000-000000000001",
            "2025-06-15T15:06:40.123Z",
        ] {
            let all = shown(&format!("X-Own: {value}\r\n"));
            assert!(all.contains(value), "{value}: {all}");
        }
        let all = shown("User-Agent: GitHub-Hookshot/044aadd\r\n");
        assert!(all.contains("044aadd"), "{all}");
    }

    #[test]
    fn what_is_said_of_the_event_anyway_is_not_hidden_in_the_head() {
        let event = Event {
            id: Some("msg_2b5Yd9kXw1n0cQ7rT3uV8zA4".into()),
            ..Event::default()
        };
        let head =
            parsed("Webhook-Id: msg_2b5Yd9kXw1n0cQ7rT3uV8zA4\r\nX-Y: msg_2b5Yd9kXw1n0cQ7r\r\n");
        let (_, headers) = masked_head(&head, None, &event);
        assert_eq!(headers[1]["value"], "msg_2b5Yd9kXw1n0cQ7rT3uV8zA4");
        assert_eq!(headers[2]["value"], MASK);
    }
}
