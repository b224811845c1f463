//! Mailchimp Transactional (Mandrill): the URL, followed by name and value of the form's field
//! (schemes: Code; five public receivers agree, the provider's page was not at hand).
//!
//! Mandrill signs all fields of the form, sorted, and sends a single field. Nothing divides URL, name
//! and value, so that field must be the only one, and its value an array of JSON objects: it begins
//! with `[{"`, and no URL of a request holds a quotation mark. So no byte can move from the value into
//! the URL under the same signature.

use super::reading;
use super::reading::{BodyKind, NO_FORM};
use crate::notation::encoding::Encoding;
use crate::notation::form;
use crate::scheme::code::{Begun, CodeKey, ProviderCode, RouteFacts, SignRequest, Statement};
use crate::scheme::{Algorithm, Place, PublicUrl, Role, Source};
use crate::verdict::{Code, Refusal};
use crate::wire::head::Head;

const SIGNATURE: &str = "X-Mandrill-Signature";
const FIELD: &[u8] = b"mandrill_events";
const ALGORITHM: Algorithm = Algorithm::HmacSha1;

const OTHER_FIELDS: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the form does not hold the field `mandrill_events` alone, with a JSON array of events",
);

/// Mandrill's code.
#[derive(Debug)]
pub(super) struct Mandrill;

impl ProviderCode for Mandrill {
    fn name(&self) -> &'static str {
        "mandrill"
    }

    fn content_words(&self) -> &'static str {
        "the URL, and name and value of the form's field `mandrill_events`"
    }

    fn secret_words(&self) -> &'static str {
        "the webhook key: its bytes are the key"
    }

    fn algorithm(&self) -> Algorithm {
        ALGORITHM
    }

    fn headers(&self) -> &'static [&'static str] {
        &[SIGNATURE]
    }

    fn reads_beside_headers(&self) -> Vec<(Role, Source)> {
        vec![(Role::Signed, Source::Field("mandrill_events".to_owned()))]
    }

    fn covers_body(&self) -> bool {
        true
    }

    fn signs_url(&self) -> bool {
        true
    }

    fn spellings(&self) -> usize {
        reading::MOST_URLS
    }

    fn signs(&self, place: &Place) -> bool {
        matches!(place, Place::Json(_))
    }

    fn begin(&self, head: &Head) -> Result<Begun, Refusal> {
        let signature = reading::signature(head, SIGNATURE, Encoding::Base64, ALGORITHM)?;
        Ok(Begun {
            signatures: vec![signature],
            algorithm: ALGORITHM,
            ..Begun::default()
        })
    }

    fn read(
        &self,
        head: &Head,
        begun: Begun,
        body: &[u8],
        route: RouteFacts<'_>,
    ) -> Result<Statement, Refusal> {
        let events = events(head, body)?;
        let urls = reading::urls(route.public_url, head.target())?;
        let statement = reading::statement(urls, [FIELD, &events].concat(), begun);
        Ok(Statement {
            text: Some(events),
            ..statement
        })
    }

    fn sign(
        &self,
        key: CodeKey<'_>,
        request: &SignRequest<'_>,
    ) -> Result<Option<Vec<(String, String)>>, Refusal> {
        let head = reading::unsigned(request, &[])?;
        let events = events(&head, request.body)?;
        let public_url = request.public_url.map(PublicUrl::new);
        let urls = reading::urls(public_url.as_ref(), head.target())?;
        let url = urls.into_iter().next().unwrap_or_default();
        let content = [&url, FIELD, &events].concat();
        let headers = Vec::new();
        Ok(reading::completed(
            headers,
            SIGNATURE,
            &content,
            key,
            Encoding::Base64,
        ))
    }
}

/// The value of the form's only field.
fn events(head: &Head, body: &[u8]) -> Result<Vec<u8>, Refusal> {
    if reading::body_kind(head)? != BodyKind::Form {
        return Err(NO_FORM);
    }
    let pairs = form::pairs(body).ok_or(NO_FORM)?;
    let mut pairs = pairs.into_iter();
    match (pairs.next(), pairs.next()) {
        (Some((name, events)), None) if name == FIELD && is_array(&events) => Ok(events),
        _ => Err(OTHER_FIELDS),
    }
}

/// Whether a text is an empty array, or begins as an array of objects with members.
fn is_array(text: &[u8]) -> bool {
    text == b"[]" || text.starts_with(b"[{\"")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::codes::{Delivery, ORIGIN};
    use super::*;

    const KEY: &str = "test_secret_5f1c9a7e";
    const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

    /// A delivery of this body, signed over the target and these texts behind it.
    fn signed(target: &str, behind: &str, body: &str) -> Delivery {
        let content = format!("{ORIGIN}{target}{behind}");
        let signature = reading::signed(
            content.as_bytes(),
            ALGORITHM,
            KEY.as_bytes(),
            Encoding::Base64,
        );
        Delivery::new(
            target,
            &[FORM, (SIGNATURE, &signature.unwrap())],
            body.as_bytes(),
        )
    }

    fn body(events: &str) -> String {
        let escaped: Vec<_> = events.bytes().map(|byte| format!("%{byte:02X}")).collect();
        format!("mandrill_events={}", escaped.concat())
    }

    #[test]
    fn au_63_only_the_one_field_with_an_array_of_events_is_taken() {
        let events = r#"[{"event":"send"}]"#;
        let good = |events: &str| {
            signed(
                "/in?a=1",
                &format!("mandrill_events{events}"),
                &body(events),
            )
        };
        assert_eq!(good(events).code("mandrill", KEY), None);
        assert_eq!(good("[]").code("mandrill", KEY), None);
        let malformed = Some("malformed_signature");
        for other in ["", "{}", "[1]", "[ {\"event\":1}]", "x"] {
            assert_eq!(good(other).code("mandrill", KEY), malformed, "{other}");
        }
        let (own, more) = (body(events), format!("mandrill_events{events}"));
        for (body, behind) in [
            (format!("{own}&a=b"), format!("ab{more}")),
            (format!("a=b&{own}"), format!("ab{more}")),
            (format!("{own}&{own}"), format!("{more}{more}")),
            (
                format!("{own}&mandrill.events=1"),
                format!("mandrill.events1{more}"),
            ),
            (String::new(), String::new()),
        ] {
            let delivery = signed("/in?a=1", &behind, &body);
            assert_eq!(delivery.code("mandrill", KEY), malformed, "{body}");
        }
        let mut text = good(events);
        text.lines[0].1 = b"text/plain".to_vec();
        assert_eq!(text.code("mandrill", KEY), malformed);
    }

    proptest! {
        /// No part of a signed text can pass from the body into the URL: a text has one division into
        /// target and events.
        #[test]
        fn au_63_no_byte_moves_into_the_url(
            inner in "(mandrill_events\\[\\{|[a-z{}\\[\\]\"]){0,6}", cut: prop::sample::Index,
        ) {
            let events = format!("[{{\"{inner}");
            let behind = format!("mandrill_events{events}");
            let good = signed("/in?a=1", &behind, &body(&events));
            prop_assert_eq!(good.code("mandrill", KEY), None);
            let cuts: Vec<_> = behind.match_indices("mandrill_events").skip(1).collect();
            if !cuts.is_empty() {
                let (at, name) = cuts[cut.index(cuts.len())];
                let (before, rest) = behind.split_at(at);
                let mut moved = good;
                moved.target += before;
                moved.body = body(rest.trim_start_matches(name)).into_bytes();
                prop_assert!(moved.code("mandrill", KEY).is_some(), "{}", moved.target);
            }
        }
    }
}
