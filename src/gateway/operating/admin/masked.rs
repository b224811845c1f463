//! The head of a stored delivery as an operator may see it (contract: Queue): what proves a delivery,
//! or gives access to something, is not shown.

use serde_json::{Value, json};

use crate::scheme::Scheme;
use crate::wire::head::Head;

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

/// The target and the headers. Of a query only the names are shown.
pub(super) fn masked_head(head: &Head, scheme: Option<&Scheme>) -> (String, Vec<Value>) {
    let own = scheme.map_or(&[][..], Scheme::signature_headers);
    let mut headers = Vec::new();
    for (name, value) in head.lines() {
        let lower = name.to_ascii_lowercase();
        let lower = String::from_utf8_lossy(&lower);
        // Without its scheme a removed route shows no value that it could have signed by.
        let is_hidden = HIDDEN.iter().any(|part| lower.contains(part))
            || own.iter().any(|own| own.is_or_aliases(name))
            || is_secret(value);
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

/// Whether a value looks like a credential or a signature: those of well-known forms, and long ones of
/// one word.
fn is_secret(value: &[u8]) -> bool {
    const LONG: usize = 32;
    let starts = |text: &[u8]| {
        value
            .get(..text.len())
            .is_some_and(|v| v.eq_ignore_ascii_case(text))
    };
    let is_in_use = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=_-".contains(byte);
    let has_digit = value.iter().any(u8::is_ascii_digit);
    // A UUID is shown: ids are what an operator looks for.
    let is_uuid = value.len() == 36 && value.split(|byte| *byte == b'-').count() == 5;
    starts(b"bearer ")
        || starts(b"basic ")
        || starts(b"eyJ")
        || (value.len() >= LONG && has_digit && value.iter().all(is_in_use) && !is_uuid)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::wire::head::Limits;

    #[test]
    fn what_proves_or_gives_access_is_not_shown() {
        let text = "POST /hooks/a?token=s3cr3t&x HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\n\
                    X-Webhook-Signature-256: s3cr3t\r\nAuthorization: s3cr3t\r\nX-Api-Key: s3cr3t\r\n\
                    X-Own: Bearer s3cr3t\r\nX-Other: s3cr3t0123456789abcdef0123456789ab\r\n\
                    X-Event: 0192f0c4-7b1e-7c3a-8000-000000000001\r\n\r\n";
        let limits = Limits {
            max_head: usize::MAX,
            max_headers: usize::MAX,
        };
        let head = Head::parse(Bytes::from(text), &limits).unwrap();
        let (target, headers) = masked_head(&head, None);
        assert_eq!(target, "/hooks/a?token=…&…");
        let all = Value::from(headers).to_string();
        assert!(!all.contains("s3cr3t"), "{all}");
        for shown in ["text/plain", "0192f0c4", "X-Webhook-Signature-256"] {
            assert!(all.contains(shown), "{shown}: {all}");
        }
    }
}
