//! Adyen's standard payment notifications: every item carries a signature over eight of its fields
//! (schemes: Code).
//!
//! Source: docs.adyen.com, Verify HMAC signatures; the Adyen libraries. The fields are joined with
//! `:`, and nothing is escaped. A single field may itself hold a `:`, so that every joined text can
//! be taken apart in only one way: `pspReference` in the notice of a report, where it is a file's
//! name with times in it, and `merchantReference` in every other event. The event's code decides,
//! and it is always the last field but one, since no field behind the references holds a `:`. The
//! rest of an item is not authenticated, and nothing signs which items are sent together: a
//! notification with more than one item is refused, since each item could be sent again in other
//! company.

use crate::key::secret::SecretText;
use crate::notation::encoding::Encoding;
use crate::notation::json::Pointer;
use crate::notation::json::{Places, Value};
use crate::scheme::code::{Assertion, Begun, PinnedKey, ProviderCode, RouteFacts, Statement};
use crate::scheme::{Algorithm, KeyEncoding, KeyForm, Place, Role, Source};
use crate::verdict::{Code, Refusal};
use crate::wire::head::Head;

/// The path of an item in the body.
const ITEM: [&str; 3] = [
    "notificationItems",
    Pointer::EACH,
    "NotificationRequestItem",
];
/// The signed fields of an item, in the order in which they are joined.
const FIELDS: [&[&str]; 8] = [
    &[PSP_REFERENCE],
    &["originalReference"],
    &["merchantAccountCode"],
    &[REFERENCE],
    &["amount", "value"],
    &["amount", "currency"],
    &["eventCode"],
    &["success"],
];
/// The place of the event's code among the fields.
const EVENT_CODE: usize = 6;
/// The signed field that may itself hold the separator `:`.
const REFERENCE: &str = "merchantReference";
/// The code of the event in which [`PSP_REFERENCE`] may hold the separator instead.
const REPORT: &str = "REPORT_AVAILABLE";
const PSP_REFERENCE: &str = "pspReference";
const SIGNATURE: [&str; 2] = ["additionalData", "hmacSignature"];
/// The longest field that is accepted, in bytes.
const MAX_FIELD: usize = 1024;

const NO_ITEM: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the body holds no notification item",
);
const NO_SIGNATURE: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the notification item has no signature of 32 bytes in base64",
);
const NO_TEXT: Refusal = Refusal::because(
    Code::MalformedSignature,
    "a signed field of the notification item is no string, integer or boolean",
);
const NOT_DIVIDED: Refusal = Refusal::because(
    Code::MalformedSignature,
    "a signed field of the notification item holds a colon, which separates the signed fields; only \
     merchantReference may hold colons, or pspReference where eventCode is REPORT_AVAILABLE",
);
const SEVERAL_ITEMS: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the body holds more than one notification item, and nothing signs which items belong together",
);

/// Adyen's code.
#[derive(Debug)]
pub(super) struct Adyen;

impl ProviderCode for Adyen {
    fn name(&self) -> &'static str {
        "adyen"
    }

    fn content_words(&self) -> &'static str {
        "eight fields of the only item"
    }

    fn secret_words(&self) -> &'static str {
        "the HMAC key in hexadecimal digits"
    }

    fn reads_beside_headers(&self) -> Vec<(Role, Source)> {
        let place = [&ITEM[..], &SIGNATURE[..]].concat();
        vec![(Role::Signature, Source::json(&place))]
    }

    fn covers_body(&self) -> bool {
        false
    }

    fn signs(&self, place: &Place) -> bool {
        signs(place)
    }

    fn keys(&self, text: &SecretText) -> Result<Vec<PinnedKey>, &'static str> {
        let form = KeyForm {
            encoding: KeyEncoding::Hex,
            ..KeyForm::default()
        };
        let key = form
            .key(text)
            .map_err(|_| "the secret is not hexadecimal: an even number of digits")?;
        Ok(vec![(self.algorithm(), key)])
    }

    fn read(
        &self,
        _head: &Head,
        _begun: Begun,
        body: &[u8],
        _route: RouteFacts<'_>,
    ) -> Result<Statement, Refusal> {
        read(body)
    }
}

/// The claims of a body: an assertion for its only item.
fn read(body: &[u8]) -> Result<Statement, Refusal> {
    let mut places = Places::exact();
    let mut slot = |field: &[&str]| {
        places.add_each(&Pointer {
            tokens: ITEM
                .iter()
                .chain(field)
                .map(|token| (*token).to_owned())
                .collect(),
        })
    };
    let fields = FIELDS.map(&mut slot);
    let signature = slot(&SIGNATURE);
    let values = places
        .scan(body)
        .map_err(|fault| Refusal::because(Code::MalformedSignature, fault.why()))?;
    let signature = match values.each(signature) {
        [] => return Err(NO_ITEM),
        [signature] => signature,
        _ => return Err(SEVERAL_ITEMS),
    };
    let mut texts = Vec::with_capacity(FIELDS.len());
    for slot in fields {
        texts.push(field(values.each(slot).first())?);
    }
    let is_report = texts.get(EVENT_CODE).is_some_and(|code| code == REPORT);
    let free = if is_report { PSP_REFERENCE } else { REFERENCE };
    let is_undivided = |(text, name): (&String, &[&str])| text.contains(':') && name != [free];
    if texts.iter().zip(FIELDS).any(is_undivided) {
        return Err(NOT_DIVIDED);
    }
    let mut bytes = [0; 64];
    let text = signature.string(MAX_FIELD);
    let decoded = text.and_then(|text| Encoding::Base64.decode(text.as_bytes(), &mut bytes));
    let digest = decoded
        .filter(|len| *len == 32)
        .and_then(|len| bytes.get(..len))
        .ok_or(NO_SIGNATURE)?;
    Ok(Statement {
        assertions: vec![Assertion {
            contents: vec![texts.join(":").into_bytes()],
            tail: Vec::new(),
            signatures: vec![digest.to_vec()],
            algorithm: Algorithm::HmacSha256,
        }],
        timestamp: None,
        text: None,
    })
}

/// A field as it is signed: the empty text where it is absent or null.
fn field(value: Option<&Value<'_>>) -> Result<String, Refusal> {
    match value {
        None | Some(Value::Absent | Value::Null) => Ok(String::new()),
        Some(value) => value.string_or_integer(MAX_FIELD).ok_or(NO_TEXT),
    }
}

/// Whether a place is a signed field of an item.
fn signs(place: &Place) -> bool {
    let is_field = |pointer: &Pointer| {
        let [items, index, item, field @ ..] = pointer.tokens.as_slice() else {
            return false;
        };
        items == ITEM[0]
            && index == "0"
            && item == ITEM[2]
            && FIELDS.iter().any(|signed| signed.iter().eq(field))
    };
    matches!(place, Place::Json(pointers) if !pointers.is_empty() && pointers.iter().all(is_field))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITEM_TEXT: &str = r#"{"NotificationRequestItem":{"pspReference":"7914073381342284","merchantReference":"r:1\\2",
        "merchantAccountCode":"TestMerchant","amount":{"currency":"EUR","value":1130},"eventCode":"AUTHORISATION",
        "success":"true","additionalData":{"hmacSignature":"R1EvClQFHeAQxS9kswshJbtAsSExkYf0Y5w2Rlt00HI="},"reason":"x"}}"#;

    fn body(items: &[&str]) -> String {
        format!(
            r#"{{"live":"false","notificationItems":[{}]}}"#,
            items.join(",")
        )
    }

    #[test]
    fn an_item_asserts_its_eight_fields() {
        let statement = read(body(&[ITEM_TEXT]).as_bytes()).unwrap();
        let [assertion] = statement.assertions.as_slice() else {
            panic!("{:?}", statement.assertions);
        };
        assert_eq!(
            String::from_utf8_lossy(&assertion.contents[0]),
            "7914073381342284::TestMerchant:r:1\\2:1130:EUR:AUTHORISATION:true"
        );
        assert_eq!(assertion.signatures[0].len(), 32);
    }

    #[test]
    fn a_reference_holds_colons_where_the_event_says_so() {
        let report = |item: &str| item.replace("AUTHORISATION", "REPORT_AVAILABLE");
        let psp = |item: &str| item.replace("7914073381342284", "report_00:00:00.csv");
        let plain = ITEM_TEXT.replace("r:1", "r1");
        let account = |item: &str| item.replace("TestMerchant", "Test:Merchant");
        let rows = [
            ("the merchant's reference", ITEM_TEXT.to_owned(), true),
            ("no colon at all", plain.clone(), true),
            (
                "the provider's reference of a report",
                psp(&report(&plain)),
                true,
            ),
            (
                "the merchant's reference of a report",
                report(ITEM_TEXT),
                false,
            ),
            (
                "both references of a report",
                psp(&report(ITEM_TEXT)),
                false,
            ),
            (
                "the provider's reference of another event",
                psp(&plain),
                false,
            ),
            ("the account", account(&plain), false),
            ("the account of a report", account(&report(&plain)), false),
        ];
        let wrong: Vec<_> = rows
            .iter()
            .filter(|(_, item, is_read)| read(body(&[item]).as_bytes()).is_ok() != *is_read)
            .map(|(name, ..)| name)
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn what_has_no_single_reading_is_refused() {
        let rows = [
            ("no items", body(&[])),
            ("no list", r#"{"live":"false"}"#.to_owned()),
            (
                "two items",
                body(&[ITEM_TEXT, &ITEM_TEXT.replace("1130", "1131")]),
            ),
            ("an item twice", body(&[ITEM_TEXT, ITEM_TEXT])),
            (
                "an item without a signature",
                body(&[r#"{"NotificationRequestItem":{}}"#]),
            ),
            (
                "an item of another kind",
                body(&[ITEM_TEXT, r#"{"Other":{}}"#]),
            ),
            ("an item that is no object", body(&["1"])),
            (
                "a colon elsewhere",
                body(&[&ITEM_TEXT.replace("TestMerchant", "Test:Merchant")]),
            ),
            (
                "a doubled field",
                body(&[&ITEM_TEXT.replace("\"success\":", "\"success\":\"false\",\"success\":")]),
            ),
            (
                "an absent field in another case",
                body(&[&ITEM_TEXT.replace("\"reason\"", "\"originalreference\"")]),
            ),
            (
                "an object in another case",
                body(&[&ITEM_TEXT.replace("\"reason\":\"x\"", "\"Amount\":{}")]),
            ),
            ("a fraction", body(&[&ITEM_TEXT.replace("1130", "1130.0")])),
            ("a short signature", body(&[&ITEM_TEXT.replace("R1Ev", "")])),
            ("no JSON", "live=false".to_owned()),
        ];
        let wrong: Vec<_> = rows
            .iter()
            .filter(|(_, body)| read(body.as_bytes()).is_ok())
            .map(|(name, _)| name)
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn the_signed_fields_of_an_item_are_known() {
        let json = |text: &str| Place::Json(vec![Pointer::parse(text).unwrap()]);
        assert!(signs(&json(
            "/notificationItems/0/NotificationRequestItem/pspReference"
        )));
        assert!(signs(&json(
            "/notificationItems/0/NotificationRequestItem/amount/value"
        )));
        assert!(!signs(&json(
            "/notificationItems/0/NotificationRequestItem/reason"
        )));
        assert!(!signs(&json("/live")));
    }
}
