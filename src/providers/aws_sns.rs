//! Amazon SNS: lines of names and values of fixed fields, signed with RSA (schemes: Code).
//!
//! Source: docs.aws.amazon.com, Verifying the signatures of Amazon SNS messages. The operator
//! configures the certificate, and the gateway never fetches it: the URL in a message could be an
//! attacker's. A `SigningCertURL` that is not Amazon's is refused all the same. Version 1 of the
//! signature uses SHA-1 and is refused.

use once_cell::sync::Lazy;

use crate::key::secret::SecretText;
use crate::notation::encoding::Encoding;
use crate::notation::json::{Fields, Places, Pointer, Value};
use crate::notation::timestamp::Unit;
use crate::scheme::code::{Assertion, Begun, PinnedKey, ProviderCode, RouteFacts, Statement};
use crate::scheme::handshake::{Asked, Handshake, SmallBody};
use crate::scheme::{Algorithm, Place, Role, Source, Stamped};
use crate::verdict::{Code, Refusal};
use crate::wire::head::Head;

/// The signed fields of a notification, in the order in which they are signed; `Subject` is left
/// out where it is absent or null.
const NOTIFICATION: [&str; 6] = [
    "Message",
    "MessageId",
    "Subject",
    "Timestamp",
    "TopicArn",
    "Type",
];
/// The signed fields of a `SubscriptionConfirmation` or `UnsubscribeConfirmation`, in the order in
/// which they are signed.
const CONFIRMATION: [&str; 7] = [
    "Message",
    "MessageId",
    "SubscribeURL",
    "Timestamp",
    "Token",
    "TopicArn",
    "Type",
];
/// The longest field that is accepted, in bytes; only the message may be longer.
const MAX_FIELD: usize = 8192;

const NO_SIGNATURE: Refusal =
    Refusal::because(Code::MissingSignature, "the body holds no `Signature`");
const NO_BASE64: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the body's `Signature` is no RSA signature in base64",
);
const NO_VERSION: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the signature is not of version 2: set the topic's attribute SignatureVersion to 2 (version \
     1 is SHA-1)",
);
const NO_TYPE: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the body's `Type` is not a type of Amazon SNS message",
);
const NO_FIELD: Refusal = Refusal::because(
    Code::MalformedSignature,
    "a signed field of the body is missing, is not a text, or holds a control character",
);
const NO_TIME: Refusal = Refusal::because(
    Code::MalformedTimestamp,
    "the body's `Timestamp` is not a time as in `2025-06-15T15:06:40.000Z`",
);
const OTHER_HOST: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the body's `SigningCertURL` is not the URL of a certificate of Amazon SNS",
);

/// Amazon SNS's code and handshake.
#[derive(Debug)]
pub(super) struct AwsSns;

static KIND: Lazy<Fields<1>> = Lazy::new(|| Fields::at(["/Type"]));

impl Handshake for AwsSns {
    fn name(&self) -> &'static str {
        "aws-sns"
    }

    fn words(&self) -> &'static str {
        "a signed `SubscriptionConfirmation` is forwarded: your app or you confirm it"
    }

    fn is_for_app(&self) -> bool {
        true
    }

    fn in_proved(&self, _head: &Head, body: SmallBody<'_>) -> Result<Option<Asked>, Refusal> {
        match KIND.read(body.bytes()) {
            Some([kind]) if kind.is("SubscriptionConfirmation") => Ok(Some(Asked::ForApp)),
            _ => Ok(None),
        }
    }
}

impl ProviderCode for AwsSns {
    fn name(&self) -> &'static str {
        "aws-sns"
    }

    fn content_words(&self) -> &'static str {
        "the fields of the message"
    }

    fn secret_words(&self) -> &'static str {
        "the signing certificate of your region (PEM), or its public key"
    }

    fn reads_beside_headers(&self) -> Vec<(Role, Source)> {
        let places = [
            (Role::Signature, "Signature"),
            (Role::Timestamp, "Timestamp"),
            (Role::Signed, "TopicArn"),
            (Role::Beside, "SigningCertURL"),
            (Role::Beside, "SignatureVersion"),
        ];
        let places = places.map(|(role, name)| (role, Source::json(&[name])));
        places.into()
    }

    fn covers_body(&self) -> bool {
        true
    }

    fn timestamp_words(&self) -> Option<&'static str> {
        Some("`/Timestamp` of the body")
    }

    fn algorithm(&self) -> Algorithm {
        Algorithm::RsaPkcs1Sha256
    }

    fn signs_timestamp(&self) -> bool {
        true
    }

    fn stamped(&self) -> Stamped {
        Stamped::Event
    }

    fn signs(&self, place: &Place) -> bool {
        signs(place)
    }

    fn account_holder<'a>(&self, account: &'a str) -> Option<&'a str> {
        account_of_topic(account)
    }

    fn keys(&self, _text: &SecretText) -> Result<Vec<PinnedKey>, &'static str> {
        Err("the secret is no key of this kind")
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

/// The claims of a message.
fn read(body: &[u8]) -> Result<Statement, Refusal> {
    let mut places = Places::exact();
    let mut add = |name: &str| {
        places.add(&Pointer {
            tokens: vec![name.to_owned()],
        })
    };
    let (kind, version, signature, url) = (
        add("Type"),
        add("SignatureVersion"),
        add("Signature"),
        add("SigningCertURL"),
    );
    let (timestamp, notification, confirmation) = (
        add("Timestamp"),
        NOTIFICATION.map(&mut add),
        CONFIRMATION.map(&mut add),
    );
    let values = places
        .scan(body)
        .map_err(|fault| Refusal::because(Code::MalformedSignature, fault.why()))?;
    let signature = values.at(signature).string(MAX_FIELD).ok_or(NO_SIGNATURE)?;
    if values.at(version).string(MAX_FIELD).as_deref() != Some("2") {
        return Err(NO_VERSION);
    }
    if let Some(url) = values.at(url).string(MAX_FIELD)
        && !is_amazons(&url)
    {
        return Err(OTHER_HOST);
    }
    let kind = values.at(kind).string(MAX_FIELD).ok_or(NO_TYPE)?;
    let (names, slots): (&[&str], &[_]) = match kind.as_str() {
        "Notification" => (&NOTIFICATION, &notification),
        "SubscriptionConfirmation" | "UnsubscribeConfirmation" => (&CONFIRMATION, &confirmation),
        _ => return Err(NO_TYPE),
    };
    let mut content = Vec::new();
    for (name, slot) in names.iter().zip(slots) {
        let value = values.at(*slot);
        if *name == "Subject" && matches!(value, Value::Absent | Value::Null) {
            continue;
        }
        // Only the message may hold a line end. In any other value a line end could begin the line
        // of another field, and the signed text could be read in two ways. SNS itself allows no
        // line end in a subject.
        let max = if *name == "Message" {
            body.len()
        } else {
            MAX_FIELD
        };
        let value = value.string(max).ok_or(NO_FIELD)?;
        if *name != "Message" && value.bytes().any(|b| b.is_ascii_control()) {
            return Err(NO_FIELD);
        }
        content.extend_from_slice(name.as_bytes());
        content.push(b'\n');
        content.extend_from_slice(value.as_bytes());
        content.push(b'\n');
    }
    let time = values
        .at(timestamp)
        .string(MAX_FIELD)
        .ok_or(Refusal::from(Code::MissingTimestamp))?;
    let at = Unit::Rfc3339.parse(time.as_bytes()).ok_or(NO_TIME)?;
    let mut bytes = vec![0; signature.len()];
    let len = Encoding::Base64
        .decode(signature.as_bytes(), &mut bytes)
        .ok_or(NO_BASE64)?;
    bytes.truncate(len);
    if !Algorithm::RsaPkcs1Sha256.takes_length(len) {
        return Err(NO_BASE64);
    }
    let assertion = Assertion {
        contents: vec![content],
        tail: Vec::new(),
        signatures: vec![bytes],
        algorithm: Algorithm::RsaPkcs1Sha256,
    };
    Ok(Statement {
        assertions: vec![assertion],
        timestamp: Some((at, Unit::Rfc3339)),
        text: None,
    })
}

/// Whether Amazon publishes certificates of SNS under this URL:
/// `https://sns.REGION.amazonaws.com[.cn]/….pem`.
fn is_amazons(url: &str) -> bool {
    let Some((host, path)) = url
        .strip_prefix("https://sns.")
        .and_then(|rest| rest.split_once('/'))
    else {
        return false;
    };
    let region = host
        .strip_suffix(".amazonaws.com")
        .or_else(|| host.strip_suffix(".amazonaws.com.cn"));
    let is_region = |region: &str| {
        !region.is_empty()
            && region
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    region.is_some_and(is_region)
        && path.as_bytes().ends_with(b".pem")
        && !path.contains(['?', '#', '\\'])
}

/// The AWS account in a topic's ARN, `arn:PARTITION:sns:REGION:ACCOUNT:NAME`: its 12 digits.
fn account_of_topic(arn: &str) -> Option<&str> {
    let parts: Vec<&str> = arn.split(':').collect();
    let ["arn", _, "sns", _, account, _] = *parts.as_slice() else {
        return None;
    };
    let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    is_account.then_some(account)
}

/// Whether the value at a place is signed in messages of every type.
fn signs(place: &Place) -> bool {
    let is_field = |pointer: &Pointer| match pointer.tokens.as_slice() {
        [name] => NOTIFICATION.contains(&name.as_str()) && CONFIRMATION.contains(&name.as_str()),
        _ => false,
    };
    matches!(place, Place::Json(pointers) if !pointers.is_empty() && pointers.iter().all(is_field))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixMillis;

    fn body(change: impl Fn(&mut serde_json::Value)) -> Vec<u8> {
        let mut body = serde_json::json!({
            "Type": "Notification", "MessageId": "22b80b92", "TopicArn": "arn:aws:sns:us-west-2:123456789012:MyTopic",
            "Message": "Hello\nworld 日本", "Timestamp": "2025-06-15T15:06:40.000Z", "SignatureVersion": "2",
            "SigningCertURL": "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-x.pem",
            "Subject": "My subject", "Signature": Encoding::Base64.encode(&[7; 256]),
        });
        change(&mut body);
        body.to_string().into_bytes()
    }

    fn content(body: &[u8]) -> String {
        String::from_utf8(read(body).unwrap().assertions[0].contents[0].clone()).unwrap()
    }

    #[test]
    fn a_notification_is_its_fields_line_by_line() {
        let all = "Message\nHello\nworld 日本\nMessageId\n22b80b92\nSubject\nMy subject\nTimestamp\n\
            2025-06-15T15:06:40.000Z\nTopicArn\narn:aws:sns:us-west-2:123456789012:MyTopic\nType\nNotification\n";
        assert_eq!(content(&body(|_| {})), all);
        let bare = all.replace("Subject\nMy subject\n", "");
        assert_eq!(
            content(&body(|b| b["Subject"] = serde_json::Value::Null)),
            bare
        );
        assert_eq!(
            content(&body(|b| drop(
                b.as_object_mut().unwrap().remove("Subject")
            ))),
            bare
        );
        let statement = read(&body(|_| {})).unwrap();
        assert_eq!(
            statement.timestamp.unwrap().0,
            UnixMillis::from_secs(1_750_000_000)
        );
    }

    #[test]
    fn a_confirmation_signs_its_url_and_token() {
        let confirmation = body(|b| {
            b["Type"] = "SubscriptionConfirmation".into();
            b["Token"] = "2336412f37".into();
            b["SubscribeURL"] =
                "https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription".into();
        });
        let text = content(&confirmation);
        assert!(
            text.contains("SubscribeURL\nhttps://sns.") && text.contains("Token\n2336412f37\n"),
            "{text}"
        );
        assert!(!text.contains("Subject"), "{text}");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        type Change = fn(&mut serde_json::Value);
        let rows: [(&str, Change, Code); 12] = [
            (
                "a subject in another case, which would be signed if it were there",
                |b| b["subject"] = "x".into(),
                Code::MalformedSignature,
            ),
            (
                "version 1",
                |b| b["SignatureVersion"] = "1".into(),
                Code::MalformedSignature,
            ),
            (
                "no version",
                |b| b["SignatureVersion"] = 2.into(),
                Code::MalformedSignature,
            ),
            (
                "no signature",
                |b| b["Signature"] = serde_json::Value::Null,
                Code::MissingSignature,
            ),
            (
                "a short signature",
                |b| b["Signature"] = "AAAA".into(),
                Code::MalformedSignature,
            ),
            (
                "another type",
                |b| b["Type"] = "Other".into(),
                Code::MalformedSignature,
            ),
            (
                "no message",
                |b| b["Message"] = 1.into(),
                Code::MalformedSignature,
            ),
            (
                "a line end in a subject",
                |b| b["Subject"] = "a\nTimestamp".into(),
                Code::MalformedSignature,
            ),
            (
                "a line end in an id",
                |b| b["MessageId"] = "a\nType".into(),
                Code::MalformedSignature,
            ),
            (
                "no time",
                |b| b["Timestamp"] = serde_json::Value::Null,
                Code::MalformedSignature,
            ),
            (
                "a wrong time",
                |b| b["Timestamp"] = "yesterday".into(),
                Code::MalformedTimestamp,
            ),
            (
                "another host",
                |b| {
                    b["SigningCertURL"] =
                        "https://evil.example/sns.us-west-2.amazonaws.com.pem".into();
                },
                Code::MalformedSignature,
            ),
        ];
        let wrong: Vec<_> = rows
            .iter()
            .map(|(name, change, code)| {
                (
                    name,
                    read(&body(change)).err().map(|refusal| refusal.code),
                    code,
                )
            })
            .filter(|(_, found, code)| *found != Some(**code))
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
        assert!(read(b"[]").is_err() && read(b"").is_err());
    }

    #[test]
    fn au_11_only_amazons_own_urls_are_its_own() {
        for good in [
            "https://sns.us-east-1.amazonaws.com/a.pem",
            "https://sns.cn-north-1.amazonaws.com.cn/a-b.pem",
        ] {
            assert!(is_amazons(good), "{good}");
        }
        for bad in [
            "http://sns.us-east-1.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com.evil.example/a.pem",
            "https://sns.us-east-1.amazonaws.com@evil.example/a.pem",
            "https://sns.evil.example/.amazonaws.com/a.pem",
            "https://sns.a.b.amazonaws.com/a.pem",
            "https://s3.amazonaws.com/bucket/x.pem",
            "https://sns.us-east-1.amazonaws.com/a.txt",
            "https://sns.us-east-1.amazonaws.com:444/a.pem",
            "https://sns..amazonaws.com/a.pem",
        ] {
            assert!(!is_amazons(bad), "{bad}");
        }
    }
}
