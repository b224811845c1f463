//! Dropbox Sign: a JSON text in the form field `json`, with an HMAC over the time and the type of
//! its event (schemes: Code).
//!
//! Source: developers.hellosign.com, Events and Callbacks; the Dropbox Sign libraries
//! (`EventCallbackHelper`). The form is urlencoded or multipart. Only time and type are
//! authenticated: an attacker can change everything else in the body.

use crate::notation::encoding::Encoding;
use crate::notation::form::{Fields, Said};
use crate::notation::json::Places;
use crate::notation::json::Pointer;
use crate::notation::timestamp::Unit;
use crate::scheme::code::{Assertion, Begun, ProviderCode, RouteFacts, Statement};
use crate::scheme::{Algorithm, Place, Role, Source, Stamped};
use crate::verdict::{Code, Refusal};
use crate::wire::head::{Found, Head};

/// The longest field that is accepted, in bytes.
const MAX_FIELD: usize = 256;

const NO_FORM: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the body is not a form with exactly one field `json`",
);
const NO_HASH: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the event has no `event_hash` of 32 bytes in hex",
);
const NO_TYPE: Refusal =
    Refusal::because(Code::MalformedSignature, "the event has no `event_type`");
const NO_TIME: Refusal = Refusal::because(
    Code::MalformedTimestamp,
    "the event's `event_time` is not a plain decimal number of seconds",
);

/// Dropbox Sign's code.
#[derive(Debug)]
pub(super) struct DropboxSign;

impl ProviderCode for DropboxSign {
    fn name(&self) -> &'static str {
        "dropbox-sign"
    }

    fn content_words(&self) -> &'static str {
        "time and type of the event"
    }

    fn secret_words(&self) -> &'static str {
        "the API key: its bytes are the key"
    }

    fn timestamp_words(&self) -> Option<&'static str> {
        Some("`/event/event_time` of the form's JSON, seconds")
    }

    fn reads_beside_headers(&self) -> Vec<(Role, Source)> {
        // The places are those of the JSON in the form's field `json`.
        vec![
            (Role::Signature, Source::json(&["event", "event_hash"])),
            (Role::Timestamp, Source::json(&["event", "event_time"])),
            (Role::Signed, Source::json(&["event", "event_type"])),
            (Role::Beside, Source::Field("json".to_owned())),
        ]
    }

    fn covers_body(&self) -> bool {
        false
    }

    fn events_look_alike(&self) -> bool {
        true
    }

    fn signs_timestamp(&self) -> bool {
        true
    }

    fn stamped(&self) -> Stamped {
        Stamped::Event
    }

    fn signs(&self, place: &Place) -> bool {
        let is_signed = |pointer: &Pointer| {
            matches!(pointer.tokens.as_slice(), [event, name]
                if event == "event" && (name == "event_time" || name == "event_type"))
        };
        matches!(place, Place::Json(pointers) if !pointers.is_empty() && pointers.iter().all(is_signed))
    }

    fn read(
        &self,
        head: &Head,
        _begun: Begun,
        body: &[u8],
        _route: RouteFacts<'_>,
    ) -> Result<Statement, Refusal> {
        read(head, body)
    }
}

/// The claims of a form.
fn read(head: &Head, body: &[u8]) -> Result<Statement, Refusal> {
    let json = field(head, body)?;
    let mut places = Places::exact();
    let mut add = |name: &str| {
        places.add(&Pointer {
            tokens: vec!["event".to_owned(), name.to_owned()],
        })
    };
    let (time, kind, hash) = (add("event_time"), add("event_type"), add("event_hash"));
    let values = places
        .scan(&json)
        .map_err(|fault| Refusal::because(Code::MalformedSignature, fault.why()))?;
    let text = |slot| values.at(slot).string_or_integer(MAX_FIELD);
    let hash = text(hash).ok_or(Refusal::from(Code::MissingSignature))?;
    let mut bytes = [0; 32];
    if hash.len() != 64 || Encoding::Hex.decode(hash.as_bytes(), &mut bytes).is_none() {
        return Err(NO_HASH);
    }
    let time = text(time).ok_or(Refusal::from(Code::MissingTimestamp))?;
    let at = Unit::Seconds.parse(time.as_bytes()).ok_or(NO_TIME)?;
    // Nothing separates time and type in the signed content. A type that began with a digit could
    // pass it to the time before it, so a type consists of letters and underscores.
    let kind = text(kind).filter(|kind| kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
    let kind = kind.filter(|kind| !kind.is_empty()).ok_or(NO_TYPE)?;
    let assertion = Assertion {
        contents: vec![(time + &kind).into_bytes()],
        tail: Vec::new(),
        signatures: vec![bytes.to_vec()],
        algorithm: Algorithm::HmacSha256,
    };
    Ok(Statement {
        assertions: vec![assertion],
        timestamp: Some((at, Unit::Seconds)),
        text: Some(json),
    })
}

/// The value of the form field `json`.
///
/// # Errors
/// `malformed_signature` where the field is missing, repeated, beside an alias or a file, the body is
/// no form, or `Content-Type` says that it is none or a form of another kind.
fn field(head: &Head, body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let said = Said::of(head)?;
    if matches!(said, Said::Nothing | Said::Other) {
        return Err(NO_FORM);
    }
    let fields = Fields::of(&said, body).ok_or(NO_FORM)?;
    match fields.one(b"json") {
        Found::One(value) => Ok(value.to_vec()),
        Found::Nothing | Found::Several => Err(NO_FORM),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::UnixMillis;

    const EVENT: &str = r#"{"account_guid":"6352","event":{"event_time":"1348177752","event_type":"unknown_error",
        "event_hash":"c574f5d3090c2936360b4e36cf6835cf3e2206b84fdc6347e6b28ca721ae1371"}}"#;

    fn head(kind: &str) -> Head {
        Head::from_parts("POST", "/x", [(&b"Content-Type"[..], kind.as_bytes())]).unwrap()
    }

    fn encoded(json: &str) -> String {
        json.bytes().fold("json=".to_owned(), |form, byte| {
            form + &format!("%{byte:02X}")
        })
    }

    fn multipart(parts: &[(&str, &str)]) -> String {
        let part = |(name, value): &(&str, &str)| {
            format!("--XyZ\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        parts.iter().map(part).collect::<String>() + "--XyZ--\r\n"
    }

    const FORM: &str = "application/x-www-form-urlencoded";
    const MULTIPART: &str = "multipart/form-data; boundary=XyZ";

    #[test]
    fn time_and_type_are_signed_in_either_kind_of_form() {
        let bodies = [
            (FORM, encoded(EVENT)),
            (MULTIPART, multipart(&[("json", EVENT)])),
            (MULTIPART, multipart(&[("other", "x"), ("json", EVENT)])),
            (
                "multipart/form-data; boundary=\"XyZ\"",
                multipart(&[("json", EVENT)]),
            ),
        ];
        for (kind, body) in bodies {
            let statement = read(&head(kind), body.as_bytes())
                .unwrap_or_else(|refusal| panic!("{body}: {refusal}"));
            assert_eq!(
                statement.assertions[0].contents,
                [b"1348177752unknown_error".to_vec()]
            );
            assert_eq!(
                statement.timestamp,
                Some((UnixMillis::from_secs(1_348_177_752), Unit::Seconds))
            );
        }
    }

    #[test]
    fn what_is_no_such_form_or_event_is_refused() {
        let event = |from: &str, to: &str| encoded(&EVENT.replace(from, to));
        let rows = [
            (FORM, String::new()),
            (FORM, encoded(EVENT) + "&json=%7B%7D"),
            (FORM, "json=%".to_owned()),
            (FORM, "a=1;json=2&".to_owned() + &encoded(EVENT)),
            (FORM, encoded(EVENT) + "&json.x=%7B%7D"),
            (FORM, multipart(&[("json", EVENT)])),
            (
                "application/x-www-form-urlencoded; charset=ibm037",
                encoded(EVENT),
            ),
            (MULTIPART, encoded(EVENT)),
            (
                MULTIPART,
                multipart(&[("json", EVENT), ("json\"; filename=\"x", "{}")]),
            ),
            (
                "multipart/form-data; boundary=Other; boundary=XyZ",
                multipart(&[("json", EVENT)]),
            ),
            (FORM, event("c574", "C574")),
            (FORM, event("c574", "")),
            (FORM, event("event_hash", "other")),
            (FORM, event("event_time", "other")),
            (FORM, event("1348177752", "01348177752")),
            (FORM, event("unknown_error", "")),
            (FORM, event("unknown_error", "1_error")),
            (
                FORM,
                event("\"event_type\":", "\"event_type\":\"x\",\"event_type\":"),
            ),
            ("application/json", EVENT.to_owned()),
            ("multipart/form-data", multipart(&[("json", EVENT)])),
            (MULTIPART, multipart(&[("json", EVENT), ("json", EVENT)])),
            (MULTIPART, multipart(&[("other", EVENT)])),
            (MULTIPART, multipart(&[("json", EVENT), ("JSON", "{}")])),
            (MULTIPART, multipart(&[("json[]", "{}"), ("json", EVENT)])),
            (MULTIPART, multipart(&[("x\"; name=\"json", EVENT)])),
            (
                "multipart/form-data; boundary=Other",
                multipart(&[("json", EVENT)]),
            ),
            (FORM, event("\"event_type\":", "\"Event_Type\":")),
            (
                FORM,
                event("\"event_type\":", "\"EVENT_TYPE\":\"x\",\"event_type\":"),
            ),
            (
                MULTIPART,
                multipart(&[("json", EVENT)]).replace("--XyZ--", "--XyZ"),
            ),
        ];
        let wrong: Vec<_> = rows
            .iter()
            .filter(|(kind, body)| read(&head(kind), body.as_bytes()).is_ok())
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    proptest! {
        #[test]
        fn arbitrary_bodies_never_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&head(MULTIPART), &body);
            let _ = read(&head(FORM), &body);
            let _ = read(&head(MULTIPART), &[b"--XyZ\r\n", body.as_slice(), b"--XyZ--"].concat());
        }
    }
}
