//! The senders of the table: a good delivery of each provider, with the secret that its receiver
//! has.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::cli::tests::samples::{ED25519, ED25519_SEED};
use crate::clock::{Now, UnixMillis};
use crate::config::presets;
use crate::key::digest::DigestAlgorithm;
use crate::key::secret::{Secret, SecretText};
use crate::notation::timestamp::Tolerance;
use crate::scheme::{Scheme, Settings};
use crate::sign::{SignRequest, sign};
use crate::wire::head::{FieldName, Head};

/// The time at which deliveries are made and judged.
pub(super) const AT: i64 = 1_750_000_000;
const ORIGIN: &str = "https://hooks.example.com";

/// A delivery, and the receiver that judges it.
#[derive(Clone)]
pub(super) struct Delivery {
    pub(super) provider: &'static str,
    pub(super) scheme: Arc<Scheme>,
    /// The configured secrets.
    pub(super) secrets: Vec<Vec<u8>>,
    pub(super) lines: Vec<(String, String)>,
    pub(super) method: String,
    pub(super) target: String,
    pub(super) origin: Option<String>,
    pub(super) body: Vec<u8>,
    /// Seconds.
    pub(super) now: i64,
    /// The secret that signs, where the test can sign.
    pub(super) resign: Option<String>,
}

impl Delivery {
    pub(super) fn head(&self) -> Head {
        let lines = self
            .lines
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        Head::from_parts(&self.method, &self.target, lines)
            .unwrap_or_else(|refusal| panic!("{}: {refusal}: {:?}", self.provider, self.lines))
    }

    pub(super) fn settings(&self) -> Settings {
        Settings {
            tolerance: self.scheme.tolerance,
            future_tolerance: self.scheme.future_tolerance,
            public_url: self.origin.clone(),
            max_body: 1 << 22,
        }
    }

    pub(super) fn secrets(&self) -> Vec<Secret> {
        let secret = |(place, text): (usize, &Vec<u8>)| Secret {
            written: None,
            name: format!("plain-{}", place + 1),
            text: SecretText::new(text.clone()),
            not_before: None,
            not_after: None,
        };
        self.secrets.iter().enumerate().map(secret).collect()
    }

    pub(super) fn now(&self) -> Now {
        Now {
            wall: UnixMillis::from_secs(self.now),
            mono: Duration::ZERO,
        }
    }

    /// The configured secret as text.
    pub(super) fn secret(&self) -> String {
        String::from_utf8(self.secrets[0].clone()).unwrap()
    }

    pub(super) fn set_secret(&mut self, text: impl Into<Vec<u8>>) {
        self.secrets = vec![text.into()];
    }

    /// The headers that carry the signature; for the code of a provider its first header.
    pub(super) fn signature_names(&self) -> Vec<FieldName> {
        let own = self.scheme.signature_headers();
        let code = self.scheme.code().filter(|_| own.is_empty());
        let first = code.and_then(|code| FieldName::new(code.headers().first()?));
        own.iter().cloned().chain(first).collect()
    }

    /// The value of the header with the signature.
    pub(super) fn signature(&mut self) -> Option<&mut String> {
        let names = self.signature_names();
        let line = self
            .lines
            .iter_mut()
            .find(|(name, _)| names.iter().any(|own| own.is(name.as_bytes())));
        line.map(|(_, value)| value)
    }

    pub(super) fn header(&mut self, name: &str) -> Option<&mut String> {
        let line = self
            .lines
            .iter_mut()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        line.map(|(_, value)| value)
    }

    /// Whether the delivery is signed by an HMAC over its body, in a header.
    pub(super) fn is_mac(&mut self) -> bool {
        let is_mac = matches!(
            self.scheme.algorithm().kind(),
            crate::scheme::Kind::Digest(_)
        );
        is_mac
            && self.scheme.covers_body()
            && (self.scheme.template().is_some() || self.scheme.code().is_some())
            && self.signature().is_some()
    }

    /// Whether the body is JSON.
    pub(super) fn is_json(&self) -> bool {
        serde_json::from_slice::<Value>(&self.body).is_ok()
    }

    /// Signs a body and makes it the delivery's.
    pub(super) fn sign(&mut self, body: &[u8]) -> Option<()> {
        let (method, target) = (self.method.clone(), self.target.clone());
        self.sign_as(body, &method, &target, self.origin.clone().as_deref())
    }

    pub(super) fn sign_as(
        &mut self,
        body: &[u8],
        method: &str,
        target: &str,
        origin: Option<&str>,
    ) -> Option<()> {
        let secret = self.resign.clone()?;
        self.body = body.to_vec();
        match self.provider {
            "mailgun" | "adyen" => return None,
            _ => {}
        }
        let kept: Vec<(String, String)> = self
            .lines
            .iter()
            .filter(|(name, _)| {
                let scheme = &self.scheme;
                let is_of_scheme = scheme.signature_headers().iter().any(|own| own.is(name.as_bytes()))
                    || scheme.timestamp().and_then(|place| place.header()).is_some_and(|own| own.is(name.as_bytes()))
                    || matches!(&scheme.event_id, Some(crate::scheme::Place::Header(own)) if own.is(name.as_bytes()));
                !is_of_scheme
            })
            .cloned()
            .collect();
        let given: Vec<_> = kept
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let request = SignRequest {
            method,
            target,
            body,
            id: Some("msg_2f8a1c"),
            at: UnixMillis::from_secs(self.now),
            public_url: origin,
            headers: &given,
        };
        let signed = sign(&self.scheme, &named(&secret), &request).unwrap();
        self.lines = [kept, signed].concat();
        Some(())
    }

    /// The same delivery, signed with a secret of the same form that the receiver does not have.
    pub(super) fn sign_with_another_secret(&mut self, number: usize) {
        let other = match self.provider {
            "discord-interactions" => hex::encode([u8::try_from(number % 250 + 1).unwrap(); 32]),
            "standard-webhooks" | "svix" => {
                format!(
                    "whsec_{}",
                    STANDARD.encode(format!("another secret of {number:010}"))
                )
            }
            _ => format!("another_secret_{number:08}_of_somebody"),
        };
        self.resign = Some(other);
        let body = if self.body == EVENT.as_bytes() {
            format!(r#"{{"id":"evt_{number}","type":"order.paid","n":{number}}}"#).into_bytes()
        } else {
            self.body.clone()
        };
        self.sign(&body).unwrap();
    }
}

fn named(text: &str) -> Secret {
    Secret {
        written: None,
        name: "sender".to_owned(),
        text: SecretText::new(text.as_bytes().to_vec()),
        not_before: None,
        not_after: None,
    }
}

/// The event as most senders write it: compact JSON.
pub(super) const EVENT: &str = r#"{"id":"evt_7","type":"order.paid","amount":10.50,"note":null,"data":{"who":"Zoë & Co","url":"https://a.example/o/7","n":7,"more":{}}}"#;

/// A sender that the test can sign for: see [`Signing`].
type Signing = (
    &'static str,
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

/// The senders that the test can sign for: provider, secret, body, and headers besides.
const SIGNING: &[Signing] = &[
    (
        "github",
        "It's a Secret to Everybody",
        EVENT,
        &[
            ("X-GitHub-Event", "push"),
            ("User-Agent", "GitHub-Hookshot/1"),
        ],
    ),
    (
        "stripe",
        "whsec_tK3wZ8c1mB5pQ7rS9vX2yA4eG6hJ0nD",
        EVENT,
        &[("Content-Type", "application/json")],
    ),
    ("slack", "8f742231b10e8888abcd99yyyzzz85a5", EVENT, &[]),
    (
        "shopify",
        "hush_shopify_client_secret",
        EVENT,
        &[
            ("X-Shopify-Topic", "orders/paid"),
            ("X-Shopify-Shop-Domain", "a.myshopify.com"),
        ],
    ),
    (
        "twilio",
        "12345678901234567890123456789012",
        "From=%2B15551234&Body=hello+there&To=%2B4930",
        &[("Content-Type", "application/x-www-form-urlencoded")],
    ),
    (
        "standard-webhooks",
        "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        EVENT,
        &[],
    ),
    ("zendesk", "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rz", EVENT, &[]),
    ("svix", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", EVENT, &[]),
    ("paddle", "pdl_ntfset_01h9_secretKeyOfPaddle", EVENT, &[]),
    ("discord-interactions", ED25519_SEED, EVENT, &[]),
    ("zoom", "zoom-secret-token-7Gh2", EVENT, &[]),
    ("hubspot", "f0e1d2c3-hubspot-client-secret", EVENT, &[]),
    ("square", "asdf1234squareSignatureKey", EVENT, &[]),
    ("itellico", "itellico_test_secret", EVENT, &[]),
    (
        "gitlab",
        "gitlab-secret-token-42",
        EVENT,
        &[("X-Gitlab-Event", "Push Hook")],
    ),
    ("meta", "meta-app-secret-0f9e8d", EVENT, &[]),
    ("typeform", "typeform-secret-77", EVENT, &[]),
    ("lemon-squeezy", "lemon-signing-secret", EVENT, &[]),
    ("dropbox", "dropbox-app-secret", EVENT, &[]),
    ("workos", "workos-endpoint-secret", EVENT, &[]),
    ("pagerduty", "pagerduty-endpoint-secret", EVENT, &[]),
    ("trello", "trello-api-secret-of-the-app", EVENT, &[]),
];

/// Every sender with a good delivery.
pub(super) fn all() -> Vec<Delivery> {
    let mut all: Vec<Delivery> = SIGNING
        .iter()
        .map(|(provider, secret, body, headers)| {
            let scheme = presets::find(provider).unwrap().scheme.clone();
            let mut delivery = Delivery {
                provider,
                scheme: Arc::new(scheme),
                secrets: vec![secret.as_bytes().to_vec()],
                lines: headers
                    .iter()
                    .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                    .collect(),
                method: "POST".to_owned(),
                target: format!("/in/{provider}?b=2&a=1"),
                origin: Some(ORIGIN.to_owned()),
                body: Vec::new(),
                now: AT,
                resign: Some((*secret).to_owned()),
            };
            if *provider == "discord-interactions" {
                delivery.set_secret(ED25519);
            }
            delivery.sign(body.as_bytes()).unwrap();
            delivery
        })
        .collect();
    all.push(linear());
    all.push(mailgun());
    all.push(adyen());
    all.extend(
        ["sendgrid", "plaid", "aws-sns"]
            .into_iter()
            .filter_map(of_vector),
    );
    all
}

fn linear() -> Delivery {
    let mut delivery = bare("linear", "lin_wh_secretOfLinear", b"");
    delivery.resign = Some("lin_wh_secretOfLinear".to_owned());
    let body = format!(
        r#"{{"action":"create","type":"Issue","webhookTimestamp":{AT}000,"data":{{"title":"Zoë"}}}}"#
    );
    delivery.sign(body.as_bytes()).unwrap();
    delivery
}

fn bare(provider: &'static str, secret: &str, body: &[u8]) -> Delivery {
    Delivery {
        provider,
        scheme: Arc::new(presets::find(provider).unwrap().scheme.clone()),
        secrets: vec![secret.as_bytes().to_vec()],
        lines: Vec::new(),
        method: "POST".to_owned(),
        target: format!("/in/{provider}"),
        origin: None,
        body: body.to_vec(),
        now: AT,
        resign: None,
    }
}

pub(super) fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = DigestAlgorithm::HmacSha256.mac(key);
    mac.update(text.as_bytes());
    mac.finalize().as_bytes().to_vec()
}

fn mailgun() -> Delivery {
    let secret = "mailgun-http-webhook-signing-key";
    let token = "a8ce0edb2dd8301dee6c2405235584e45aa91d1e9f979f3de0";
    let signature = hex::encode(mac(secret.as_bytes(), &format!("{AT}{token}")));
    let body = format!(
        r#"{{"signature":{{"timestamp":"{AT}","token":"{token}","signature":"{signature}"}},"event-data":{{"event":"opened"}}}}"#
    );
    bare("mailgun", secret, body.as_bytes())
}

fn adyen() -> Delivery {
    let secret = "44782def547aaa06c910c43932b1eb0c71fc68d9d0c057550c48ec2acf6ba056";
    let key = hex::decode(secret).unwrap();
    let signature = STANDARD.encode(mac(
        &key,
        "psp1::Merchant:order-1:1130:EUR:AUTHORISATION:true",
    ));
    let body = format!(
        r#"{{"live":"false","notificationItems":[{{"NotificationRequestItem":{{"additionalData":{{"hmacSignature":"{signature}"}},"amount":{{"value":1130,"currency":"EUR"}},"pspReference":"psp1","eventCode":"AUTHORISATION","eventDate":"2025-06-15T15:06:40+00:00","merchantAccountCode":"Merchant","merchantReference":"order-1","success":"true"}}}}]}}"#
    );
    bare("adyen", secret, body.as_bytes())
}

/// A delivery of a provider whose private key nobody has, from the published vectors.
fn of_vector(provider: &'static str) -> Option<Delivery> {
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../../../../tests/vectors/public.json")).unwrap();
    let vector = vectors.into_iter().find(|vector| {
        vector["provider"] == provider
            && vector["expected"] == true
            && vector["secret"]["encoding"] == "utf8"
    })?;
    let body = STANDARD.decode(vector["body_b64"].as_str()?).ok()?;
    let mut delivery = bare(provider, vector["secret"]["value"].as_str()?, &body);
    let headers = vector["headers"].as_object()?;
    delivery.lines = headers
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
        .collect();
    delivery.now = vector["now"].as_i64().unwrap_or(AT);
    let mut scheme = Scheme::clone(&delivery.scheme);
    scheme.tolerance = Tolerance::Off;
    scheme.future_tolerance = Tolerance::Off;
    delivery.scheme = Arc::new(scheme);
    delivery.method = vector["method"].as_str()?.to_owned();
    Some(delivery)
}
