//! Adyen's standard payment notifications: every item carries a signature over eight of its fields
//! (schemes: Code).
//!
//! Source: docs.adyen.com, Verify HMAC signatures; the Adyen libraries. The fields are joined with
//! `:`, and nothing is escaped. Only `merchantReference` may itself hold a `:`, so that every
//! joined text can be taken apart in only one way. The rest of an item is not authenticated.

use crate::key::secret::SecretText;
use crate::notation::encoding::Encoding;
use crate::notation::json::Pointer;
use crate::notation::json::{Places, Value};
use crate::scheme::code::{Assertion, Begun, PinnedKey, ProviderCode, RouteFacts, Statement};
use crate::scheme::{Algorithm, KeyEncoding, KeyForm, Place};
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
    &["pspReference"],
    &["originalReference"],
    &["merchantAccountCode"],
    &[REFERENCE],
    &["amount", "value"],
    &["amount", "currency"],
    &["eventCode"],
    &["success"],
];
/// The only signed field that may itself hold the separator `:`.
const REFERENCE: &str = "merchantReference";
const SIGNATURE: [&str; 2] = ["additionalData", "hmacSignature"];
/// The longest field that is accepted, in bytes.
const MAX_FIELD: usize = 1024;

const NO_ITEM: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the body holds no notification item",
);
const NO_SIGNATURE: Refusal = Refusal::because(
    Code::MalformedSignature,
    "a notification item has no signature of 32 bytes in base64",
);
const NO_TEXT: Refusal = Refusal::because(
    Code::MalformedSignature,
    "a signed field of a notification item is no string, integer or boolean",
);
const NOT_DIVIDED: Refusal = Refusal::because(
    Code::MalformedSignature,
    "a signed field of a notification item holds a colon, which separates the signed fields",
);

/// Adyen's code.
#[derive(Debug)]
pub(super) struct Adyen;

impl ProviderCode for Adyen {
    fn name(&self) -> &'static str {
        "adyen"
    }

    fn content_words(&self) -> &'static str {
        "eight fields of each item"
    }

    fn secret_words(&self) -> &'static str {
        "the HMAC key in hexadecimal digits"
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

/// The claims of a body: an assertion for each item.
fn read(body: &[u8]) -> Result<Statement, Refusal> {
    let mut places = Places::default();
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
    let signatures = values.each(signature);
    if signatures.is_empty() {
        return Err(NO_ITEM);
    }
    let mut assertions = Vec::with_capacity(signatures.len());
    for (item, signature) in signatures.iter().enumerate() {
        let mut content = String::new();
        for (place, (slot, name)) in fields.iter().zip(FIELDS).enumerate() {
            let text = field(values.each(*slot).get(item))?;
            if text.contains(':') && name != [REFERENCE] {
                return Err(NOT_DIVIDED);
            }
            if place > 0 {
                content.push(':');
            }
            content.push_str(&text);
        }
        let mut bytes = [0; 64];
        let text = signature.string(MAX_FIELD);
        let decoded = text.and_then(|text| Encoding::Base64.decode(text.as_bytes(), &mut bytes));
        let digest = decoded
            .filter(|len| *len == 32)
            .and_then(|len| bytes.get(..len))
            .ok_or(NO_SIGNATURE)?;
        assertions.push(Assertion {
            contents: vec![content.into_bytes()],
            tail: Vec::new(),
            signatures: vec![digest.to_vec()],
            algorithm: Algorithm::HmacSha256,
        });
    }
    // No signature covers the order of the items, or how often an item occurs. Sorted and without
    // repetitions, a captured delivery with moved or repeated items has the same content as before,
    // so replay protection recognises it.
    assertions.sort_unstable_by(|one, other| one.contents.cmp(&other.contents));
    assertions.dedup();
    Ok(Statement {
        assertions,
        timestamp: None,
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
            && index.bytes().all(|b| b.is_ascii_digit())
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
    fn each_item_asserts_its_eight_fields() {
        let statement =
            read(body(&[&ITEM_TEXT.replace("EUR", "USD"), ITEM_TEXT]).as_bytes()).unwrap();
        assert_eq!(statement.assertions.len(), 2);
        let content = &statement.assertions[0].contents[0];
        assert_eq!(
            String::from_utf8_lossy(content),
            "7914073381342284::TestMerchant:r:1\\2:1130:EUR:AUTHORISATION:true"
        );
        assert_eq!(statement.assertions[0].signatures[0].len(), 32);
    }

    #[test]
    fn items_in_another_order_or_more_than_once_are_the_same_delivery() {
        let (one, two) = (ITEM_TEXT, ITEM_TEXT.replace("1130", "1131"));
        let said = |items: &[&str]| read(body(items).as_bytes()).unwrap();
        assert_eq!(said(&[one, &two]), said(&[&two, one]));
        assert_eq!(said(&[one, &two]), said(&[&two, one, one, &two]));
        assert_eq!(said(&[one]), said(&[one, one]));
        // An assertion with the same content and another signature is kept, and must hold as well.
        let other = one.replace("R1EvClQFHeAQ", "R1EvClQFHeAA");
        assert_eq!(said(&[one, &other]).assertions.len(), 2);
    }

    #[test]
    fn what_has_no_single_reading_is_refused() {
        let rows = [
            ("no items", body(&[])),
            ("no list", r#"{"live":"false"}"#.to_owned()),
            (
                "an item without a signature",
                body(&[ITEM_TEXT, r#"{"NotificationRequestItem":{}}"#]),
            ),
            (
                "an item of another kind",
                body(&[ITEM_TEXT, r#"{"Other":{}}"#]),
            ),
            ("an item that is no object", body(&[ITEM_TEXT, "1"])),
            (
                "a colon elsewhere",
                body(&[&ITEM_TEXT.replace("TestMerchant", "Test:Merchant")]),
            ),
            (
                "a doubled field",
                body(&[&ITEM_TEXT.replace("\"success\":", "\"success\":\"false\",\"success\":")]),
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
