//! The head of a stored delivery as an operator may see it (contract: Queue): what proves a delivery,
//! or gives access to something, is not shown.
//!
//! A stored head does not say which of its headers proved the delivery, and the route's scheme may be
//! another one by now, or gone with the route. So a header is hidden if any known provider proves
//! deliveries by it, and all else is shown by the rule for headers and URLs (`key/shape/field`).

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::config::presets;
use crate::key::shape::{HIDDEN, shown_target, shown_value, speaks_of_proof};
use crate::scheme::Scheme;
use crate::verify::envelope::Event;
use crate::wire::head::{FieldName, Head};

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

/// The target and the headers. `scheme` is that of the route in force, if there is one. The id and the
/// type of the `event` are shown beside the head, so they are not hidden in it.
pub(super) fn masked_head(
    head: &Head,
    scheme: Option<&Scheme>,
    event: &Event,
) -> (String, Vec<Value>) {
    let own: Vec<FieldName> = scheme.map(headers_of).into_iter().flatten().collect();
    let known = [&event.id, &event.event_type];
    let headers = head.lines().map(|(name, value)| {
        let is_proof = PROOFS.iter().chain(&own).any(|own| own.is_or_aliases(name));
        let name = String::from_utf8_lossy(name);
        let value = String::from_utf8_lossy(value);
        let mut texts = known.iter().filter_map(|text| text.as_deref());
        let is_known = !speaks_of_proof(&name) && texts.any(|text| text == value);
        let value = match (is_proof, is_known) {
            (true, _) => HIDDEN.to_owned(),
            (false, true) => value.into_owned(),
            (false, false) => shown_value(&name, &value),
        };
        json!({"name": name, "value": value})
    });
    let mut target = head.path().to_owned();
    if let Some(query) = head.query() {
        target.push('?');
        target.push_str(query);
    }
    (shown_target(&target), headers.collect())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::wire::head::Limits;

    const LIMITS: Limits = Limits {
        max_head: usize::MAX,
        max_headers: usize::MAX,
    };

    fn parsed(headers: &str) -> Head {
        let text = format!("POST /hooks/a?token=s3cr3t&x HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        Head::parse(Bytes::from(text), &LIMITS).unwrap()
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
    fn cf_32_no_signature_of_a_vector_is_shown_under_its_name_or_another() {
        let public = include_str!("../../../../tests/vectors/public.json");
        let second = include_str!("../../../../tests/vectors/second.json");
        let read = |text| serde_json::from_str::<Vec<Value>>(text).unwrap();
        let mut hidden = 0;
        let mut wrong = Vec::new();
        for vector in [public, second].into_iter().flat_map(read) {
            let preset = presets::find(vector["provider"].as_str().unwrap());
            let (Some(preset), true) = (preset, vector["expected"] == true) else {
                continue;
            };
            let own: Vec<_> = headers_of(&preset.scheme).collect();
            for (name, value) in vector["headers"].as_object().unwrap() {
                let value = value.as_str().unwrap();
                let is_own = own.iter().any(|own| own.is_or_aliases(name.as_bytes()));
                if !is_own || value.len() < 20 {
                    continue;
                }
                hidden += 1;
                for name in [name, "X-Own"] {
                    if shown(&format!("{name}: {value}\r\n")).contains(value) {
                        wrong.push(format!("{}: {name}: {value}", vector["id"]));
                    }
                }
            }
        }
        assert!(hidden > 500, "{hidden} signatures");
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn a_signature_in_the_query_is_not_shown() {
        let head = Head::parse(
            Bytes::from("POST /a?signature=abc&t=1 HTTP/1.1\r\nHost: a\r\n\r\n"),
            &LIMITS,
        );
        let (target, _) = masked_head(&head.unwrap(), None, &Event::default());
        assert_eq!(target, "/a?signature=…&t=…");
    }

    #[test]
    fn what_is_said_of_the_event_anyway_is_not_hidden_in_the_head() {
        let event = Event {
            id: Some("msg_2b5Yd9kXw1n0cQ7rT3uV8zA4".into()),
            ..Event::default()
        };
        let head = parsed(
            "X-Hook: msg_2b5Yd9kXw1n0cQ7rT3uV8zA4\r\nX-Y: msg_2b5Yd9kXw1n0cQ7r\r\n\
             X-Token: msg_2b5Yd9kXw1n0cQ7rT3uV8zA4\r\n",
        );
        let (_, headers) = masked_head(&head, None, &event);
        assert_eq!(headers[1]["value"], "msg_2b5Yd9kXw1n0cQ7rT3uV8zA4");
        assert_eq!(headers[2]["value"], HIDDEN);
        assert_eq!(headers[3]["value"], HIDDEN);
    }
}
